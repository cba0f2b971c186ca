import { z } from "@hono/zod-openapi";
import { formatDecimal } from "../../kit/decimal.ts";
import { formatInstant } from "../../kit/time.ts";
import { type LateUsage, lateStatuses } from "../../store/late-usage.ts";
import { InstantText, MoneyView, moneyView, Reason } from "./common.ts";

export const LateUsageParam = z.object({
  late_usage: z
    .string()
    .min(1)
    .max(80)
    .openapi({ description: "Id of the late usage.", example: "lat_0a1b2c" }),
});

export const LateUsageView = z
  .strictObject({
    id: z.string().openapi({ example: "lat_01jz8v5w9k2m4n6p8q0r" }),
    object: z.literal("late_usage"),
    created_at: InstantText.openapi({ description: "When it was noticed." }),
    account_id: z.string(),
    sku: z.string(),
    meter: z.string(),
    period: z.strictObject({ starts_at: InstantText, ends_at: InstantText }).openapi({
      description: "The period that was invoiced already and that the usage belongs to.",
    }),
    quantity: z.string(),
    amount: MoneyView.openapi({
      description: "What is owed more, or below zero less, than was billed; before tax.",
    }),
    because: z.enum(["hold", "own_document"]),
    status: z.enum(lateStatuses).openapi({
      description:
        "waiting: for an approval. due: for its own document. approved: for the next invoice. declined: not billed, unless more comes in. settled: billed, or the difference has gone.",
    }),
    changed_at: InstantText,
    decided_by: z.string().nullable(),
    reason: z.string(),
    document_id: z.string().nullable().openapi({ description: "The document it went onto." }),
  })
  .openapi("LateUsage");

export const ApproveLateBody = z
  .strictObject({
    as: z.enum(["next_invoice", "own_document"]).openapi({
      description: "The way by which it goes out; a document of its own is issued at once.",
    }),
    reason: Reason,
  })
  .openapi("ApproveLateUsage");

export const lateStatusQuery = z.enum(lateStatuses).optional();

export const lateUsageView = (late: LateUsage): z.input<typeof LateUsageView> => ({
  id: late.lateId,
  object: "late_usage",
  created_at: formatInstant(late.noticedAt),
  account_id: late.accountId,
  sku: late.skuCode,
  meter: late.meterKey,
  period: {
    starts_at: formatInstant(late.period.startsAt),
    ends_at: formatInstant(late.period.endsAt),
  },
  quantity: formatDecimal(late.quantity),
  amount: moneyView(late.amount),
  because: late.because,
  status: late.status,
  changed_at: formatInstant(late.changedAt),
  decided_by: late.decidedBy,
  reason: late.reason,
  document_id: late.documentId,
});
