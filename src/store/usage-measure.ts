import { type RawBuilder, sql } from "kysely";
import type { Meter } from "../domain/catalog/index.ts";
import {
  inHours,
  intervalCount,
  mergeParts,
  type Part,
  planReading,
  quantityOf,
  startOfQuarterHour,
  weigh,
} from "../domain/usage/index.ts";
import {
  add,
  type Decimal,
  decimalOf,
  isZero,
  longDecimal,
  multiply,
  subtract,
  zero,
} from "../kit/decimal.ts";
import { type Instant, instant, type Period, second } from "../kit/time.ts";
import { writeInstant } from "./columns.ts";
import type { Db } from "./connect.ts";
import { all, type EventScope, list, measuredEvents, scopeConditions } from "./measured-sql.ts";

/** What usage is split by. Whatever is not named is put together, across it. */
export type Breakdown = {
  readonly account: boolean;
  readonly project: boolean;
  /** Declared dimensions of the meter. */
  readonly dimensions: readonly string[];
};

export type MeasureRequest = {
  readonly orgId: string;
  /** Undefined: every account of the organization. */
  readonly accountIds?: readonly string[];
  readonly projectId?: string;
  readonly meter: Meter;
  /** Adjoining windows, oldest first: a whole period is one. */
  readonly windows: readonly Period[];
  readonly by: Breakdown;
  /** Leave out events after this one: what could be known then. Reads the events. */
  readonly untilSeq?: bigint;
};

/** The usage of one group in one window. Groups and windows without any are absent. */
export type Reading = {
  /** Null where the breakdown does not split by it. */
  readonly accountId: string | null;
  readonly projectId: string | null;
  /** The dimensions split by, those the events carried. */
  readonly dimensions: Readonly<Record<string, string>>;
  readonly windowIndex: number;
  /** Events and corrections that the quantity is made of. */
  readonly eventCount: number;
  /** Not rounded. Null: nothing was read (the latest of no readings). */
  readonly quantity: Decimal | null;
};

/**
 * Measure adjoining windows, for any number of accounts in a fixed number of queries. Whole quarter hours come from
 * rollups where they hold everything (`meter.rolled_up`); odd ends, readings of accounts with corrections, and what cannot
 * be merged come from the events. Both ways give the same figures.
 */
export async function measure(db: Db, request: MeasureRequest): Promise<Reading[]> {
  if (request.windows.length === 0 || request.accountIds?.length === 0) return [];
  switch (request.meter.aggregation) {
    case "count":
    case "sum":
      return measureParts(db, request, await mayUseRollups(db, request));
    case "max":
    case "min":
    case "latest":
    case "average":
      return measureReadings(db, request);
    case "unique":
      return measureUnique(db, request);
    case "percentile":
      return measurePercentile(db, request);
    case "weighted_sum":
      return measureWeighted(db, request);
  }
}

async function mayUseRollups(db: Db, request: MeasureRequest): Promise<boolean> {
  if (request.untilSeq !== undefined) return false;
  const { meter } = request;
  const { rows } = await sql<{ rolled_up: boolean }>`
    select rolled_up from meter where key = ${meter.key}`.execute(db);
  return rows[0]?.rolled_up ?? false;
}

// ---- keys: which group and window a row belongs to -------------------------------------------------------------------

type KeyRow = {
  readonly account_id: string | null;
  readonly project_id: string | null;
  readonly w: number;
  readonly [dimension: `d${number}`]: string | null;
};

const refs = (by: Breakdown) => [
  ...(by.account ? [sql.ref("account_id")] : []),
  ...(by.project ? [sql.ref("project_id")] : []),
  ...by.dimensions.map((_, index) => sql.ref(`d${index}`)),
];

const keyColumns = (by: Breakdown): RawBuilder<unknown> =>
  list([
    by.account ? sql`account_id` : sql`null::text as account_id`,
    by.project ? sql`project_id` : sql`null::text as project_id`,
    ...by.dimensions.map((_, index) => sql.ref(`d${index}`)),
  ]);

