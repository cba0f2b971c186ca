import { sql } from "kysely";
import type { Quota, QuotaWindow } from "../domain/entitlements/index.ts";
import { never, readUnits, type Units, writeUnits } from "../domain/grants/index.ts";
import {
  readSubscription,
  type Subscription,
  type SubscriptionDocument,
} from "../domain/subscriptions/index.ts";
import type { Instant } from "../kit/time.ts";
import { readInstant, writeInstant } from "./columns.ts";
import type { Db, Tx } from "./connect.ts";

export type LimitKey = {
  readonly orgId: string;
  readonly accountId: string;
  /** A meter whose units are sold in batches, the key of a quota, or the name of a feature: often the same word. */
  readonly feature: string;
};

/** Everything stored that decides whether an account may use something now. */
export type LimitRow = LimitKey & {
  readonly status: string;
  readonly currency: string;
  readonly timeZone: string;
  readonly priceBook: string | null;
  readonly featureAllowed: boolean | null;
  readonly creditOnly: boolean;
  readonly capMinor: bigint | null;
  readonly heldMinor: bigint;
  readonly creditMinor: bigint;
  /** A ceiling that staff has set for this account. */
  readonly quota: Quota | null;
  readonly raisedTo: Units | null;
  readonly lastWindow: {
    readonly startsAt: Instant | null;
    readonly used: Units;
    readonly exceededAt: Instant | null;
  } | null;
  /** What reservations hold in their newest window; of levels, which have none, all of it. */
  readonly held: Units;
  readonly heldWindow: Instant | null;
  readonly hasGrants: boolean;
  readonly available: Units;
  readonly heldUnits: Units;
  /** Open ones, whatever they give at this moment. */
  readonly subscriptions: readonly Subscription[];
};

type Row = {
  no: bigint;
  org_id: string;
  account_id: string;
  status: string;
  currency: string;
  time_zone: string;
  price_book: string | null;
  feature_allowed: boolean | null;
  credit_only: boolean | null;
  cap_minor: bigint | null;
  held_minor: string | null;
  credit: string | null;
  ceiling: string | null;
  quota_window: QuotaWindow | null;
  enforcement: "hard" | "soft" | null;
  burst: string | null;
  soft_up_to: string | null;
  grace_hours: number | null;
  raised_to: string | null;
  use_starts_at: string | null;
  used: string | null;
  exceeded_at: string | null;
  held: string | null;
  held_window: string | null;
  has_grants: boolean;
  available: string | null;
  held_units: string | null;
  subscriptions: { id: string; timeline: SubscriptionDocument }[] | null;
};

/** The limits for many questions in one query, in the order asked; undefined where there is no such account. */
export async function listLimits(
  db: Db,
  keys: readonly LimitKey[],
  now: Instant,
): Promise<(LimitRow | undefined)[]> {
  const at = sql`${writeInstant(now)}::timestamptz`;
  const { rows } = await sql<Row>`
    select n.no, a.org_id, a.account_id, a.status, a.currency, a.time_zone, a.price_book,
           f.allowed as feature_allowed, l.credit_only, l.cap_minor,
           case when l.org_id is null then null else
             (select sum(r.held_minor) from reservation r where r.org_id = n.org_id and r.account_id = a.account_id
               and r.status = 'held' and r.expires_at > ${at}) end as held_minor,
           case when l.credit_only then
             (select sum(g.remaining) from account_grant g where g.org_id = n.org_id and g.account_id = a.account_id
               and g.denomination = 'money' and g.pool = a.currency and g.has_units and g.valid_from <= ${at}
               and g.expires_at > ${at}) end as credit,
           q.ceiling, q.quota_window, q.enforcement, q.burst, q.soft_up_to, q.grace_hours,
           (select r.ceiling from quota_request r where r.org_id = n.org_id
              and r.account_id = a.account_id and r.quota_key = n.feature and r.status = 'approved'
              and r.starts_at <= ${at} and r.ends_at > ${at} order by r.starts_at desc limit 1) as raised_to,
           u.starts_at as use_starts_at, u.used, u.exceeded_at,
           h.held, h.quota_window as held_window, h.held_units, g.has_grants, g.available,
           (select jsonb_agg(jsonb_build_object('id', s.subscription_id, 'timeline', s.timeline) order by s.subscription_id)
            from subscription s where s.org_id = n.org_id and s.account_id = a.account_id and s.closed_at is null
           ) as subscriptions
    from unnest(${keys.map((k) => k.orgId)}::text[], ${keys.map((k) => k.accountId)}::text[],
                ${keys.map((k) => k.feature)}::text[]) with ordinality as n (org_id, account_id, feature, no)
    join billing_account a on a.org_id = n.org_id and a.account_id = n.account_id
    left join feature_grant f on f.org_id = n.org_id and f.account_id = n.account_id and f.feature = n.feature
    left join spending_limit l on l.org_id = n.org_id and l.account_id = n.account_id
    left join quota q on q.org_id = n.org_id and q.account_id = n.account_id and q.quota_key = n.feature
    left join lateral (
      select u.starts_at, u.used, u.exceeded_at from quota_use u
      where u.org_id = n.org_id and u.account_id = n.account_id and u.quota_key = n.feature
      order by u.starts_at desc limit 1) u on true
    left join lateral (
      select r.quota_window, sum(r.quantity) as held, sum(sum(r.held_units)) over () as held_units
      from reservation r where r.org_id = n.org_id and r.account_id = n.account_id and r.feature = n.feature
        and r.status = 'held' and r.expires_at > ${at}
      group by r.quota_window order by r.quota_window desc limit 1) h on true
    cross join lateral (
      select count(*) > 0 as has_grants, sum(s.remaining) as available from (
        select case when g.valid_from <= ${at} and g.expires_at > ${at} then g.remaining else 0 end as remaining
        from account_grant g
        where g.org_id = n.org_id and g.account_id = n.account_id and g.pool = n.feature and g.has_units) s) g
    order by n.no`.execute(db);
  const found: (LimitRow | undefined)[] = keys.map(() => undefined);
  for (const row of rows) {
    const index = Number(row.no) - 1;
    found[index] = limitOf(row, (keys[index] as LimitKey).feature);
  }
  return found;
}

