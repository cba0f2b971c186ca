import {
  addUnits,
  compareDrawOrder,
  type DrawnPart,
  hasUnits,
  type Spent,
  type OpenGrant,
  type Origin,
  readUnits,
  subtractUnits,
  type Units,
  writeUnits,
} from "../domain/grants/index.ts";
import type { BillingCalendar, Cycle } from "../domain/invoicing/index.ts";
import type { GrantId } from "../kit/ids.ts";
import type { Instant } from "../kit/time.ts";
import { readDecimal, readInstant, writeInstant } from "./columns.ts";
import { readEnd } from "./grants.ts";
import { type PipelineStatement, runPipeline } from "./pipeline.ts";
import type { Lane } from "./usage-lane.ts";

/** One account's units for one meter, as usage is about to draw them. */
export type PoolKey = {
  readonly orgId: string;
  readonly accountId: string;
  readonly pool: string;
  /** The earliest event time: what lapsed after it may be taken back. */
  readonly since: Instant;
};

export type LoadedPool = {
  readonly grants: readonly OpenGrant[];
  /** More open grants are there than were loaded, all of them behind these in draw order. */
  readonly truncated: boolean;
  readonly calendar: BillingCalendar | undefined;
  readonly finalizationHours: number;
};

const cell = (row: readonly (string | null)[], index: number): string => row[index] ?? "";

/** The best open grants of pools, and what has lapsed since the events happened, in one round trip. In the order asked. */
export async function loadPools(
  lane: Lane,
  keys: readonly PoolKey[],
  now: Instant,
  grantsMax: number,
): Promise<LoadedPool[]> {
  const results = await runPipeline(
    lane.client,
    [
      {
        name: "tl_pools",
        text: loadText,
        values: [
          array(keys.map((key) => quoted(key.orgId))),
          array(keys.map((key) => quoted(key.accountId))),
          array(keys.map((key) => quoted(key.pool))),
          array(keys.map((key) => quoted(writeInstant(key.since)))),
          String(grantsMax),
          writeInstant(now),
        ],
      },
    ],
    lane.unnamed,
  );
  const rows = groupRows(results[0] ?? []);
  return keys.map((_, index) => {
    const own = rows.get(index + 1) ?? [];
    const open = own.filter((row) => row[10] === "f");
    return {
      grants: own.map(grantIn).toSorted(compareDrawOrder),
      truncated: open.length === grantsMax,
      calendar: own[0] && calendarIn(own[0]),
      finalizationHours: Number(own[0]?.[14] ?? 0),
    };
  });
}

function groupRows(rows: readonly (string | null)[][]): Map<number, (string | null)[][]> {
  const groups = new Map<number, (string | null)[][]>();
  for (const row of rows) {
    const no = Number(row[0]);
    const list = groups.get(no);
    if (list) list.push(row);
    else groups.set(no, [row]);
  }
  return groups;
}

const grantColumns = `g.grant_id, g.origin, g.priority, g.valid_from, g.expires_at, g.unit_cost, g.created_at,
  g.remaining, g.expired`;

const loadText = `
  select n.no, g.*, b.time_zone, b.invoice_day, b.cycle, b.finalization_hours
  from unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[]) with ordinality
       as n (org_id, account_id, pool, since, no)
  cross join lateral (
    (select ${grantColumns}, false as lapsed from account_grant g
     where g.org_id = n.org_id and g.account_id = n.account_id and g.pool = n.pool and g.has_units
     order by g.draw_rank, g.priority, g.expires_at, g.unit_cost, g.created_at, g.grant_id
     limit $5::bigint)
    union all
    select ${grantColumns}, true from account_grant g
    where g.org_id = n.org_id and g.account_id = n.account_id and g.pool = n.pool and not g.has_units
      and g.expires_at > n.since and g.expires_at <= $6::timestamptz and g.expired > 0
  ) g
  join billing_account b on b.org_id = n.org_id and b.account_id = n.account_id`;

