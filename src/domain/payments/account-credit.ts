import { type Money, minus, nothing } from "../../kit/money.ts";

/** What a document takes of an account's credit: all there is, and never more than is owed. */
export function creditTaken(total: Money, available: Money): Money {
  if (total.minor <= 0n || available.minor <= 0n) return nothing(total.currency);
  return available.minor < total.minor ? available : total;
}

/**
 * What of a new credit becomes the account's, because the document it gives back was settled already: at most the credit itself.
 * `unsettled` is the document's total without all that was paid, forgiven and credited, this credit too; below zero when that
 * is more than was owed.
 *
 * $15.00 paid, $6.00 credited: unsettled −6.00, all 6.00 are the payer's. $15.00 of which $10.00 were paid: 1.00 is.
 */
export function creditArisen(credited: Money, unsettled: Money): Money {
  const over = minus(nothing(unsettled.currency), unsettled);
  if (over.minor <= 0n) return nothing(credited.currency);
  return over.minor < credited.minor ? over : credited;
}
