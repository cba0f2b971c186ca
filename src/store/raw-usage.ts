import { type RawBuilder, sql } from "kysely";
import type { Meter, MeterFilter } from "../domain/catalog/index.ts";
import { formatDecimal } from "../kit/decimal.ts";
import type { Instant, Period } from "../kit/time.ts";
import { readDecimal, readInstant, writeInstant } from "./columns.ts";
import type { Db } from "./connect.ts";
import type { AccountKey } from "./invoice-facts.ts";

/** Whether a meter measures an event `e`, in SQL. */
export function measuredBy(meter: Meter): RawBuilder<unknown> {
  const conditions = [sql`e.type = ${meter.eventType}`, ...meter.filters.map(holds)];
  return sql`${sql.join(conditions, sql` and `)}`;
}

function holds(filter: MeterFilter): RawBuilder<unknown> {
  const value = sql`(e.data ->> ${filter.property}::text)`;
  const values = sql`${[...filter.values]}::text[]`;
  switch (filter.op) {
    case "eq":
    case "in":
      return sql`coalesce(${value} = any(${values}), false)`;
    case "ne":
    case "not_in":
      return sql`coalesce(not (${value} = any(${values})), true)`;
    case "exists":
      return sql`${value} is not null`;
  }
}

const valueOf = (meter: Meter): RawBuilder<unknown> =>
  sql`(e.data ->> ${sql.lit(meter.valueProperty)})::numeric`;

/** The quantity of one event `e` under a meter, in SQL: what `explain` shows and adds up. */
export function quantityOfEvent(meter: Meter): RawBuilder<unknown> {
  return meter.aggregation === "count" || meter.aggregation === "unique"
    ? sql`(case when e.corrects is null then 1 else -1 end)::numeric`
    : valueOf(meter);
}

/** The values of a meter's declared dimensions in an event `e`, in SQL, in the order of their declaration. */
export function dimensionValues(meter: Meter): RawBuilder<unknown> {
  if (meter.dimensions.length === 0) return sql`array[]::text[]`;
  const values = meter.dimensions.map(
    ({ key }) =>
      sql`coalesce(e.data -> 'dimensions' ->> ${sql.lit(key)}, e.data ->> ${sql.lit(key)})`,
  );
  return sql`array[${sql.join(values)}]`;
}

/**
 * Many meters in one pass over events `e`: the columns m (the meter's place in the list), dimension_values, event_count and
 * total, and the join that finds out which meters an event is for. Each expression is a case that works out its own meter's
 * branch only, so that no meter reads what another one's events carry.
 */
export function measuredTogether(meters: readonly Meter[]): {
  readonly columns: RawBuilder<unknown>;
  readonly join: RawBuilder<unknown>;
} {
  const places = meters.map(({ eventType }, m) => sql`(${sql.lit(m)}, ${eventType})`);
  const dimensions = perMeter(meters, (one) =>
    one.dimensions.length === 0 ? undefined : dimensionValues(one),
  );
  const filter = perMeter(
    meters,
    ({ filters }) =>
      filters.length === 0 ? undefined : sql`${sql.join(filters.map(holds), sql` and `)}`,
    sql`true`,
  );
  return {
    columns: sql`x.m, ${dimensions ?? sql`null::text[]`} as dimension_values, count(*) as event_count,
      sum(${perMeter(meters, quantityOfEvent) ?? sql`0`}) as total`,
    join: sql`join (values ${sql.join(places)}) as x (m, type) on x.type = e.type and ${filter ?? sql`true`}`,
  };
}

/** One expression over all meters `x.m`; undefined when none of them has any. */
function perMeter(
  meters: readonly Meter[],
  part: (meter: Meter) => RawBuilder<unknown> | undefined,
  otherwise: RawBuilder<unknown> = sql`null`,
): RawBuilder<unknown> | undefined {
  const branches = meters.flatMap((meter, m) => {
    const own = part(meter);
    return own ? [sql`when ${sql.lit(m)} then ${own}`] : [];
  });
  if (branches.length === 0) return undefined;
  return sql`case x.m ${sql.join(branches, sql` `)} else ${otherwise} end`;
}