const groupBy = (by: Breakdown): RawBuilder<unknown> => list([...refs(by), sql.ref("w")]);

/** The number of the window that a moment falls in, counted from 0. */
function windowOf(at: RawBuilder<unknown>, windows: readonly Period[]): RawBuilder<unknown> {
  if (windows.length === 1) return sql`0`;
  const starts = windows.map(({ startsAt }) => writeInstant(startsAt));
  return sql`width_bucket(${at}, ${starts}::timestamptz[]) - 1`;
}

function groupOf(row: KeyRow, by: Breakdown) {
  const dimensions: Record<string, string> = {};
  for (const [index, key] of by.dimensions.entries()) {
    const value = row[`d${index}`];
    if (value !== null && value !== undefined) dimensions[key] = value;
  }
  return { accountId: row.account_id, projectId: row.project_id, dimensions };
}

const keyOf = (row: KeyRow, by: Breakdown): string =>
  JSON.stringify([row.account_id, row.project_id, by.dimensions.map((_, i) => row[`d${i}`])]);

const wholeOf = (windows: readonly Period[]): Period => ({
  startsAt: (windows[0] as Period).startsAt,
  endsAt: (windows.at(-1) as Period).endsAt,
});

// ---- sums of parts -----------------------------------------------------------------------------------------------------

type PartRow = KeyRow & {
  readonly event_count: bigint;
  readonly total: string;
  readonly lowest: string | null;
  readonly highest: string | null;
  readonly latest: readonly [string, string, string] | null;
};

async function measureParts(
  db: Db,
  request: MeasureRequest,
  fromRollups: boolean,
): Promise<Reading[]> {
  const { meter, windows, by } = request;
  const plan = planReading(windows);
  const allRaw = !fromRollups || plan.allRaw;
  const rawPeriods = allRaw ? [wholeOf(windows)] : plan.rawPeriods;

  const merged = new Map<string, { row: KeyRow; part: Part }>();
  const take = (rows: readonly PartRow[]) => {
    for (const row of rows) {
      const key = `${row.w} ${keyOf(row, by)}`;
      const before = merged.get(key)?.part;
      const part = partOfRow(row);
      merged.set(key, { row, part: before ? mergeParts(before, part) : part });
    }
  };
  if (!allRaw) take(await readRollups(db, request, plan.brokenQuarters));
  if (rawPeriods.length > 0) take(await readEvents(db, request, rawPeriods));

  return [...merged.values()].map(({ row, part }) => ({
    ...groupOf(row, by),
    windowIndex: row.w,
    eventCount: part.eventCount,
    quantity: quantityOf(meter, part),
  }));
}

async function readRollups(
  db: Db,
  { orgId, accountIds, projectId, meter, windows, by }: MeasureRequest,
  broken: readonly Instant[],
): Promise<PartRow[]> {
  const whole = wholeOf(windows);
  const scope: EventScope = {
    orgId,
    ...(accountIds && { accountIds }),
    ...(projectId !== undefined && { projectId }),
    periods: [{ ...whole, startsAt: startOfQuarterHour(whole.startsAt) }],
  };
  const conditions = [
    ...scopeConditions(scope, sql`r.bucket_at`, "r"),
    sql`r.meter_key = ${meter.key}`,
    ...(broken.length > 0
      ? [sql`r.bucket_at <> all(${broken.map(writeInstant)}::timestamptz[])`]
      : []),
  ];
  const dimensions = by.dimensions.map(
    (key, index) => sql`, r.dimensions::json->>${key} as ${sql.ref(`d${index}`)}`,
  );
  const { rows } = await sql<PartRow>`
    select ${keyColumns(by)}, w, sum(event_count)::bigint as event_count, sum(total) as total,
           ${extremes(meter, { lowest: sql`lowest`, highest: sql`highest`, latest: sql`latest`, at: sql`latest_at`, seq: sql`latest_seq` })}
    from (
      select r.*, ${windowOf(sql`r.bucket_at`, windows)} as w ${sql.join(dimensions, sql` `)}
      from usage_rollup r where ${all(conditions)}
    ) r
    group by ${groupBy(by)}`.execute(db);
  return rows;
}

