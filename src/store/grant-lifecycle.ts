import { sql } from "kysely";
import {
  type Denomination,
  type Grant,
  type MovementKind,
  poolOf,
  readUnits,
  type Units,
  withMovement,
  writeUnits,
} from "../domain/grants/index.ts";
import { currency } from "../kit/currency.ts";
import type { AccountId, GrantId, MakeId } from "../kit/ids.ts";
import { money } from "../kit/money.ts";
import type { Instant } from "../kit/time.ts";
import { readDecimal, readInstant, writeDecimal, writeInstant } from "./columns.ts";
import type { Db, Tx } from "./connect.ts";
import { readEnd, writeEnd } from "./grants.ts";
import { livesInTime } from "./organizations.ts";

/** A grant with the organization it belongs to and the purchase it came from. */
export type StoredGrant = Grant & {
  readonly orgId: string;
  readonly purchaseId: string | null;
  readonly parentOrgId: string | null;
};

type GrantRow = {
  org_id: string;
  grant_id: string;
  account_id: string;
  pool: string;
  denomination: "units" | "money";
  sku_code: string | null;
  origin: Grant["origin"];
  priority: number;
  valid_from: string;
  expires_at: string;
  unit_cost: string;
  currency: string | null;
  paid_minor: bigint | null;
  size: string;
  remaining: string;
  drawn: string;
  expired: string;
  transferred_out: string;
  corrected: string;
  parent_org_id: string | null;
  parent_grant_id: string | null;
  purchase_id: string | null;
  after_seq: bigint;
  created_at: string;
};

const denominationOf = (row: GrantRow): Denomination =>
  row.denomination === "money"
    ? { kind: "money", currency: currency(row.pool) }
    : { kind: "units", family: row.pool };

const grantOf = (row: GrantRow): StoredGrant => ({
  orgId: row.org_id,
  id: row.grant_id as GrantId,
  accountId: row.account_id as AccountId,
  denomination: denominationOf(row),
  sku: row.sku_code,
  origin: row.origin,
  priority: row.priority,
  validFrom: readInstant(row.valid_from),
  expiresAt: readEnd(row.expires_at),
  unitCost: readDecimal(row.unit_cost),
  createdAt: readInstant(row.created_at),
  size: readUnits(row.size),
  remaining: readUnits(row.remaining),
  drawn: readUnits(row.drawn),
  expired: readUnits(row.expired),
  transferredOut: readUnits(row.transferred_out),
  corrected: readUnits(row.corrected),
  paid:
    row.paid_minor === null || row.currency === null
      ? null
      : money(currency(row.currency), row.paid_minor),
  parent: row.parent_grant_id as GrantId | null,
  parentOrgId: row.parent_org_id,
  purchaseId: row.purchase_id,
  afterSeq: Number(row.after_seq),
});

const columns = sql`g.org_id, g.grant_id, g.account_id, g.pool, g.denomination, g.sku_code, g.origin, g.priority,
  g.valid_from, g.expires_at, g.unit_cost, g.currency, g.paid_minor, g.size, g.remaining, g.drawn, g.expired,
  g.transferred_out, g.corrected, g.parent_org_id, g.parent_grant_id, g.purchase_id, g.after_seq, g.created_at`;

/** Add a grant and the movement that funds it. The account's head is locked. */
export async function insertGrant(
  tx: Tx,
  grant: StoredGrant,
  makeId: MakeId,
  reason: string,
): Promise<void> {
  await sql`
    insert into account_grant (org_id, grant_id, account_id, pool, denomination, sku_code, origin, draw_rank, priority,
      valid_from, expires_at, unit_cost, currency, paid_minor, size, remaining, has_units, parent_org_id,
      parent_grant_id, purchase_id, after_seq, created_at)
    values (${grant.orgId}, ${grant.id}, ${grant.accountId}, ${poolOf(grant.denomination)}, ${grant.denomination.kind},
      ${grant.sku}, ${grant.origin}, ${grant.origin === "allowance" ? 0 : 1}, ${grant.priority},
      ${writeInstant(grant.validFrom)}, ${writeEnd(grant.expiresAt)}, ${writeDecimal(grant.unitCost)},
      ${grant.paid?.currency ?? null}, ${grant.paid?.minor ?? null}, ${writeUnits(grant.size)},
      ${writeUnits(grant.remaining)}, true, ${grant.parentOrgId}, ${grant.parent}, ${grant.purchaseId},
      ${grant.afterSeq}, ${writeInstant(grant.createdAt)})`.execute(tx);
  await insertMovement(tx, makeId, {
    grant,
    kind: "funded",
    quantity: grant.size,
    at: grant.createdAt,
    afterSeq: grant.afterSeq,
    relatedGrantId: grant.parent,
    reason,
  });
}

