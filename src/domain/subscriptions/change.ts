import { canonicalJson } from "../../kit/canonical-json.ts";
import { type Decimal, formatDecimal, isZero } from "../../kit/decimal.ts";
import { type Instant, stepFrom } from "../../kit/time.ts";
import { type Cadence, type Discount, formatPlanRef, type PlanRef } from "../catalog/index.ts";
import { anchorOnDay, type Cycle, cyclePeriodAt, isBoundary } from "./cycle.ts";
import {
  type StepRefusal,
  type SubscriptionEvent,
  stateAt,
  stepRefusals,
  steps,
} from "./states.ts";
import { type Phase, phaseAt, type Subscription, startOfSubscription } from "./subscription.ts";

/** When a change takes effect. */
export type When =
  | { readonly kind: "now" }
  | { readonly kind: "period_end" }
  | { readonly kind: "at"; readonly at: Instant };

export type Change =
  | {
      readonly kind: "change_plan";
      readonly plan: PlanRef;
      readonly cadence: Cadence;
      /** Begin a new period with the change, even when the cadence stays. */
      readonly restartCycle: boolean;
      readonly when: When;
    }
  | {
      readonly kind: "set_quantity";
      readonly sku: string;
      readonly quantity: Decimal;
      readonly when: When;
    }
  | { readonly kind: "add_add_on"; readonly addOn: PlanRef; readonly when: When }
  | { readonly kind: "remove_add_on"; readonly addOn: string; readonly when: When }
  | { readonly kind: "set_discounts"; readonly discounts: readonly Discount[]; readonly when: When }
  | { readonly kind: "undo_change" }
  | { readonly kind: "pause"; readonly until: Instant | null }
  | { readonly kind: "resume" }
  | { readonly kind: "end_trial" }
  | { readonly kind: "cancel"; readonly when: When }
  | { readonly kind: "undo_cancel" };

export type ChangeRefusal =
  | StepRefusal
  | "in_the_past"
  | "beyond_the_end"
  | "no_such_add_on"
  | "same_plan";

export type ChangeDecision =
  | {
      readonly kind: "changed";
      readonly subscription: Subscription;
      readonly event: SubscriptionEvent;
      readonly effectiveAt: Instant;
    }
  | { readonly kind: "refused"; readonly reason: ChangeRefusal; readonly detail: string };

export type Start = {
  readonly id: string;
  readonly accountId: string;
  readonly productLine: string;
  readonly plan: PlanRef;
  readonly cadence: Cadence;
  readonly currency: Subscription["currency"];
  readonly zone: string;
  readonly startsAt: Instant;
  readonly trialDays: number;
  /** Periods that begin on a day of the month (31 is its end), or at the very moment of the start. */
  readonly anchor:
    | { readonly kind: "billing_day"; readonly day: number }
    | { readonly kind: "start" };
  readonly addOns: readonly PlanRef[];
  readonly quantities: ReadonlyMap<string, Decimal>;
  readonly discounts: readonly Discount[];
};

/** A new subscription: one phase, or a trial and what follows it. */
export function start(request: Start): Subscription {
  const { zone, startsAt, trialDays } = request;
  const paidFrom = trialDays > 0 ? stepFrom(startsAt, zone, "day", trialDays) : startsAt;
  const anchor =
    request.anchor.kind === "billing_day"
      ? anchorOnDay(request.anchor.day, startsAt, zone)
      : ({ kind: "moment", at: paidFrom } as const);
  const phase: Phase = {
    startsAt: paidFrom,
    kind: "active",
    plan: request.plan,
    cycle: { cadence: request.cadence, anchor, zone },
    addOns: request.addOns,
    quantities: request.quantities,
    discounts: request.discounts,
  };
  return {
    id: request.id,
    accountId: request.accountId,
    productLine: request.productLine,
    currency: request.currency,
    zone,
    phases: trialDays > 0 ? [{ ...phase, kind: "trial", startsAt }, phase] : [phase],
    endsAt: null,
  };
}

