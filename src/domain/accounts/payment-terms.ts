import { type Decimal, decimal, divide, multiply } from "../../kit/decimal.ts";
import { type Money, nothing, toDecimal, toMoney } from "../../kit/money.ts";
import { addDays, addMonths, type Day } from "../../kit/time.ts";

/** What paying soon is worth: 2 per cent within 10 days of the invoice. */
export type EarlyDiscount = { readonly percent: Decimal; readonly days: number };
/** What paying late costs: per cent of what is open, for each month begun after the due date. */
export type LateFee = { readonly percentPerMonth: Decimal };
export type PricedTerms = {
  readonly earlyDiscount: EarlyDiscount | null;
  readonly lateFee: LateFee | null;
};

const percentOf = (amount: Money, percent: Decimal): Money =>
  toMoney(divide(multiply(toDecimal(amount), percent), decimal("100")), amount.currency);

/** The last day on which a payment earns the discount: the tenth after issue, for ten days. */
export const discountUntil = (issuedOn: Day, terms: EarlyDiscount): Day =>
  addDays(issuedOn, terms.days);

/** What of an invoice is forgiven when it is paid on a day. $100.00 at 2%/10 days, on day 9 or 10: $2.00; on day 11: nothing. */
export function earlyDiscountOf(
  total: Money,
  terms: EarlyDiscount | null,
  issuedOn: Day,
  paidOn: Day,
): Money {
  if (terms === null || paidOn > discountUntil(issuedOn, terms)) return nothing(total.currency);
  return percentOf(total, terms.percent);
}

/** The fee for one month on what was open when the month began. 1.5% of $100.00 is $1.50. */
export const lateFeeOf = (open: Money, { percentPerMonth }: LateFee): Money =>
  percentOf(open, percentPerMonth);

/** The day on which month `n` (from 0) after the due date begins: the day after the due date, stepped by months from it. */
export const lateMonthOn = (dueOn: Day, n: number): Day => addDays(addMonths(dueOn, n), 1);
