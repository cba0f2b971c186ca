import { z } from "@hono/zod-openapi";
import type { Interval } from "../../domain/accounts/index.ts";
import { formatInstant } from "../../kit/time.ts";
import { InstantIn, InstantText, Reason } from "./common.ts";

export const BindingParam = z.object({
  binding: z.string().min(1).max(80).openapi({ example: "bnd_01jz8v5w9k2m4n6p8q0r" }),
});

export const BindingView = z
  .strictObject({
    id: z.string(),
    object: z.literal("binding"),
    created_at: InstantText,
    created_by: z.string(),
    project_id: z.string(),
    account_id: z.string().nullable().openapi({ description: "Null: nobody pays from then on." }),
    effective_from: InstantText,
    effective_to: InstantText.nullable().openapi({
      description: "Where the next binding takes over; not included. Null while there is none.",
    }),
    superseded_by: z.string().nullable(),
    reason: z.string(),
  })
  .openapi("Binding");

export const bindingView = (interval: Interval): z.input<typeof BindingView> => ({
  id: interval.binding.id,
  object: "binding",
  created_at: formatInstant(interval.binding.createdAt),
  created_by: interval.binding.createdBy,
  project_id: interval.binding.projectId,
  account_id: interval.binding.accountId,
  effective_from: formatInstant(interval.startsAt),
  effective_to: interval.endsAt === null ? null : formatInstant(interval.endsAt),
  superseded_by: interval.supersededBy,
  reason: interval.binding.reason,
});

export const NewBindingBody = z
  .strictObject({
    account: z.string().min(1).max(80).nullable().openapi({
      description: "Id or slug of the account that pays from then on; null for nobody.",
      example: "acme-usd",
    }),
    effective_from: InstantIn.optional().openapi({
      description:
        "Now when left out. An earlier moment needs the permission bindings.backdate and a reason.",
    }),
    supersedes: z.string().max(80).optional().openapi({
      description:
        "The binding in force at that moment, when there is one: naming it says that you mean to replace it.",
    }),
    reason: Reason.optional(),
  })
  .openapi("NewBinding");

export const BindingsView = z
  .strictObject({ object: z.literal("list"), data: z.array(BindingView) })
  .openapi("BindingTimeline");

export const bindingsView = (timeline: readonly Interval[]): z.input<typeof BindingsView> => ({
  object: "list",
  data: timeline.map(bindingView),
});
