import type { Author } from "../domain/audit/index.ts";
import { leftOf } from "../domain/corrections/index.ts";
import { type Attachment, deadlinesFrom, decideDispute } from "../domain/disputes/index.ts";
import type { ContentLine } from "../domain/invoicing/index.ts";
import { Problem } from "../domain/refusals/index.ts";
import type { Currency } from "../kit/currency.ts";
import { formatMoney, type Money, nothing, parseMoney } from "../kit/money.ts";
import type { Instant } from "../kit/time.ts";
import { appendAudit } from "../store/audit.ts";
import { type Dispute, insertDispute, insertDisputeMessage, type Side } from "../store/disputes.ts";
import { lockInvoice, type StoredInvoice } from "../store/invoices.ts";
import { brokenConstraint, transaction } from "../store/transaction.ts";
import { creditedSoFar } from "./correct-invoice.ts";
import type { Env } from "./env.ts";
import { refuseStatement } from "./refuse-statement.ts";

export type DisputeOrder = {
  readonly orgId: string;
  /** Id or number. */
  readonly invoice: string;
  readonly lineNo: number;
  /** Before tax, in the document's currency; null for all that is left of the line. */
  readonly amount: Money | null;
  readonly text: string;
  readonly file: Attachment | null;
  readonly side: Side;
};

/**
 * Dispute a line. The events it was measured from are its evidence, by reference: a document never changes, so they are
 * found again at any time. Until it is decided the amount, with its tax, is not asked for.
 */
export async function openDispute(
  env: Env,
  order: DisputeOrder,
  author: Author,
  now: Instant,
): Promise<Dispute> {
  try {
    return await transaction(env.store.db, async (tx) => {
      const invoice = await lockInvoice(tx, order.orgId, order.invoice);
      if (!invoice) throw new Problem("invoice_not_found", `there is no invoice ${order.invoice}`);
      refuseStatement(invoice);
      if (invoice.kind === "credit_note" || invoice.status === "void")
        throw new Problem(
          "invoice_status_conflict",
          `${invoice.number} is ${invoice.kind === "credit_note" ? "a credit note" : "void"}: nothing on it is asked for`,
        );
      const line = lineOf(invoice, order.lineNo);
      const code = invoice.total.currency;
      const charged = parseMoney(line.amount, code);
      const credited = (await creditedSoFar(tx, invoice)).get(line.line_no) ?? nothing(code);
      const decision = decideDispute(
        {
          amount: charged,
          taxOnTop: taxOnTop(invoice, line, code),
          left: leftOf(charged, credited),
        },
        order.amount,
      );
      if (decision.kind !== "dispute")
        throw new Problem(
          "dispute_refused",
          decision.kind === "nothing_left"
            ? `nothing is left of line ${line.line_no} of ${invoice.number}`
            : `line ${line.line_no} of ${invoice.number} has ${formatMoney(decision.left)} left`,
        );
      const dispute: Dispute = {
        orgId: invoice.orgId,
        disputeId: env.id("dispute"),
        invoiceId: invoice.invoiceId,
        accountId: invoice.accountId,
        lineNo: line.line_no,
        status: "open",
        amount: decision.amount,
        withheld: decision.withheld,
        accepted: null,
        eventCount: line.measured.reduce((sum, part) => sum + BigInt(part.event_count), 0n),
        creditNoteId: null,
        openedAt: now,
        openedBy: author.actor.id,
        ...deadlinesFrom(now),
        decidedAt: null,
        decidedBy: null,
      };
      await insertDispute(tx, dispute);
      await insertDisputeMessage(tx, dispute, {
        messageId: env.id("message"),
        side: order.side,
        text: order.text,
        file: order.file,
        writtenAt: now,
        writtenBy: author.actor.id,
      });
      await appendAudit(tx, env.id, order.orgId, [
        {
          at: now,
          author,
          action: "dispute.opened",
          target: { kind: "dispute", id: dispute.disputeId },
          before: null,
          after: {
            invoice: invoice.number,
            line_no: line.line_no,
            amount: formatMoney(dispute.amount),
            file: order.file?.name ?? null,
          },
        },
      ]);
      return dispute;
    });
  } catch (error) {
    if (brokenConstraint(error) === "dispute_once_per_line")
      throw new Problem(
        "dispute_open_already",
        `line ${order.lineNo} of ${order.invoice} has a dispute that is not decided yet`,
      );
    throw error;
  }
}

function lineOf(invoice: StoredInvoice, lineNo: number): ContentLine {
  const line = invoice.content.lines.find((one) => one.line_no === lineNo);
  if (!line)
    throw new Problem(
      "invoice_line_not_found",
      `${invoice.number} has lines 1 to ${invoice.content.lines.length}`,
    );
  return line;
}

const taxOnTop = ({ content }: StoredInvoice, line: ContentLine, code: Currency): Money =>
  line.tax === null || content.prices_include_tax ? nothing(code) : parseMoney(line.tax.tax, code);