async function readEvents(
  db: Db,
  request: MeasureRequest,
  periods: readonly Period[],
): Promise<PartRow[]> {
  const { meter, windows, by } = request;
  const scope = { ...scopeOf(request), periods };
  const events = measuredEvents(meter, scope, { dimensions: by.dimensions });
  const { rows } = await sql<PartRow>`
    select ${keyColumns(by)}, w, count(*) as event_count, sum(value) as total,
           ${extremes(meter, { lowest: sql`value`, highest: sql`value`, latest: sql`value`, at: sql`time`, seq: sql`seq` })}
    from (select e.*, ${windowOf(sql`e.time`, windows)} as w from (${events}) e) e
    group by ${groupBy(by)}`.execute(db);
  return rows;
}

type PartColumns = Record<"lowest" | "highest" | "latest" | "at" | "seq", RawBuilder<unknown>>;

/** Only what the aggregation needs: the rest of a part costs time and nobody looks at it. */
function extremes(meter: Meter, of: PartColumns): RawBuilder<unknown> {
  const lowest = meter.aggregation === "min" ? sql`min(${of.lowest})` : sql`null::numeric`;
  const highest = meter.aggregation === "max" ? sql`max(${of.highest})` : sql`null::numeric`;
  // Sequences of two accounts say nothing about each other; the account makes the choice repeatable.
  const latest =
    meter.aggregation === "latest"
      ? sql`(array_agg(json_build_array(${of.latest}::text, ${of.at}, ${of.seq}::text)
              order by ${of.at} desc, ${of.seq} desc, account_id desc) filter (where ${of.latest} is not null))[1]`
      : sql`null::json`;
  return sql`${lowest} as lowest, ${highest} as highest, ${latest} as latest`;
}

const readOrNull = (text: string | null) => (text === null ? null : longDecimal(text));

function partOfRow(row: PartRow): Part {
  return {
    eventCount: Number(row.event_count),
    total: longDecimal(row.total),
    lowest: readOrNull(row.lowest),
    highest: readOrNull(row.highest),
    latest: row.latest && {
      quantity: longDecimal(row.latest[0]),
      at: instant(row.latest[1]),
      seq: BigInt(row.latest[2]),
    },
  };
}

// ---- readings that a correction changes --------------------------------------------------------------------------------

/** Highest, lowest, latest, average: from rollups, except where corrections have changed readings after the fact. */
async function measureReadings(db: Db, request: MeasureRequest): Promise<Reading[]> {
  const corrected = await accountsWithCorrections(db, request);
  if (corrected.length === 0) return measureParts(db, request, await mayUseRollups(db, request));
  if (request.by.account && request.accountIds !== undefined) {
    const plain = request.accountIds.filter((id) => !corrected.includes(id));
    const rolledUp = await mayUseRollups(db, request);
    return [
      ...(plain.length > 0
        ? await measureParts(db, { ...request, accountIds: plain }, rolledUp)
        : []),
      ...(await measureCorrected(db, { ...request, accountIds: corrected })),
    ];
  }
  return measureCorrected(db, request);
}

async function accountsWithCorrections(db: Db, request: MeasureRequest): Promise<string[]> {
  const { rows } = await sql<{ account_id: string }>`
    select distinct e.account_id from usage_event e
    where ${all(scopeConditions(scopeOf(request), sql`e.time`))}
      and e.corrects is not null and e.type = ${request.meter.eventType}`.execute(db);
  return rows.map((row) => row.account_id);
}

async function measureCorrected(db: Db, request: MeasureRequest): Promise<Reading[]> {
  const { meter, by } = request;
  const { rows } = await sql<PartRow>`
    select ${keyColumns(by)}, w, count(*) as event_count, sum(value) as total,
           ${extremes(meter, { lowest: sql`value`, highest: sql`value`, latest: sql`value`, at: sql`time`, seq: sql`seq` })}
    from (${netReadings(request)}) n
    group by ${groupBy(by)}`.execute(db);
  return rows.map((row) => {
    const part = partOfRow(row);
    const quantity = quantityOf(meter, part);
    return { ...groupOf(row, by), windowIndex: row.w, eventCount: part.eventCount, quantity };
  });
}