export type MovementToWrite = {
  readonly grant: StoredGrant;
  readonly kind: Exclude<MovementKind, "drawn">;
  readonly quantity: Units;
  readonly at: Instant;
  readonly afterSeq: number;
  readonly relatedGrantId?: string | null;
  readonly reason: string;
};

/** Write one movement and the sums it changes; answers the grant as it is then. The account's head is locked. */
export async function moveUnits(
  tx: Tx,
  makeId: MakeId,
  movement: MovementToWrite,
): Promise<StoredGrant> {
  const { grant } = movement;
  const after = {
    ...grant,
    ...withMovement(grant, { grantId: grant.id, kind: movement.kind, quantity: movement.quantity }),
  };
  await insertMovement(tx, makeId, movement);
  await sql`
    update account_grant
    set remaining = ${writeUnits(after.remaining)}::numeric, has_units = ${writeUnits(after.remaining)}::numeric > 0,
        drawn = ${writeUnits(after.drawn)}::numeric, expired = ${writeUnits(after.expired)}::numeric,
        transferred_out = ${writeUnits(after.transferredOut)}::numeric,
        corrected = ${writeUnits(after.corrected)}::numeric
    where org_id = ${grant.orgId} and grant_id = ${grant.id}`.execute(tx);
  return after;
}

async function insertMovement(tx: Tx, makeId: MakeId, movement: MovementToWrite): Promise<void> {
  const { grant } = movement;
  await sql`
    insert into grant_movement (org_id, movement_id, account_id, grant_id, kind, quantity, at, from_seq, to_seq,
      related_grant_id, reason, recorded_at)
    values (${grant.orgId}, ${makeId("movement")}, ${grant.accountId}, ${grant.id}, ${movement.kind},
      ${writeUnits(movement.quantity)}, ${writeInstant(movement.at)}, ${movement.afterSeq}, ${movement.afterSeq},
      ${movement.relatedGrantId ?? null}, ${movement.reason}, ${writeInstant(movement.at)})`.execute(
    tx,
  );
}

export async function findGrant(
  db: Db,
  orgId: string,
  grantId: string,
): Promise<StoredGrant | undefined> {
  const { rows } = await sql<GrantRow>`
    select ${columns} from account_grant g where g.org_id = ${orgId} and g.grant_id = ${grantId}`.execute(
    db,
  );
  return rows[0] && grantOf(rows[0]);
}

export type GrantFilter = {
  readonly orgId: string;
  readonly accountId: string;
  readonly pool?: string | undefined;
  readonly withUnitsOnly?: boolean | undefined;
  readonly afterId?: string | undefined;
  readonly limit?: number | undefined;
};

/** An account's grants by id, oldest first. */
export async function listGrants(db: Db, filter: GrantFilter): Promise<StoredGrant[]> {
  const { rows } = await sql<GrantRow>`
    select ${columns} from account_grant g
    where g.org_id = ${filter.orgId} and g.account_id = ${filter.accountId}
      and (${filter.pool ?? null}::text is null or g.pool = ${filter.pool ?? null})
      and (not ${filter.withUnitsOnly ?? false}::boolean or g.has_units)
      and g.grant_id > ${filter.afterId ?? ""}
    order by g.grant_id limit ${filter.limit ?? null}`.execute(db);
  return rows.map(grantOf);
}

/** What of an account can be used at an instant, per pool, and what lapses next. */
export type PoolBalance = {
  readonly pool: string;
  readonly denomination: "units" | "money";
  readonly available: Units;
  readonly held: Units;
  readonly overage: Units;
  readonly nextExpiryAt: Instant | null;
  readonly expiringNext: Units;
  readonly openGrantCount: number;
};

