import type { Author, Change } from "../domain/audit/index.ts";
import { type CreditRequest, creditedLine, decideCredit } from "../domain/corrections/index.ts";
import { Problem } from "../domain/refusals/index.ts";
import { assert } from "../kit/assert.ts";
import { formatMoney, type Money, parseMoney, plus, money } from "../kit/money.ts";
import type { Instant } from "../kit/time.ts";
import { appendAudit } from "../store/audit.ts";
import type { Tx } from "../store/connect.ts";
import { accountKeyText } from "../store/invoice-facts.ts";
import {
  findInvoice,
  type InvoiceStatus,
  listCorrections,
  listStatements,
  lockDocuments,
  lockInvoice,
  markInvoice,
  type StoredInvoice,
} from "../store/invoices.ts";
import { listPayments } from "../store/payments.ts";
import { transaction } from "../store/transaction.ts";
import { releaseCredit } from "./account-credit.ts";
import type { Env } from "./env.ts";
import { issueNote } from "./issue-note.ts";
import { postVoid, postWriteOff } from "./post-documents.ts";
import { balanceOf } from "./record-payment.ts";
import { refuseStatement } from "./refuse-statement.ts";

export type CreditOrder = {
  readonly orgId: string;
  /** Id or number. */
  readonly invoice: string;
  readonly request: CreditRequest;
  readonly reason: string;
  readonly reasonCode: string;
};

/**
 * Give back part or all of an issued document by a credit note. The document itself stays as it is; the note names it, keeps
 * its tax rates, and never gives back more than is left of any line.
 */
export async function creditInvoice(
  env: Env,
  order: CreditOrder,
  author: Author,
  now: Instant,
): Promise<StoredInvoice> {
  return transaction(env.store.db, async (tx) => {
    const { invoice, sequence } = await lockForCorrection(tx, order.orgId, order.invoice);
    refuseStatement(invoice);
    if (invoice.kind === "credit_note" || invoice.status === "void")
      throw new Problem(
        "invoice_status_conflict",
        `${invoice.number} is ${invoice.kind === "credit_note" ? "a credit note" : "void"} and cannot be credited`,
      );
    const { content } = invoice;
    const decision = decideCredit(content, await creditedSoFar(tx, invoice), order.request);
    switch (decision.kind) {
      case "no_such_line":
        throw new Problem(
          "invoice_line_not_found",
          `${invoice.number} has no line ${decision.lineNo}`,
        );
      case "no_such_section":
        throw new Problem(
          "invoice_section_not_found",
          `${invoice.number} has ${content.sections ? `sections for ${content.sections.map((one) => one.slug).join(", ")}` : "no sections"}`,
        );
      case "too_large":
        throw new Problem(
          "credit_too_large",
          `${decision.lineNo === null ? invoice.number : `line ${decision.lineNo} of ${invoice.number}`} has ${formatMoney(decision.left)} left to credit`,
        );
      case "credit":
        break;
    }
    if (decision.lines.length === 0)
      throw new Problem("credit_too_large", `nothing is left to credit on ${invoice.number}`);

    const note = await issueNote(
      tx,
      env,
      {
        kind: "credit_note",
        corrected: invoice,
        lines: decision.lines,
        sequence: sequence + 1n,
        reason: order.reason,
        reasonCode: order.reasonCode,
        createdBy: author.actor.id,
      },
      now,
    );
    const change: Change = {
      at: now,
      author: { ...author, reason: order.reason },
      action: "credit_note.issued",
      target: { kind: "invoice", id: invoice.invoiceId },
      before: null,
      after: { credit_note: note.number, total: formatMoney(note.total) },
    };
    await appendAudit(tx, env.id, invoice.orgId, [change]);
    return note;
  });
}

/**
 * Take a document back. It keeps its number and content; its usage is free to be invoiced again under a new number. With a
 * consolidated document go the statements beside it.
 */
export async function voidInvoice(
  env: Env,
  order: { readonly orgId: string; readonly invoice: string; readonly reason: string },
  author: Author,
  now: Instant,
): Promise<StoredInvoice> {
  return changeStatus(env, order, author, now, {
    to: "void",
    from: ["issued", "past_due"],
    action: "invoice.voided",
  });
}

/** Give up a debt as lost. The document stays owed on paper and is no longer collected. */
export async function writeOffInvoice(
  env: Env,
  order: { readonly orgId: string; readonly invoice: string; readonly reason: string },
  author: Author,
  now: Instant,
): Promise<StoredInvoice> {
  return changeStatus(env, order, author, now, {
    to: "uncollectible",
    from: ["issued", "past_due"],
    action: "invoice.written_off",
  });
}

