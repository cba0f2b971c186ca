import { type Decimal, isNegative, negate, zero } from "../../kit/decimal.ts";
import { type Draft, negated } from "./segments.ts";

/**
 * A stretch of the charged quantity of a period, (from, to]. The period's usage continues through the tiers from slice to
 * slice, so that nothing is priced twice: the second slice starts where the first one ended.
 */
export type Span = {
  readonly from: Decimal;
  readonly to: Decimal;
  /** Where the whole period ends: what decides the tier of a volume price. */
  readonly total: Decimal;
  /** Whether it is the first, and the last, slice of the period. */
  readonly opening: boolean;
  readonly closing: boolean;
};

/**
 * Price a stretch in either direction. Prices are written for usage that grows from zero; usage that was taken back in the
 * meantime gives the same segments with the opposite sign, and below zero the price is its own mirror image.
 */
export function along(
  from: Decimal,
  to: Decimal,
  rise: (from: Decimal, to: Decimal) => Draft[],
): Draft[] {
  if (from.equals(to)) return [];
  if (isNegative(from) !== isNegative(to) && !from.isZero() && !to.isZero())
    return [...along(from, zero, rise), ...along(zero, to, rise)];
  if (isNegative(from) || isNegative(to)) return negated(along(negate(from), negate(to), rise));
  return to.lessThan(from) ? negated(rise(to, from)) : rise(from, to);
}