const scopeOf = ({ orgId, accountIds, projectId, untilSeq }: MeasureRequest): EventScope => ({
  orgId,
  ...(untilSeq !== undefined && { untilSeq }),
  ...(accountIds && { accountIds }),
  ...(projectId !== undefined && { projectId }),
});

/** Readings in the windows, each with its corrections taken in, whenever those came. */
function netReadings(request: MeasureRequest): RawBuilder<unknown> {
  const { meter, windows, by } = request;
  const scope = scopeOf(request);
  const within = { ...scope, periods: [wholeOf(windows)] };
  return sql`
    select e.account_id, e.project_id, e.seq, e.time, e.value + coalesce(c.taken, 0) as value,
           ${windowOf(sql`e.time`, windows)} as w
           ${sql.join(
             by.dimensions.map((_, index) => sql`, ${sql.ref(`e.d${index}`)}`),
             sql` `,
           )}
    from (${measuredEvents(meter, within, { dimensions: by.dimensions, only: "readings" })}) e
    left join (
      select corrects, sum(value) as taken
      from (${measuredEvents(meter, scope, { only: "corrections" })}) c group by corrects
    ) c on c.corrects = e.event_key`;
}

// ---- what cannot be merged ---------------------------------------------------------------------------------------------

type QuantityRow = KeyRow & { readonly event_count: bigint; readonly quantity: string };

const readingOf = (row: QuantityRow, by: Breakdown): Reading => ({
  ...groupOf(row, by),
  windowIndex: row.w,
  eventCount: Number(row.event_count),
  quantity: longDecimal(row.quantity),
});

/** Distinct things seen. A sighting that was corrected was none. */
async function measureUnique(db: Db, request: MeasureRequest): Promise<Reading[]> {
  const { meter, windows, by } = request;
  const scope = scopeOf(request);
  const within = { ...scope, periods: [wholeOf(windows)] };
  const { rows } = await sql<QuantityRow>`
    select ${keyColumns(by)}, w, count(*) as event_count, count(distinct thing)::numeric as quantity
    from (
      select e.*, ${windowOf(sql`e.time`, windows)} as w
      from (${measuredEvents(meter, within, { dimensions: by.dimensions, only: "readings" })}) e
      where not exists (
        select from (${measuredEvents(meter, scope, { only: "corrections" })}) c
        where c.corrects = e.event_key)
    ) e
    group by ${groupBy(by)}`.execute(db);
  return rows.map((row) => readingOf(row, by));
}

/**
 * Nearest rank, in numeric from end to end (`percentile_disc` takes a float). Samples that are missing stand between those
 * below zero and the others.
 */
async function measurePercentile(db: Db, request: MeasureRequest): Promise<Reading[]> {
  const { meter, windows, by } = request;
  const keys = groupBy(by);
  const samples =
    meter.sampleSeconds === undefined
      ? sql`select ${keyColumns(by)}, w, value, 1 as events from net`
      : sql`select ${keyColumns(by)}, w, sum(value) as value, count(*) as events from net
            group by ${keys}, ${slotOf(meter, windows)}`;
  const intervals = windows.map((window) =>
    meter.missingSamplesAreZero ? intervalCount(meter, window) : 0,
  );
  const { rows } = await sql<QuantityRow>`
    with net as (${netReadings(request)}),
    sample as (${samples}),
    ranked as (
      select s.*, row_number() over (partition by ${keys} order by value) as place,
             count(*) over (partition by ${keys}) as sent,
             count(*) filter (where value < 0) over (partition by ${keys}) as below
      from sample s
    ),
    counted as (
      select r.*, greatest((${intervals}::bigint[])[w + 1] - sent, 0) as missing from ranked r
    ),
    aimed as (
      select c.*, greatest(1, ceil(${meter.percentile?.toFixed() ?? "50"}::numeric * (sent + missing) / 100)) as rank
      from counted c
    )
    select ${keyColumns(by)}, w, sum(events)::bigint as event_count,
           coalesce(max(value) filter (where place = case
             when rank <= below then rank
             when rank <= below + missing then null
             else rank - missing end), 0) as quantity
    from aimed group by ${keys}`.execute(db);
  return rows.map((row) => readingOf(row, by));
}

