import fc from "fast-check";
import { expect, test } from "vitest";
import { currency } from "../../kit/currency.ts";
import { decimal } from "../../kit/decimal.ts";
import { formatMoney, money, parseMoney } from "../../kit/money.ts";
import { addDays, dayOf } from "../../kit/time.ts";
import { earlyDiscountOf, lateFeeOf, lateMonthOn } from "../accounts/index.ts";
import { settle } from "./index.ts";

const usd = currency("USD");
const dollars = (text: string) => parseMoney(text, usd);
const terms = { percent: decimal("2"), days: 10 };
const issuedOn = dayOf("2025-02-04");
const payOn = (day: number, amount: string) => {
  const discount = earlyDiscountOf(dollars("100.00"), terms, issuedOn, addDays(issuedOn, day));
  const {
    applied,
    discount: given,
    excess,
    left,
  } = settle(dollars("100.00"), discount, dollars(amount));
  return [applied, given, excess, left].map(formatMoney).join(" ");
};

test("R-137: 2%/10 days, paid on day 9, $98.00 settles $100.00", () => {
  expect(payOn(9, "98.00")).toBe("98.00 2.00 0.00 0.00");
  expect(payOn(10, "98.00")).toBe("98.00 2.00 0.00 0.00");
  expect(payOn(11, "98.00")).toBe("98.00 0.00 0.00 2.00");
  expect(payOn(9, "97.99")).toBe("97.99 0.00 0.00 2.01");
  expect(payOn(9, "100.00")).toBe("98.00 2.00 2.00 0.00");
});

test("R-137: 1.5% a month of $100.00 is $1.50, on the day after the due date and on each month from there", () => {
  expect(formatMoney(lateFeeOf(dollars("100.00"), { percentPerMonth: decimal("1.5") }))).toBe(
    "1.50",
  );
  const dueOn = dayOf("2025-01-31");
  expect([0, 1, 2].map((n) => lateMonthOn(dueOn, n))).toEqual([
    "2025-02-01",
    "2025-03-01",
    "2025-04-01",
  ]);
});

test("no cent is lost: what was paid is applied or too much, and what was open is applied, forgiven or left", () => {
  const cents = fc.bigInt({ min: 0n, max: 10_000_000n });
  fc.assert(
    fc.property(cents, cents, cents, (open, offered, paid) => {
      const done = settle(money(usd, open), money(usd, offered), money(usd, paid));
      expect(done.applied.minor + done.excess.minor).toBe(paid);
      expect(done.applied.minor + done.discount.minor + done.left.minor).toBe(open);
    }),
  );
});
