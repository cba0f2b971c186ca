import { sql } from "kysely";
import type { Attachment, Deadlines, DisputeStatus } from "../domain/disputes/index.ts";
import { currency } from "../kit/currency.ts";
import { type Money, money } from "../kit/money.ts";
import type { Instant } from "../kit/time.ts";
import { readInstant, readInstantOrNull, writeInstant } from "./columns.ts";
import type { Db, Tx } from "./connect.ts";

/** A case on one line of a document. */
export type Dispute = Deadlines & {
  readonly orgId: string;
  readonly disputeId: string;
  readonly invoiceId: string;
  readonly accountId: string;
  readonly lineNo: number;
  readonly status: DisputeStatus;
  /** Before tax, as on the line. */
  readonly amount: Money;
  /** The same with the tax on top: what is not asked for while the dispute is undecided. */
  readonly withheld: Money;
  readonly accepted: Money | null;
  readonly eventCount: bigint;
  readonly creditNoteId: string | null;
  readonly openedAt: Instant;
  readonly openedBy: string;
  readonly decidedAt: Instant | null;
  readonly decidedBy: string | null;
};

export type Side = "customer" | "provider";

export type DisputeMessage = {
  readonly messageId: string;
  readonly side: Side;
  readonly text: string;
  readonly file: { readonly name: string; readonly byteCount: number } | null;
  readonly writtenAt: Instant;
  readonly writtenBy: string;
};

type Row = {
  org_id: string;
  dispute_id: string;
  invoice_id: string;
  account_id: string;
  line_no: number;
  status: DisputeStatus;
  currency: string;
  amount_minor: bigint;
  withheld_minor: bigint;
  accepted_minor: bigint | null;
  event_count: bigint;
  credit_note_id: string | null;
  opened_at: string;
  opened_by: string;
  review_by: string;
  decide_by: string;
  decided_at: string | null;
  decided_by: string | null;
};

const disputeOf = (row: Row): Dispute => {
  const code = currency(row.currency);
  return {
    orgId: row.org_id,
    disputeId: row.dispute_id,
    invoiceId: row.invoice_id,
    accountId: row.account_id,
    lineNo: row.line_no,
    status: row.status,
    amount: money(code, row.amount_minor),
    withheld: money(code, row.withheld_minor),
    accepted: row.accepted_minor === null ? null : money(code, row.accepted_minor),
    eventCount: row.event_count,
    creditNoteId: row.credit_note_id,
    openedAt: readInstant(row.opened_at),
    openedBy: row.opened_by,
    reviewBy: readInstant(row.review_by),
    decideBy: readInstant(row.decide_by),
    decidedAt: readInstantOrNull(row.decided_at),
    decidedBy: row.decided_by,
  };
};

/** Breaks `dispute_once_per_line` when the line has an undecided dispute already. */
export async function insertDispute(tx: Tx, dispute: Dispute): Promise<void> {
  await tx
    .insertInto("dispute")
    .values({
      org_id: dispute.orgId,
      dispute_id: dispute.disputeId,
      invoice_id: dispute.invoiceId,
      account_id: dispute.accountId,
      line_no: dispute.lineNo,
      status: dispute.status,
      currency: dispute.amount.currency,
      amount_minor: dispute.amount.minor,
      withheld_minor: dispute.withheld.minor,
      event_count: dispute.eventCount,
      opened_at: writeInstant(dispute.openedAt),
      opened_by: dispute.openedBy,
      review_by: writeInstant(dispute.reviewBy),
      decide_by: writeInstant(dispute.decideBy),
    })
    .execute();
}

export async function findDispute(
  db: Db,
  orgId: string,
  disputeId: string,
): Promise<Dispute | undefined> {
  const { rows } = await sql<Row>`
    select * from dispute where org_id = ${orgId} and dispute_id = ${disputeId}`.execute(db);
  return rows[0] && disputeOf(rows[0]);
}

/** Hold a dispute until the transaction ends: whoever writes to it or decides it takes turns. */
export async function lockDispute(
  tx: Tx,
  orgId: string,
  disputeId: string,
): Promise<Dispute | undefined> {
  const { rows } = await sql<Row>`
    select * from dispute where org_id = ${orgId} and dispute_id = ${disputeId} for update`.execute(
    tx,
  );
  return rows[0] && disputeOf(rows[0]);
}

