import type { Period } from "../../kit/time.ts";
import type { PlanRef } from "../catalog/index.ts";
import { spansOf, type Subscription } from "./subscription.ts";

/** A plan version or add-on, and a time in which an account held it. */
export type HeldPlan = { readonly ref: PlanRef; readonly span: Period };

/**
 * What an account held when, whoever decides first standing first: of several subscriptions (given oldest first) the newest,
 * within one its add-ons, the last added first, and then its plan. A paused subscription decides nothing.
 */
export const heldPlans = (subscriptions: readonly Subscription[]): HeldPlan[] =>
  subscriptions.toReversed().flatMap((subscription) => {
    const spans = spansOf(subscription).filter(({ phase }) => phase.kind !== "paused");
    return [
      ...spans.flatMap(({ phase, span }) =>
        phase.addOns.toReversed().map((ref) => ({ ref, span })),
      ),
      ...spans.map(({ phase, span }) => ({ ref: phase.plan, span })),
    ];
  });
