import { type Decimal, isZero, one, subtract, zero } from "../../kit/decimal.ts";
import type { Tier } from "../catalog/index.ts";
import { packagesOf } from "./package.ts";
import { counted, type Draft, type TierBounds, usage } from "./segments.ts";
import { along, type Span } from "./span.ts";
import { isEntered, overlap, withBounds } from "./tiers.ts";

/** Charge every part of the quantity at the rate of the tier it falls in, and the flat amount of every tier entered. */
export function rateGraduated(
  price: { readonly tiers: readonly Tier[]; readonly flatAtZero: boolean },
  span: Span,
): Draft[] {
  const tiers = withBounds(price.tiers);
  const opening = openingFlat(price, span);
  const segments = along(span.from, span.to, (from, to) =>
    tiers.flatMap(({ tier, bounds }) => {
      const part = overlap(bounds, from, to);
      if (!part) return [];
      const flat =
        isEntered(bounds, from, to) && !(bounds.index === 0 && price.flatAtZero)
          ? flatOf(tier.flatAmount, bounds)
          : [];
      return [...flat, inTier(tier, bounds, part)];
    }),
  );
  return [...opening, ...segments];
}

const flatOf = (amount: Decimal, tier: TierBounds): Draft[] =>
  isZero(amount) ? [] : [counted(one, amount, zero, { kind: "tier_flat", tier }, tier)];

/** The first tier's flat amount, where the price asks for it whatever was used: once, when the period opens. */
export const openingFlat = (
  price: {
    readonly tiers: readonly { readonly flatAmount: Decimal; readonly upTo: Decimal | null }[];
    readonly flatAtZero: boolean;
  },
  span: Span,
): Draft[] => {
  const [first] = withBounds(price.tiers);
  return span.opening && price.flatAtZero && first
    ? flatOf(first.tier.flatAmount, first.bounds)
    : [];
};

function inTier(
  tier: Tier,
  bounds: TierBounds,
  part: { readonly from: Decimal; readonly to: Decimal; readonly units: Decimal },
): Draft {
  const { packageSize } = tier;
  if (!packageSize)
    return usage(part.units, tier.unitAmount, { kind: "tier", tier: bounds }, bounds);
  const count = (position: Decimal) => packagesOf(subtract(position, bounds.lower), packageSize);
  const because = { kind: "tier_packages", tier: bounds, packageSize } as const;
  return counted(
    subtract(count(part.to), count(part.from)),
    tier.unitAmount,
    part.units,
    because,
    bounds,
  );
}

/** A change of a level within the period: full units decide the tier, time-weighted units carry the price. */
export type WeightedStep = { readonly units: Decimal; readonly weighted: Decimal };

/**
 * Graduated prices for seats and other levels that come and go: the running level of full units says in which tiers a step
 * lies, each tier's share of the step is charged for the time it counts, and every tier that was ever reached pays its
 * flat amount once.
 */
export function rateSteps(
  price: { readonly tiers: readonly Tier[]; readonly flatAtZero: boolean },
  steps: readonly WeightedStep[],
): Draft[] {
  const tiers = withBounds(price.tiers);
  const drafts: Draft[] = [];
  let level: Decimal = zero;
  let highest: Decimal = zero;
  for (const { units, weighted } of steps) {
    if (isZero(units)) continue;
    const next = level.plus(units);
    const [low, high] = units.isNegative() ? [next, level] : [level, next];
    for (const { tier, bounds } of tiers) {
      const part = overlap(bounds, low, high);
      if (!part) continue;
      // The share is multiplied before it is divided, so that only the last digit can be rounded.
      const quantity = weighted.times(part.units).dividedBy(units.abs());
      const signed = units.isNegative() ? part.units.negated() : part.units;
      drafts.push(
        counted(quantity, tier.unitAmount, signed, { kind: "tier", tier: bounds }, bounds),
      );
    }
    level = next;
    if (level.greaterThan(highest)) highest = level;
  }
  const reached = tiers.filter(
    ({ bounds }) => bounds.lower.lessThan(highest) || (bounds.index === 0 && price.flatAtZero),
  );
  return [...reached.flatMap(({ tier, bounds }) => flatOf(tier.flatAmount, bounds)), ...drafts];
}
