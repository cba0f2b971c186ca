import {
  type Decimal,
  divide,
  greatest,
  isNegative,
  isPositive,
  isZero,
  multiply,
  negate,
  one,
  round,
  subtract,
  zero,
} from "../../kit/decimal.ts";
import type { Price, UnitConversion } from "../catalog/index.ts";
import { counted, type Draft, type Segment, type Step } from "./segments.ts";

/** From the metered to the priced unit: divide or multiply, then round. */
export function convert(conversion: UnitConversion, quantity: Decimal): Decimal {
  const { operation, factor, rounding, digits } = conversion;
  const exact = operation === "divide" ? divide(quantity, factor) : multiply(quantity, factor);
  return rounding === "none" ? exact : round(exact, digits, rounding);
}

/**
 * From a position on the metered axis to one on the charged axis: converted and rounded, then less the free units. Applied
 * to both ends of a slice, so that rounding and free units count once per period, however it is cut.
 */
export function charged(price: Price, metered: Decimal): Decimal {
  if (isNegative(metered))
    return price.negativeUsage === "mirror" ? negate(charged(price, negate(metered))) : zero;
  const converted = price.conversion ? convert(price.conversion, metered) : metered;
  return greatest(subtract(converted, price.freeUnits), zero);
}

/** The same as `charged`, told step by step for people. */
export function stepsOf(price: Price, metered: Decimal): Step[] {
  const steps: Step[] = [];
  if (isNegative(metered) && price.negativeUsage === "zero")
    return [{ kind: "below_zero", metered }];
  const size = metered.abs();
  const converted = price.conversion ? convert(price.conversion, size) : size;
  if (price.conversion)
    steps.push({ kind: "converted", from: size, to: converted, ...price.conversion });
  if (isPositive(price.freeUnits))
    steps.push({
      kind: "free_units",
      free: price.freeUnits,
      left: greatest(subtract(converted, price.freeUnits), zero),
    });
  return steps;
}

/** A part of a period: minimum and maximum of the price count for `part / whole` of it. */
export type Share = { readonly part: Decimal; readonly whole: Decimal };

/**
 * Minimum and maximum hold for the sum of everything the price asks in the period, and each appears as one more segment:
 * what is missing to the minimum, or (below zero) what exceeds the maximum. A sound price has minimum ≤ maximum, so the
 * order of the two cannot matter; both come before discounts. The minimum waits until the period is complete.
 */
export function limitDrafts(
  price: Pick<Price, "minimumAmount" | "maximumAmount">,
  gross: Decimal,
  period: { readonly complete: boolean; readonly share?: Share | undefined },
): Draft[] {
  const scaled = (limit: Decimal) =>
    period.share ? divide(multiply(limit, period.share.part), period.share.whole) : limit;
  if (price.minimumAmount && period.complete) {
    const limit = scaled(price.minimumAmount);
    const missing = subtract(limit, gross);
    if (isPositive(missing))
      return [counted(one, missing, zero, { kind: "minimum", limit, before: gross })];
  }
  if (price.maximumAmount) {
    const limit = scaled(price.maximumAmount);
    const excess = subtract(gross, limit);
    if (isPositive(excess))
      return [counted(one, negate(excess), zero, { kind: "maximum", limit, before: gross })];
  }
  return [];
}

/** How the reduction to a maximum falls on the segments: what came last in the period is what exceeds it. */
export function reductionsOf(gross: readonly Segment[], reduction: Decimal): Decimal[] {
  let left = reduction;
  const taken = gross.toReversed().map(({ amount }) => {
    const part = isZero(left) ? zero : left.lessThan(amount) ? left : amount;
    left = subtract(left, part);
    return part;
  });
  return taken.toReversed();
}
