import { CompiledQuery, sql } from "kysely";
import type { Quota } from "../domain/entitlements/index.ts";
import { never, readUnits, type Units, writeUnits } from "../domain/grants/index.ts";
import type { Instant } from "../kit/time.ts";
import { readInstant, writeInstant } from "./columns.ts";
import type { Db, Tx } from "./connect.ts";
import type { LimitKey } from "./limit-rows.ts";

const writeWindow = (at: Instant | null): string => (at === null ? "-infinity" : writeInstant(at));

export type StoredReservation = LimitKey & {
  readonly id: string;
  readonly quantity: Units;
  readonly heldUnits: Units;
  readonly quotaWindow: Instant | null;
  readonly heldMinor: bigint;
  readonly committed: Units | null;
  readonly status: "held" | "committed" | "released";
  readonly expiresAt: Instant;
  readonly createdAt: Instant;
};

export const insertReservationsQuery = `
  insert into reservation (org_id, reservation_id, account_id, feature, quantity, held_units, quota_window, held_minor,
                           status, expires_at, created_at)
  select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::numeric[], $6::numeric[], $7::timestamptz[],
                       $8::bigint[], $9::text[], $10::timestamptz[], $11::timestamptz[])`;

/** What `insertReservationsQuery` is given: an array per column. */
export const reservationColumns = (made: readonly StoredReservation[]): (string | null)[][] => [
  made.map((r) => r.orgId),
  made.map((r) => r.id),
  made.map((r) => r.accountId),
  made.map((r) => r.feature),
  made.map((r) => writeUnits(r.quantity)),
  made.map((r) => writeUnits(r.heldUnits)),
  made.map((r) => (r.quotaWindow === null ? null : writeInstant(r.quotaWindow))),
  made.map((r) => r.heldMinor.toString()),
  made.map((r) => r.status),
  made.map((r) => writeInstant(r.expiresAt)),
  made.map((r) => writeInstant(r.createdAt)),
];

export async function insertReservations(
  tx: Tx,
  made: readonly StoredReservation[],
): Promise<void> {
  if (made.length === 0) return;
  await tx.executeQuery(CompiledQuery.raw(insertReservationsQuery, reservationColumns(made)));
}

/** A reservation, held until commit. */
export async function lockReservation(
  tx: Tx,
  orgId: string,
  id: string,
): Promise<StoredReservation | undefined> {
  const row = await tx
    .selectFrom("reservation")
    .selectAll()
    .where("org_id", "=", orgId)
    .where("reservation_id", "=", id)
    .forUpdate()
    .executeTakeFirst();
  if (!row) return undefined;
  return {
    orgId: row.org_id,
    id: row.reservation_id,
    accountId: row.account_id,
    feature: row.feature,
    quantity: readUnits(row.quantity),
    heldUnits: readUnits(row.held_units),
    quotaWindow: row.quota_window === null ? null : readInstant(row.quota_window),
    heldMinor: row.held_minor,
    committed: row.committed === null ? null : readUnits(row.committed),
    status: row.status as StoredReservation["status"],
    expiresAt: readInstant(row.expires_at),
    createdAt: readInstant(row.created_at),
  };
}

export async function endReservation(
  tx: Tx,
  reservation: StoredReservation,
  ended: { status: "committed" | "released"; committed: Units | null; at: Instant },
): Promise<void> {
  await tx
    .updateTable("reservation")
    .set({
      status: ended.status,
      committed: ended.committed === null ? null : writeUnits(ended.committed),
      ended_at: writeInstant(ended.at),
    })
    .where("org_id", "=", reservation.orgId)
    .where("reservation_id", "=", reservation.id)
    .execute();
}

/** A use to count against a quota in a window (null for levels). */
export type UseToCount = LimitKey & {
  readonly startsAt: Instant | null;
  readonly quantity: Units;
  /** Set by the use that goes beyond the limit: the first one stands. */
  readonly exceededAt: Instant | null;
};

/** Count it; a level gives room back with a use below zero, down to nothing in use. */
export async function addQuotaUse(tx: Tx, use: UseToCount): Promise<void> {
  const exceeded = use.exceededAt === null ? null : writeInstant(use.exceededAt);
  const quantity = sql`${writeUnits(use.quantity)}::numeric`;
  await sql`
    insert into quota_use (org_id, account_id, quota_key, starts_at, used, exceeded_at)
    values (${use.orgId}, ${use.accountId}, ${use.feature}, ${writeWindow(use.startsAt)}, greatest(0, ${quantity}),
            ${exceeded})
    on conflict (org_id, account_id, quota_key, starts_at) do update
    set used = greatest(0, quota_use.used + ${quantity}),
        exceeded_at = coalesce(quota_use.exceeded_at, excluded.exceeded_at)`.execute(tx);
}

/** Several uses at once, none below zero, each key and window once. */
export const addQuotaUsesQuery = `
  insert into quota_use (org_id, account_id, quota_key, starts_at, used, exceeded_at)
  select * from unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::numeric[], $6::timestamptz[])
  on conflict (org_id, account_id, quota_key, starts_at) do update
  set used = quota_use.used + excluded.used, exceeded_at = coalesce(quota_use.exceeded_at, excluded.exceeded_at)`;

