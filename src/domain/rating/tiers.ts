import {
  compare,
  type Decimal,
  greatest,
  isPositive,
  least,
  subtract,
  zero,
} from "../../kit/decimal.ts";
import type { TierBounds } from "./segments.ts";

type Bounded = { readonly upTo: Decimal | null };

/** Each tier with the bounds it covers, (lower, upper]. */
export const withBounds = <T extends Bounded>(
  tiers: readonly T[],
): { readonly tier: T; readonly bounds: TierBounds }[] =>
  tiers.map((tier, index) => ({
    tier,
    bounds: { index, lower: tiers[index - 1]?.upTo ?? zero, upper: tier.upTo },
  }));

/** The part of (from, to] that lies in the tier; undefined when there is none. */
export function overlap(
  bounds: TierBounds,
  from: Decimal,
  to: Decimal,
): { readonly from: Decimal; readonly to: Decimal; readonly units: Decimal } | undefined {
  const start = greatest(bounds.lower, from);
  const end = bounds.upper ? least(bounds.upper, to) : to;
  const units = subtract(end, start);
  return isPositive(units) ? { from: start, to: end, units } : undefined;
}

/** The tier is entered within (from, to]: its flat amount falls due there and nowhere else. */
export const isEntered = (bounds: TierBounds, from: Decimal, to: Decimal): boolean =>
  compare(bounds.lower, from) >= 0 && compare(bounds.lower, to) < 0;

/** Whether a quantity lies in the tier. */
export const holds = (bounds: TierBounds, quantity: Decimal): boolean =>
  compare(quantity, bounds.lower) > 0 &&
  (bounds.upper === null || compare(quantity, bounds.upper) <= 0);
