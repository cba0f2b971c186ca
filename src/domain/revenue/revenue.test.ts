import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { currency } from "../../kit/currency.ts";
import { decimal, decimalOf } from "../../kit/decimal.ts";
import { formatMoney, money, nothing, parseMoney, sumMoney } from "../../kit/money.ts";
import { day, instant, period, shift, stepFrom } from "../../kit/time.ts";
import type { MovementKind } from "../grants/index.ts";
import { balancesAt, balanceText, trialBalance } from "../ledger/index.ts";
import {
  type BookedGrant,
  consumeLots,
  costOf,
  postMovements,
  type SupplyLot,
  straightLine,
  valueBetween,
} from "./index.ts";

const usd = (text: string) => parseMoney(text, currency("USD"));
const aGrant: BookedGrant = {
  grantId: "grt_1",
  accountId: "acc_1",
  family: "sms",
  sku: "USAGE-SMS-1000",
  origin: "purchase",
  size: 1000,
  value: usd("40.00"),
  gone: decimal("0"),
};
const aMovement = (kind: MovementKind, quantity: number, no = 1) => ({
  movementId: `mov_${no}`,
  kind,
  quantity,
  at: instant("2025-01-20T00:00:00Z"),
});
const balances = (movements: ReturnType<typeof aMovement>[], grant = aGrant) =>
  Object.fromEntries(
    balancesAt(postMovements(grant, movements).transactions)
      .filter((one) => one.kind === "money")
      .map((one) => [one.account, balanceText(one)]),
  );

describe("deferred revenue of a batch (R-146)", () => {
  test("600 of 1,000 used: 24.00 recognised; at expiry 16.00 breakage; nothing stays deferred", () => {
    const used = aMovement("drawn", -600);
    expect(balances([used])).toEqual({
      "income:revenue:USAGE-SMS-1000": "-24.00",
      "liabilities:deferred:USAGE-SMS-1000": "24.00",
    });
    expect(balances([used, aMovement("expired", -400, 2)])).toEqual({
      "income:breakage:USAGE-SMS-1000": "-16.00",
      "income:revenue:USAGE-SMS-1000": "-24.00",
      "liabilities:deferred:USAGE-SMS-1000": "40.00",
    });
  });

  test("a late event turns breakage back into revenue", () => {
    const moves = [
      aMovement("drawn", -600, 1),
      aMovement("expired", -400, 2),
      aMovement("unexpired", 100, 3),
      aMovement("drawn", -100, 4),
    ];
    expect(balances(moves)).toMatchObject({
      "income:breakage:USAGE-SMS-1000": "-12.00",
      "income:revenue:USAGE-SMS-1000": "-28.00",
    });
  });

  test("cents never get lost: any chain of movements recognises the price exactly, and balances", () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.tuple(
            fc.constantFrom("drawn" as const, "expired" as const),
            fc.integer({ min: 1, max: 9 }),
          ),
        ),
        fc.bigInt({ min: 0n, max: 100_000n }),
        (parts, price) => {
          const size = parts.reduce((sum, [, quantity]) => sum + quantity, 0);
          if (size === 0) return;
          const grant = { ...aGrant, size, value: money(currency("USD"), price) };
          const { transactions } = postMovements(
            grant,
            parts.map(([kind, quantity], index) => aMovement(kind, -quantity, index)),
          );
          const all = balancesAt(transactions);
          const deferred = all.find((one) => one.account.includes("deferred"));
          expect(deferred?.number.toFixed() ?? "0").toBe(String(price));
          for (const sum of trialBalance(all).values()) expect(sum.isZero()).toBe(true);
        },
      ),
    );
  });

  test("a transfer takes exactly the value that its units had; the two sides cancel out", () => {
    const moved = { ...aGrant, size: 3, value: usd("1.00") };
    const out = postMovements(moved, [aMovement("transferred_out", -2)]).transactions;
    const value = valueBetween(usd("1.00"), decimal("3"), decimal("0"), decimal("2"));
    expect(formatMoney(value)).toBe("0.67");
    const child: BookedGrant = {
      ...aGrant,
      grantId: "grt_2",
      accountId: "acc_2",
      origin: "transfer",
      size: 2,
      value,
    };
    const into = postMovements(child, [aMovement("funded", 2, 2)]).transactions;
    expect(
      balancesAt([...out, ...into]).map((one) => `${one.account} ${balanceText(one)}`),
    ).toEqual(["liabilities:units:acc_1:sms 2", "liabilities:units:acc_2:sms -2"]);
  });
});

describe("fees by time", () => {
  test("2,400.00 for a year: the months by days, exactly the fee in all (R-148)", () => {
    const year = period(instant("2025-01-01T00:00:00Z"), instant("2026-01-01T00:00:00Z"));
    const bounds = Array.from({ length: 13 }, (_, n) => stepFrom(year.startsAt, "UTC", "month", n));
    const parts = straightLine(usd("2400.00"), year, bounds);
    expect(parts.slice(0, 3).map(formatMoney)).toEqual(["203.84", "184.11", "203.83"]);
    expect(formatMoney(sumMoney(currency("USD"), parts))).toBe("2400.00");
    const days = Array.from({ length: 366 }, (_, n) => shift(year.startsAt, n * day));
    expect(formatMoney(sumMoney(currency("USD"), straightLine(usd("2400.00"), year, days)))).toBe(
      "2400.00",
    );
  });
});

describe("cost of what was sold (R-084)", () => {
  const lot = (id: string, size: number, cost: string, boughtAt: string): SupplyLot => ({
    id,
    family: "sms",
    size: decimalOf(size),
    remaining: decimalOf(size),
    cost: usd(cost),
    boughtAt: instant(`${boughtAt}T00:00:00Z`),
  });

  test("1,250 of a lot of 100,000 at 2,000.00 cost 25.00; 98,750 are left", () => {
    const consumption = consumeLots(
      [lot("lot_1", 100_000, "2000.00", "2025-01-01")],
      decimal("1250"),
    );
    expect(formatMoney(costOf(consumption) ?? nothing(currency("USD")))).toBe("25.00");
    expect(consumption.lots[0]?.remaining.toFixed()).toBe("98750");
  });

  test("the oldest lot goes first; a lot's uses add up to its cost; what no lot covers is said", () => {
    const lots = [lot("lot_2", 10, "2.00", "2025-02-01"), lot("lot_1", 3, "1.00", "2025-01-01")];
    const first = consumeLots(lots, decimal("2"));
    const second = consumeLots(first.lots, decimal("20"));
    expect(
      [...first.uses, ...second.uses].map((use) => [
        use.lotId,
        use.quantity.toFixed(),
        formatMoney(use.cost),
      ]),
    ).toEqual([
      ["lot_1", "2", "0.67"],
      ["lot_1", "1", "0.33"],
      ["lot_2", "10", "2.00"],
    ]);
    expect(second.uncovered.toFixed()).toBe("9");
  });
});
