import { z } from "@hono/zod-openapi";
import {
  stateAt,
  subscriptionStates,
  writeSubscription,
} from "../../domain/subscriptions/index.ts";
import { type SubscriptionOutcome, writeEffect } from "../../flows/change-subscription.ts";
import { formatInstant, type Instant } from "../../kit/time.ts";
import type { StoredSubscription, SubscriptionChange } from "../../store/subscriptions.ts";
import { DecimalIn, DecimalText, idOrSlug, InstantIn, InstantText } from "./common.ts";

const PlanVersionRef = z
  .strictObject({ plan: z.string(), version: z.number().int() })
  .openapi("PlanVersionRef");

const PhaseView = z
  .strictObject({
    starts_at: InstantText,
    kind: z.enum(["trial", "active", "paused"]),
    plan: PlanVersionRef,
    cadence: z.enum(["week", "month", "quarter", "year"]),
    anchor: z.union([
      z.strictObject({ at: InstantText }),
      z.strictObject({ month: z.string(), day: z.number().int() }),
    ]),
    add_ons: z.array(PlanVersionRef),
    quantities: z.record(z.string(), DecimalText),
    discounts: z.array(
      z.strictObject({
        selects: z.record(z.string(), z.string()),
        percent: DecimalText.optional(),
        amount: DecimalText.optional(),
      }),
    ),
  })
  .openapi("SubscriptionPhase", {
    description: "What holds from starts_at until the next phase starts, or the subscription ends.",
  });

const shape = {
  id: z.string().openapi({ example: "sub_01jz8v5w9k2m4n6p8q0r" }),
  object: z.literal("subscription"),
  created_at: InstantText,
  account_id: z.string(),
  product_line: z.string(),
  status: z.enum(subscriptionStates),
  currency: z.string(),
  time_zone: z.string(),
  ends_at: InstantText.nullable(),
  revision: z.number().int(),
  phases: z.array(PhaseView),
};
export const SubscriptionView = z.strictObject(shape).openapi("Subscription");

const EffectView = z
  .strictObject({
    lines: z.array(
      z.strictObject({
        cause: z.string(),
        sku: z.string(),
        plan: z.string(),
        amount: z.string(),
        segments: z.array(
          z.strictObject({
            starts_at: InstantText,
            ends_at: InstantText,
            quantity: z.string(),
            unit_amount: z.string(),
            share: z
              .string()
              .openapi({ description: "The exact share of the period.", example: "21/31" }),
          }),
        ),
      }),
    ),
    credit: z.string(),
    charge: z.string(),
    net: z.string(),
  })
  .openapi("MoneyEffect", { description: "What the change adds to the bill, cause by cause." });

export const SubscriptionOutcomeView = z
  .strictObject({
    object: z.literal("subscription_change"),
    preview: z.boolean().openapi({ description: "True: nothing was changed." }),
    effective_at: InstantText,
    effect: EffectView,
    subscription: SubscriptionView,
  })
  .openapi("SubscriptionOutcome");

export const SubscriptionChangeView = z
  .strictObject({
    object: z.literal("subscription_change_record"),
    revision: z.number().int(),
    kind: z.string(),
    changed_at: InstantText,
    effective_at: InstantText,
    changed_by: z.string(),
    effect: EffectView,
  })
  .openapi("SubscriptionChangeRecord");

export const PreviewQuery = z.object({
  preview: z
    .enum(["true", "false"])
    .default("false")
    .openapi({ description: "True: answer what would happen, in money, and change nothing." }),
});

