import fc from "fast-check";
import { expect, test } from "vitest";
import { currency } from "../../kit/currency.ts";
import { minus, money, nothing, sumMoney } from "../../kit/money.ts";
import { day, instant, type Instant, shift } from "../../kit/time.ts";
import { balancesAt, trialBalance } from "../ledger/index.ts";
import {
  accrue,
  type BookedDocument,
  type BookedLine,
  earn,
  earnedAt,
  postDocument,
  type RecognitionPolicy,
} from "./index.ts";

const usd = currency("USD");
const startsAt = instant("2025-01-01T00:00:00Z");
const period = { startsAt, endsAt: instant("2025-02-01T00:00:00Z") };
const policy: RecognitionPolicy = {
  version: 1,
  effectiveFrom: Number.NEGATIVE_INFINITY as Instant,
  fees: "straight_line",
  usage: "accrued",
};

const anyLine = fc.record({
  net: fc.bigInt({ min: -1_000_000n, max: 1_000_000n }),
  days: fc.integer({ min: 1, max: 400 }),
  kind: fc.constantFrom("charge" as const, "charge" as const, "concession" as const),
  sku: fc.constantFrom("A", "B"),
});
const anyDocument = fc
  .tuple(fc.array(anyLine, { maxLength: 8 }), fc.bigInt({ min: -5_000n, max: 5_000n }))
  .map(([drawn, tax]): BookedDocument => {
    const lines = drawn.map((one, i): BookedLine => {
      const over = { startsAt, endsAt: shift(startsAt, one.days * day) };
      const net = money(usd, one.net);
      const earned = earnedAt(net, over, period.endsAt);
      const { kind, sku } = one;
      return {
        lineNo: i + 1,
        cause: `c${i}`,
        sku,
        net,
        earned,
        kind,
        taxInside: nothing(usd),
        period: over,
      };
    });
    const nets = sumMoney(
      usd,
      lines.map((line) => line.net),
    );
    return {
      id: "inv_1",
      accountId: "acc_1",
      number: "INV-000001",
      period,
      issuedAt: shift(period.endsAt, 3 * day),
      isPeriodic: true,
      handedOver: nothing(usd),
      total: money(usd, nets.minor + tax),
      taxes: [{ rate: "DE-19", tax: money(usd, tax) }],
      lines,
    };
  });

test("whatever was accrued, the receivable is the total, nothing stays unbilled, and in the end all of it is earned", () => {
  fc.assert(
    fc.property(
      anyDocument,
      fc.array(fc.bigInt({ min: -900n, max: 900n })),
      (document, accrued) => {
        const lines = accrued.map(
          (minor, i): BookedLine => ({
            ...(document.lines[i] ?? { lineNo: 0, sku: "A", period, taxInside: nothing(usd) }),
            cause: `c${i}`,
            kind: "charge",
            net: money(usd, minor),
            earned: money(usd, minor),
          }),
        );
        const before = accrue(
          { id: "txn_0", accountId: "acc_1", name: "January", at: shift(period.endsAt, -1) },
          lines,
          new Map(),
          policy,
        );
        const books = postDocument(document, before.unbilled, policy);
        const later = books.schedules.flatMap(
          (schedule) =>
            earn(
              {
                ...schedule,
                invoiceId: document.id,
                accountId: "acc_1",
                timeZone: "UTC",
                earnedUntil: period.endsAt,
                policyVersion: 1,
              },
              instant("2027-01-01T00:00:00Z"),
            ).transactions,
        );
        const all = [
          ...(before.transaction ? [before.transaction] : []),
          ...books.transactions,
          ...later,
        ];
        const balances = balancesAt(all);
        for (const sum of trialBalance(balances).values()) expect(sum.isZero()).toBe(true);
        const of = (part: string) =>
          balances
            .filter((one) => one.account.includes(part))
            .reduce((sum, one) => sum + BigInt(one.number.toFixed()), 0n);
        expect(of(":receivable:")).toBe(document.total.minor);
        expect(of(":tax:")).toBe(-(document.taxes[0]?.tax.minor ?? 0n));
        expect([of(":unbilled:"), of(":deferred:"), of(":rounding:")]).toEqual([0n, 0n, 0n]);
        const nets = sumMoney(
          usd,
          document.lines.map((line) => line.net),
        );
        expect(of("income:revenue:") + of("expenses:refunds:")).toBe(
          minus(nothing(usd), nets).minor,
        );
      },
    ),
  );
});
