import type { Author } from "../domain/audit/index.ts";
import { decideResolution, type Resolution } from "../domain/disputes/index.ts";
import { Problem } from "../domain/refusals/index.ts";
import { assert } from "../kit/assert.ts";
import { formatMoney, type Money, money, sumMoney } from "../kit/money.ts";
import type { Instant } from "../kit/time.ts";
import { appendAudit } from "../store/audit.ts";
import {
  type Dispute,
  insertDisputeMessage,
  listRestated,
  saveDispute,
} from "../store/disputes.ts";
import { findInvoice } from "../store/invoices.ts";
import { transaction } from "../store/transaction.ts";
import { type Case, holdDispute, readDispute } from "./answer-dispute.ts";
import { creditInvoice } from "./correct-invoice.ts";
import type { Env } from "./env.ts";
import { previewInvoice } from "./preview-invoice.ts";

/**
 * Decide a dispute: by a credit note on its line, by what corrected usage takes back, or not at all. The
 * decision is the last message of the provider, and it is never without words.
 */
export async function resolveDispute(
  env: Env,
  order: {
    readonly orgId: string;
    readonly disputeId: string;
    readonly resolution: Resolution;
    readonly text: string;
  },
  author: Author,
  now: Instant,
): Promise<Case> {
  return transaction(env.store.db, async (tx) => {
    const inside: Env = { ...env, store: { ...env.store, db: tx } };
    const dispute = await holdDispute(tx, order.orgId, order.disputeId);
    const correction = await correctionOf(inside, dispute, now);
    const decision = decideResolution(dispute, order.resolution, correction.amount);
    const decided = { decidedAt: now, decidedBy: author.actor.id };
    let after: Dispute;
    switch (decision.kind) {
      case "not_under_review":
        throw new Problem(
          "dispute_status_conflict",
          `the dispute is ${dispute.status}: only one under review can be decided`,
        );
      case "too_large":
        throw new Problem("credit_too_large", `${formatMoney(dispute.amount)} is under dispute`);
      case "corrected_by_events":
        throw new Problem(
          "dispute_corrected",
          `corrected usage gives ${formatMoney(decision.amount)} back`,
        );
      case "no_correction":
        throw new Problem("dispute_not_corrected");
      case "reject":
        after = {
          ...dispute,
          ...decided,
          status: "rejected",
          accepted: money(dispute.amount.currency, 0n),
        };
        break;
      case "corrected":
        after = {
          ...dispute,
          ...decided,
          status: decision.status,
          accepted: decision.amount,
          creditNoteId: correction.creditNoteId,
        };
        break;
      case "credit": {
        const note = await creditInvoice(
          inside,
          {
            orgId: order.orgId,
            invoice: dispute.invoiceId,
            request: {
              kind: "lines",
              lines: [{ lineNo: dispute.lineNo, amount: decision.amount }],
            },
            reason: order.text,
            reasonCode: "dispute",
          },
          author,
          now,
        );
        after = {
          ...dispute,
          ...decided,
          status: decision.status,
          accepted: decision.amount,
          creditNoteId: note.invoiceId,
        };
        break;
      }
    }
    await saveDispute(tx, after);
    await insertDisputeMessage(tx, dispute, {
      messageId: env.id("message"),
      side: "provider",
      text: order.text,
      file: null,
      writtenAt: now,
      writtenBy: author.actor.id,
    });
    await appendAudit(tx, env.id, order.orgId, [
      {
        at: now,
        author: { ...author, reason: order.text },
        action: `dispute.${after.status}`,
        target: { kind: "dispute", id: dispute.disputeId },
        before: { status: dispute.status },
        after: {
          status: after.status,
          accepted: after.accepted && formatMoney(after.accepted),
          credit_note: after.creditNoteId,
        },
      },
    ]);
    return readDispute(tx, order.orgId, order.disputeId);
  });
}

/** What corrected usage takes off the disputed line: nothing or above, and the note that has given it back, if one has. */
type Correction = { readonly amount: Money; readonly creditNoteId: string | null };

/** Since the dispute was opened: on documents already, on the next invoice, or on its way to a note of its own. */
async function correctionOf(env: Env, dispute: Dispute, now: Instant): Promise<Correction> {
  const code = dispute.amount.currency;
  const { orgId, accountId } = dispute;
  const invoice = await findInvoice(env.store.db, orgId, dispute.invoiceId);
  const line = invoice?.content.lines.find((one) => one.line_no === dispute.lineNo);
  assert(line, "a dispute is about a line that exists");
  const { cause } = line;
  const { draft } = await previewInvoice(env, orgId, accountId, now);
  const waiting = [...draft.lines, ...draft.elsewhere.map((one) => one.line)];
  const since = dispute.openedAt;
  const restated = await listRestated(env.store.db, { orgId, accountId, cause, since });
  const difference = sumMoney(code, [
    ...waiting.filter((one) => one.cause === cause).map((one) => one.amount),
    ...restated.map(({ minor }) => money(code, minor)),
  ]);
  return {
    amount: money(code, difference.minor < 0n ? -difference.minor : 0n),
    creditNoteId: restated.findLast((one) => one.isCreditNote)?.invoiceId ?? null,
  };
}
