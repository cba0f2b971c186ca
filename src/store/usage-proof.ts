import { sql } from "kysely";
import type { Meter } from "../domain/catalog/index.ts";
import {
  type ChainedEvent,
  type ChainFault,
  firstLink,
  startOfChain,
  walkChain,
} from "../domain/usage/index.ts";
import { canonicalJson } from "../kit/canonical-json.ts";
import { formatDecimal } from "../kit/decimal.ts";
import { formatInstant, type Period } from "../kit/time.ts";
import { readDecimal, readInstant, writeInstant } from "./columns.ts";
import type { Db, Tx } from "./connect.ts";
import type { AccountKey } from "./invoice-facts.ts";
import { dimensionValues, measuredBy, quantityOfEvent, rawDimensions } from "./raw-usage.ts";

/** One quarter of an hour whose stored usage differs from what its events add up to. */
export type RollupFault = {
  readonly meterKey: string;
  readonly bucketAt: string;
  readonly projectId: string;
  readonly dimensions: string;
  readonly stored: string;
  readonly recomputed: string;
  /** What the events add up to; null where there are none. */
  readonly is: { readonly eventCount: bigint; readonly total: string } | null;
};

/**
 * Compare an account's rollups of a meter with its raw events, bucket by bucket. `period` null: all there ever was. Returns
 * what differs, at most `limit`.
 */
export async function compareRollups(
  db: Db,
  of: AccountKey,
  meter: Meter,
  period: Period | null,
  limit = 100,
): Promise<RollupFault[]> {
  const from = period ? writeInstant(period.startsAt) : "-infinity";
  const to = period ? writeInstant(period.endsAt) : "infinity";
  const raw = await sql<{
    bucket_at: string;
    project_id: string;
    dimension_values: (string | null)[];
    event_count: bigint;
    total: string | null;
  }>`
    select date_bin('15 minutes', e.time, timestamptz '2000-01-01 00:00:00+00') as bucket_at, e.project_id,
           ${dimensionValues(meter)} as dimension_values, count(*) as event_count,
           sum(${quantityOfEvent(meter)}) as total
    from usage_event e
    where e.org_id = ${of.orgId} and e.account_id = ${of.accountId}
      and e.time >= ${from}::timestamptz and e.time < ${to}::timestamptz and ${measuredBy(meter)}
    group by 1, 2, 3`.execute(db);
  const stored = await sql<{
    bucket_at: string;
    project_id: string;
    dimensions: string;
    event_count: bigint;
    total: string;
  }>`
    select bucket_at, project_id, dimensions, event_count, total from usage_rollup
    where org_id = ${of.orgId} and account_id = ${of.accountId} and meter_key = ${meter.key}
      and bucket_at >= ${from}::timestamptz and bucket_at < ${to}::timestamptz`.execute(db);

  const expected = new Map<string, NonNullable<RollupFault["is"]>>();
  for (const row of raw.rows) {
    const dimensions = canonicalJson(rawDimensions(meter, row.dimension_values));
    const key = keyOf(row.bucket_at, row.project_id, dimensions);
    expected.set(key, { eventCount: row.event_count, total: row.total ?? "0" });
  }
  const faults: RollupFault[] = [];
  const fault = (key: string, was: string, is: RollupFault["is"]) => {
    const [bucketAt, projectId, dimensions] = JSON.parse(key) as [string, string, string];
    if (faults.length < limit)
      faults.push({
        meterKey: meter.key,
        bucketAt,
        projectId,
        dimensions,
        stored: was,
        recomputed: is ? figuresOf(is) : "nothing",
        is,
      });
  };
  for (const row of stored.rows) {
    const key = keyOf(row.bucket_at, row.project_id, row.dimensions);
    const was = figuresOf({ eventCount: row.event_count, total: row.total });
    const is = expected.get(key) ?? null;
    expected.delete(key);
    if (is === null || was !== figuresOf(is)) fault(key, was, is);
  }
  for (const [key, is] of expected) fault(key, "nothing", is);
  return faults;
}

