import type { Instant } from "../../kit/time.ts";
import { phaseAt, startOfSubscription, type Subscription } from "./subscription.ts";

/** Where a subscription stands. Never stored by hand: it follows from the timeline and the time. See SPEC.md. */
export const subscriptionStates = [
  "scheduled",
  "trialing",
  "active",
  "pending_change",
  "paused",
  "cancelled",
  "ended",
] as const;
export type SubscriptionState = (typeof subscriptionStates)[number];

export const subscriptionEvents = [
  "change_now",
  "change_later",
  "adjust",
  "undo_change",
  "pause",
  "resume",
  "end_trial",
  "cancel_now",
  "cancel_later",
  "undo_cancel",
] as const;
export type SubscriptionEvent = (typeof subscriptionEvents)[number];

/** A state to be in afterwards, or the reason why this event cannot happen now. */
export type Step =
  | { readonly to: SubscriptionState | "as_before" }
  | { readonly refused: StepRefusal };

export type StepRefusal =
  | "not_started"
  | "already_ended"
  | "already_cancelled"
  | "not_cancelled"
  | "already_paused"
  | "not_paused"
  | "paused"
  | "not_in_trial"
  | "in_trial"
  | "nothing_scheduled";

const no = (refused: StepRefusal): Step => ({ refused });
const to = (state: SubscriptionState | "as_before"): Step => ({ to: state });

/** Every state times every event. The compiler complains when one is forgotten; SPEC.md and the tests are read from it. */
export const steps: Record<SubscriptionState, Record<SubscriptionEvent, Step>> = {
  scheduled: {
    change_now: to("as_before"),
    change_later: to("as_before"),
    adjust: to("as_before"),
    undo_change: no("nothing_scheduled"),
    pause: no("not_started"),
    resume: no("not_paused"),
    end_trial: no("not_in_trial"),
    cancel_now: to("ended"),
    cancel_later: no("not_started"),
    undo_cancel: no("not_cancelled"),
  },
  trialing: {
    change_now: to("as_before"),
    change_later: to("as_before"),
    adjust: to("as_before"),
    undo_change: no("nothing_scheduled"),
    pause: no("in_trial"),
    resume: no("not_paused"),
    end_trial: to("active"),
    cancel_now: to("ended"),
    cancel_later: to("cancelled"),
    undo_cancel: no("not_cancelled"),
  },
  active: {
    change_now: to("active"),
    change_later: to("pending_change"),
    adjust: to("as_before"),
    undo_change: no("nothing_scheduled"),
    pause: to("paused"),
    resume: no("not_paused"),
    end_trial: no("not_in_trial"),
    cancel_now: to("ended"),
    cancel_later: to("cancelled"),
    undo_cancel: no("not_cancelled"),
  },
  pending_change: {
    change_now: to("active"),
    change_later: to("pending_change"),
    adjust: to("as_before"),
    undo_change: to("active"),
    pause: to("paused"),
    resume: no("not_paused"),
    end_trial: no("not_in_trial"),
    cancel_now: to("ended"),
    cancel_later: to("cancelled"),
    undo_cancel: no("not_cancelled"),
  },
  paused: {
    change_now: no("paused"),
    change_later: no("paused"),
    adjust: no("paused"),
    undo_change: no("nothing_scheduled"),
    pause: no("already_paused"),
    resume: to("active"),
    end_trial: no("not_in_trial"),
    cancel_now: to("ended"),
    cancel_later: to("cancelled"),
    undo_cancel: no("not_cancelled"),
  },
  cancelled: {
    change_now: no("already_cancelled"),
    change_later: no("already_cancelled"),
    adjust: to("as_before"),
    undo_change: no("nothing_scheduled"),
    pause: no("already_cancelled"),
    resume: no("already_cancelled"),
    end_trial: no("already_cancelled"),
    cancel_now: to("ended"),
    cancel_later: to("cancelled"),
    undo_cancel: to("as_before"),
  },
  ended: {
    change_now: no("already_ended"),
    change_later: no("already_ended"),
    adjust: no("already_ended"),
    undo_change: no("already_ended"),
    pause: no("already_ended"),
    resume: no("already_ended"),
    end_trial: no("already_ended"),
    cancel_now: no("already_ended"),
    cancel_later: no("already_ended"),
    undo_cancel: no("already_ended"),
  },
};

/** One sentence for each refusal, for people. */
export const stepRefusals: Record<StepRefusal, string> = {
  not_started: "the subscription has not started yet: change or cancel it instead",
  already_ended: "the subscription has ended: start a new one",
  already_cancelled: "the subscription is cancelled: undo the cancellation first",
  not_cancelled: "the subscription is not cancelled",
  already_paused: "the subscription is paused already",
  not_paused: "the subscription is not paused",
  paused: "the subscription is paused: resume it first",
  not_in_trial: "the subscription is not in its trial",
  in_trial: "a trial cannot be paused: end the trial or cancel",
  nothing_scheduled: "no change is scheduled",
};

/** Where a subscription stands at a moment. */
export function stateAt(subscription: Subscription, now: Instant): SubscriptionState {
  if (subscription.endsAt !== null && subscription.endsAt <= now) return "ended";
  if (now < startOfSubscription(subscription)) return "scheduled";
  if (subscription.endsAt !== null) return "cancelled";
  const phase = phaseAt(subscription, now);
  if (phase?.kind === "paused") return "paused";
  if (phase?.kind === "trial") return "trialing";
  return subscription.phases.some((later) => later.startsAt > now) ? "pending_change" : "active";
}
