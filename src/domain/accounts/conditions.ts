import type { Instant } from "../../kit/time.ts";
import type { BillingAccount } from "./account.ts";

/** One question about an account, answered with a reason and since when. */
export type Condition = {
  readonly type: "Ready" | "PaymentReady" | "InvoicingReady";
  readonly status: "true" | "false" | "unknown";
  readonly reason: string;
  readonly message: string;
  readonly since: Instant;
};

/** What the newest documents say: void ones are not counted, so a newer void cannot hide an older past-due. */
export type InvoicingFacts = {
  readonly invoiceCount: number;
  readonly pastDueCount: number;
  /** When the newest counted document was issued, or the oldest past-due one fell due. */
  readonly since: Instant | null;
};

/** What everybody reads instead of guessing from single members. */
export function conditionsOf(account: BillingAccount, invoicing: InvoicingFacts): Condition[] {
  return [ready(account), paymentReady(account), invoicingReady(account, invoicing)];
}

function ready(account: BillingAccount): Condition {
  const texts = {
    provisioning: [
      "WaitingForPayment",
      "The account cannot pay yet: terms or a payment method are missing.",
    ],
    ready: ["Ready", "The account may be bound to projects and billed."],
    suspended: [
      "Suspended",
      `Suspended: ${account.statusReason}. Existing bindings stay; new ones are refused.`,
    ],
    archived: ["Archived", "Closed for good; its history stays readable."],
  } as const;
  const [reason, message] = texts[account.status];
  return {
    type: "Ready",
    status: account.status === "ready" ? "true" : "false",
    reason,
    message,
    since: account.statusAt,
  };
}

function paymentReady(account: BillingAccount): Condition {
  return account.terms
    ? {
        type: "PaymentReady",
        status: "true",
        reason: "TermsActive",
        message: `Pays within ${account.terms.netDays} days of the invoice.`,
        since: account.terms.grantedAt,
      }
    : {
        type: "PaymentReady",
        status: "false",
        reason: "NoPaymentMethod",
        message: "Neither terms nor a working payment method.",
        since: account.createdAt,
      };
}

function invoicingReady(account: BillingAccount, facts: InvoicingFacts): Condition {
  const since = facts.since ?? account.createdAt;
  if (facts.pastDueCount > 0) {
    const message = `${facts.pastDueCount} invoice(s) past due.`;
    return { type: "InvoicingReady", status: "false", reason: "PastDue", message, since };
  }
  if (facts.invoiceCount === 0) {
    const message = "No invoice was issued yet.";
    return { type: "InvoicingReady", status: "true", reason: "NoInvoicesYet", message, since };
  }
  const message = "All invoices are paid or not yet due.";
  return { type: "InvoicingReady", status: "true", reason: "Current", message, since };
}