const grantIn = (row: readonly (string | null)[]): OpenGrant => ({
  id: cell(row, 1) as GrantId,
  origin: cell(row, 2) as Origin,
  priority: Number(row[3]),
  validFrom: readInstant(cell(row, 4)),
  expiresAt: readEnd(cell(row, 5)),
  unitCost: readDecimal(cell(row, 6)),
  createdAt: readInstant(cell(row, 7)),
  remaining: readUnits(cell(row, 8)),
  expired: readUnits(cell(row, 9)),
});

const calendarIn = (row: readonly (string | null)[]): BillingCalendar => ({
  timeZone: cell(row, 11),
  invoiceDay: Number(row[12]),
  cycle: cell(row, 13) as Cycle,
});

/** The invoice period of one account's pool. */
export type SpentKey = Omit<PoolKey, "since"> & {
  readonly startsAt: Instant;
  readonly endsAt: Instant;
};

/** The calendars of accounts that ever had a grant in these pools; the others need no accounts of what was drawn. */
export async function loadCalendars(
  lane: Lane,
  keys: readonly Omit<PoolKey, "since">[],
): Promise<(BillingCalendar | undefined)[]> {
  const [rows = []] = await runPipeline(
    lane.client,
    [
      {
        name: "tl_calendars",
        text: `select n.no, b.time_zone, b.invoice_day, b.cycle
               from unnest($1::text[], $2::text[], $3::text[]) with ordinality as n (org_id, account_id, pool, no)
               join billing_account b on b.org_id = n.org_id and b.account_id = n.account_id
               where exists (select 1 from account_grant g where g.org_id = n.org_id
                             and g.account_id = n.account_id and g.pool = n.pool)`,
        values: [
          array(keys.map((key) => quoted(key.orgId))),
          array(keys.map((key) => quoted(key.accountId))),
          array(keys.map((key) => quoted(key.pool))),
        ],
      },
    ],
    lane.unnamed,
  );
  const found: (BillingCalendar | undefined)[] = keys.map(() => undefined);
  for (const row of rows)
    found[Number(row[0]) - 1] = {
      timeZone: cell(row, 1),
      invoiceDay: Number(row[2]),
      cycle: cell(row, 3) as Cycle,
    };
  return found;
}

/** What was used and drawn in periods, and the grants it was drawn from as they stand now. */
export async function loadSpent(
  lane: Lane,
  keys: readonly SpentKey[],
): Promise<{ spent: Spent; grants: OpenGrant[] }[]> {
  const values = [
    array(keys.map((key) => quoted(key.orgId))),
    array(keys.map((key) => quoted(key.accountId))),
    array(keys.map((key) => quoted(key.pool))),
    array(keys.map((key) => quoted(writeInstant(key.startsAt)))),
    array(keys.map((key) => quoted(writeInstant(key.endsAt)))),
  ];
  const from = `unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[]) with ordinality
                as n (org_id, account_id, pool, starts_at, ends_at, no)`;
  const [totals = [], drawn = []] = await runPipeline(
    lane.client,
    [
      {
        name: "tl_spent_total",
        text: `select n.no, sum(r.total) from ${from}
               join usage_rollup r on r.org_id = n.org_id and r.account_id = n.account_id and r.meter_key = n.pool
                and r.bucket_at >= n.starts_at and r.bucket_at < n.ends_at
               group by n.no`,
        values,
      },
      {
        name: "tl_spent_drawn",
        text: `select n.no, ${grantColumns}, -sum(m.quantity) from ${from}
               join account_grant g on g.org_id = n.org_id and g.account_id = n.account_id and g.pool = n.pool
               join grant_movement m on m.org_id = g.org_id and m.account_id = g.account_id and m.grant_id = g.grant_id
                and m.kind in ('drawn', 'returned') and m.at >= n.starts_at and m.at < n.ends_at
               group by n.no, g.org_id, g.grant_id`,
        values,
      },
    ],
    lane.unnamed,
  );
  return keys.map((_, index) => {
    const own = drawn.filter((row) => Number(row[0]) === index + 1);
    const total = totals.find((row) => Number(row[0]) === index + 1);
    const amounts = new Map(own.map((row) => [cell(row, 1), readUnits(cell(row, 10))]));
    const covered = [...amounts.values()].reduce<Units>(addUnits, 0);
    const overage = subtractUnits(total ? readUnits(cell(total, 1)) : 0, covered);
    return { spent: { overage, drawn: amounts }, grants: own.map(grantIn) };
  });
}

