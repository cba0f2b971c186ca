import { formatInstant, hour, type Instant, shift } from "../../kit/time.ts";
import { compareUnits, type Units, writeUnits } from "./units.ts";

/** A standing order to buy again when units run low. */
export type TopUpRule = {
  readonly enabled: boolean;
  readonly sku: string;
  readonly triggerAtOrBelow: Units;
  readonly purchasesPerMonthMax: number;
};

export type TopUpFacts = {
  readonly available: Units;
  readonly purchasesThisMonth: number;
  /** Attempts that failed one after the other, without a success since. */
  readonly failuresInARow: number;
  readonly lastFailureAt: Instant | null;
};

/** After so many failures in a row the circuit opens: no attempt until a day has passed, so that no card is hammered. */
const failuresMax = 3;
const restHours = 24;

export type TopUpDecision =
  | { readonly kind: "idle" }
  | { readonly kind: "buy"; readonly because: string }
  | {
      readonly kind: "notify";
      readonly reason: "monthly_cap" | "circuit_open";
      readonly because: string;
    };

/** Whether an automatic top-up buys now. Where it may not, somebody is told instead. */
export function decideTopUp(rule: TopUpRule, facts: TopUpFacts, now: Instant): TopUpDecision {
  if (!rule.enabled || compareUnits(facts.available, rule.triggerAtOrBelow) > 0)
    return { kind: "idle" };
  const level = `${writeUnits(facts.available)} left, the trigger is ${writeUnits(rule.triggerAtOrBelow)}`;
  if (facts.purchasesThisMonth >= rule.purchasesPerMonthMax)
    return {
      kind: "notify",
      reason: "monthly_cap",
      because: `${level}, but ${facts.purchasesThisMonth} of ${rule.purchasesPerMonthMax} automatic purchases of this month are made`,
    };
  const until = shift((facts.lastFailureAt ?? 0) as Instant, restHours * hour);
  if (facts.failuresInARow >= failuresMax && now < until)
    return {
      kind: "notify",
      reason: "circuit_open",
      because: `${level}, but payment failed ${facts.failuresInARow} times in a row: next attempt after ${formatInstant(until)}`,
    };
  return { kind: "buy", because: level };
}
