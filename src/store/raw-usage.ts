import { type RawBuilder, sql } from "kysely";
import type { Meter, MeterFilter } from "../domain/catalog/index.ts";
import type { Measured } from "../domain/invoicing/index.ts";
import { canonicalJson } from "../kit/canonical-json.ts";
import { formatDecimal } from "../kit/decimal.ts";
import type { Instant, Period } from "../kit/time.ts";
import { readDecimal, readInstant, readInstantOrNull, writeInstant } from "./columns.ts";
import type { Db } from "./connect.ts";
import { type AccountKey, accountKeyText, pushTo, type UsageWindow } from "./invoice-facts.ts";

/**
 * Usage straight from the raw events: the second path, which shares nothing with ingest but the events themselves. Filters,
 * dimensions and quantities are read by Postgres out of the stored JSON, not by our own code.
 */
export type RawWindow = UsageWindow & {
  /** Only events up to this sequence: what a document made then could know. Null: all there are. */
  readonly untilSeq: bigint | null;
};

/** The usage of many windows, one query per meter. Keyed by `accountKeyText`, like `loadMeasured`. */
export async function measureRaw(
  db: Db,
  windows: readonly RawWindow[],
): Promise<Map<string, Measured[]>> {
  const found = new Map<string, Measured[]>();
  const byMeter = new Map<Meter, RawWindow[]>();
  for (const window of windows)
    byMeter.set(window.meter, [...(byMeter.get(window.meter) ?? []), window]);
  for (const [meter, same] of byMeter) {
    for (const row of await rawRows(db, meter, same))
      pushTo(found, accountKeyText(row.org_id, row.account_id), rawMeasured(meter, row));
  }
  return found;
}

type RawRow = {
  org_id: string;
  account_id: string;
  starts_at: string;
  ends_at: string;
  project_id: string;
  dimension_values: (string | null)[];
  event_count: bigint;
  total: string | null;
  lowest: string | null;
  highest: string | null;
  latest: string | null;
  latest_at: string | null;
  latest_seq: bigint | null;
};

async function rawRows(db: Db, meter: Meter, windows: readonly RawWindow[]): Promise<RawRow[]> {
  const dimensions = dimensionValues(meter);
  // What is unique is unique for the account, whichever project it was seen in.
  const project = meter.aggregation === "unique" ? sql`''` : sql`e.project_id`;
  const { rows } = await sql<RawRow>`
    select w.org_id, w.account_id, w.starts_at, w.ends_at, ${project} as project_id,
           ${dimensions} as dimension_values,
           count(*) as event_count, ${totalOf(meter)} as total,
           ${isRanged(meter) ? sql`min(${valueOf(meter)})` : sql`null`} as lowest,
           ${isRanged(meter) ? sql`max(${valueOf(meter)})` : sql`null`} as highest,
           ${meter.aggregation === "latest" ? sql`(array_agg(${valueOf(meter)} order by e.time desc, e.seq desc))[1]` : sql`null`} as latest,
           ${meter.aggregation === "latest" ? sql`max(e.time)` : sql`null`} as latest_at,
           ${meter.aggregation === "latest" ? sql`(array_agg(e.seq order by e.time desc, e.seq desc))[1]` : sql`null`} as latest_seq
    from unnest(
      ${windows.map((w) => w.orgId)}::text[], ${windows.map((w) => w.accountId)}::text[],
      ${windows.map((w) => writeInstant(w.slice.startsAt))}::timestamptz[],
      ${windows.map((w) => writeInstant(w.slice.endsAt))}::timestamptz[],
      ${windows.map((w) => w.untilSeq?.toString() ?? null)}::bigint[]
    ) as w (org_id, account_id, starts_at, ends_at, until_seq)
    join usage_event e on e.org_id = w.org_id and e.account_id = w.account_id
      and e.time >= w.starts_at and e.time < w.ends_at
      and (w.until_seq is null or e.seq <= w.until_seq)
    where ${measuredBy(meter)}
    group by 1, 2, 3, 4, 5, 6`.execute(db);
  return rows;
}

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

function totalOf(meter: Meter): RawBuilder<unknown> {
  return meter.aggregation === "unique"
    ? sql`count(distinct e.data ->> ${sql.lit(meter.valueProperty)}) filter (where e.corrects is null)`
    : sql`sum(${quantityOfEvent(meter)})`;
}

const isRanged = (meter: Meter): boolean =>
  meter.aggregation !== "count" && meter.aggregation !== "unique";

/** The values of a meter's declared dimensions in an event `e`, in SQL, in the order of their declaration. */
export function dimensionValues(meter: Meter): RawBuilder<unknown> {
  if (meter.dimensions.length === 0) return sql`array[]::text[]`;
  const values = meter.dimensions.map(
    ({ key }) =>
      sql`coalesce(e.data -> 'dimensions' ->> ${sql.lit(key)}, e.data ->> ${sql.lit(key)})`,
  );
  return sql`array[${sql.join(values)}]`;
}

function rawMeasured(meter: Meter, row: RawRow): Measured {
  return {
    meterKey: meter.key,
    projectId: row.project_id,
    dimensions: canonicalJson(rawDimensions(meter, row.dimension_values)),
    slice: { startsAt: readInstant(row.starts_at), endsAt: readInstant(row.ends_at) },
    eventCount: row.event_count,
    total: readDecimal(row.total ?? "0"),
    lowest: row.lowest === null ? null : readDecimal(row.lowest),
    highest: row.highest === null ? null : readDecimal(row.highest),
    latest: row.latest === null ? null : readDecimal(row.latest),
    latestAt: readInstantOrNull(row.latest_at),
    latestSeq: row.latest_seq,
  };
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