/** Intervals are counted from the start of each window, so that a day of 23 hours has whole ones. */
function slotOf(meter: Meter, windows: readonly Period[]): RawBuilder<unknown> {
  const starts = windows.map(({ startsAt }) => String(startsAt));
  const length = (meter.sampleSeconds ?? 1) * second;
  return sql`floor((${microsOf(sql`time`)} - (${starts}::bigint[])[w + 1]) / ${length}::bigint)`;
}

const microsOf = (at: RawBuilder<unknown>): RawBuilder<unknown> =>
  sql`(extract(epoch from ${at})::numeric * 1000000)`;

// ---- level × time ------------------------------------------------------------------------------------------------------

type LevelRow = KeyRow & {
  readonly event_count: bigint;
  readonly change: string;
  readonly moment: string;
};

/**
 * Level × time needs two sums for each window, of changes and of change × moment, and the level it starts with: the sum
 * of all changes before. A group that nothing happens to still has its level.
 */
async function measureWeighted(db: Db, request: MeasureRequest): Promise<Reading[]> {
  const { meter, windows, by } = request;
  const whole = wholeOf(windows);
  const scope = { ...scopeOf(request), periods: [whole] };
  const { rows } = await sql<LevelRow>`
    select ${keyColumns(by)}, w, count(*) as event_count, sum(value) as change,
           sum(value * ${microsOf(sql`time`)}) as moment
    from (select e.*, ${windowOf(sql`e.time`, windows)} as w
          from (${measuredEvents(meter, scope, { dimensions: by.dimensions })}) e) e
    group by ${groupBy(by)}`.execute(db);

  const groups = new Map<
    string,
    { row: KeyRow; carried: Decimal; windows: Map<number, LevelRow> }
  >();
  for (const { row, level } of await levelsBefore(db, request, whole.startsAt))
    groups.set(keyOf(row, by), { row, carried: level, windows: new Map() });
  for (const row of rows) {
    const key = keyOf(row, by);
    const group = groups.get(key) ?? { row, carried: zero, windows: new Map() };
    groups.set(key, group);
    group.windows.set(row.w, row);
  }

  const readings: Reading[] = [];
  for (const { row, carried, windows: changed } of groups.values()) {
    let level = carried;
    for (const [windowIndex, window] of windows.entries()) {
      const here = changed.get(windowIndex);
      if (here === undefined && isZero(level)) continue;
      const change = here ? longDecimal(here.change) : zero;
      const moment = here ? longDecimal(here.moment) : zero;
      // Σ change × (end − at) = Σ change × end − Σ change × at
      const moved = subtract(multiply(change, decimalOf(window.endsAt)), moment);
      const quantity = inHours(add(weigh(level, [], window), moved));
      const eventCount = Number(here?.event_count ?? 0);
      readings.push({ ...groupOf(row, by), windowIndex, eventCount, quantity });
      level = add(level, change);
    }
  }
  return readings;
}

async function levelsBefore(db: Db, request: MeasureRequest, startsAt: Instant) {
  const everything = { startsAt: 0 as Instant, endsAt: startsAt };
  const before = { ...request, windows: [everything] };
  const sums = { ...before, meter: { ...request.meter, aggregation: "sum" as const } };
  const readings = await measureParts(db, sums, await mayUseRollups(db, request));
  return readings.map(({ accountId, projectId, dimensions, quantity }) => {
    const row: Record<string, string | number | null> = {
      account_id: accountId,
      project_id: projectId,
      w: 0,
    };
    for (const [index, key] of request.by.dimensions.entries())
      row[`d${index}`] = dimensions[key] ?? null;
    return { row: row as KeyRow, level: quantity ?? zero };
  });
}
