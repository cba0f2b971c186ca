import { sql } from "kysely";
import type { Contact } from "../domain/accounts/index.ts";
import { type Instant, shift } from "../kit/time.ts";
import { readInstant, readInstantOrNull, writeInstant } from "./columns.ts";
import type { Db, Tx } from "./connect.ts";
import { accountKeyText, type AccountKey } from "./invoice-facts.ts";

/** `unaddressed`: the account named nobody. `sandbox`: mails of test organizations never leave. */
export type MailStatus = "queued" | "sending" | "sent" | "dead" | "unaddressed" | "sandbox";
export const mailStatuses = [
  "queued",
  "sending",
  "sent",
  "dead",
  "unaddressed",
  "sandbox",
] as const satisfies readonly MailStatus[];

export type OutboxMail = {
  readonly orgId: string;
  readonly messageId: string;
  /** What it tells about, once: "invoice inv_…". */
  readonly cause: string;
  readonly kind: string;
  readonly subjectId: string;
  readonly recipients: readonly string[];
  readonly status: MailStatus;
  readonly attempts: number;
  readonly lastError: string | null;
  readonly nextAttemptAt: Instant;
  readonly createdAt: Instant;
  readonly sentAt: Instant | null;
};
export type QueuedMail = Pick<
  OutboxMail,
  "orgId" | "messageId" | "cause" | "kind" | "subjectId" | "recipients" | "status"
>;

/** Put mails into the outbox, in the transaction of what they tell about; a cause that has one already gets no second. */
export async function queueMails(
  db: Db,
  mails: readonly QueuedMail[],
  now: Instant,
): Promise<void> {
  if (mails.length === 0) return;
  const at = writeInstant(now);
  await db
    .insertInto("mail_outbox")
    .values(
      mails.map((mail) => ({
        org_id: mail.orgId,
        message_id: mail.messageId,
        cause: mail.cause,
        kind: mail.kind,
        subject_id: mail.subjectId,
        recipients: [...mail.recipients],
        status: mail.status,
        next_attempt_at: at,
        created_at: at,
      })),
    )
    .onConflict((conflict) => conflict.constraint("mail_once_per_cause").doNothing())
    .execute();
}

/** Whom accounts named for their documents, and whether they live in a sandbox. */
export type Addressees = {
  readonly apEmail: string | null;
  readonly contacts: readonly Contact[];
  readonly isSandbox: boolean;
};

export async function loadAddressees(
  db: Db,
  accounts: readonly AccountKey[],
): Promise<Map<string, Addressees>> {
  const { rows } = await sql<{
    org_id: string;
    account_id: string;
    ap_email: string | null;
    contacts: Addressees["contacts"];
    is_sandbox: boolean;
  }>`
    select a.org_id, a.account_id, a.ap_email, a.contacts, o.test_clock_at is not null as is_sandbox
    from unnest(${accounts.map((one) => one.orgId)}::text[], ${accounts.map((one) => one.accountId)}::text[])
      as wanted (org_id, account_id)
    join billing_account a on a.org_id = wanted.org_id and a.account_id = wanted.account_id
    join organization o on o.org_id = wanted.org_id`.execute(db);
  return new Map(
    rows.map((row) => [
      accountKeyText(row.org_id, row.account_id),
      { apEmail: row.ap_email, contacts: row.contacts, isSandbox: row.is_sandbox },
    ]),
  );
}

type MailRow = {
  org_id: string;
  message_id: string;
  cause: string;
  kind: string;
  subject_id: string;
  recipients: string[];
  status: MailStatus;
  attempts: number;
  last_error: string | null;
  next_attempt_at: string;
  created_at: string;
  sent_at: string | null;
};

const mailOf = (row: MailRow): OutboxMail => ({
  orgId: row.org_id,
  messageId: row.message_id,
  cause: row.cause,
  kind: row.kind,
  subjectId: row.subject_id,
  recipients: row.recipients,
  status: row.status,
  attempts: row.attempts,
  lastError: row.last_error,
  nextAttemptAt: readInstant(row.next_attempt_at),
  createdAt: readInstant(row.created_at),
  sentAt: readInstantOrNull(row.sent_at),
});

