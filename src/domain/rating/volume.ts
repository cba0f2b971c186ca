import { type Decimal, isZero, one, subtract, zero } from "../../kit/decimal.ts";
import type { Tier } from "../catalog/index.ts";
import { packagesOf } from "./package.ts";
import { counted, type Draft, usage } from "./segments.ts";
import { along, type Span } from "./span.ts";
import { holds, withBounds } from "./tiers.ts";

/**
 * Charge all units at the rate of the tier that the total of the period reaches. Each slice pays its own units at its own
 * price; the flat amount of the tier is due once, with the last slice.
 */
export function rateVolume(
  price: { readonly tiers: readonly Tier[]; readonly flatAtZero: boolean },
  span: Span,
): Draft[] {
  const size = span.total.abs();
  const landed = withBounds(price.tiers).find(
    ({ bounds }) => holds(bounds, size) || (isZero(size) && bounds.index === 0),
  );
  if (!landed) return [];
  const { tier, bounds } = landed;
  const { packageSize } = tier;
  const because = { tier: bounds, reached: span.total } as const;
  const units = along(span.from, span.to, (from, to) => {
    const part = subtract(to, from);
    if (!packageSize)
      return [usage(part, tier.unitAmount, { kind: "volume_tier", ...because }, bounds)];
    const count = subtract(packagesOf(to, packageSize), packagesOf(from, packageSize));
    return [
      counted(
        count,
        tier.unitAmount,
        part,
        { kind: "volume_packages", ...because, packageSize },
        bounds,
      ),
    ];
  });
  const due = span.closing && !isZero(tier.flatAmount) && (!isZero(size) || price.flatAtZero);
  const sign: Decimal = span.total.isNegative() ? one.negated() : one;
  return due
    ? [...units, counted(sign, tier.flatAmount, zero, { kind: "volume_flat", ...because }, bounds)]
    : units;
}