/** Decide what a change makes of a subscription. The same decision serves the preview and the act. */
export function change(
  subscription: Subscription,
  wanted: Change,
  now: Instant,
  mayBackdate = false,
): ChangeDecision {
  const event = eventOf(wanted);
  const step = steps[stateAt(subscription, now)][event];
  if ("refused" in step) return refuse(step.refused, stepRefusals[step.refused]);

  const at = effectiveAt(subscription, wanted, now);
  if (at < now && !mayBackdate)
    return refuse("in_the_past", "a change takes effect now or later, never earlier");
  if (wanted.kind !== "undo_cancel" && subscription.endsAt !== null && at > subscription.endsAt)
    return refuse("beyond_the_end", "the subscription ends before this change would take effect");
  if (wanted.kind === "change_plan" && hasPlan(subscription, wanted, now, at))
    return refuse(
      "same_plan",
      `the subscription has ${formatPlanRef(wanted.plan)} already; to drop a change that is scheduled, take it back`,
    );
  if (wanted.kind === "remove_add_on" && !hasAddOn(subscription, wanted.addOn, at))
    return refuse("no_such_add_on", `the subscription has no add-on "${wanted.addOn}"`);
  return { kind: "changed", subscription: apply(subscription, wanted, at), event, effectiveAt: at };
}

const refuse = (reason: ChangeRefusal, detail: string): ChangeDecision => ({
  kind: "refused",
  reason,
  detail,
});

function eventOf(wanted: Change): SubscriptionEvent {
  switch (wanted.kind) {
    case "change_plan":
      return wanted.when.kind === "now" ? "change_now" : "change_later";
    case "set_quantity":
    case "add_add_on":
    case "remove_add_on":
    case "set_discounts":
      return wanted.when.kind === "now" ? "adjust" : "change_later";
    case "cancel":
      return wanted.when.kind === "now" ? "cancel_now" : "cancel_later";
    case "undo_change":
    case "pause":
    case "resume":
    case "end_trial":
    case "undo_cancel":
      return wanted.kind;
  }
}

/** The moment a change takes effect. Before the start, "now" means the start; in a trial, the period ends with it. */
function effectiveAt(subscription: Subscription, wanted: Change, now: Instant): Instant {
  const when: When = "when" in wanted ? wanted.when : { kind: "now" };
  const starts = startOfSubscription(subscription);
  if (when.kind === "at") return when.at;
  if (now < starts && wanted.kind !== "cancel") return starts;
  if (when.kind === "now") return now;
  const phase = phaseAt(subscription, now);
  if (phase?.kind === "trial")
    return subscription.phases.find((later) => later.startsAt > now)?.startsAt ?? now;
  return phase === undefined ? starts : cyclePeriodAt(phase.cycle, now).endsAt;
}

function apply(subscription: Subscription, wanted: Change, at: Instant): Subscription {
  switch (wanted.kind) {
    case "change_plan":
      return editFrom(subscription, at, (phase) => ({
        ...phase,
        plan: wanted.plan,
        cycle: cycleAfter(phase.cycle, wanted, at),
      }));
    case "set_quantity":
      return editFrom(subscription, at, (phase) => ({
        ...phase,
        quantities: withQuantity(phase.quantities, wanted.sku, wanted.quantity),
      }));
    case "add_add_on":
      return editFrom(subscription, at, (phase) => ({
        ...phase,
        addOns: [...without(phase.addOns, wanted.addOn.plan), wanted.addOn],
      }));
    case "remove_add_on":
      return editFrom(subscription, at, (phase) => ({
        ...phase,
        addOns: without(phase.addOns, wanted.addOn),
      }));
    case "set_discounts":
      return editFrom(subscription, at, (phase) => ({ ...phase, discounts: wanted.discounts }));
    case "undo_change":
      return withPhases(
        subscription,
        subscription.phases.filter((phase) => phase.startsAt <= at),
      );
    case "pause":
      return replaceFrom(subscription, at, (phase) => [
        { ...phase, kind: "paused", startsAt: at },
        ...(wanted.until === null ? [] : [{ ...phase, startsAt: wanted.until }]),
      ]);
    case "resume":
    case "end_trial":
      return replaceFrom(subscription, at, (phase) => [{ ...phase, kind: "active", startsAt: at }]);
    case "cancel":
      return { ...subscription, endsAt: at };
    case "undo_cancel":
      return { ...subscription, endsAt: null };
  }
}

