import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { currency } from "../../kit/currency.ts";
import { decimal } from "../../kit/decimal.ts";
import { parseMoney } from "../../kit/money.ts";
import { type Instant, instant } from "../../kit/time.ts";
import {
  address,
  balancesAt,
  balanceText,
  book,
  credit,
  debit,
  exportBooks,
  exportFormats,
  type LedgerTransaction,
  move,
  moneyAmount,
  reversalOf,
  trialBalance,
  unitsAmount,
} from "./index.ts";

const usd = (text: string) => moneyAmount(parseMoney(text, currency("USD")));
const receivable = address("receivable", "acc_1");
const deferred = address("deferred", "USAGE-SMS-1000");
const aTransaction = (changes: Partial<LedgerTransaction> = {}): LedgerTransaction => ({
  id: "txn_1",
  cause: "purchase:pur_1",
  at: instant("2025-01-10T00:00:00Z"),
  description: "USAGE-SMS-1000",
  policyVersion: 1,
  reverses: null,
  postings: [
    ...move(deferred, receivable, usd("40.00")),
    ...move(
      address("units", "acc_1", "sms"),
      address("units-issued", "sms"),
      unitsAmount("sms", decimal("1000")),
    ),
  ],
  ...changes,
});
const written = (transactions: LedgerTransaction[], at?: Instant) =>
  balancesAt(transactions, at).map((one) => `${one.account} ${balanceText(one)} ${one.commodity}`);

describe("a transaction", () => {
  test("balances per currency and per family of units, with zero tolerance", () => {
    expect(book(aTransaction()).postings).toHaveLength(4);
    const short = { postings: [debit(receivable, usd("40.00")), credit(deferred, usd("39.99"))] };
    expect(() => book(aTransaction(short))).toThrow("money:USD 1 is left over");
    const mixed = {
      postings: [
        debit(receivable, usd("1.00")),
        credit(deferred, unitsAmount("USD", decimal("100"))),
      ],
    };
    expect(() => book(aTransaction(mixed))).toThrow("does not balance");
  });

  test("goes only to accounts of the chart", () => {
    expect(() => address("receivable")).toThrow("receivable needs account");
    expect(() => address("units", "acc_1", "a:b")).toThrow(RangeError);
  });
});

test("balances can be had at any instant, and a reversal restores all of them", () => {
  const first = book(aTransaction());
  const later = instant("2025-02-01T00:00:00Z");
  const undone = reversalOf(first, { id: "txn_2", at: later, description: "undone" });
  expect(written([first, undone], (later - 1) as Instant)).toEqual([
    "assets:receivable:acc_1 40.00 USD",
    "equity:units-issued:sms 1000 sms",
    "liabilities:deferred:USAGE-SMS-1000 -40.00 USD",
    "liabilities:units:acc_1:sms -1000 sms",
  ]);
  expect(written([first, undone], later)).toEqual([]);
});

test("whatever is booked, the trial balance is zero at every instant", () => {
  const anyMove = fc.record({
    from: fc.constantFrom(receivable, deferred, address("revenue", "A"), address("cash", "card")),
    to: fc.constantFrom(receivable, address("refunds", "A"), address("tax", "de-19")),
    minor: fc.bigInt({ min: -10_000n, max: 10_000n }),
    code: fc.constantFrom("USD", "JPY", "KWD").map(currency),
    at: fc.nat({ max: 50 }),
  });
  fc.assert(
    fc.property(fc.array(anyMove), fc.nat({ max: 50 }), (moves, at) => {
      const books = moves.map((one, index) =>
        book({
          ...aTransaction({ id: `txn_${index}`, at: one.at as Instant }),
          postings: move(one.from, one.to, moneyAmount({ currency: one.code, minor: one.minor })),
        }),
      );
      for (const sum of trialBalance(balancesAt(books, at as Instant)).values())
        expect(sum.isZero()).toBe(true);
    }),
  );
});

test.each(exportFormats)("the export for %s", async (format) => {
  const books = [
    book(aTransaction()),
    book(
      aTransaction({
        id: "txn_2",
        cause: "movement:mov_1",
        at: instant("2025-01-11T10:00:00.123456Z"),
        description: 'drawn; a | "quoted" line\nbreak',
        postings: move(
          address("revenue", "A_B"),
          address("refunds", "A.B"),
          moneyAmount(parseMoney("1235", currency("JPY"))),
        ),
      }),
    ),
  ];
  await expect(exportBooks(books, format)).toMatchFileSnapshot(`./fixtures/export.${format}.txt`);
});
