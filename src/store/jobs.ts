import { sql } from "kysely";
import type { Instant } from "../kit/time.ts";
import { readInstant, readInstantOrNull, writeInstant } from "./columns.ts";
import type { Db } from "./connect.ts";

/** A process that has not shown itself for so long is taken for gone. */
export const jobLeaseMs = 15_000;

/** A periodic job: due at `atSeconds` past every multiple of its period since 1970. */
export type DueSlot = {
  readonly name: string;
  readonly everySeconds: number;
  readonly slotAt: Instant;
  readonly nextAt: Instant;
};

// Enough for a hiccup of the database; after that the next slot starts anew.
const attemptsMax = 5;

/**
 * Hand what has become due to the workers, and answer with its names. A slot is handed out once, whichever process asks and
 * whatever the clock does: a slot that is not later than the last one is passed over.
 */
export async function handOut(db: Db, slots: readonly DueSlot[]): Promise<string[]> {
  const { rows } = await sql<{ name: string }>`
    with due as (
      insert into job_schedule as s (name, every_seconds, slot_at, next_at)
      select * from unnest(${slots.map((s) => s.name)}::text[], ${slots.map((s) => s.everySeconds)}::integer[],
        ${slots.map((s) => writeInstant(s.slotAt))}::timestamptz[], ${slots.map((s) => writeInstant(s.nextAt))}::timestamptz[])
        as x (name, every_seconds, slot_at, next_at) order by name
      on conflict (name) do update
        set every_seconds = excluded.every_seconds, slot_at = excluded.slot_at, next_at = excluded.next_at
        where s.slot_at is null or s.slot_at < excluded.slot_at
      returning name
    )
    select name, (graphile_worker.add_job(identifier => name, queue_name => name, job_key => name,
      max_attempts => ${attemptsMax}::integer)).id::text as id from due`.execute(db);
  return rows.map((row) => row.name);
}

/**
 * Ask for a job, in the caller's transaction: it is there when that commits. A job of the same key that still waits is this
 * one; jobs of one queue run one after the other.
 */
export async function askForJob(
  db: Db,
  asked: { name: string; key?: string; payload?: Readonly<Record<string, string>> },
): Promise<string> {
  const { rows } = await sql<{ id: string }>`
    select id::text as id from graphile_worker.add_job(identifier => ${asked.name}::text,
      payload => ${JSON.stringify(asked.payload ?? {})}::json, queue_name => ${asked.name}::text,
      job_key => ${asked.key ?? asked.name}::text, max_attempts => ${attemptsMax}::integer)`.execute(
    db,
  );
  return rows[0]?.id ?? "";
}

/** Whether a job has still to be done or is being done. */
export async function isJobOpen(db: Db, jobId: string): Promise<boolean> {
  const { rows } = await sql<{ open: boolean }>`
    select exists (select from graphile_worker._private_jobs
      where id = ${jobId}::bigint and (locked_at is not null or attempts = 0)) as open`.execute(db);
  return rows[0]?.open ?? false;
}

export async function noteJobStarted(db: Db, name: string, now: Instant): Promise<void> {
  await sql`
    insert into job_schedule as s (name, started_at) values (${name}, ${writeInstant(now)})
    on conflict (name) do update set started_at = excluded.started_at`.execute(db);
}

export async function noteJobSucceeded(
  db: Db,
  name: string,
  now: Instant,
  tookMs: number,
): Promise<void> {
  await sql`
    update job_schedule set succeeded_at = ${writeInstant(now)}, took_ms = ${Math.round(tookMs)}, failures_in_row = 0
    where name = ${name}`.execute(db);
}

export async function noteJobFailed(
  db: Db,
  name: string,
  now: Instant,
  failure: string,
): Promise<void> {
  await sql`
    update job_schedule set failed_at = ${writeInstant(now)}, failure = ${failure.slice(0, 1_000)},
      failures_in_row = failures_in_row + 1
    where name = ${name}`.execute(db);
}

