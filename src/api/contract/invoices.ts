import { z } from "@hono/zod-openapi";
import { type DraftContent, lateRoutes, lineBases } from "../../domain/invoicing/index.ts";
import type { LineExplanation } from "../../flows/explain-invoice-line.ts";
import type { Preview } from "../../flows/preview-invoice.ts";
import { checkNames, type Verification } from "../../flows/verify-invoice.ts";
import { formatInstant } from "../../kit/time.ts";
import type { StoredInvoice } from "../../store/invoices.ts";
import { DecimalText, InstantIn, InstantText, MoneyView, moneyView, Reason } from "./common.ts";

const Exact = z.string().openapi({
  description: "An exact decimal number as text, of any length.",
  example: "47.608895",
});
const Amount = z.string().openapi({
  description: "Major units of the document's currency, with exactly its digits.",
  example: "47.61",
});

const PeriodView = z
  .strictObject({ starts_at: InstantText, ends_at: InstantText })
  .openapi("Period", { description: "Half-open: contains starts_at, does not contain ends_at." });

const SegmentView = z
  .strictObject({
    quantity: Exact,
    unit_amount: Exact,
    amount: Exact.openapi({ description: "quantity × unit_amount, exactly." }),
    dimensions: z
      .string()
      .openapi({ description: "Canonical JSON of the values that were priced." }),
    price: z.string().nullable().openapi({ description: "Id of the price version." }),
    period: PeriodView,
    because: z.string(),
  })
  .openapi("RatedSegment");

const MeasuredView = z
  .strictObject({
    project: z.string(),
    dimensions: z.string(),
    period: PeriodView,
    event_count: z.string(),
    quantity: Exact,
  })
  .openapi("MeasuredUsage");

export const LineView = z
  .strictObject({
    line_no: z.number().int(),
    section: z.string().optional().openapi({
      description: "On a consolidated document: the id of the account that the line is about.",
    }),
    cause: z.string().openapi({
      description: "What is charged: equal causes are the same debt, on whatever document.",
    }),
    basis: z.enum(lineBases),
    usage_type: z.string(),
    sku: z.string(),
    description: z.string(),
    meter: z.string().nullable(),
    unit: z.string(),
    period: PeriodView,
    quantity: Exact,
    unrounded: Exact,
    amount: Amount,
    tax: z
      .strictObject({ category: z.string(), percent: Exact, tax: Amount })
      .nullable()
      .openapi({ description: "Null while the tax cannot be decided." }),
    segments: z.array(SegmentView),
    measured: z.array(MeasuredView),
    cites: z
      .strictObject({
        event_count: z.string(),
        first: z.array(z.strictObject({ source: z.string(), id: z.string() })),
      })
      .optional()
      .openapi({
        description:
          "On a note about late or corrected usage: the events behind it. `explain` lists them all.",
      }),
  })
  .openapi("InvoiceLine");

const documentShape = {
  pipeline_version: z.number().int(),
  account: z.strictObject({
    id: z.string(),
    slug: z.string(),
    name: z.string(),
    legal_entity: z.string(),
    currency: z.string(),
    time_zone: z.string(),
    invoice_day: z.number().int(),
    cycle: z.string(),
    net_days: z.number().int(),
    early_discount: z
      .strictObject({ percent: z.string(), days: z.number().int() })
      .optional()
      .openapi({ description: "What paying early is worth, as agreed when this was issued." }),
    late_fee: z.strictObject({ percent_per_month: z.string() }).optional(),
    price_book: z.string(),
  }),
  currency: z.string(),
  period: PeriodView,
  paid_by: z
    .strictObject({
      organization: z.string(),
      account: z.string(),
      slug: z.string(),
      name: z.string(),
      invoice: z.string().optional().openapi({ description: "The number of the payer's invoice." }),
    })
    .optional()
    .openapi({
      description:
        "On a statement: who is asked for its money. Nothing is due from the account itself.",
    }),
  lines: z.array(LineView),
  sections: z
    .array(
      z
        .strictObject({
          organization: z.string(),
          account: z.string(),
          slug: z.string(),
          name: z.string(),
          statement: z.string().nullable().openapi({
            description: "The number of the account's own statement: the same lines.",
          }),
          subtotal: Amount,
          tax: Amount,
          total: Amount,
        })
        .openapi("InvoiceSection"),
    )
    .optional()
    .openapi({
      description: "On a consolidated document: its lines by account. They sum to the document.",
    }),
  subtotal: Amount,
  tax: Amount,
  total: Amount,
  prices_include_tax: z.boolean(),
  taxes: z.array(
    z
      .strictObject({
        category: z.string().openapi({ description: "EN 16931 code: S, Z, E, AE, K, G or O." }),
        name: z.string(),
        percent: Exact,
        taxable: Amount,
        tax: Amount,
        reason: z.string().nullable(),
        reason_code: z.string().nullable(),
      })
      .openapi("TaxSummaryRow"),
  ),
  accounting: z
    .strictObject({
      currency: z.string(),
      tax: Amount,
      rate: z.string(),
      on: z.string(),
      source: z.string(),
    })
    .optional()
    .openapi({ description: "The tax in the issuer's accounting currency, by a recorded rate." }),
  parties: z
    .strictObject({
      issuer: z.record(z.string(), z.unknown()),
      buyer: z.record(z.string(), z.unknown()),
      rates: z.array(z.record(z.string(), z.unknown())),
      exchange: z.array(z.record(z.string(), z.unknown())).optional(),
    })
    .openapi({
      description: "Issuer and buyer as the document knew them: its tax follows from these.",
    }),
  prices: z.array(
    z.strictObject({
      id: z.string(),
      version: z.number().int(),
      book: z.string(),
      sku: z.string(),
      effective_from: InstantText,
      definition: z.unknown(),
    }),
  ),
  meters: z.array(z.unknown()),
  bindings: z.array(
    z.strictObject({ project: z.string(), binding: z.string(), effective_from: InstantText }),
  ),
  watermark: z.strictObject({
    seq: z.string().openapi({ description: "The last event of the account that was looked at." }),
  }),
  left_out: z
    .array(
      z.strictObject({
        cause: z.string(),
        period: PeriodView,
        quantity: Exact,
        amount: Amount,
        because: z.enum(lateRoutes),
      }),
    )
    .optional()
    .openapi({
      description:
        "Late usage that was known and is not on this document, and where it goes: it is held, has a note of its own, or waits for the next invoice.",
    }),
};

