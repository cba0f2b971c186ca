import { expect } from "vitest";
import { requestHash } from "../../src/api/idempotency.ts";
import { statuses } from "../../src/api/problems.ts";
import { oracle } from "./cases.ts";

oracle<{ first: { amount: number }; retry_amounts: number[] }, { results: string[] }>(
  "idempotency",
  ({ input, expected }) => {
    const hash = (amount: number) => requestHash("POST", "/v1/transfers", { amount });
    const first = hash(input.first.amount);
    const results = input.retry_amounts.map((amount) =>
      hash(amount).equals(first) ? "exists" : "different_amount",
    );
    expect(results).toEqual(expected.results);
  },
);

// The header is required nowhere; one that cannot be read is refused as a missing one would be. The stored answer is
// replayed over HTTP in src/api/idempotency.test.ts.
oracle<unknown, { status: string[] }>("idempotency_status", ({ expected }) => {
  const refused = [
    statuses.idempotency_key_not_valid,
    statuses.idempotency_key_reused,
    statuses.idempotency_key_in_flight,
  ];
  expect(refused.map(String)).toEqual(expected.status.slice(0, 3));
});