/** Those values under their names. */
export function rawDimensions(
  meter: Meter,
  row: readonly (string | null)[],
): Record<string, string> {
  const values: Record<string, string> = {};
  meter.dimensions.forEach(({ key }, i) => {
    const value = row[i];
    if (value !== null && value !== undefined) values[key] = value;
  });
  return values;
}

/** An event as the explanation of a line shows it, with what it counted for. */
export type ExplainedEvent = {
  readonly seq: bigint;
  readonly time: Instant;
  readonly receivedAt: Instant;
  readonly source: string;
  readonly id: string;
  readonly projectId: string;
  readonly subject: string;
  readonly quantity: string;
  readonly data: unknown;
};

type ExplainedRow = {
  seq: bigint;
  time: string;
  received_at: string;
  source: string;
  id: string;
  project_id: string;
  subject: string;
  quantity: string;
  data: unknown;
};

/** Which events explain a line: those of an account that a meter measured in a period, between two sequences. */
export type Explained = AccountKey & {
  readonly meter: Meter;
  readonly period: Period;
  readonly sinceSeq: bigint;
  readonly untilSeq: bigint;
};

const explained = (what: Explained): RawBuilder<unknown> => sql`
  e.org_id = ${what.orgId} and e.account_id = ${what.accountId}
  and e.time >= ${writeInstant(what.period.startsAt)} and e.time < ${writeInstant(what.period.endsAt)}
  and e.seq > ${what.sinceSeq.toString()}::bigint and e.seq <= ${what.untilSeq.toString()}::bigint
  and ${measuredBy(what.meter)}`;

/** A day's share of a line, in one project. */
export type ExplainedBucket = {
  readonly day: string;
  readonly projectId: string;
  readonly eventCount: bigint;
  readonly quantity: string;
};

/** The same events by day and project. */
export async function listExplainedBuckets(
  db: Db,
  what: Explained & { readonly zone: string },
): Promise<ExplainedBucket[]> {
  const { rows } = await sql<{
    day: string;
    project_id: string;
    event_count: bigint;
    quantity: string;
  }>`
    select (e.time at time zone ${what.zone})::date::text as day, e.project_id, count(*) as event_count,
           sum(${quantityOfEvent(what.meter)}) as quantity
    from usage_event e where ${explained(what)} group by 1, 2 order by 1, 2`.execute(db);
  return rows.map((row) => ({
    day: row.day,
    projectId: row.project_id,
    eventCount: row.event_count,
    quantity: formatDecimal(readDecimal(row.quantity)),
  }));
}

/** How many events explain a line. */
export async function countExplainedEvents(db: Db, what: Explained): Promise<bigint> {
  const { rows } = await sql<{ count: bigint }>`
    select count(*) as count from usage_event e where ${explained(what)}`.execute(db);
  return rows[0]?.count ?? 0n;
}

/** The events themselves, in the order of time, from a position on. */
export async function pageExplainedEvents(
  db: Db,
  what: Explained & {
    after: { time: string; seq: bigint } | undefined;
    limit: number;
  },
): Promise<ExplainedEvent[]> {
  const after = what.after
    ? sql`and (e.time, e.seq) > (${what.after.time}::timestamptz, ${what.after.seq.toString()}::bigint)`
    : sql``;
  const { rows } = await sql<ExplainedRow>`
    select e.seq, e.time, e.received_at, e.source, e.id, e.project_id, e.subject, e.data,
           ${quantityOfEvent(what.meter)} as quantity
    from usage_event e where ${explained(what)} ${after}
    order by e.time, e.seq limit ${what.limit}`.execute(db);
  return rows.map((row) => ({
    seq: row.seq,
    time: readInstant(row.time),
    receivedAt: readInstant(row.received_at),
    source: row.source,
    id: row.id,
    projectId: row.project_id,
    subject: row.subject,
    quantity: formatDecimal(readDecimal(row.quantity)),
    data: row.data,
  }));
}