export const UpcomingInvoiceView = z
  .strictObject({
    object: z.literal("upcoming_invoice"),
    stage: z.enum(["upcoming", "draft", "due"]).openapi({
      description:
        "upcoming: the period still runs. draft: it is over, late events still change it. due: it may be issued.",
    }),
    contradictions: z.array(z.string()).openapi({
      description: "Why this document cannot be issued as it stands; empty when it can.",
    }),
    ...documentShape,
  })
  .openapi("UpcomingInvoice");

export const InvoiceView = z
  .strictObject({
    id: z.string().openapi({ example: "inv_01jz8v5w9k2m4n6p8q0r" }),
    object: z.literal("invoice"),
    created_at: InstantText.nullable(),
    kind: z.enum(["invoice", "credit_note", "debit_note", "statement"]),
    status: z.enum(["draft", "issued", "paid", "past_due", "uncollectible", "void"]),
    number: z.string().nullable(),
    account_id: z.string(),
    period: PeriodView,
    total: MoneyView,
    issued_at: InstantText.nullable(),
    due_on: z.string().nullable(),
    corrects: z.string().nullable().openapi({ description: "The document a note corrects." }),
    reason: z.string(),
    content_hash: z.string().nullable().openapi({
      description: "SHA-256 of the canonical JSON of the document, in hexadecimal.",
    }),
  })
  .openapi("Invoice");

export const FullInvoiceView = InvoiceView.extend({
  document: z.strictObject({
    ...documentShape,
    id: z.string(),
    kind: z.string(),
    number: z.string(),
    issued_on: z.string(),
    due_on: z.string(),
    corrects: z
      .strictObject({ id: z.string(), number: z.string(), issued_on: z.string().optional() })
      .optional(),
    reason: z.string().optional(),
    account_credit: z
      .strictObject({ applied: Amount, due: Amount })
      .optional()
      .openapi({ description: "What the account's credit settled at issue, and what is left." }),
  }),
}).openapi("FullInvoice");

export const IssueBody = z
  .strictObject({
    period: InstantIn.openapi({ description: "Any moment within the period to invoice." }),
    force: z.boolean().default(false).openapi({
      description: "Issue although the finalization window is still open.",
    }),
  })
  .openapi("IssueInvoice");

export const ExplanationView = z
  .strictObject({
    object: z.literal("line_explanation"),
    invoice_id: z.string(),
    number: z.string().nullable(),
    line: LineView,
    buckets: z.array(
      z.strictObject({
        day: z.string(),
        project: z.string(),
        event_count: z.string(),
        quantity: Exact,
      }),
    ),
    events: z.array(
      z.strictObject({
        seq: z.string(),
        time: InstantText,
        received_at: InstantText,
        source: z.string(),
        id: z.string(),
        project: z.string(),
        subject: z.string(),
        quantity: Exact,
        data: z.unknown(),
      }),
    ),
    next_cursor: z.string().nullable(),
  })
  .openapi("LineExplanation");