/** Split the timeline at a moment and edit everything from there on, what is already scheduled included. */
function editFrom(
  subscription: Subscription,
  at: Instant,
  edit: (phase: Phase) => Phase,
): Subscription {
  const before = subscription.phases.filter((phase) => phase.startsAt < at);
  const after = subscription.phases.filter((phase) => phase.startsAt >= at);
  const current = before.at(-1);
  const opening =
    current !== undefined && after[0]?.startsAt !== at ? [{ ...current, startsAt: at }] : [];
  return withPhases(subscription, [...before, ...[...opening, ...after].map(edit)]);
}

/** Split the timeline at a moment and put other phases in place of everything from there on. */
function replaceFrom(
  subscription: Subscription,
  at: Instant,
  make: (current: Phase) => Phase[],
): Subscription {
  const current = phaseAt({ ...subscription, endsAt: null }, at) ?? subscription.phases[0];
  const before = subscription.phases.filter((phase) => phase.startsAt < at);
  return withPhases(subscription, [...before, ...make(current)]);
}

/** Put phases in place, leaving out those that change nothing. */
function withPhases(subscription: Subscription, phases: readonly Phase[]): Subscription {
  const kept = phases.filter((phase, index) => {
    const before = phases[index - 1];
    return before === undefined || samePhase(before, phase) === false;
  });
  const [first, ...rest] = kept;
  if (first === undefined) throw new RangeError("a subscription needs a phase");
  return { ...subscription, phases: [first, ...rest] };
}

const samePhase = (a: Phase, b: Phase): boolean => phaseText(a) === phaseText(b);

const phaseText = (phase: Phase): string =>
  canonicalJson({
    ...phase,
    startsAt: undefined,
    quantities: [...phase.quantities].map(([sku, quantity]) => [sku, formatDecimal(quantity)]),
    discounts: phase.discounts.map((discount) => ({
      ...discount,
      ...(discount.kind === "percent"
        ? { percent: formatDecimal(discount.percent) }
        : { amount: formatDecimal(discount.amount) }),
    })),
  });

/** The rhythm after a change of plan: kept when the cadence stays, otherwise begun anew with the change. */
function cycleAfter(
  cycle: Cycle,
  wanted: { readonly cadence: Cadence; readonly restartCycle: boolean },
  at: Instant,
): Cycle {
  if (wanted.cadence === cycle.cadence && !wanted.restartCycle) return cycle;
  if (cycle.anchor.kind === "billing_day" && isBoundary(cycle, at) && !wanted.restartCycle)
    return {
      ...cycle,
      cadence: wanted.cadence,
      anchor: anchorOnDay(cycle.anchor.day, at, cycle.zone),
    };
  return { cadence: wanted.cadence, anchor: { kind: "moment", at }, zone: cycle.zone };
}

const without = (addOns: readonly PlanRef[], key: string): PlanRef[] =>
  addOns.filter((addOn) => addOn.plan !== key);

/** Whether the change asks for what is there now and will be there then: the same version, in the same rhythm. */
function hasPlan(
  subscription: Subscription,
  wanted: Change & { kind: "change_plan" },
  now: Instant,
  at: Instant,
): boolean {
  return [now, at].every((moment) => {
    const phase = phaseAt(subscription, moment);
    return (
      phase !== undefined &&
      formatPlanRef(phase.plan) === formatPlanRef(wanted.plan) &&
      cycleAfter(phase.cycle, wanted, at) === phase.cycle
    );
  });
}

const hasAddOn = (subscription: Subscription, key: string, at: Instant): boolean =>
  phaseAt(subscription, at)?.addOns.some((addOn) => addOn.plan === key) ?? false;

function withQuantity(
  quantities: ReadonlyMap<string, Decimal>,
  sku: string,
  quantity: Decimal,
): ReadonlyMap<string, Decimal> {
  const next = new Map(quantities);
  if (isZero(quantity)) next.delete(sku);
  else next.set(sku, quantity);
  return next;
}