/** Disputes, newest first, from a position on; of one document when it is named. */
export async function pageDisputes(
  db: Db,
  page: {
    orgId: string;
    invoiceId?: string | undefined;
    after?: { openedAt: string; disputeId: string } | undefined;
    limit: number;
  },
): Promise<Dispute[]> {
  const { rows } = await sql<Row>`
    select * from dispute
    where org_id = ${page.orgId}
      and (${page.invoiceId ?? null}::text is null or invoice_id = ${page.invoiceId ?? null})
      and (${page.after?.openedAt ?? null}::timestamptz is null
           or (opened_at, dispute_id) < (${page.after?.openedAt ?? null}::timestamptz, ${page.after?.disputeId ?? null}))
    order by opened_at desc, dispute_id desc limit ${page.limit}`.execute(db);
  return rows.map(disputeOf);
}

/** What of a document is under dispute and undecided. */
export async function withheldMinor(db: Db, orgId: string, invoiceId: string): Promise<bigint> {
  const { rows } = await sql<{ minor: string }>`
    select coalesce(sum(withheld_minor), 0)::text as minor from dispute
    where org_id = ${orgId} and invoice_id = ${invoiceId} and status in ('open', 'under_review')`.execute(
    db,
  );
  return BigInt(rows[0]?.minor ?? 0);
}

/** What documents since a moment have restated of a cause: the correction of a line that is not waiting any more. */
export async function listRestated(
  db: Db,
  of: {
    readonly orgId: string;
    readonly accountId: string;
    readonly cause: string;
    readonly since: Instant;
  },
): Promise<
  { readonly invoiceId: string; readonly isCreditNote: boolean; readonly minor: bigint }[]
> {
  const { rows } = await sql<{ invoice_id: string; kind: string; amount_minor: bigint }>`
    select i.invoice_id, i.kind, l.amount_minor from invoice i
    join invoice_line l on l.org_id = i.org_id and l.invoice_id = i.invoice_id
    where i.org_id = ${of.orgId} and i.account_id = ${of.accountId} and i.status <> 'void'
      and i.issued_at >= ${writeInstant(of.since)} and l.cause = ${of.cause} and l.basis = 'restatement'
    order by i.sequence`.execute(db);
  return rows.map((row) => ({
    invoiceId: row.invoice_id,
    isCreditNote: row.kind === "credit_note",
    minor: row.amount_minor,
  }));
}

/** Store where a dispute stands and how it was decided. */
export async function saveDispute(tx: Tx, dispute: Dispute): Promise<void> {
  await tx
    .updateTable("dispute")
    .set({
      status: dispute.status,
      accepted_minor: dispute.accepted?.minor ?? null,
      credit_note_id: dispute.creditNoteId,
      decided_at: dispute.decidedAt === null ? null : writeInstant(dispute.decidedAt),
      decided_by: dispute.decidedBy,
    })
    .where("org_id", "=", dispute.orgId)
    .where("dispute_id", "=", dispute.disputeId)
    .execute();
}

export async function insertDisputeMessage(
  tx: Tx,
  of: { readonly orgId: string; readonly disputeId: string },
  message: Omit<DisputeMessage, "file"> & { readonly file: Attachment | null },
): Promise<void> {
  await tx
    .insertInto("dispute_message")
    .values({
      org_id: of.orgId,
      dispute_id: of.disputeId,
      message_id: message.messageId,
      side: message.side,
      text: message.text,
      file_name: message.file?.name ?? null,
      file: message.file ? Buffer.from(message.file.content) : null,
      written_at: writeInstant(message.writtenAt),
      written_by: message.writtenBy,
    })
    .execute();
}

/** What both sides wrote, in order; files by name and size. */
export async function listDisputeMessages(
  db: Db,
  orgId: string,
  disputeId: string,
): Promise<DisputeMessage[]> {
  const { rows } = await sql<{
    message_id: string;
    side: Side;
    text: string;
    file_name: string | null;
    byte_count: number | null;
    written_at: string;
    written_by: string;
  }>`
    select message_id, side, text, file_name, octet_length(file) as byte_count, written_at, written_by
    from dispute_message where org_id = ${orgId} and dispute_id = ${disputeId}
    order by written_at, message_id`.execute(db);
  return rows.map((row) => ({
    messageId: row.message_id,
    side: row.side,
    text: row.text,
    file: row.file_name === null ? null : { name: row.file_name, byteCount: row.byte_count ?? 0 },
    writtenAt: readInstant(row.written_at),
    writtenBy: row.written_by,
  }));
}

export async function findDisputeFile(
  db: Db,
  orgId: string,
  disputeId: string,
  messageId: string,
): Promise<Attachment | undefined> {
  const row = await db
    .selectFrom("dispute_message")
    .select(["file_name", "file"])
    .where("org_id", "=", orgId)
    .where("dispute_id", "=", disputeId)
    .where("message_id", "=", messageId)
    .executeTakeFirst();
  return row?.file && row.file_name !== null
    ? { name: row.file_name, content: row.file }
    : undefined;
}
