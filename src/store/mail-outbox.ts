import { sql } from "kysely";
import { type Instant, shift } from "../kit/time.ts";
import { readInstant, writeInstant } from "./columns.ts";
import type { Db } from "./connect.ts";

export type QueuedMail = {
  readonly orgId: string;
  readonly messageId: string;
  /** What it tells about, once: "invoice inv_…". */
  readonly cause: string;
  readonly kind: string;
  readonly subjectId: string;
  readonly recipients: readonly string[];
};
export type ClaimedMail = QueuedMail & { readonly attempts: number; readonly createdAt: Instant };

/** Put a mail into the outbox; false when the same cause has one already. Call it in the transaction of the cause. */
export async function queueMail(db: Db, mail: QueuedMail, now: Instant): Promise<boolean> {
  const result = await db
    .insertInto("mail_outbox")
    .values({
      org_id: mail.orgId,
      message_id: mail.messageId,
      cause: mail.cause,
      kind: mail.kind,
      subject_id: mail.subjectId,
      recipients: [...mail.recipients],
      next_attempt_at: writeInstant(now),
      created_at: writeInstant(now),
    })
    .onConflict((conflict) => conflict.constraint("mail_once_per_cause").doNothing())
    .executeTakeFirst();
  return (result.numInsertedOrUpdatedRows ?? 0n) > 0n;
}

/**
 * Take the next mails that are due, for as long as the lease: nobody else gets them before. One whose process died is due
 * again when its lease has run out.
 */
export async function claimMails(
  db: Db,
  now: Instant,
  leaseMicros: number,
  limit: number,
): Promise<ClaimedMail[]> {
  const { rows } = await sql<{
    org_id: string;
    message_id: string;
    cause: string;
    kind: string;
    subject_id: string;
    recipients: string[];
    attempts: number;
    created_at: string;
  }>`
    update mail_outbox set status = 'sending', attempts = attempts + 1, next_attempt_at = ${writeInstant(shift(now, leaseMicros))}
    where (org_id, message_id) in (
      select org_id, message_id from mail_outbox
      where status in ('queued', 'sending') and next_attempt_at <= ${writeInstant(now)}
      order by next_attempt_at limit ${limit} for update skip locked)
    returning org_id, message_id, cause, kind, subject_id, recipients, attempts, created_at`.execute(
    db,
  );
  return rows.map((row) => ({
    orgId: row.org_id,
    messageId: row.message_id,
    cause: row.cause,
    kind: row.kind,
    subjectId: row.subject_id,
    recipients: row.recipients,
    attempts: row.attempts,
    createdAt: readInstant(row.created_at),
  }));
}

export async function markMailSent(db: Db, mail: QueuedMail, now: Instant): Promise<void> {
  await mark(db, mail, { status: "sent", sent_at: writeInstant(now), last_error: null });
}

export async function markMailRetry(
  db: Db,
  mail: QueuedMail,
  at: Instant,
  because: string,
): Promise<void> {
  await mark(db, mail, {
    status: "queued",
    next_attempt_at: writeInstant(at),
    last_error: because,
  });
}

/** Given up; stays visible until a person sends it again. */
export async function markMailDead(db: Db, mail: QueuedMail, because: string): Promise<void> {
  await mark(db, mail, { status: "dead", last_error: because });
}

async function mark(
  db: Db,
  mail: QueuedMail,
  columns: {
    status: "queued" | "sent" | "dead";
    sent_at?: string;
    next_attempt_at?: string;
    last_error: string | null;
  },
): Promise<void> {
  await db
    .updateTable("mail_outbox")
    .set(columns)
    .where("org_id", "=", mail.orgId)
    .where("message_id", "=", mail.messageId)
    .execute();
}
