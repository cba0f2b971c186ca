import { sql } from "kysely";
import { currency } from "../kit/currency.ts";
import { type Money, money } from "../kit/money.ts";
import type { Instant } from "../kit/time.ts";
import { readInstant, readInstantOrNull, writeInstant } from "./columns.ts";
import type { Db, Tx } from "./connect.ts";
import type { AccountKey } from "./invoice-facts.ts";
import { livesInTime } from "./organizations.ts";

export const refundStatuses = ["pending", "succeeded", "declined"] as const;
export type RefundStatus = (typeof refundStatuses)[number];

/** Money sent back to a payer out of the account's credit. */
export type Refund = AccountKey & {
  readonly refundId: string;
  readonly amount: Money;
  readonly status: RefundStatus;
  /** Where the money goes from: the processor's name, or "bank" for a transfer made by hand. */
  readonly via: string;
  readonly reference: string | null;
  readonly reason: string;
  readonly requestKey: string;
  readonly createdAt: Instant;
  readonly createdBy: string;
  readonly settledAt: Instant | null;
};

type Row = {
  org_id: string;
  refund_id: string;
  account_id: string;
  currency: string;
  amount_minor: bigint;
  status: RefundStatus;
  via: string;
  reference: string | null;
  reason: string;
  request_key: string;
  created_at: string;
  created_by: string;
  settled_at: string | null;
};

const refundOf = (row: Row): Refund => ({
  orgId: row.org_id,
  refundId: row.refund_id,
  accountId: row.account_id,
  amount: money(currency(row.currency), row.amount_minor),
  status: row.status,
  via: row.via,
  reference: row.reference,
  reason: row.reason,
  requestKey: row.request_key,
  createdAt: readInstant(row.created_at),
  createdBy: row.created_by,
  settledAt: readInstantOrNull(row.settled_at),
});

export async function insertRefund(tx: Tx, refund: Refund): Promise<void> {
  await tx
    .insertInto("refund")
    .values({
      org_id: refund.orgId,
      refund_id: refund.refundId,
      account_id: refund.accountId,
      currency: refund.amount.currency,
      amount_minor: refund.amount.minor,
      status: refund.status,
      via: refund.via,
      reference: refund.reference,
      reason: refund.reason,
      request_key: refund.requestKey,
      created_at: writeInstant(refund.createdAt),
      created_by: refund.createdBy,
      settled_at: refund.settledAt === null ? null : writeInstant(refund.settledAt),
    })
    .execute();
}

/** The refund that somebody asked for under this name before. */
export async function findRefundByKey(
  db: Db,
  of: AccountKey & { readonly requestKey: string },
): Promise<Refund | undefined> {
  const { rows } = await sql<Row>`
    select * from refund where org_id = ${of.orgId} and account_id = ${of.accountId} and request_key = ${of.requestKey}`.execute(
    db,
  );
  return rows[0] && refundOf(rows[0]);
}

/** Hold a refund until the transaction ends: it is settled once. */
export async function lockRefund(
  tx: Tx,
  orgId: string,
  refundId: string,
): Promise<Refund | undefined> {
  const { rows } = await sql<Row>`
    select * from refund where org_id = ${orgId} and refund_id = ${refundId} for update`.execute(
    tx,
  );
  return rows[0] && refundOf(rows[0]);
}

export async function markRefund(
  tx: Tx,
  of: Refund,
  to: { readonly status: RefundStatus; readonly reference: string | null; readonly at: Instant },
): Promise<void> {
  await sql`
    update refund set status = ${to.status}, reference = ${to.reference}, settled_at = ${writeInstant(to.at)}
    where org_id = ${of.orgId} and refund_id = ${of.refundId}`.execute(tx);
}

/** Refunds whose outcome nobody has heard, oldest first. */
export async function listPendingRefunds(
  db: Db,
  of: { readonly orgId?: string | undefined; readonly limit: number },
): Promise<Refund[]> {
  const { rows } = await sql<Row>`
    select * from refund where status = 'pending' and ${livesInTime(sql`refund.org_id`, of.orgId)}
    order by created_at, refund_id limit ${of.limit}`.execute(db);
  return rows.map(refundOf);
}
