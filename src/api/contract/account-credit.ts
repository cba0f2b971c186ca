import { z } from "@hono/zod-openapi";
import { formatInstant } from "../../kit/time.ts";
import { type CreditEntry, creditCauses } from "../../store/account-credit.ts";
import { type Refund, refundStatuses } from "../../store/refunds.ts";
import { DecimalText, InstantText, MoneyView, moneyView, pageOf, Reason } from "./common.ts";

const CreditEntryView = z
  .strictObject({
    id: z.string(),
    object: z.literal("credit_entry"),
    created_at: InstantText,
    amount: MoneyView.openapi({ description: "Above zero it arose, below it was used." }),
    cause: z.enum(creditCauses).openapi({
      description:
        "payment: paid too much. document: credited on something settled, or an invoice below zero. void: taken by what is void, or given by it. applied: settled a document. refund, refund_failed: sent back, or not after all.",
    }),
    source: z.string().openapi({ description: "The payment, document or refund." }),
  })
  .openapi("CreditEntry");

export const AccountCreditView = pageOf(CreditEntryView)
  .extend({ balance: MoneyView.openapi({ description: "What the next document takes." }) })
  .openapi("AccountCredit");

export const RefundBody = z
  .strictObject({
    amount: DecimalText.optional().openapi({ description: "All the credit when left out." }),
    reference: z.string().trim().min(1).max(140).optional().openapi({
      description: "Of a transfer made by hand; left out, the card processor is asked.",
    }),
    reason: Reason,
  })
  .openapi("NewRefund");

export const RefundView = z
  .strictObject({
    id: z.string().openapi({ example: "rfd_01jz8v5w9k2m4n6p8q0r" }),
    object: z.literal("refund"),
    created_at: InstantText,
    amount: MoneyView,
    status: z.enum(refundStatuses),
    reference: z.string().nullable(),
    reason: z.string(),
  })
  .openapi("Refund");

export const creditEntryView = (entry: CreditEntry): z.input<typeof CreditEntryView> => ({
  id: entry.entryId,
  object: "credit_entry",
  created_at: formatInstant(entry.at),
  amount: moneyView(entry.amount),
  cause: entry.cause,
  source: entry.sourceId,
});

export const refundView = (refund: Refund): z.input<typeof RefundView> => ({
  id: refund.refundId,
  object: "refund",
  created_at: formatInstant(refund.createdAt),
  amount: moneyView(refund.amount),
  status: refund.status,
  reference: refund.reference,
  reason: refund.reason,
});
