import { sql } from "kysely";
import {
  addUnits,
  compareDrawOrder,
  compareUnits,
  type DrawnPart,
  never,
  type OpenGrant,
  type Origin,
  readUnits,
  subtractUnits,
  type Units,
  writeUnits,
} from "../domain/grants/index.ts";
import type { GrantId, MakeId } from "../kit/ids.ts";
import type { Instant } from "../kit/time.ts";
import { readDecimal, readInstant, writeInstant } from "./columns.ts";
import type { Db, Tx } from "./connect.ts";

/** One account's one pool, and the usage that is about to be drawn from it. */
export type PoolNeed = {
  readonly orgId: string;
  readonly accountId: string;
  readonly pool: string;
  /** The sum of what will be asked for. */
  readonly need: Units;
  /** The earliest and latest event time among the requests. */
  readonly from: Instant;
  readonly to: Instant;
};

export const poolKey = (of: { orgId: string; accountId: string; pool: string }): string =>
  `${of.orgId}\n${of.accountId}\n${of.pool}`;

type OpenGrantRow = {
  org_id: string;
  account_id: string;
  pool: string;
  grant_id: string;
  origin: Origin;
  priority: number;
  valid_from: string;
  expires_at: string;
  unit_cost: string;
  created_at: string;
  remaining: string;
  expired: string;
};

export const readEnd = (text: string): Instant => (text === "infinity" ? never : readInstant(text));
export const writeEnd = (at: Instant): string => (at === never ? "infinity" : writeInstant(at));

const openGrantOf = (row: OpenGrantRow): OpenGrant => ({
  id: row.grant_id as GrantId,
  origin: row.origin,
  priority: row.priority,
  validFrom: readInstant(row.valid_from),
  expiresAt: readEnd(row.expires_at),
  unitCost: readDecimal(row.unit_cost),
  createdAt: readInstant(row.created_at),
  remaining: readUnits(row.remaining),
  expired: readUnits(row.expired),
});

const firstPage = 4;
const nextPage = 256;
const drawColumns = sql`g.org_id, g.account_id, g.pool, g.grant_id, g.origin, g.priority, g.valid_from, g.expires_at,
  g.unit_cost, g.created_at, g.remaining, g.expired`;

/**
 * The open grants that the coming draws may touch, in draw order, per pool (see `poolKey`); pools without any are absent.
 * Not all of an account's grants: the best ones, until those that cover every one of the event times hold what is
 * needed. The caller has locked the accounts' heads, in a statement of its own. What lapsed by `now` but after the
 * earliest event time comes too, because a late event may take it back.
 */
export async function loadOpenGrants(
  tx: Tx,
  needs: readonly PoolNeed[],
  now: Instant,
): Promise<Map<string, OpenGrant[]>> {
  const found = new Map<string, OpenGrant[]>();
  let open = needs;
  for (let page = firstPage, offset = 0; open.length > 0; offset += page, page = nextPage) {
    const rows = await pageOfGrants(tx, open, { page, offset, now });
    const grown = new Map<string, number>();
    for (const row of rows) {
      const key = poolKey({ orgId: row.org_id, accountId: row.account_id, pool: row.pool });
      const list = found.get(key) ?? [];
      list.push(openGrantOf(row));
      found.set(key, list);
      if (!row.lapsed) grown.set(key, (grown.get(key) ?? 0) + 1);
    }
    open = open.filter(
      (need) => grown.get(poolKey(need)) === page && !covers(found.get(poolKey(need)) ?? [], need),
    );
  }
  for (const [key, grants] of found)
    if (grants.length > 1) found.set(key, grants.toSorted(compareDrawOrder));
  return found;
}

/** Whether grants that are valid for every request hold enough for all of them. */
function covers(grants: readonly OpenGrant[], need: PoolNeed): boolean {
  let held: Units = 0;
  for (const grant of grants)
    if (grant.validFrom <= need.from && grant.expiresAt > need.to)
      held = addUnits(held, grant.remaining);
  return compareUnits(held, need.need) >= 0;
}

