import { z } from "@hono/zod-openapi";
import { blockerKinds, runSteps } from "../../domain/invoicing/index.ts";
import type { RunReport } from "../../flows/billing-run.ts";
import { formatInstant } from "../../kit/time.ts";
import type { RunItem } from "../../store/billing-runs.ts";
import { InstantIn, InstantText, Reason } from "./common.ts";

const itemStatuses = ["waiting", "blocked", "issued", "nothing"] as const;

const BlockerView = z.strictObject({ kind: z.enum(blockerKinds), detail: z.string() });

export const BillingRunView = z
  .strictObject({
    id: z.string().openapi({ example: "run_01jz8v5w9k2m4n6p8q0r" }),
    object: z.literal("billing_run"),
    created_at: InstantText,
    organization_id: z.string().nullable(),
    as_of: InstantText,
    status: z.enum(["collecting", "running", "blocked", "closed"]),
    created_by: z.string(),
    counts: z
      .array(
        z.strictObject({
          status: z.enum(itemStatuses),
          step: z.enum(runSteps),
          count: z.number().int(),
        }),
      )
      .openapi({ description: "How many account periods stand at which step, and how." }),
    steps: z
      .array(
        z.strictObject({
          step: z.enum(runSteps),
          passed: z.number().int(),
          blocked: z.number().int(),
          waiting: z.number().int(),
        }),
      )
      .openapi({
        description:
          "The five steps in order: how many account periods have passed each, are blocked at it, or wait for it.",
      }),
    collected_at: InstantText.nullable(),
    closed_at: InstantText.nullable(),
  })
  .openapi("BillingRun");

export const BillingRunItemView = z
  .strictObject({
    object: z.literal("billing_run_item"),
    organization_id: z.string(),
    account_id: z.string(),
    period: z.strictObject({ starts_at: InstantText, ends_at: InstantText }),
    status: z.enum(itemStatuses),
    step: z.enum(runSteps),
    blockers: z.array(BlockerView),
    overrides: z.array(
      z.strictObject({
        kind: z.enum(blockerKinds),
        reason: z.string(),
        by: z.string(),
        at: InstantText,
      }),
    ),
    invoice_id: z.string().nullable(),
  })
  .openapi("BillingRunItem");

export const NewRunBody = z
  .strictObject({
    organization: z.string().min(1).max(80).optional().openapi({
      description: "Id of the organization to bill; everybody when left out.",
    }),
    as_of: InstantIn.optional().openapi({
      description: "Every period that is due at this moment belongs to the run; now when left out.",
    }),
  })
  .openapi("NewBillingRun");

export const ResumeBody = z
  .strictObject({
    organization_id: z.string().max(80).optional(),
    account_id: z.string().max(80).optional().openapi({
      description: "Only this account; all that are blocked when left out.",
    }),
    override: z
      .strictObject({ kind: z.enum(blockerKinds), reason: Reason })
      .optional()
      .openapi({ description: "Go on in spite of this kind of blocker; needs an account." }),
  })
  .openapi("ResumeBillingRun");

export const runStatusQuery = z.enum(itemStatuses).optional();

export const billingRunView = ({
  run,
  status,
  counts,
  steps,
}: RunReport): z.input<typeof BillingRunView> => ({
  id: run.runId,
  object: "billing_run",
  created_at: formatInstant(run.createdAt),
  organization_id: run.orgId,
  as_of: formatInstant(run.asOf),
  status,
  created_by: run.createdBy,
  counts: counts.map((one) => ({ ...one })),
  steps: steps.map((one) => ({ ...one })),
  collected_at: run.collectedAt === null ? null : formatInstant(run.collectedAt),
  closed_at: run.closedAt === null ? null : formatInstant(run.closedAt),
});

export const billingRunItemView = (item: RunItem): z.input<typeof BillingRunItemView> => ({
  object: "billing_run_item",
  organization_id: item.orgId,
  account_id: item.accountId,
  period: {
    starts_at: formatInstant(item.period.startsAt),
    ends_at: formatInstant(item.period.endsAt),
  },
  status: item.status,
  step: item.step,
  blockers: item.blockers.map((one) => ({ ...one })),
  overrides: item.overrides.map((one) => ({ ...one })),
  invoice_id: item.invoiceId,
});