/**
 * Take the mail that is due longest, for as long as the lease: nobody else gets it before. One whose process died is due
 * again when its lease has run out.
 */
export async function claimMail(
  db: Db,
  now: Instant,
  leaseMicros: number,
): Promise<OutboxMail | undefined> {
  // The claim is materialized: as a subquery of the update it might be evaluated more than once.
  const { rows } = await sql<MailRow>`
    with due as materialized (
      select org_id, message_id from mail_outbox
      where status in ('queued', 'sending') and next_attempt_at <= ${writeInstant(now)}
      order by next_attempt_at limit 1 for update skip locked)
    update mail_outbox m set status = 'sending', attempts = attempts + 1,
      next_attempt_at = ${writeInstant(shift(now, leaseMicros))}
    from due where m.org_id = due.org_id and m.message_id = due.message_id
    returning m.*`.execute(db);
  return rows[0] && mailOf(rows[0]);
}

export type MailOutcome =
  | { readonly status: "sent"; readonly at: Instant; readonly note: string | null }
  | { readonly status: "queued"; readonly at: Instant; readonly note: string }
  | { readonly status: "dead"; readonly note: string };

/** Note how an attempt ended. One whose lease was taken over by another attempt changes nothing any more. */
export async function settleMail(db: Db, mail: OutboxMail, outcome: MailOutcome): Promise<void> {
  await db
    .updateTable("mail_outbox")
    .set({
      status: outcome.status,
      last_error: outcome.note,
      ...(outcome.status === "sent" ? { sent_at: writeInstant(outcome.at) } : {}),
      ...(outcome.status === "queued" ? { next_attempt_at: writeInstant(outcome.at) } : {}),
    })
    .where("org_id", "=", mail.orgId)
    .where("message_id", "=", mail.messageId)
    .where("status", "=", "sending")
    .where("attempts", "=", mail.attempts)
    .execute();
}

/** Hold a mail until the transaction ends. */
export async function lockMail(
  tx: Tx,
  orgId: string,
  messageId: string,
): Promise<OutboxMail | undefined> {
  const { rows } = await sql<MailRow>`
    select * from mail_outbox where org_id = ${orgId} and message_id = ${messageId} for update`.execute(
    tx,
  );
  return rows[0] && mailOf(rows[0]);
}

/** Let a mail that never arrived start anew, to these recipients. */
export async function requeueMail(
  tx: Tx,
  mail: OutboxMail,
  recipients: readonly string[],
  now: Instant,
): Promise<void> {
  await tx
    .updateTable("mail_outbox")
    .set({
      status: "queued",
      attempts: 0,
      last_error: null,
      recipients: [...recipients],
      next_attempt_at: writeInstant(now),
    })
    .where("org_id", "=", mail.orgId)
    .where("message_id", "=", mail.messageId)
    .execute();
}

/** The mails of an organization, newest first, from a position on. */
export async function pageMails(
  db: Db,
  page: {
    orgId: string;
    status?: MailStatus | undefined;
    subjectId?: string | undefined;
    after?: { createdAt: string; messageId: string } | undefined;
    limit: number;
  },
): Promise<OutboxMail[]> {
  const { rows } = await sql<MailRow>`
    select * from mail_outbox
    where org_id = ${page.orgId}
      and (${page.status ?? null}::text is null or status = ${page.status ?? null})
      and (${page.subjectId ?? null}::text is null or subject_id = ${page.subjectId ?? null})
      and (${page.after?.createdAt ?? null}::timestamptz is null
           or (created_at, message_id) < (${page.after?.createdAt ?? null}::timestamptz, ${page.after?.messageId ?? null}))
    order by created_at desc, message_id desc limit ${page.limit}`.execute(db);
  return rows.map(mailOf);
}
