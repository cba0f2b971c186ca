import type { Currency } from "../../kit/currency.ts";
import type { Decimal } from "../../kit/decimal.ts";
import { contains, type Instant, type Period } from "../../kit/time.ts";
import type { Discount, PlanRef } from "../catalog/index.ts";
import type { Cycle } from "./cycle.ts";

/** How long open phases last on paper: after the last moment that can be written. */
const endOfTime = (9_000_000_000 * 1_000_000) as Instant;

export type PhaseKind = "trial" | "active" | "paused";

/** What an account has from one moment until the next phase starts: a plan version, add-ons, seats, a rhythm. */
export type Phase = {
  readonly startsAt: Instant;
  readonly kind: PhaseKind;
  readonly plan: PlanRef;
  readonly cycle: Cycle;
  readonly addOns: readonly PlanRef[];
  /** Units (seats) by SKU, for fees that are charged per unit. */
  readonly quantities: ReadonlyMap<string, Decimal>;
  readonly discounts: readonly Discount[];
};

/**
 * An account on a plan, as a timeline. Phases are half-open and follow each other without a gap: each lasts until the
 * next one starts, the last until `endsAt`. The past of a timeline never changes; a change replaces what is still to come.
 */
export type Subscription = {
  readonly id: string;
  readonly accountId: string;
  readonly productLine: string;
  readonly currency: Currency;
  readonly zone: string;
  readonly phases: readonly [Phase, ...Phase[]];
  /** Null: until somebody cancels. */
  readonly endsAt: Instant | null;
};

export type PhaseSpan = { readonly phase: Phase; readonly span: Period };

/** Every phase with the period it lasts. */
export function spansOf(subscription: Subscription): PhaseSpan[] {
  const end = subscription.endsAt ?? endOfTime;
  return subscription.phases
    .map((phase, index) => ({
      phase,
      span: {
        startsAt: phase.startsAt,
        endsAt: Math.min(subscription.phases[index + 1]?.startsAt ?? end, end) as Instant,
      },
    }))
    .filter(({ span }) => span.startsAt < span.endsAt);
}

/** The phase in force at a moment; undefined before the start and from the end on. */
export function phaseAt(subscription: Subscription, at: Instant): Phase | undefined {
  return spansOf(subscription).find(({ span }) => contains(span, at))?.phase;
}

export const startOfSubscription = (subscription: Subscription): Instant =>
  subscription.phases[0].startsAt;
