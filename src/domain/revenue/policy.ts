import { assert } from "../../kit/assert.ts";
import type { Instant } from "../../kit/time.ts";

/** The rule that booked everything before rules had versions, and every prepaid unit since: by consumption, the rest at expiry (D-13). */
export const recognitionPolicyVersion = 1;

export const feeRules = ["straight_line", "when_billed"] as const;
export const usageRules = ["accrued", "when_billed"] as const;

/** One version of the recognition rule. A period is booked by the version in force when it began, whatever came later. */
export type RecognitionPolicy = {
  readonly version: number;
  /** Minus infinity for the first. */
  readonly effectiveFrom: Instant;
  /** A fee is earned evenly over its own period, or when it is billed. */
  readonly fees: (typeof feeRules)[number];
  /** Usage is earned in the period in which it happened, or when it is billed. */
  readonly usage: (typeof usageRules)[number];
};

/** The version in force at an instant. There is always one: the first holds since ever. */
export function policyAt(policies: readonly RecognitionPolicy[], at: Instant): RecognitionPolicy {
  const found = policies
    .filter((policy) => policy.effectiveFrom <= at)
    .reduce<RecognitionPolicy | undefined>(
      (last, policy) =>
        last === undefined || policy.effectiveFrom > last.effectiveFrom ? policy : last,
      undefined,
    );
  assert(found, "the first recognition policy holds since ever");
  return found;
}