async function changeStatus(
  env: Env,
  order: { readonly orgId: string; readonly invoice: string; readonly reason: string },
  author: Author,
  now: Instant,
  move: { to: InvoiceStatus; from: readonly InvoiceStatus[]; action: string },
): Promise<StoredInvoice> {
  return transaction(env.store.db, async (tx) => {
    const { invoice, sequence } = await lockForCorrection(tx, order.orgId, order.invoice);
    refuseStatement(invoice);
    if (!move.from.includes(invoice.status))
      throw new Problem(
        "invoice_status_conflict",
        `${invoice.number} is ${invoice.status}: only ${move.from.join(" or ")} documents can become ${move.to}`,
      );
    if (move.to === "void") {
      const notes = await listCorrections(tx, invoice.orgId, invoice.invoiceId);
      const standing = notes.find((note) => note.status !== "void");
      if (standing)
        throw new Problem(
          "corrections_exist",
          `${standing.number} corrects ${invoice.number}: credit the rest instead of voiding it`,
        );
      const [payment] = await listPayments(tx, invoice.orgId, invoice.invoiceId);
      if (payment)
        throw new Problem(
          "payments_exist",
          `"${payment.reference}" paid ${formatMoney(payment.applied)} of ${invoice.number}: credit it instead of voiding it`,
        );
    }
    const voidedAfter = move.to === "void" ? sequence : null;
    await markInvoice(tx, invoice.orgId, invoice.invoiceId, move.to, voidedAfter);
    if (move.to === "void") {
      await releaseCredit(tx, invoice, now);
      const statements = await voidStatements(tx, invoice);
      for (const document of [invoice, ...statements]) await postVoid(tx, document, now);
    } else await postWriteOff(tx, invoice, (await balanceOf(tx, invoice)).open, now);
    await appendAudit(tx, env.id, invoice.orgId, [
      {
        at: now,
        author: { ...author, reason: order.reason },
        action: move.action,
        target: { kind: "invoice", id: invoice.invoiceId },
        before: { status: invoice.status },
        after: { status: move.to },
      },
    ]);
    return { ...invoice, status: move.to };
  });
}

async function voidStatements(tx: Tx, whole: StoredInvoice): Promise<StoredInvoice[]> {
  if (!whole.content.sections) return [];
  const statements = await listStatements(tx, whole.invoiceId);
  const sequences = await lockDocuments(tx, statements);
  for (const one of statements)
    await markInvoice(
      tx,
      one.orgId,
      one.invoiceId,
      "void",
      sequences.get(accountKeyText(one.orgId, one.accountId)) ?? 0n,
    );
  return statements;
}

/** Hold the document and its accounts, so that nothing else is put on them meanwhile. */
export async function lockForCorrection(
  tx: Tx,
  orgId: string,
  idOrNumber: string,
): Promise<{ invoice: StoredInvoice; sequence: bigint }> {
  const found = await findInvoice(tx, orgId, idOrNumber);
  if (!found) throw new Problem("invoice_not_found", `there is no invoice ${idOrNumber}`);
  // All at once, in one order: the accounts of its sections too.
  const statements = found.content.sections ? await listStatements(tx, found.invoiceId) : [];
  const sequences = await lockDocuments(tx, [found, ...statements]);
  const invoice = await lockInvoice(tx, orgId, found.invoiceId);
  assert(invoice, "documents are never deleted");
  return { invoice, sequence: sequences.get(accountKeyText(orgId, invoice.accountId)) ?? 0n };
}

/** What earlier notes gave back of a document, by line number. */
export async function creditedSoFar(tx: Tx, invoice: StoredInvoice): Promise<Map<number, Money>> {
  const code = invoice.total.currency;
  const credited = new Map<number, Money>();
  for (const note of await listCorrections(tx, invoice.orgId, invoice.invoiceId)) {
    if (note.kind !== "credit_note" || note.status === "void") continue;
    for (const line of note.content.lines) {
      const lineNo =
        line.basis === "concession"
          ? creditedLine(line.cause, invoice.invoiceId)
          : invoice.content.lines.find((one) => one.cause === line.cause)?.line_no;
      if (lineNo === undefined) continue;
      const given = money(code, -parseMoney(line.amount, code).minor);
      credited.set(lineNo, plus(credited.get(lineNo) ?? money(code, 0n), given));
    }
  }
  return credited;
}