export const VerificationView = z
  .strictObject({
    object: z.literal("verification"),
    invoice_id: z.string(),
    number: z.string().nullable(),
    is_match: z.boolean(),
    checks: z.array(
      z.strictObject({
        name: z.enum(checkNames),
        is_match: z.boolean(),
        mismatches: z.array(
          z.strictObject({ where: z.string(), stored: z.string(), recomputed: z.string() }),
        ),
      }),
    ),
  })
  .openapi("Verification");

export const ReasonBody = z.strictObject({ reason: Reason }).openapi("ReasonGiven");

export const CreditBody = z
  .strictObject({
    reason: Reason,
    reason_code: z
      .enum(["goodwill", "service_failure", "billing_error", "dispute", "other"])
      .default("other"),
    lines: z
      .array(z.strictObject({ line_no: z.number().int().min(1), amount: DecimalText.optional() }))
      .max(1000)
      .optional()
      .openapi({ description: "What to credit of which lines; all of each when left out." }),
    section: z.string().min(1).max(80).optional().openapi({
      description:
        "On a consolidated invoice: all that is left of one account's section, by its id or slug.",
    }),
    amount: DecimalText.optional().openapi({
      description: "A part of the whole document, spread over its lines by what is left of each.",
    }),
  })
  .openapi("NewCreditNote");

export const DebitBody = z
  .strictObject({
    reason: Reason,
    reason_code: z.enum(["billing_error", "price_difference", "agreed", "other"]).default("other"),
    lines: z
      .array(
        z.strictObject({
          line_no: z.number().int().min(1).openapi({
            description: "The line of the invoice that it adds to: its SKU, period and tax.",
          }),
          amount: DecimalText.openapi({ description: "Above zero, before tax." }),
          description: z.string().trim().min(1).max(200),
        }),
      )
      .min(1)
      .max(1000),
  })
  .openapi("NewDebitNote");

const contentView = (content: DraftContent) =>
  structuredClone(content) as unknown as z.input<z.ZodObject<typeof documentShape>>;

export const upcomingView = (preview: Preview): z.input<typeof UpcomingInvoiceView> => ({
  object: "upcoming_invoice",
  stage: preview.stage,
  contradictions: [...preview.contradictions],
  ...contentView(preview.draft.content),
});

export const invoiceView = (invoice: StoredInvoice): z.input<typeof InvoiceView> => ({
  id: invoice.invoiceId,
  object: "invoice",
  created_at: invoice.issuedAt === null ? null : formatInstant(invoice.issuedAt),
  kind: invoice.kind,
  status: invoice.status,
  number: invoice.number,
  account_id: invoice.accountId,
  period: {
    starts_at: formatInstant(invoice.period.startsAt),
    ends_at: formatInstant(invoice.period.endsAt),
  },
  total: moneyView(invoice.total),
  issued_at: invoice.issuedAt === null ? null : formatInstant(invoice.issuedAt),
  due_on: invoice.dueOn,
  corrects: invoice.correctsId,
  reason: invoice.reason,
  content_hash: invoice.contentHash,
});

export const fullInvoiceView = (invoice: StoredInvoice): z.input<typeof FullInvoiceView> => ({
  ...invoiceView(invoice),
  document: structuredClone(invoice.content) as unknown as z.input<
    typeof FullInvoiceView
  >["document"],
});

export const explanationView = (
  explanation: LineExplanation,
  nextCursor: string | null,
): z.input<typeof ExplanationView> => ({
  object: "line_explanation",
  invoice_id: explanation.invoice.invoiceId,
  number: explanation.invoice.number,
  line: structuredClone(explanation.line) as unknown as z.input<typeof LineView>,
  buckets: explanation.buckets.map((bucket) => ({
    day: bucket.day,
    project: bucket.projectId,
    event_count: bucket.eventCount.toString(),
    quantity: bucket.quantity,
  })),
  events: explanation.events.map((event) => ({
    seq: event.seq.toString(),
    time: formatInstant(event.time),
    received_at: formatInstant(event.receivedAt),
    source: event.source,
    id: event.id,
    project: event.projectId,
    subject: event.subject,
    quantity: event.quantity,
    data: event.data,
  })),
  next_cursor: nextCursor,
});

export const verificationView = (found: Verification): z.input<typeof VerificationView> => ({
  object: "verification",
  invoice_id: found.invoice.invoiceId,
  number: found.invoice.number,
  is_match: found.isMatch,
  checks: found.checks.map((check) => ({
    name: check.name,
    is_match: check.mismatches.length === 0,
    mismatches: check.mismatches.map((one) => ({ ...one })),
  })),
});
