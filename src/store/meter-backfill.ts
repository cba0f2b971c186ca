import { type RawBuilder, sql } from "kysely";
import type { Meter } from "../domain/catalog/index.ts";
import type { Db, Tx } from "./connect.ts";
import { dimensionsText, measuredEvents } from "./measured-sql.ts";

/** One billing account whose events a meter has to be counted back over. */
export type BackfillAccount = { readonly orgId: string; readonly accountId: string };

/** Forget how far earlier back-fills came, and read the meter from its events until this one is through. */
export async function startBackfill(tx: Tx, meterKey: string): Promise<void> {
  await sql`update meter set rolled_up = false where key = ${meterKey}`.execute(tx);
  await sql`delete from meter_backfill where meter_key = ${meterKey}`.execute(tx);
}

/** Everything this meter measures is in its rollups. */
export async function markRolledUp(tx: Tx, meterKey: string): Promise<void> {
  await sql`update meter set rolled_up = true where key = ${meterKey}`.execute(tx);
  await sql`delete from meter_backfill where meter_key = ${meterKey}`.execute(tx);
}

/** A meter in the form in which it is being counted back. */
export type BackfilledMeter = { readonly meter: Meter; readonly revision: number };

/**
 * Whether everybody who may have loaded the catalog before this form of the meter was in it has committed or gone, so that
 * all others count it by themselves. The first call, made when the meter is committed, puts a mark into the order of
 * transactions; those that began before it are the ones to wait for. The mark is this statement's own number, which is higher
 * than that of everybody who is at work; the end of a snapshot is not: it is one past the last that has ended.
 */
export async function isSettledIn(db: Db, of: BackfilledMeter): Promise<boolean> {
  const own = sql`key = ${of.meter.key} and revision = ${of.revision}`;
  await sql`
    update meter set backfill_mark = pg_current_xact_id()::text
    where ${own} and backfill_mark is null`.execute(db);
  const { rows } = await sql<{ settled: boolean }>`
    select case when backfill_mark = 'listed' then true
                else pg_snapshot_xmin(pg_current_snapshot()) >= backfill_mark::xid8 end as settled
    from meter where ${own}`.execute(db);
  return rows[0]?.settled ?? true;
}

/** List the accounts to count, once: those that come later have no event that ingest does not count. */
export async function listBackfillAccounts(tx: Tx, of: BackfilledMeter): Promise<void> {
  const { numAffectedRows } = await sql`
    update meter set backfill_mark = 'listed'
    where key = ${of.meter.key} and revision = ${of.revision} and not rolled_up
      and backfill_mark is distinct from 'listed'`.execute(tx);
  if (numAffectedRows === 0n) return;
  await sql`
    insert into meter_backfill (org_id, account_id, meter_key)
    select org_id, account_id, ${of.meter.key} from usage_head`.execute(tx);
}

/** Listed accounts that are not through yet. */
export async function listUnfinished(
  db: Db,
  meterKey: string,
  limit: number,
): Promise<BackfillAccount[]> {
  const { rows } = await sql<{ org_id: string; account_id: string }>`
    select org_id, account_id from meter_backfill where meter_key = ${meterKey} and not finished
    order by org_id, account_id limit ${limit}`.execute(db);
  return rows.map((row) => ({ orgId: row.org_id, accountId: row.account_id }));
}

export async function backfillProgress(
  db: Db,
  meterKey: string,
): Promise<{ readonly accountCount: number; readonly finishedCount: number }> {
  const { rows } = await sql<{ accounts: bigint; finished: bigint }>`
    select count(*) as accounts, count(*) filter (where finished) as finished
    from meter_backfill where meter_key = ${meterKey}`.execute(db);
  return {
    accountCount: Number(rows[0]?.accounts ?? 0n),
    finishedCount: Number(rows[0]?.finished ?? 0n),
  };
}

/**
 * Hold an account's usage head, as ingest does: nobody writes its events or rollups meanwhile. Counts the head's version
 * up, so that whoever keeps what the account looked like reads it anew.
 */
export async function lockHead(tx: Tx, account: BackfillAccount): Promise<void> {
  await sql`
    update usage_head set version = version + 1
    where org_id = ${account.orgId} and account_id = ${account.accountId}`.execute(tx);
}

/**
 * Draw the line for one account, under its lock: events up to the last one are this back-fill's, all later ones are counted
 * when they come. What ingest has counted for the meter so far is among the former, and goes. Does nothing when the line
 * is there. False when there is nothing to do, because another back-fill has finished the meter or it was changed.
 */
