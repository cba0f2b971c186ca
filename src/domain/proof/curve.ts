import {
  ceiling,
  floor,
  isBelow,
  isNought,
  less,
  nought,
  opposite,
  over,
  type Rational,
  rational,
  smaller,
  times,
  total,
} from "./rational.ts";

/**
 * What a quantity costs, as a curve over the charged quantity: what the next unit costs piece by piece, what falls due at a
 * point, and what each started (or complete) package costs from a point on.
 */
export type Curve = {
  readonly slopes: readonly { from: Rational; to: Rational | null; price: Rational }[];
  readonly jumps: readonly { at: Rational; price: Rational }[];
  readonly stairs: readonly {
    from: Rational;
    to: Rational | null;
    size: Rational;
    price: Rational;
    rounding: "up" | "down" | "none";
  }[];
};

/** The area under the curve from zero; below zero the curve is its own mirror image. */
function height(curve: Curve, at: Rational): Rational {
  if (isBelow(at, nought)) return opposite(height(curve, opposite(at)));
  const within = (from: Rational, to: Rational | null) =>
    isBelow(from, at) ? less(to ? smaller(to, at) : at, from) : nought;
  return total([
    ...curve.slopes.map((piece) => times(within(piece.from, piece.to), piece.price)),
    ...curve.jumps.filter((jump) => isBelow(jump.at, at)).map((jump) => jump.price),
    ...curve.stairs.map((stair) =>
      times(steps(over(within(stair.from, stair.to), stair.size), stair.rounding), stair.price),
    ),
  ]);
}

function steps(count: Rational, rounding: "up" | "down" | "none"): Rational {
  if (rounding === "none") return count;
  return rational(rounding === "up" ? ceiling(count) : floor(count));
}

/** What lies between two points. */
export const rise = (curve: Curve, from: Rational, to: Rational): Rational =>
  less(height(curve, to), height(curve, from));

export type Tier = {
  readonly from: Rational;
  readonly to: Rational | null;
  readonly price: Rational;
  readonly flat: Rational;
  readonly size: Rational | null;
};

/** Each tier is a slope (or a stair) of its own, and a jump where it begins. */
export const tieredCurve = (tiers: readonly Tier[], firstFlatStands: boolean): Curve => ({
  slopes: tiers.filter((tier) => !tier.size),
  jumps: tiers.flatMap((tier, index) =>
    isNought(tier.flat) || (index === 0 && firstFlatStands)
      ? []
      : [{ at: tier.from, price: tier.flat }],
  ),
  stairs: tiers.flatMap((tier) =>
    tier.size ? [{ ...tier, size: tier.size, rounding: "up" as const }] : [],
  ),
});

/** One slope, or one stair, from zero to the end. */
export const straight = (price: Rational, size: Rational | null): Curve =>
  tieredCurve([{ from: nought, to: null, price, flat: nought, size }], false);

export const landingOf = (tiers: readonly Tier[], quantity: Rational): Tier | undefined =>
  tiers.find((tier) => !tier.to || !isBelow(tier.to, quantity));
