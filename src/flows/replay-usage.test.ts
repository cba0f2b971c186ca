import { afterAll, beforeAll, expect, test } from "vitest";
import { aCatalog, anAccount, writeUsage } from "../../test/harness/billing.ts";
import { type TestEnv, testEnv } from "../../test/harness/database.ts";
import { formatDecimal } from "../kit/decimal.ts";
import { instant } from "../kit/time.ts";
import { getCatalog } from "../store/catalog.ts";
import { replayUsage } from "./replay-usage.ts";

let env: TestEnv;
beforeAll(async () => {
  env = await testEnv({ at: "2025-02-10T00:00:00Z" });
});
afterAll(() => env.close());

test("usage of all accounts is rated from raw events, each at the price of its own time", async () => {
  await aCatalog(
    env,
    `
meters:
  - { key: calls, name: Calls, event_type: call, aggregation: sum, value_property: n, unit: call }
  - { key: failures, name: Failures, event_type: call, aggregation: count, unit: call, filters: [{ property: status, op: eq, values: [failed] }] }
  - { key: tokens, name: Tokens, event_type: llm, aggregation: sum, value_property: tokens, unit: token, dimensions: [{ key: model }] }
price_books: [{ code: retail-usd, name: Retail, currency: USD }]
skus: [{ code: CALLS, name: Calls, meter: calls }, { code: FAILURES, name: Failures, meter: failures }, { code: TOKENS, name: Tokens, meter: tokens }]
prices:
  - { book: retail-usd, sku: CALLS, effective_from: "2024-01-01T00:00:00Z", model: per_unit, currency: USD, unit_amount: "0.01" }
  - { book: retail-usd, sku: CALLS, effective_from: "2025-01-15T00:00:00Z", model: per_unit, currency: USD, unit_amount: "0.02" }
  - { book: retail-usd, sku: FAILURES, effective_from: "2024-01-01T00:00:00Z", model: per_unit, currency: USD, unit_amount: "0.5" }
  - { book: retail-usd, sku: TOKENS, effective_from: "2024-01-01T00:00:00Z", model: matrix, currency: USD, dimensions: [model],
      cells: [{ match: { model: large }, unit_amount: "0.003" }], default_unit_amount: "0.001" }
`,
  );
  const one = await anAccount(env, { slug: "one" });
  const two = await anAccount(env, { slug: "two", orgId: one.orgId });
  const elsewhere = await anAccount(env, { slug: "elsewhere" });
  const call = (day: string, n: string, status = "ok") => ({
    time: `2025-01-${day}T00:00:00Z`,
    type: "call",
    data: { n, status },
  });
  await writeUsage(
    env,
    one,
    [
      call("14", "100"),
      call("15", "50", "failed"),
      { time: "2025-02-01T00:00:00Z", type: "call", data: { n: "7", status: "failed" } },
    ],
    () => ({}),
  );
  const tokens = (model: string) => ({
    time: "2025-01-20T00:00:00Z",
    type: "llm",
    data: { tokens: "1000", model },
  });
  await writeUsage(env, two, [tokens("large"), tokens("small"), tokens("small")], () => ({}));
  await writeUsage(env, elsewhere, [call("14", "1")], () => ({}));

  const replayed = await replayUsage(env, await getCatalog(env.store), {
    orgId: one.orgId,
    priceBook: "retail-usd",
    calendar: { timeZone: "UTC", invoiceDay: 1, cycle: "month" },
    period: {
      startsAt: instant("2025-01-01T00:00:00Z"),
      endsAt: instant("2025-02-01T00:00:00Z"),
    },
  });
  const amounts = [...replayed].map(([accountId, charges]) => [
    accountId,
    charges.map(({ skuCode, unrounded }) => `${skuCode} ${formatDecimal(unrounded)}`).toSorted(),
  ]);
  expect(Object.fromEntries(amounts)).toEqual({
    [one.accountId]: ["CALLS 2", "FAILURES 0.5"],
    [two.accountId]: ["TOKENS 5"],
  });
});
