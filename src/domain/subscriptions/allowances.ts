import { type Decimal, greatest, least, subtract, zero } from "../../kit/decimal.ts";
import type { Period } from "../../kit/time.ts";

/** A stretch of one plan period in which so much was included, and what was used in it. */
export type AllowancePart = {
  readonly slice: Period;
  readonly included: Decimal;
  readonly used: Decimal;
};

export type AllowanceCover = AllowancePart & {
  readonly covered: Decimal;
  readonly beyond: Decimal;
  /** What the allowance of this stretch has left at its end. */
  readonly remaining: Decimal;
};

/**
 * What the allowance of one plan period covers, stretch by stretch. Usage is carried over a change of plan, the allowance is
 * not: what was beyond the old one stays beyond it, and the new one begins with what was used so far.
 */
export function coverByAllowance(parts: readonly AllowancePart[]): AllowanceCover[] {
  let usedBefore: Decimal = zero;
  return parts.map((part) => {
    const left = greatest(zero, subtract(part.included, usedBefore));
    const covered = greatest(zero, least(part.used, left));
    usedBefore = usedBefore.plus(part.used);
    return {
      ...part,
      covered,
      beyond: subtract(part.used, covered),
      remaining: greatest(zero, subtract(part.included, usedBefore)),
    };
  });
}