/** How a job stands. */
export type JobState = {
  readonly name: string;
  readonly everySeconds: number | null;
  readonly nextAt: Instant | null;
  readonly startedAt: Instant | null;
  readonly succeededAt: Instant | null;
  readonly tookMs: number | null;
  readonly failedAt: Instant | null;
  readonly failure: string | null;
  readonly failuresInRow: number;
};

export async function listJobStates(db: Db): Promise<JobState[]> {
  const rows = await db.selectFrom("job_schedule").selectAll().orderBy("name").execute();
  return rows.map((row) => ({
    name: row.name,
    everySeconds: row.every_seconds,
    nextAt: readInstantOrNull(row.next_at),
    startedAt: readInstantOrNull(row.started_at),
    succeededAt: readInstantOrNull(row.succeeded_at),
    tookMs: row.took_ms,
    failedAt: readInstantOrNull(row.failed_at),
    failure: row.failure,
    failuresInRow: row.failures_in_row,
  }));
}

export type JobWorker = {
  readonly workerId: string;
  readonly host: string;
  readonly pid: number;
  readonly startedAt: Instant;
};

/** The processes that have shown themselves within the lease. */
export async function listJobWorkers(db: Db, leaseMs: number): Promise<JobWorker[]> {
  const rows = await db
    .selectFrom("job_worker")
    .selectAll()
    .where(
      "beat_at",
      ">",
      sql<string>`clock_timestamp() - make_interval(secs => ${leaseMs / 1000})`,
    )
    .orderBy("started_at")
    .execute();
  return rows.map((row) => ({
    workerId: row.worker_id,
    host: row.host,
    pid: row.pid,
    startedAt: readInstant(row.started_at),
  }));
}

/**
 * Say that this process is alive, and which jobs it has in hand. Jobs that a process holds which has not shown itself within
 * the lease are free again; so are those that stand in our name and are not in our hands, because the answer that gave them
 * to us, or ours that they are done, was lost with a connection. Returns how many were freed.
 */
export async function beat(
  db: Db,
  worker: {
    readonly workerId: string;
    readonly host: string;
    readonly pid: number;
    readonly inHand: readonly string[];
    readonly leaseMs: number;
  },
): Promise<number> {
  await sql`
    insert into job_worker as w (worker_id, host, pid, started_at, beat_at)
    values (${worker.workerId}, ${worker.host}, ${worker.pid}, clock_timestamp(), clock_timestamp())
    on conflict (worker_id) do update set beat_at = excluded.beat_at`.execute(db);
  const lease = sql`make_interval(secs => ${worker.leaseMs / 1000})`;
  const { rows } = await sql<{ freed: number }>`
    with alive as (select worker_id from job_worker where beat_at > clock_timestamp() - ${lease}),
    lost as (
      select id, job_queue_id from graphile_worker._private_jobs
      where locked_at < clock_timestamp() - ${lease}
        and (locked_by not in (select worker_id from alive)
          or (locked_by = ${worker.workerId} and id <> all (${worker.inHand}::bigint[])))
      for update skip locked
    ),
    queues as (
      update graphile_worker._private_job_queues q set locked_at = null, locked_by = null
      where q.locked_at < clock_timestamp() - ${lease}
        and (q.id in (select job_queue_id from lost) or q.locked_by not in (select worker_id from alive))
    ),
    freed as (
      update graphile_worker._private_jobs j set locked_at = null, locked_by = null, run_at = now()
      from lost where j.id = lost.id returning 1
    )
    select count(*)::int as freed from freed`.execute(db);
  // Replaced while its worker died: a newer job of the same name does its work.
  await sql`
    delete from graphile_worker._private_jobs
    where locked_at is null and key is null and attempts >= max_attempts`.execute(db);
  return rows[0]?.freed ?? 0;
}

/** Take leave: what this process still held is free at once. */
export async function takeLeave(db: Db, workerId: string): Promise<void> {
  await sql`delete from job_worker where worker_id = ${workerId} or beat_at < clock_timestamp() - interval '1 day'`.execute(
    db,
  );
  await sql`select graphile_worker.force_unlock_workers(array[${workerId}]::text[])`.execute(db);
}