const keyOf = (bucketAt: string, projectId: string, dimensions: string): string =>
  JSON.stringify([formatInstant(readInstant(bucketAt)), projectId, dimensions]);

const figuresOf = ({ eventCount, total }: NonNullable<RollupFault["is"]>): string =>
  `${formatDecimal(readDecimal(total))} from ${eventCount} events`;

/** Write what the events add up to in place of what was stored. The account's head is locked: nothing comes in meanwhile. */
export async function mendRollups(
  tx: Tx,
  of: AccountKey,
  faults: readonly RollupFault[],
): Promise<void> {
  const rows = faults.map(({ meterKey, bucketAt, projectId, dimensions, is }) => ({
    org_id: of.orgId,
    account_id: of.accountId,
    meter_key: meterKey,
    bucket_at: bucketAt,
    project_id: projectId,
    dimensions,
    event_count: is?.eventCount.toString() ?? "0",
    total: is?.total ?? "0",
  }));
  await sql`
    delete from usage_rollup r using json_populate_recordset(null::usage_rollup, ${JSON.stringify(rows)}::json) x
    where r.org_id = x.org_id and r.account_id = x.account_id and r.meter_key = x.meter_key and r.bucket_at = x.bucket_at
      and r.project_id = x.project_id and r.dimensions = x.dimensions`.execute(tx);
  await sql`
    insert into usage_rollup (org_id, account_id, meter_key, bucket_at, project_id, dimensions, event_count, total)
    select org_id, account_id, meter_key, bucket_at, project_id, dimensions, event_count, total
    from json_populate_recordset(null::usage_rollup, ${JSON.stringify(rows)}::json) where event_count > 0`.execute(
    tx,
  );
}

type ChainRow = {
  event_key: string;
  seq: bigint;
  project_id: string;
  type: string;
  source: string;
  id: string;
  subject: string;
  time: string;
  received_at: string;
  corrects: string | null;
  data_text: string;
  chain: Buffer;
};

const chainPage = 5_000;

/** Walk an account's events from the first to the last along their chain, to the tip that its head keeps. */
export async function verifyChain(db: Db, of: AccountKey): Promise<ChainFault | undefined> {
  const walk = startOfChain();
  for (;;) {
    const { rows } = await sql<ChainRow>`
      select event_key, seq, project_id, type, source, id, subject, time, received_at, corrects,
             data::text as data_text, chain
      from usage_event where org_id = ${of.orgId} and account_id = ${of.accountId}
        and seq > ${walk.lastSeq.toString()}::bigint order by seq limit ${chainPage}`.execute(db);
    for (const row of rows) {
      const fault = walkChain(walk, chainedEvent(of, row), row.chain.toString("hex"));
      if (fault) return fault;
    }
    if (rows.length < chainPage) break;
  }
  const { rows } = await sql<{ last_seq: bigint; chain: Buffer }>`
    select last_seq, chain from usage_head
    where org_id = ${of.orgId} and account_id = ${of.accountId}`.execute(db);
  const head = rows[0];
  const tip = head ? head.chain.toString("hex") : firstLink;
  const seq = head?.last_seq ?? 0n;
  if (seq === walk.lastSeq && (seq === 0n || tip === walk.link)) return undefined;
  const detail = `the account's head says ${seq} events, its chain ends after ${walk.lastSeq} or with another link`;
  return { ...of, seq, source: "", id: "", detail };
}

const chainedEvent = (of: AccountKey, row: ChainRow): ChainedEvent => ({
  orgId: of.orgId,
  accountId: of.accountId,
  seq: row.seq,
  projectId: row.project_id,
  type: row.type,
  source: row.source,
  id: row.id,
  subject: row.subject,
  time: readInstant(row.time),
  receivedAt: readInstant(row.received_at),
  corrects: row.corrects === null ? null : row.corrects.replaceAll("-", ""),
  dataText: row.data_text,
});