async function pageOfGrants(
  tx: Tx,
  needs: readonly PoolNeed[],
  { page, offset, now }: { page: number; offset: number; now: Instant },
): Promise<(OpenGrantRow & { lapsed: boolean })[]> {
  const lapsed = sql`
    union all
    select ${drawColumns}, true as lapsed
    from account_grant g
    where g.org_id = n.org_id and g.account_id = n.account_id and g.pool = n.pool and not g.has_units
      and g.expires_at > n.since and g.expires_at <= ${writeInstant(now)}::timestamptz and g.expired > 0`;
  const { rows } = await sql<OpenGrantRow & { lapsed: boolean }>`
    select g.* from unnest(${needs.map((n) => n.orgId)}::text[], ${needs.map((n) => n.accountId)}::text[],
                           ${needs.map((n) => n.pool)}::text[],
                           ${needs.map((n) => writeInstant(n.from))}::timestamptz[])
                    as n (org_id, account_id, pool, since)
    cross join lateral (
      (select ${drawColumns}, false as lapsed
       from account_grant g
       where g.org_id = n.org_id and g.account_id = n.account_id and g.pool = n.pool and g.has_units
       order by g.draw_rank, g.priority, g.expires_at, g.unit_cost, g.created_at, g.grant_id
       limit ${page} offset ${offset})
      ${offset === 0 ? lapsed : sql``}
    ) g`.execute(tx);
  return rows;
}

/** What one pool gave, ready to be written: `pool.parts` after the events were drawn. */
export type PoolDraws = {
  readonly orgId: string;
  readonly accountId: string;
  readonly parts: readonly DrawnPart[];
};

/**
 * Write what was drawn: movements, and the sums on the grants. Each part becomes one movement, and one more when it took
 * units back from expiry. The database refuses to go below zero (`account_grant_remaining_check`).
 */
export async function saveDraws(
  tx: Tx,
  draws: readonly PoolDraws[],
  makeId: MakeId,
  recordedAt: Instant,
): Promise<void> {
  const parts = draws.flatMap(({ orgId, accountId, parts }) =>
    parts.map((part) => ({ orgId, accountId, part })),
  );
  if (parts.length === 0) return;
  const rows = parts.flatMap(({ orgId, accountId, part }) => {
    const row = (kind: "drawn" | "unexpired", quantity: Units) => ({
      orgId,
      accountId,
      id: makeId("movement"),
      kind,
      quantity: writeUnits(quantity),
      part,
    });
    const back = part.fromExpired === 0 ? [] : [row("unexpired", part.fromExpired)];
    return [...back, row("drawn", subtractUnits(0, part.quantity))];
  });
  const sums = new Map<string, { orgId: string; id: string; drawn: Units; unexpired: Units }>();
  for (const { orgId, part } of parts) {
    const key = `${orgId}\n${part.grant.id}`;
    const sum = sums.get(key) ?? { orgId, id: part.grant.id, drawn: 0, unexpired: 0 };
    sum.drawn = addUnits(sum.drawn, part.quantity);
    sum.unexpired = addUnits(sum.unexpired, part.fromExpired);
    sums.set(key, sum);
  }
  const changed = [...sums.values()];
  await sql`
    with movement as (
      insert into grant_movement (org_id, movement_id, account_id, grant_id, kind, quantity, at, from_seq, to_seq,
                                  event_count, recorded_at)
      select m.*, ${writeInstant(recordedAt)}::timestamptz
      from unnest(${rows.map((r) => r.orgId)}::text[], ${rows.map((r) => r.id)}::text[],
                  ${rows.map((r) => r.accountId)}::text[], ${rows.map((r) => r.part.grant.id)}::text[],
                  ${rows.map((r) => r.kind)}::text[], ${rows.map((r) => r.quantity)}::numeric[],
                  ${rows.map((r) => writeInstant(r.part.bucketAt))}::timestamptz[],
                  ${rows.map((r) => r.part.fromSeq)}::bigint[], ${rows.map((r) => r.part.toSeq)}::bigint[],
                  ${rows.map((r) => r.part.eventCount)}::integer[]) as m
    )
    update account_grant g
    set remaining = g.remaining + c.unexpired - c.drawn,
        has_units = g.remaining + c.unexpired > c.drawn,
        drawn = g.drawn + c.drawn,
        expired = g.expired - c.unexpired
    from unnest(${changed.map((c) => c.orgId)}::text[], ${changed.map((c) => c.id)}::text[],
                ${changed.map((c) => writeUnits(c.drawn))}::numeric[],
                ${changed.map((c) => writeUnits(c.unexpired))}::numeric[]) as c (org_id, grant_id, drawn, unexpired)
    where g.org_id = c.org_id and g.grant_id = c.grant_id`.execute(tx);
}

