import { describe, expect, test } from "vitest";
import { currency } from "../../kit/currency.ts";
import { decimal } from "../../kit/decimal.ts";
import type { AccountId, GrantId } from "../../kit/ids.ts";
import { formatMoney, parseMoney } from "../../kit/money.ts";
import { formatInstant, instant } from "../../kit/time.ts";
import {
  type BatchOffer,
  decideRefund,
  decideTopUp,
  decideUpgrade,
  grantOfPurchase,
  previewPurchase,
  returnUnits,
} from "./index.ts";

const usd = (text: string) => parseMoney(text, currency("USD"));
const sms: BatchOffer = {
  sku: "USAGE-SMS-1000",
  family: "sms",
  unit: "messages",
  units: 1000,
  price: usd("40.00"),
  validityDays: 30,
  overageUnitAmount: decimal("0.06"),
};
const bought = instant("2025-01-10T00:00:00Z");
const aBatch = () =>
  grantOfPurchase(previewPurchase(sms, 1, bought), {
    id: "grt_1" as GrantId,
    accountId: "acc_1" as AccountId,
    at: bought,
    afterSeq: 0,
  });

test("the preview shows price, expiry and overage before anybody pays", () => {
  expect(previewPurchase(sms, 1, bought).sentences).toEqual([
    "1000 messages for 40.00 USD, 0.04 each.",
    "What is not used by 2025-02-09T00:00:00.000Z is lost and not refunded.",
    "Beyond that, each costs 0.06 USD. Usage already beyond a batch is not covered afterwards.",
  ]);
});

describe("upgrade to a larger batch (R-080)", () => {
  const large: BatchOffer = { ...sms, sku: "USAGE-SMS-10000", units: 10_000, price: usd("350.00") };
  const now = instant("2025-01-20T00:00:00Z");

  test("pays the difference, carries what is unused, ends when the new batch ends", () => {
    const used = { ...aBatch(), remaining: 700, drawn: 300 };
    const decision = decideUpgrade(used, large, now);
    if (decision.kind !== "upgrade") throw new Error(decision.reason);
    expect([decision.carried, decision.added, formatMoney(decision.due)]).toEqual([
      700,
      9000,
      "310.00",
    ]);
    expect(formatInstant(decision.expiresAt)).toBe("2025-02-19T00:00:00.000Z");
  });

  test.each([
    ["other_family", { ...large, family: "ai" }, {}],
    ["not_larger", sms, {}],
    ["cheaper", { ...large, price: usd("30.00") }, {}],
    ["batch_ended", large, { expiresAt: now }],
    ["batch_ended", large, { remaining: 0, drawn: 1000 }],
  ])("is refused: %s", (reason, to, changes) => {
    expect(decideUpgrade({ ...aBatch(), ...changes }, to, now)).toEqual({
      kind: "refused",
      reason,
    });
  });
});

describe("giving a batch back (D-10)", () => {
  const policy = { unusedIsRefundable: true };
  const during = instant("2025-01-11T00:00:00Z");
  test.each([
    ["expired", aBatch(), instant("2025-02-09T00:00:00Z"), policy, /^The batch expired/],
    [
      "used",
      { ...aBatch(), remaining: 999, drawn: 1 },
      during,
      policy,
      /^1 of 1000 units are gone/,
    ],
    ["by default", aBatch(), during, { unusedIsRefundable: false }, /also not unused/],
    ["given away", { ...aBatch(), paid: null }, during, policy, /^Nothing was paid/],
  ])("is refused when %s", (_, grant, now, rule, because) => {
    const decision = decideRefund(grant, now, rule);
    expect(decision.kind).toBe("refused");
    expect(decision.because).toMatch(because);
  });
  test("is possible for an untouched batch where the policy says so", () => {
    expect(decideRefund(aBatch(), during, policy)).toMatchObject({
      kind: "refund",
      amount: usd("40.00"),
    });
  });
});

describe("automatic top-up (R-081)", () => {
  const rule = { enabled: true, sku: sms.sku, triggerAtOrBelow: 100, purchasesPerMonthMax: 2 };
  const facts = { available: 100, purchasesThisMonth: 0, failuresInARow: 0, lastFailureAt: null };
  const now = instant("2025-01-10T12:00:00Z");
  test.each([
    ["idle", { available: 101 }],
    ["buy", {}],
    ["buy", { purchasesThisMonth: 1 }],
    ["notify", { purchasesThisMonth: 2 }],
    ["notify", { failuresInARow: 3, lastFailureAt: instant("2025-01-10T00:00:00Z") }],
    ["buy", { failuresInARow: 3, lastFailureAt: instant("2025-01-09T12:00:00Z") }],
  ])("%s with %j", (kind, changes) => {
    expect(decideTopUp(rule, { ...facts, ...changes }, now).kind).toBe(kind);
  });
});

test("a correction of usage shrinks the overage first, then returns units, last drawn first", () => {
  const drawn = [
    { grantId: "a", quantity: 60 },
    { grantId: "b", quantity: 20 },
  ];
  expect(returnUnits(40, 15, drawn)).toEqual({
    fromOverage: 15,
    returned: [
      { grantId: "b", quantity: 20 },
      { grantId: "a", quantity: 5 },
    ],
    impossible: 0,
  });
});