/** The balances of an account, from the rows that the last acknowledged event wrote: what everybody reads is the truth. */
export async function listBalances(
  db: Db,
  of: { orgId: string; accountId: string; pool?: string | undefined; now: Instant },
): Promise<PoolBalance[]> {
  const now = writeInstant(of.now);
  const { rows } = await sql<{
    pool: string;
    denomination: "units" | "money";
    available: string;
    next_expiry: string | null;
    expiring: string;
    open_count: bigint;
    held: string;
  }>`
    select g.pool, g.denomination, coalesce(sum(g.remaining) filter (where g.ok), 0) as available,
           min(g.expires_at) filter (where g.ok and g.expires_at <> 'infinity') as next_expiry,
           coalesce(sum(g.remaining) filter (where g.ok and g.expires_at = g.next), 0) as expiring,
           count(*) filter (where g.ok) as open_count,
           coalesce((select sum(r.held_units) from reservation r
                     where r.org_id = ${of.orgId} and r.account_id = ${of.accountId} and r.feature = g.pool
                       and r.status = 'held' and r.expires_at > ${now}::timestamptz), 0) as held
    from (select g.*, g.has_units and g.valid_from <= ${now}::timestamptz and g.expires_at > ${now}::timestamptz as ok,
                 min(g.expires_at) filter (where g.has_units and g.valid_from <= ${now}::timestamptz
                                             and g.expires_at > ${now}::timestamptz)
                   over (partition by g.pool) as next
          from account_grant g
          where g.org_id = ${of.orgId} and g.account_id = ${of.accountId}
            and (${of.pool ?? null}::text is null or g.pool = ${of.pool ?? null})) g
    group by g.pool, g.denomination order by g.pool`.execute(db);
  return rows.map((row) => ({
    pool: row.pool,
    denomination: row.denomination,
    available: readUnits(row.available),
    held: readUnits(row.held),
    overage: 0,
    nextExpiryAt: row.next_expiry === null ? null : readInstant(row.next_expiry),
    expiringNext: readUnits(row.expiring),
    openGrantCount: Number(row.open_count),
  }));
}

export type StoredMovement = {
  readonly orgId: string;
  readonly id: string;
  readonly accountId: string;
  readonly grantId: string;
  readonly kind: MovementKind;
  readonly quantity: Units;
  readonly at: Instant;
  readonly fromSeq: number;
  readonly toSeq: number;
  readonly eventCount: number;
  readonly relatedGrantId: string | null;
  readonly reason: string;
  readonly recordedAt: Instant;
};

type MovementRow = {
  org_id: string;
  movement_id: string;
  account_id: string;
  grant_id: string;
  kind: MovementKind;
  quantity: string;
  at: string;
  from_seq: bigint;
  to_seq: bigint;
  event_count: number;
  related_grant_id: string | null;
  reason: string;
  recorded_at: string;
};

const movementOf = (row: MovementRow): StoredMovement => ({
  orgId: row.org_id,
  id: row.movement_id,
  accountId: row.account_id,
  grantId: row.grant_id,
  kind: row.kind,
  quantity: readUnits(row.quantity),
  at: readInstant(row.at),
  fromSeq: Number(row.from_seq),
  toSeq: Number(row.to_seq),
  eventCount: row.event_count,
  relatedGrantId: row.related_grant_id,
  reason: row.reason,
  recordedAt: readInstant(row.recorded_at),
});

const movementColumns = sql`m.org_id, m.movement_id, m.account_id, m.grant_id, m.kind, m.quantity, m.at, m.from_seq,
  m.to_seq, m.event_count, m.related_grant_id, m.reason, m.recorded_at`;

/** Movements of an account or of one grant, newest first. */
export async function listMovements(
  db: Db,
  filter: {
    orgId: string;
    accountId: string;
    grantId?: string | undefined;
    beforeId?: string | undefined;
    limit: number;
  },
): Promise<StoredMovement[]> {
  const { rows } = await sql<MovementRow>`
    select ${movementColumns} from grant_movement m
    where m.org_id = ${filter.orgId} and m.account_id = ${filter.accountId}
      and (${filter.grantId ?? null}::text is null or m.grant_id = ${filter.grantId ?? null})
      and (${filter.beforeId ?? null}::text is null or m.movement_id < ${filter.beforeId ?? null})
    order by m.movement_id desc limit ${filter.limit}`.execute(db);
  return rows.map(movementOf);
}

/** Every movement of one grant, in the order in which they were made. */
export async function listGrantMovements(
  db: Db,
  { orgId, accountId, id }: Pick<StoredGrant, "orgId" | "accountId" | "id">,
): Promise<StoredMovement[]> {
  const { rows } = await sql<MovementRow>`
    select ${movementColumns} from grant_movement m
    where m.org_id = ${orgId} and m.account_id = ${accountId} and m.grant_id = ${id}
    order by m.movement_id`.execute(db);
  return rows.map(movementOf);
}

