import { type Money, minus, nothing, plus } from "../../kit/money.ts";

/** What one payment does to an invoice. `left` is what is still open after it. */
export type Settlement = {
  readonly applied: Money;
  readonly discount: Money;
  readonly excess: Money;
  readonly left: Money;
};

/**
 * Set a payment against what is open. The early-payment discount is given only where payment and discount together settle
 * the invoice: half a payment earns nothing. What is too much is the payer's and stands apart.
 *
 * $100.00 open, $2.00 discount: $98.00 settles it; $99.00 settles it with $1.00 too much; $60.00 leaves $40.00.
 */
export function settle(open: Money, discountOffered: Money, paid: Money): Settlement {
  const code = open.currency;
  const discount = discountOffered.minor > open.minor ? open : discountOffered;
  const wanted = minus(open, discount);
  if (paid.minor >= wanted.minor)
    return { applied: wanted, discount, excess: minus(paid, wanted), left: nothing(code) };
  return {
    applied: paid,
    discount: nothing(code),
    excess: nothing(code),
    left: minus(open, paid),
  };
}

/** What of an invoice is open: its total without what was credited, paid and forgiven. */
export const openOf = (total: Money, settled: Money, credited: Money): Money => {
  const left = minus(total, plus(settled, credited));
  return left.minor < 0n ? nothing(total.currency) : left;
};