export const SubscribeBody = z
  .strictObject({
    account: idOrSlug("billing account", "acme-usd"),
    plan: z.string().min(1).max(80).openapi({ example: "basic" }),
    add_ons: z.array(z.string().max(80)).max(100).optional(),
    quantities: z
      .record(z.string().max(80), DecimalIn)
      .optional()
      .openapi({ description: "Units (seats) by SKU." }),
    starts_at: InstantIn.optional(),
    anchor: z
      .union([z.literal("start"), z.literal("month_end"), z.number().int().min(1).max(28)])
      .optional()
      .openapi({
        description:
          "Where periods begin: a day of the month, its end, or the moment of the start. The account's invoice day unless said otherwise.",
      }),
    version: z.number().int().min(1).optional().openapi({ description: "Staff only." }),
    trial_days: z
      .number()
      .int()
      .min(0)
      .max(3650)
      .optional()
      .openapi({ description: "Staff only." }),
    discounts: z
      .array(
        z.strictObject({
          percent: DecimalIn.optional(),
          amount: DecimalIn.optional(),
          selects: z
            .strictObject({
              sku: z.string().optional(),
              class: z.string().optional(),
              family: z.string().optional(),
              variant: z.string().optional(),
              pay_plan: z.string().optional(),
            })
            .default({}),
        }),
      )
      .max(50)
      .optional()
      .openapi({ description: "Staff only. A SKU gets the most specific one." }),
  })
  .openapi("Subscribe");

const WhenIn = z
  .union([z.literal("now"), z.literal("period_end"), InstantIn])
  .default("now")
  .openapi({ description: "now, period_end, or a moment to come." });

export const ChangeBody = z
  .discriminatedUnion("kind", [
    z.strictObject({
      kind: z.literal("change_plan"),
      plan: z.string().min(1).max(80),
      version: z.number().int().min(1).optional().openapi({ description: "Staff only." }),
      restart_period: z.boolean().default(false),
      when: WhenIn,
    }),
    z.strictObject({
      kind: z.literal("set_quantity"),
      sku: z.string().min(1).max(80),
      quantity: DecimalIn,
      when: WhenIn,
    }),
    z.strictObject({
      kind: z.literal("add_add_on"),
      add_on: z.string().min(1).max(80),
      when: WhenIn,
    }),
    z.strictObject({
      kind: z.literal("remove_add_on"),
      add_on: z.string().min(1).max(80),
      when: WhenIn,
    }),
    z.strictObject({ kind: z.literal("undo_change") }),
    z.strictObject({ kind: z.literal("end_trial") }),
    z.strictObject({ kind: z.literal("undo_cancel") }),
  ])
  .openapi("SubscriptionChange");

export const PauseBody = z.strictObject({ until: InstantIn.optional() }).openapi("PauseRequest");
export const CancelBody = z
  .strictObject({ when: WhenIn.default("period_end") })
  .openapi("CancelRequest");

export function subscriptionView(
  stored: StoredSubscription,
  now: Instant,
): z.input<typeof SubscriptionView> {
  const document = writeSubscription(stored.subscription);
  return {
    id: stored.subscription.id,
    object: "subscription",
    created_at: formatInstant(stored.createdAt),
    account_id: document.account_id,
    product_line: document.product_line,
    status: stateAt(stored.subscription, now),
    currency: document.currency,
    time_zone: document.time_zone,
    ends_at: document.ends_at,
    revision: stored.revision,
    phases: document.phases.map((phase) => ({
      ...phase,
      plan: { ...phase.plan },
      add_ons: phase.add_ons.map((addOn) => ({ ...addOn })),
      quantities: { ...phase.quantities },
      discounts: phase.discounts.map((discount) => ({
        ...discount,
        selects: { ...discount.selects } as Record<string, string>,
      })),
    })),
  };
}

export const outcomeView = (
  outcome: SubscriptionOutcome,
  isPreview: boolean,
  now: Instant,
): z.input<typeof SubscriptionOutcomeView> => ({
  object: "subscription_change",
  preview: isPreview,
  effective_at: formatInstant(outcome.effectiveAt),
  effect: writeEffect(outcome.effect),
  subscription: subscriptionView(outcome.stored, now),
});

export const changeRecordView = (
  change: SubscriptionChange,
): z.input<typeof SubscriptionChangeView> => ({
  object: "subscription_change_record",
  revision: change.revision,
  kind: change.kind,
  changed_at: formatInstant(change.changedAt),
  effective_at: formatInstant(change.effectiveAt),
  changed_by: change.changedBy,
  effect: change.effect as ReturnType<typeof writeEffect>,
});