export async function drawLine(
  tx: Tx,
  of: BackfilledMeter,
  account: BackfillAccount,
): Promise<boolean> {
  const { orgId, accountId } = account;
  const { key } = of.meter;
  // Held until commit: the meter cannot be declared finished, and its progress forgotten, between here and there.
  const { rows } = await sql<{ open: boolean }>`
    select not rolled_up and revision = ${of.revision} as open from meter where key = ${key} for share
    `.execute(tx);
  if (!rows[0]?.open) return false;
  const drawn = await sql`
    update meter_backfill b set upto_seq = h.last_seq from usage_head h
    where h.org_id = ${orgId} and h.account_id = ${accountId}
      and b.org_id = ${orgId} and b.account_id = ${accountId} and b.meter_key = ${key}
      and b.upto_seq is null`.execute(tx);
  if (drawn.numAffectedRows === 0n) return true;
  await sql`
    delete from usage_rollup
    where org_id = ${orgId} and account_id = ${accountId} and meter_key = ${key}`.execute(tx);
  return true;
}

/**
 * Count the next events of one account, by event time, under its lock; returns whether it is finished. About `eventsMax`
 * of them: those of one microsecond stay together, so that a moment is enough to say where to go on.
 */
export async function countNext(
  tx: Tx,
  meter: Meter,
  account: BackfillAccount,
  eventsMax: number,
): Promise<boolean> {
  const { orgId, accountId } = account;
  const own = sql`org_id = ${orgId} and account_id = ${accountId}`;
  const { rows } = await sql<{ upto_seq: string; done_until: string }>`
    select upto_seq::text, done_until::text from meter_backfill
    where ${own} and meter_key = ${meter.key} and not finished`.execute(tx);
  const step = rows[0];
  if (step === undefined) return true;
  const until = await sliceEnd(tx, own, step.done_until, eventsMax);

  const slice = sql`e.time >= ${step.done_until}::timestamptz and e.time < ${until}::timestamptz
    and e.seq <= ${step.upto_seq}::bigint`;
  const events = measuredEvents(
    meter,
    { orgId, accountIds: [accountId] },
    { and: slice, also: sql`, ${dimensionsText(meter)} as dimensions` },
  );
  const readings = sql`filter (where corrects is null)`;
  const last = (value: RawBuilder<unknown>) =>
    sql`(array_agg(${value} order by time desc, seq desc) ${readings})[1]`;
  const keepsReadings = !["count", "sum", "unique"].includes(meter.aggregation);
  const reading = (value: RawBuilder<unknown>) => (keepsReadings ? value : sql`null`);
  await sql`
    insert into usage_rollup as r (org_id, account_id, meter_key, bucket_at, project_id, dimensions,
      event_count, total, lowest, highest, latest, latest_at, latest_seq, corrected)
    select ${orgId}, account_id, ${meter.key}, bucket_at, project_id, dimensions, count(*), sum(value),
      ${reading(sql`min(value) ${readings}`)}, ${reading(sql`max(value) ${readings}`)},
      ${reading(last(sql`value`))}, ${reading(last(sql`time`))}, ${reading(last(sql`seq`))},
      bool_or(corrects is not null)
    from (select m.*, date_bin('15 minutes', time, '1970-01-01T00:00:00Z') as bucket_at from (${events}) m) m
    group by account_id, bucket_at, project_id, dimensions
    on conflict (org_id, account_id, meter_key, bucket_at, project_id, dimensions) do update set
      event_count = r.event_count + excluded.event_count,
      total = r.total + excluded.total,
      lowest = least(r.lowest, excluded.lowest),
      highest = greatest(r.highest, excluded.highest),
      latest = case when ${isLater} then excluded.latest else r.latest end,
      latest_at = case when ${isLater} then excluded.latest_at else r.latest_at end,
      latest_seq = case when ${isLater} then excluded.latest_seq else r.latest_seq end,
      corrected = r.corrected or excluded.corrected`.execute(tx);
  const isFinished = until === "infinity";
  await sql`
    update meter_backfill set done_until = ${until}::timestamptz, finished = ${isFinished}
    where ${own} and meter_key = ${meter.key}`.execute(tx);
  return isFinished;
}

/** Where a slice of about so many events ends: the first moment that is not in it. */
async function sliceEnd(
  tx: Tx,
  own: RawBuilder<unknown>,
  from: string,
  eventsMax: number,
): Promise<string> {
  const first = async (condition: RawBuilder<unknown>, offset: number) => {
    const { rows } = await sql<{ at: string }>`
      select time::text as at from usage_event where ${own} and ${condition}
      order by time offset ${offset} limit 1`.execute(tx);
    return rows[0]?.at;
  };
  const start = await first(sql`time >= ${from}::timestamptz`, 0);
  const end = await first(sql`time >= ${from}::timestamptz`, eventsMax);
  if (end === undefined) return "infinity";
  if (end !== start) return end;
  return (await first(sql`time > ${end}::timestamptz`, 0)) ?? "infinity";
}

const isLater = sql`(r.latest_at is null or
  (excluded.latest_at is not null and (excluded.latest_at, excluded.latest_seq) > (r.latest_at, r.latest_seq)))`;
