import fc from "fast-check";
import { expect, test } from "vitest";
import { lateUsagePolicies } from "../catalog/index.ts";
import { currency } from "../../kit/currency.ts";
import { decimalOf } from "../../kit/decimal.ts";
import { money } from "../../kit/money.ts";
import { type LateFacts, lateRoute } from "./late.ts";

const line = (minor: bigint, quantity = minor) => ({
  quantity: decimalOf(quantity),
  amount: money(currency("USD"), minor),
});
const closed = { isClosed: true, isInvoiced: true, approved: undefined } as const;

test("each policy sends what is owed more and what is owed less its own way", () => {
  const ways = lateUsagePolicies.map((policy) =>
    [600n, -600n].map((minor) => lateRoute(line(minor), { ...closed, policy })).join(" "),
  );
  expect(ways).toEqual([
    "next_invoice next_invoice",
    "next_invoice own_document",
    "own_document own_document",
    "hold hold",
  ]);
});

test("an approval lets exactly its own figure pass", () => {
  const facts: LateFacts = {
    ...closed,
    policy: "hold",
    approved: { quantity: decimalOf(100n), amountMinor: 600n },
  };
  expect(lateRoute(line(600n, 100n), facts)).toBe("next_invoice");
  expect(lateRoute(line(606n, 101n), facts)).toBe("hold");
  expect(lateRoute(line(600n, 101n), facts)).toBe("hold");
});

test("what was never asked for is not late, a note needs an invoice, and nothing waits that comes to nothing", () => {
  const policies = fc.constantFrom(...lateUsagePolicies);
  fc.assert(
    fc.property(policies, fc.bigInt({ min: -999n, max: 999n }), (policy, minor) => {
      const route = (over: Partial<LateFacts>) =>
        lateRoute(line(minor), { ...closed, policy, ...over });
      expect(route({ isClosed: false })).toBe("next_invoice");
      expect(route({ isInvoiced: false })).not.toBe("own_document");
      if (minor === 0n) expect(route({})).toBe("next_invoice");
      else expect(route({})).toBe(lateRoute(line(minor * 7n), { ...closed, policy }));
    }),
  );
});
