import type { Author } from "../domain/audit/index.ts";
import { type DebitRequest, decideDebit } from "../domain/corrections/index.ts";
import { Problem } from "../domain/refusals/index.ts";
import { formatMoney } from "../kit/money.ts";
import type { Instant } from "../kit/time.ts";
import { appendAudit } from "../store/audit.ts";
import type { StoredInvoice } from "../store/invoices.ts";
import { transaction } from "../store/transaction.ts";
import { lockForCorrection } from "./correct-invoice.ts";
import type { Env } from "./env.ts";
import { issueNote } from "./issue-note.ts";
import { refuseStatement } from "./refuse-statement.ts";

export type DebitOrder = {
  readonly orgId: string;
  /** Id or number. */
  readonly invoice: string;
  readonly request: DebitRequest;
  readonly reason: string;
  readonly reasonCode: string;
};

/** Charge more on an issued document by a debit note: a document of its own number, due and paid like an invoice. */
export async function debitInvoice(
  env: Env,
  order: DebitOrder,
  author: Author,
  now: Instant,
): Promise<StoredInvoice> {
  return transaction(env.store.db, async (tx) => {
    const { invoice, sequence } = await lockForCorrection(tx, order.orgId, order.invoice);
    if (invoice.kind === "credit_note" || invoice.status === "void")
      throw new Problem(
        "invoice_status_conflict",
        `${invoice.number} is ${invoice.kind === "credit_note" ? "a credit note" : "void"}: nothing more can be owed on it`,
      );
    refuseStatement(invoice);
    const decision = decideDebit(invoice.content, order.request);
    if (decision.kind === "no_such_line")
      throw new Problem(
        "invoice_line_not_found",
        `${invoice.number} has no line ${decision.lineNo}`,
      );
    const note = await issueNote(
      tx,
      env,
      {
        kind: "debit_note",
        corrected: invoice,
        lines: decision.lines,
        sequence: sequence + 1n,
        reason: order.reason,
        reasonCode: order.reasonCode,
        createdBy: author.actor.id,
      },
      now,
    );
    await appendAudit(tx, env.id, invoice.orgId, [
      {
        at: now,
        author: { ...author, reason: order.reason },
        action: "debit_note.issued",
        target: { kind: "invoice", id: invoice.invoiceId },
        before: null,
        after: { debit_note: note.number, total: formatMoney(note.total) },
      },
    ]);
    return note;
  });
}
