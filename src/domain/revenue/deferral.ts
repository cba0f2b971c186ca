import {
  type Decimal,
  decimalOf,
  divide,
  equal,
  isZero,
  multiply,
  round,
  toBigInt,
} from "../../kit/decimal.ts";
import { type Money, money } from "../../kit/money.ts";
import { type Instant, lengthOf, type Period } from "../../kit/time.ts";

/**
 * The part of an amount that belongs to a share of the whole, in minor units, rounded half away from zero. The parts of a
 * whole are always differences of this function, never rounded one by one: so they add up to the amount exactly.
 */
export function shareUpTo(total: Money, part: Decimal, whole: Decimal): bigint {
  if (isZero(part)) return 0n;
  if (equal(part, whole)) return total.minor;
  return toBigInt(round(divide(multiply(decimalOf(total.minor), part), whole), 0));
}

/** What an amount paid for `size` units is worth between two counts of units gone: what to recognise or to forfeit. */
export function valueBetween(
  paid: Money,
  size: Decimal,
  goneBefore: Decimal,
  goneAfter: Decimal,
): Money {
  return money(paid.currency, shareUpTo(paid, goneAfter, size) - shareUpTo(paid, goneBefore, size));
}

/**
 * Straight-line: what of a fee for a period is earned between the boundaries given, by elapsed time. The boundaries lie
 * in the period and rise; with its ends first and last, the parts add up to the fee exactly.
 */
export function straightLine(total: Money, over: Period, boundaries: readonly Instant[]): Money[] {
  const whole = decimalOf(lengthOf(over));
  const earned = boundaries.map((at) => shareUpTo(total, decimalOf(at - over.startsAt), whole));
  return earned
    .slice(1)
    .map((minor, index) => money(total.currency, minor - (earned[index] ?? 0n)));
}

/** Breakage that experience lets one expect: a forecast for reports, never a posting (policy 1 waits for the expiry). */
export function expectedBreakage(sold: Money, percent: Decimal): Money {
  return money(sold.currency, shareUpTo(sold, percent, decimalOf(100)));
}