/**
 * Units that grants paid for in spans of time, per pool and quarter of an hour of usage: what is not priced again. With
 * `untilSeq`, only what events up to that one drew: what a document of that time knew.
 */
export async function listCoverage(
  db: Db,
  spans: readonly {
    orgId: string;
    accountId: string;
    startsAt: Instant;
    endsAt: Instant;
    untilSeq: bigint | null;
  }[],
): Promise<{ span: number; pool: string; bucketAt: Instant; quantity: Units }[]> {
  const { rows } = await sql<{ span: number; pool: string; at: string; quantity: string }>`
    select s.no::integer - 1 as span, g.pool, m.at, -sum(m.quantity) as quantity
    from unnest(${spans.map((s) => s.orgId)}::text[], ${spans.map((s) => s.accountId)}::text[],
                ${spans.map((s) => writeInstant(s.startsAt))}::timestamptz[],
                ${spans.map((s) => writeInstant(s.endsAt))}::timestamptz[],
                ${spans.map((s) => s.untilSeq?.toString() ?? null)}::bigint[])
         with ordinality as s (org_id, account_id, starts_at, ends_at, until_seq, no)
    join grant_movement m on m.org_id = s.org_id and m.account_id = s.account_id and m.at >= s.starts_at
     and m.at < s.ends_at and m.kind in ('drawn', 'returned')
     and (s.until_seq is null or m.to_seq <= s.until_seq)
    join account_grant g on g.org_id = m.org_id and g.grant_id = m.grant_id and g.denomination = 'units'
    group by s.no, g.pool, m.at having sum(m.quantity) <> 0 order by s.no, g.pool, m.at`.execute(
    db,
  );
  return rows.map((row) => ({
    span: row.span,
    pool: row.pool,
    bucketAt: readInstant(row.at),
    quantity: readUnits(row.quantity),
  }));
}

/** The SKUs under which the usage of a meter is priced, by meter. */
export async function listUsageSkus(db: Db): Promise<Map<string, string[]>> {
  const { rows } = await sql<{ meter_key: string; codes: string[] }>`
    select meter_key, array_agg(code order by code) as codes from sku
    where kind = 'usage' and meter_key is not null group by meter_key`.execute(db);
  return new Map(rows.map((row) => [row.meter_key, row.codes]));
}

/** Hold the books of accounts until commit, in order: posters of one account take turns, while usage goes on. */
export async function lockAccountBooks(
  tx: Tx,
  accounts: readonly { readonly orgId: string; readonly accountId: string }[],
): Promise<void> {
  const names = accounts.map(({ orgId, accountId }) => `books\n${orgId}\n${accountId}`).toSorted();
  // One after the other in the order of the array: a row is made before the next one is asked for.
  await sql`select pg_advisory_xact_lock(hashtextextended(n.name, 0))
            from unnest(${names}::text[]) with ordinality as n (name, no) order by n.no`.execute(
    tx,
  );
}