/** One part of what a group drew, with the id of its movement and, when it took units back from expiry, of another. */
export type DrawToSave = {
  readonly orgId: string;
  readonly accountId: string;
  readonly part: DrawnPart;
  readonly movementIds: readonly [unexpired: string, drawn: string];
  readonly recordedAt: Instant;
};

type MovementToSave = {
  readonly draw: DrawToSave;
  readonly id: string;
  readonly kind: "drawn" | "returned" | "unexpired";
  readonly quantity: Units;
};

/** Movements and sums of what a group drew. The database refuses to let a grant fall below zero. */
export function drawStatements(draws: readonly DrawToSave[]): PipelineStatement[] {
  if (draws.length === 0) return [];
  const rows = draws.flatMap((draw): MovementToSave[] => {
    // A part below zero is usage that was corrected away: its units come back.
    const kind = hasUnits(draw.part.quantity) ? "drawn" : "returned";
    const quantity = subtractUnits(0, draw.part.quantity);
    const taken = { draw, id: draw.movementIds[1], kind, quantity } as const;
    if (draw.part.fromExpired === 0) return [taken];
    const back = { draw, id: draw.movementIds[0], kind: "unexpired" } as const;
    return [{ ...back, quantity: draw.part.fromExpired }, taken];
  });
  const sums = new Map<string, { orgId: string; id: string; drawn: Units; unexpired: Units }>();
  for (const { orgId, part } of draws) {
    const name = `${orgId}\n${part.grant.id}`;
    const sum = sums.get(name) ?? { orgId, id: part.grant.id, drawn: 0, unexpired: 0 };
    sum.drawn = addUnits(sum.drawn, part.quantity);
    sum.unexpired = addUnits(sum.unexpired, part.fromExpired);
    sums.set(name, sum);
  }
  const changed = [...sums.values()];
  return [
    {
      name: "tl_movements",
      text: `copy grant_movement (org_id, account_id, movement_id, grant_id, kind, quantity, at, from_seq, to_seq,
                                  event_count, recorded_at) from stdin`,
      copy: Buffer.from(rows.map(movementLine).join("")),
    },
    {
      name: "tl_grants_drawn",
      text: `update account_grant g
             set remaining = g.remaining + c.unexpired - c.drawn, has_units = g.remaining + c.unexpired > c.drawn,
                 drawn = g.drawn + c.drawn, expired = g.expired - c.unexpired
             from unnest($1::text[], $2::text[], $3::numeric[], $4::numeric[]) as c (org_id, grant_id, drawn, unexpired)
             where g.org_id = c.org_id and g.grant_id = c.grant_id`,
      values: [
        array(changed.map((sum) => quoted(sum.orgId))),
        array(changed.map((sum) => sum.id)),
        array(changed.map((sum) => writeUnits(sum.drawn))),
        array(changed.map((sum) => writeUnits(sum.unexpired))),
      ],
    },
  ];
}

/** In COPY's text format; no id, digit or instant needs escaping in it. */
const movementLine = ({ draw, id, kind, quantity }: MovementToSave): string => {
  const { bucketAt, fromSeq, toSeq, eventCount, grant } = draw.part;
  return `${draw.orgId}\t${draw.accountId}\t${id}\t${grant.id}\t${kind}\t${writeUnits(quantity)}\t${writeInstant(bucketAt)}\t${fromSeq}\t${toSeq}\t${eventCount}\t${writeInstant(draw.recordedAt)}\n`;
};

const array = (values: readonly string[]): string => `{${values.join(",")}}`;
const quoted = (text: string): string => `"${text.replaceAll(/["\\]/g, "\\$&")}"`;