/** Accounts whose grants have movements that the books do not know yet. */
export async function listUnposted(
  db: Db,
  limit: number,
): Promise<{ orgId: string; accountId: string }[]> {
  const { rows } = await sql<{ org_id: string; account_id: string }>`
    select distinct org_id, account_id from grant_movement where posted_in is null
    order by org_id, account_id limit ${limit}`.execute(db);
  return rows.map((row) => ({ orgId: row.org_id, accountId: row.account_id }));
}

type AccountKey = { readonly orgId: string; readonly accountId: string };

/** Movements of accounts that are not in the books, oldest first. */
export async function listMovementsToPost(
  db: Db,
  accounts: readonly AccountKey[],
): Promise<StoredMovement[]> {
  const { rows } = await sql<MovementRow>`
    select ${movementColumns} from unnest(${accounts.map((a) => a.orgId)}::text[],
      ${accounts.map((a) => a.accountId)}::text[]) as n (org_id, account_id)
    join grant_movement m on m.org_id = n.org_id and m.account_id = n.account_id and m.posted_in is null
    order by m.org_id, m.account_id, m.movement_id`.execute(db);
  return rows.map(movementOf);
}

export const grantName = (of: { readonly orgId: string; readonly grantId: string }): string =>
  `${of.orgId}\n${of.grantId}`;

/**
 * The grants of movements, and the units that had left each by movements that are in the books. Those are all that have
 * left it but what is not posted yet: usage that comes in between adds to both, so the answer stays the same.
 */
export async function listGrantsToPost(
  db: Db,
  movements: readonly StoredMovement[],
): Promise<Map<string, { readonly grant: StoredGrant; readonly postedGone: Units }>> {
  const keys = [...new Map(movements.map((one) => [grantName(one), one])).values()];
  const { rows } = await sql<GrantRow & { posted_gone: string }>`
    select ${columns}, g.size - g.remaining + coalesce((
             select sum(m.quantity) from grant_movement m
             where m.org_id = g.org_id and m.account_id = g.account_id and m.grant_id = g.grant_id
               and m.posted_in is null and m.kind <> 'funded'), 0) as posted_gone
    from unnest(${keys.map((k) => k.orgId)}::text[], ${keys.map((k) => k.grantId)}::text[]) as n (org_id, grant_id)
    join account_grant g on g.org_id = n.org_id and g.grant_id = n.grant_id`.execute(db);
  return new Map(
    rows.map((row) => [
      grantName({ orgId: row.org_id, grantId: row.grant_id }),
      { grant: grantOf(row), postedGone: readUnits(row.posted_gone) },
    ]),
  );
}

export async function markPosted(
  tx: Tx,
  posted: readonly (AccountKey & {
    readonly movementIds: readonly string[];
    readonly transaction: { readonly id: string };
  })[],
): Promise<void> {
  const marks = posted.flatMap(({ orgId, accountId, movementIds, transaction }) =>
    movementIds.map((movementId) => ({ orgId, accountId, movementId, id: transaction.id })),
  );
  await sql`
    update grant_movement m set posted_in = p.transaction_id
    from unnest(${marks.map((p) => p.orgId)}::text[], ${marks.map((p) => p.accountId)}::text[],
                ${marks.map((p) => p.movementId)}::text[], ${marks.map((p) => p.id)}::text[])
      as p (org_id, account_id, movement_id, transaction_id)
    where m.org_id = p.org_id and m.account_id = p.account_id and m.movement_id = p.movement_id
      and m.posted_in is null`.execute(tx);
}

/** Accounts with units that have reached their end: what the expiry sweep works through. */
export async function listLapsing(
  db: Db,
  now: Instant,
  of: { orgId?: string | undefined; limit: number },
): Promise<{ orgId: string; accountId: string }[]> {
  const { rows } = await sql<{ org_id: string; account_id: string }>`
    select distinct g.org_id, g.account_id from account_grant g
    where g.has_units and g.expires_at <= ${writeInstant(now)}::timestamptz
      and ${livesInTime(sql`g.org_id`, of.orgId)}
    order by org_id, account_id limit ${of.limit}`.execute(db);
  return rows.map((row) => ({ orgId: row.org_id, accountId: row.account_id }));
}
