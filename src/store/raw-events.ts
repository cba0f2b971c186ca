import { sql } from "kysely";
import type { Meter } from "../domain/catalog/index.ts";
import { type Group, type RawEvent, recount } from "../domain/proof/index.ts";
import { parseExactJson, WrittenNumber } from "../kit/exact-json.ts";
import { longDecimal } from "../kit/decimal.ts";
import { canonicalJson } from "../kit/canonical-json.ts";
import type { Period } from "../kit/time.ts";
import { writeInstant } from "./columns.ts";
import type { Db } from "./connect.ts";
import { dimensionValues, measuredBy, quantityOfEvent, rawDimensions } from "./raw-usage.ts";

/** The usage of one meter in one span, of accounts of one organization. */
export type RecountRequest = {
  readonly orgId: string;
  readonly accountIds: readonly string[];
  readonly meter: Meter;
  readonly slice: Period;
  readonly dimensions: readonly string[];
  /** Only events up to this one; null for all. */
  readonly untilSeq: bigint | null;
};

/** What `recountEvents` found for one account and one set of dimension values. */
export type Recounted = {
  readonly accountId: string;
  /** Canonical JSON. */
  readonly dimensions: string;
  readonly eventCount: bigint;
  readonly quantity: ReturnType<typeof longDecimal>;
};

const pageRows = 5_000;

type RawRow = {
  account_id: string;
  event_key: string;
  corrects: string | null;
  seq: bigint;
  time: string;
  micros: bigint;
  data: string;
};

/**
 * Usage of a meter that is not the sum of its parts, by the second path: Postgres only hands the events over, as they are
 * and in the order of time, and `domain/proof` reads and reckons them. A level that was there before is the exception: of
 * that Postgres adds up the changes, so that the length of the history does not matter.
 */
export async function recountEvents(db: Db, asked: RecountRequest): Promise<Recounted[]> {
  const { meter, slice, dimensions } = asked;
  const isLevel = meter.aggregation === "weighted_sum";
  const events = await eventsWithin(db, asked);
  const found = recount(
    { meter, dimensions, startsAt: BigInt(slice.startsAt), endsAt: BigInt(slice.endsAt) },
    isLevel ? events : [...events, ...(await correctionsOutside(db, asked))],
    isLevel ? await levelsAt(db, asked) : [],
  );
  return found.map((one) => ({
    accountId: one.accountId,
    dimensions: canonicalJson(one.dimensions),
    eventCount: one.eventCount,
    quantity: longDecimal(one.quantity),
  }));
}

const columns = sql`e.account_id, e.event_key::text as event_key, e.corrects::text as corrects, e.seq, e.time,
  (extract(epoch from e.time) * 1000000)::bigint as micros, e.data::text as data`;

const known = ({ untilSeq }: RecountRequest) =>
  untilSeq === null ? sql`` : sql`and e.seq <= ${untilSeq.toString()}::bigint`;

async function eventsWithin(db: Db, asked: RecountRequest): Promise<RawEvent[]> {
  const { orgId, accountIds, meter, slice } = asked;
  const events: RawEvent[] = [];
  for (let after: RawRow | undefined; ; ) {
    const from = after
      ? sql`and (e.account_id, e.time, e.seq) > (${after.account_id}, ${after.time}::timestamptz, ${after.seq.toString()}::bigint)`
      : sql``;
    const { rows } = await sql<RawRow>`
      select ${columns} from usage_event e
      where e.org_id = ${orgId} and e.account_id = any(${accountIds}::text[])
        and e.time >= ${writeInstant(slice.startsAt)} and e.time < ${writeInstant(slice.endsAt)}
        and e.type = ${meter.eventType} ${known(asked)} ${from}
      order by e.account_id, e.time, e.seq limit ${pageRows}`.execute(db);
    for (const row of rows) events.push(rawEvent(row));
    after = rows.at(-1);
    if (rows.length < pageRows) return events;
  }
}

async function correctionsOutside(db: Db, asked: RecountRequest): Promise<RawEvent[]> {
  const { orgId, accountIds, meter, slice } = asked;
  const { rows } = await sql<RawRow>`
    select ${columns} from usage_event e
    where e.org_id = ${orgId} and e.account_id = any(${accountIds}::text[]) and e.corrects is not null
      and (e.time < ${writeInstant(slice.startsAt)} or e.time >= ${writeInstant(slice.endsAt)})
      and e.type = ${meter.eventType} ${known(asked)}`.execute(db);
  return rows.map(rawEvent);
}

async function levelsAt(db: Db, asked: RecountRequest): Promise<(Group & { level: string })[]> {
  const { orgId, accountIds, meter, slice, dimensions } = asked;
  const split = {
    ...meter,
    dimensions: meter.dimensions.filter(({ key }) => dimensions.includes(key)),
  };
  const { rows } = await sql<{
    account_id: string;
    dimension_values: (string | null)[];
    level: string;
  }>`
    select e.account_id, ${dimensionValues(split)} as dimension_values,
           sum(${quantityOfEvent(meter)}) as level
    from usage_event e
    where e.org_id = ${orgId} and e.account_id = any(${accountIds}::text[])
      and e.time < ${writeInstant(slice.startsAt)} and ${measuredBy(meter)} ${known(asked)}
    group by 1, 2`.execute(db);
  return rows.map((row) => ({
    accountId: row.account_id,
    dimensions: rawDimensions(split, row.dimension_values),
    level: row.level,
  }));
}

const rawEvent = (row: RawRow): RawEvent => ({
  accountId: row.account_id,
  eventKey: row.event_key,
  corrects: row.corrects,
  seq: row.seq,
  at: row.micros,
  data: asText(parseExactJson(row.data)) as Record<string, unknown>,
});

/** Numbers that no float can hold are their digits. */
function asText(value: unknown): unknown {
  if (value instanceof WrittenNumber) return value.source;
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  for (const [key, member] of Object.entries(value))
    if (typeof member === "object") (value as Record<string, unknown>)[key] = asText(member);
  return value;
}