/** What `addQuotaUsesQuery` is given: an array per column. */
export const useColumns = (uses: readonly UseToCount[]): (string | null)[][] => [
  uses.map((use) => use.orgId),
  uses.map((use) => use.accountId),
  uses.map((use) => use.feature),
  uses.map((use) => writeWindow(use.startsAt)),
  uses.map((use) => writeUnits(use.quantity)),
  uses.map((use) => (use.exceededAt === null ? null : writeInstant(use.exceededAt))),
];

export async function saveQuota(
  tx: Tx,
  of: Omit<LimitKey, "feature">,
  quota: Quota,
): Promise<void> {
  const values = {
    ceiling: writeUnits(quota.limit),
    quota_window: quota.window,
    enforcement: quota.enforcement,
    burst: writeUnits(quota.burst),
    soft_up_to: quota.softUpTo === null ? null : writeUnits(quota.softUpTo),
    grace_hours: quota.graceHours,
  };
  await tx
    .insertInto("quota")
    .values({ org_id: of.orgId, account_id: of.accountId, quota_key: quota.key, ...values })
    .onConflict((c) => c.columns(["org_id", "account_id", "quota_key"]).doUpdateSet(values))
    .execute();
}

export async function saveSpendingLimit(
  tx: Tx,
  of: Omit<LimitKey, "feature">,
  limit: { capMinor: bigint | null; creditOnly: boolean },
): Promise<void> {
  const values = { cap_minor: limit.capMinor, credit_only: limit.creditOnly };
  await tx
    .insertInto("spending_limit")
    .values({ org_id: of.orgId, account_id: of.accountId, ...values })
    .onConflict((c) => c.columns(["org_id", "account_id"]).doUpdateSet(values))
    .execute();
}

export async function saveFeature(tx: Tx, key: LimitKey, allowed: boolean): Promise<void> {
  await tx
    .insertInto("feature_grant")
    .values({ org_id: key.orgId, account_id: key.accountId, feature: key.feature, allowed })
    .onConflict((c) => c.columns(["org_id", "account_id", "feature"]).doUpdateSet({ allowed }))
    .execute();
}

export type QuotaRequest = {
  readonly orgId: string;
  readonly id: string;
  readonly accountId: string;
  readonly quotaKey: string;
  readonly limit: Units;
  readonly startsAt: Instant;
  readonly endsAt: Instant;
  readonly reason: string;
  readonly status: "requested" | "approved" | "declined";
  readonly requestedBy: string;
  readonly requestedAt: Instant;
  readonly decidedBy: string | null;
};

export async function insertQuotaRequest(tx: Tx, request: QuotaRequest): Promise<void> {
  await tx
    .insertInto("quota_request")
    .values({
      org_id: request.orgId,
      request_id: request.id,
      account_id: request.accountId,
      quota_key: request.quotaKey,
      ceiling: writeUnits(request.limit),
      starts_at: writeInstant(request.startsAt),
      ends_at: request.endsAt === never ? "infinity" : writeInstant(request.endsAt),
      reason: request.reason,
      status: request.status,
      requested_by: request.requestedBy,
      requested_at: writeInstant(request.requestedAt),
    })
    .execute();
}

export async function listQuotaRequests(
  db: Db,
  of: { orgId: string; accountId: string; id?: string | undefined },
): Promise<QuotaRequest[]> {
  let query = db
    .selectFrom("quota_request")
    .selectAll()
    .where("org_id", "=", of.orgId)
    .where("account_id", "=", of.accountId);
  if (of.id !== undefined) query = query.where("request_id", "=", of.id);
  const rows = await query.orderBy("request_id").execute();
  return rows.map((row) => ({
    orgId: row.org_id,
    id: row.request_id,
    accountId: row.account_id,
    quotaKey: row.quota_key,
    limit: readUnits(row.ceiling),
    startsAt: readInstant(row.starts_at),
    endsAt: row.ends_at === "infinity" ? never : readInstant(row.ends_at),
    reason: row.reason,
    status: row.status as QuotaRequest["status"],
    requestedBy: row.requested_by,
    requestedAt: readInstant(row.requested_at),
    decidedBy: row.decided_by,
  }));
}

/** Decide an open request, once. False when it was decided already. */
export async function decideQuotaRequest(
  tx: Tx,
  request: QuotaRequest,
  decision: { status: "approved" | "declined"; by: string; at: Instant },
): Promise<boolean> {
  const { numUpdatedRows } = await tx
    .updateTable("quota_request")
    .set({
      status: decision.status,
      decided_by: decision.by,
      decided_at: writeInstant(decision.at),
    })
    .where("org_id", "=", request.orgId)
    .where("request_id", "=", request.id)
    .where("status", "=", "requested")
    .executeTakeFirst();
  return numUpdatedRows === 1n;
}
