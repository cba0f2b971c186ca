import { z } from "@hono/zod-openapi";
import { disputeStatuses, nextDeadline } from "../../domain/disputes/index.ts";
import type { Case } from "../../flows/answer-dispute.ts";
import { formatInstant, type Instant } from "../../kit/time.ts";
import type { Dispute } from "../../store/disputes.ts";
import { DecimalText, InstantText, MoneyView, moneyView } from "./common.ts";

export const DisputeParam = z.object({
  dispute: z
    .string()
    .min(1)
    .max(80)
    .openapi({ description: "Id of the dispute.", example: "dsp_0a1b2c" }),
});

const Words = z.string().trim().min(1).max(4000);
const FileIn = z
  .strictObject({
    name: z
      .string()
      .trim()
      .min(1)
      .max(120)
      .regex(/^[\w .()+-]+$/, "use letters, digits, spaces and . ( ) + - _"),
    content: z.string().max(360_000).openapi({
      description: "The file in base64; 256 KiB at most.",
    }),
  })
  .openapi("DisputeFile");

export const OpenDisputeBody = z
  .strictObject({
    line_no: z.int().min(1),
    amount: DecimalText.optional().openapi({
      description: "How much of the line, before tax; all that is left of it when left out.",
    }),
    message: Words,
    file: FileIn.optional(),
  })
  .openapi("NewDispute");

export const DisputeMessageBody = z
  .strictObject({ message: Words, file: FileIn.optional() })
  .openapi("NewDisputeMessage");

export const ResolveBody = z
  .strictObject({
    outcome: z.enum(["credit", "corrected", "reject"]).openapi({
      description:
        "credit: a credit note on the line. corrected: the usage was corrected by events, and the next invoice gives the difference back. reject: the line stands.",
    }),
    amount: DecimalText.optional().openapi({
      description:
        "For `credit`: how much to give back, before tax; all that is disputed when left out.",
    }),
    message: Words,
  })
  .openapi("DisputeResolution");

const disputeShape = {
  id: z.string(),
  object: z.literal("dispute"),
  invoice: z.string().openapi({ description: "Id of the document." }),
  line_no: z.int(),
  status: z.enum(disputeStatuses),
  amount: MoneyView.openapi({ description: "Under dispute, before tax." }),
  withheld: MoneyView.openapi({
    description: "The same with its tax: not asked for while the dispute is undecided.",
  }),
  accepted: MoneyView.nullable(),
  credit_note: z.string().nullable(),
  event_count: z.string().openapi({ description: "How many events the line was measured from." }),
  opened_at: InstantText,
  decided_at: InstantText.nullable(),
  deadline: z
    .strictObject({ what: z.enum(["review", "decision"]), by: InstantText, is_missed: z.boolean() })
    .nullable()
    .openapi({ description: "What the provider owes next, and by when." }),
};

export const DisputeView = z.strictObject(disputeShape).openapi("Dispute");

export const CaseView = z
  .strictObject({
    ...disputeShape,
    messages: z.array(
      z
        .strictObject({
          id: z.string(),
          side: z.enum(["customer", "provider"]),
          message: z.string(),
          file: z.strictObject({ name: z.string(), byte_count: z.int() }).nullable(),
          written_at: InstantText,
          written_by: z.string(),
        })
        .openapi("DisputeMessage"),
    ),
  })
  .openapi("DisputeCase");

export function disputeView(dispute: Dispute, now: Instant): z.input<typeof DisputeView> {
  const deadline = nextDeadline(dispute.status, dispute, now);
  return {
    id: dispute.disputeId,
    object: "dispute",
    invoice: dispute.invoiceId,
    line_no: dispute.lineNo,
    status: dispute.status,
    amount: moneyView(dispute.amount),
    withheld: moneyView(dispute.withheld),
    accepted: dispute.accepted && moneyView(dispute.accepted),
    credit_note: dispute.creditNoteId,
    event_count: dispute.eventCount.toString(),
    opened_at: formatInstant(dispute.openedAt),
    decided_at: dispute.decidedAt === null ? null : formatInstant(dispute.decidedAt),
    deadline: deadline && {
      what: deadline.what,
      by: formatInstant(deadline.by),
      is_missed: deadline.isMissed,
    },
  };
}

export const caseView = ({ dispute, messages }: Case, now: Instant): z.input<typeof CaseView> => ({
  ...disputeView(dispute, now),
  messages: messages.map((message) => ({
    id: message.messageId,
    side: message.side,
    message: message.text,
    file: message.file && { name: message.file.name, byte_count: message.file.byteCount },
    written_at: formatInstant(message.writtenAt),
    written_by: message.writtenBy,
  })),
});
