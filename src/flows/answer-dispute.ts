import type { Author } from "../domain/audit/index.ts";
import {
  type Attachment,
  type DisputeStatus,
  mayBecome,
  messagesMax,
  takesMessages,
} from "../domain/disputes/index.ts";
import { Problem } from "../domain/refusals/index.ts";
import type { Instant } from "../kit/time.ts";
import { appendAudit } from "../store/audit.ts";
import type { Db, Tx } from "../store/connect.ts";
import {
  type Dispute,
  type DisputeMessage,
  findDispute,
  insertDisputeMessage,
  listDisputeMessages,
  lockDispute,
  saveDispute,
  type Side,
} from "../store/disputes.ts";
import { transaction } from "../store/transaction.ts";
import type { Env } from "./env.ts";

export type Case = { readonly dispute: Dispute; readonly messages: readonly DisputeMessage[] };

/** A dispute with all that was written and sent. */
export async function readDispute(db: Db, orgId: string, disputeId: string): Promise<Case> {
  const dispute = await findDispute(db, orgId, disputeId);
  if (!dispute) throw new Problem("dispute_not_found", `there is no dispute ${disputeId}`);
  return { dispute, messages: await listDisputeMessages(db, orgId, disputeId) };
}

/** Write to a dispute, with a file where one helps. Messages are never changed and never taken away. */
export async function answerDispute(
  env: Env,
  order: {
    readonly orgId: string;
    readonly disputeId: string;
    readonly side: Side;
    readonly text: string;
    readonly file: Attachment | null;
  },
  author: Author,
  now: Instant,
): Promise<Case> {
  return transaction(env.store.db, async (tx) => {
    const dispute = await holdDispute(tx, order.orgId, order.disputeId);
    const there = await listDisputeMessages(tx, order.orgId, order.disputeId);
    if (!takesMessages(dispute.status) || there.length >= messagesMax)
      throw new Problem(
        "dispute_status_conflict",
        takesMessages(dispute.status)
          ? `a dispute holds at most ${messagesMax} messages`
          : "the dispute is closed",
      );
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
        action: "dispute.answered",
        target: { kind: "dispute", id: dispute.disputeId },
        before: null,
        after: { side: order.side, file: order.file?.name ?? null },
      },
    ]);
    return readDispute(tx, order.orgId, order.disputeId);
  });
}

/** Take a dispute under review, or close one that is decided. */
export async function moveDispute(
  env: Env,
  order: { readonly orgId: string; readonly disputeId: string; readonly to: DisputeStatus },
  author: Author,
  now: Instant,
): Promise<Case> {
  return transaction(env.store.db, async (tx) => {
    const dispute = await holdDispute(tx, order.orgId, order.disputeId);
    if (!mayBecome(dispute.status, order.to))
      throw new Problem(
        "dispute_status_conflict",
        `the dispute is ${dispute.status} and cannot become ${order.to}`,
      );
    await saveDispute(tx, { ...dispute, status: order.to });
    await appendAudit(tx, env.id, order.orgId, [
      {
        at: now,
        author,
        action: `dispute.${order.to}`,
        target: { kind: "dispute", id: dispute.disputeId },
        before: { status: dispute.status },
        after: { status: order.to },
      },
    ]);
    return readDispute(tx, order.orgId, order.disputeId);
  });
}

/** The dispute, held until the transaction ends, or the refusal. */
export async function holdDispute(tx: Tx, orgId: string, disputeId: string): Promise<Dispute> {
  const dispute = await lockDispute(tx, orgId, disputeId);
  if (!dispute) throw new Problem("dispute_not_found", `there is no dispute ${disputeId}`);
  return dispute;
}