const units = (text: string | null): Units => (text === null ? 0 : readUnits(text));
const windowStart = (text: string): Instant | null =>
  text === "-infinity" ? null : readInstant(text);
const writeWindow = (at: Instant | null): string => (at === null ? "-infinity" : writeInstant(at));

const limitOf = (row: Row, feature: string): LimitRow => ({
  orgId: row.org_id,
  accountId: row.account_id,
  feature,
  status: row.status,
  currency: row.currency,
  timeZone: row.time_zone,
  priceBook: row.price_book,
  featureAllowed: row.feature_allowed,
  creditOnly: row.credit_only ?? false,
  capMinor: row.cap_minor,
  heldMinor: BigInt(row.held_minor ?? "0"),
  creditMinor: BigInt((row.credit ?? "0").split(".")[0] ?? "0"),
  quota: row.ceiling === null ? null : quotaOf(row, feature),
  raisedTo: row.raised_to === null ? null : readUnits(row.raised_to),
  lastWindow:
    row.used === null || row.use_starts_at === null
      ? null
      : {
          startsAt: windowStart(row.use_starts_at),
          used: readUnits(row.used),
          exceededAt: row.exceeded_at === null ? null : readInstant(row.exceeded_at),
        },
  held: units(row.held),
  heldWindow: row.held_window === null ? null : readInstant(row.held_window),
  hasGrants: row.has_grants,
  available: units(row.available),
  heldUnits: units(row.held_units),
  subscriptions: (row.subscriptions ?? []).map(({ id, timeline }) =>
    readSubscription(id, timeline),
  ),
});

const quotaOf = (row: Row, key: string): Quota => ({
  key,
  limit: units(row.ceiling),
  window: row.quota_window ?? "none",
  enforcement: row.enforcement ?? "hard",
  burst: units(row.burst),
  softUpTo: row.soft_up_to === null ? null : readUnits(row.soft_up_to),
  graceHours: row.grace_hours ?? 0,
});

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

export async function insertReservations(
  tx: Tx,
  made: readonly StoredReservation[],
): Promise<void> {
  if (made.length === 0) return;
  await sql`
    insert into reservation (org_id, reservation_id, account_id, feature, quantity, held_units, quota_window, held_minor,
                             status, expires_at, created_at)
    select * from unnest(${made.map((r) => r.orgId)}::text[], ${made.map((r) => r.id)}::text[],
      ${made.map((r) => r.accountId)}::text[], ${made.map((r) => r.feature)}::text[],
      ${made.map((r) => writeUnits(r.quantity))}::numeric[], ${made.map((r) => writeUnits(r.heldUnits))}::numeric[],
      ${made.map((r) => (r.quotaWindow === null ? null : writeInstant(r.quotaWindow)))}::timestamptz[],
      ${made.map((r) => r.heldMinor.toString())}::bigint[], ${made.map((r) => r.status)}::text[],
      ${made.map((r) => writeInstant(r.expiresAt))}::timestamptz[],
      ${made.map((r) => writeInstant(r.createdAt))}::timestamptz[])`.execute(tx);
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

/**
 * Count use against a quota in a window (null for levels, where a use below zero gives room back, down to nothing in use).
 */
export async function addQuotaUse(
  tx: Tx,
  key: LimitKey,
  use: { startsAt: Instant | null; quantity: Units; exceededAt: Instant | null },
): Promise<void> {
  const exceeded = use.exceededAt === null ? null : writeInstant(use.exceededAt);
  const quantity = sql`${writeUnits(use.quantity)}::numeric`;
  await sql`
    insert into quota_use (org_id, account_id, quota_key, starts_at, used, exceeded_at)
    values (${key.orgId}, ${key.accountId}, ${key.feature}, ${writeWindow(use.startsAt)}, greatest(0, ${quantity}),
            ${exceeded})
    on conflict (org_id, account_id, quota_key, starts_at) do update
    set used = greatest(0, quota_use.used + ${quantity}),
        exceeded_at = coalesce(quota_use.exceeded_at, excluded.exceeded_at)`.execute(tx);
}

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
