import { EventEmitter } from "node:events";
import { hostname } from "node:os";
import {
  Logger,
  runTaskList,
  runTaskListOnce,
  type TaskList,
  type WorkerPool,
} from "graphile-worker";
import type { Env } from "../flows/env.ts";
import type { Store } from "../store/connect.ts";
import {
  askForJob,
  beat,
  handOut,
  jobLeaseMs,
  isJobOpen,
  noteJobFailed,
  noteJobStarted,
  noteJobSucceeded,
  takeLeave,
} from "../store/jobs.ts";
import { type Handler, handlers as allHandlers, type JobName } from "./handlers.ts";
import { type Schedule, schedules as allSchedules, slotAt } from "./schedules.ts";

type QueuePool = Store["pool"];
type Handlers = Readonly<Record<string, Handler>>;

export type JobsOptions = {
  /** Connections for the queue alone; ended by whoever opened them. */
  readonly queue: QueuePool;
  /** Jobs under way in this process at most. */
  readonly concurrency?: number;
  readonly schedules?: readonly Schedule[];
  readonly handlers?: Handlers;
  /** Jobs of a process that has not shown itself for so long are free for others. */
  readonly leaseMs?: number;
  /** How often to look whether something has become due. */
  readonly tickMs?: number;
  readonly onFailure?: (error: unknown, what: string) => void;
};

export type Jobs = {
  /** Take up no further job; those under way end, the long ones at their next stop. */
  stop(): Promise<void>;
  /** Look now whether something is due, and hand it out. For tests and the impatient. */
  tick(): Promise<string[]>;
};

const beatsPerLease = 3;
const restartMs = 1_000;
const silent = new Logger(() => () => {});

/**
 * Keep time: hand out what is due, work on what is there, say that we are alive. Any number of processes may. A database
 * that goes away is waited for.
 */
export function startJobs(env: Env, options: JobsOptions): Jobs {
  const { schedules = allSchedules, leaseMs = jobLeaseMs, onFailure = () => {} } = options;
  const stopping = new AbortController();
  const crew = openCrew(env, options, stopping.signal);

  let lastSlots = new Map<string, number>();
  const tick = async () => {
    const now = env.now();
    const slots = schedules.map((schedule) => slotAt(schedule, now));
    if (
      slots.every((slot) => slot.slotAt <= (lastSlots.get(slot.name) ?? Number.NEGATIVE_INFINITY))
    )
      return [];
    const names = await handOut(env.store.db, slots);
    lastSlots = new Map(slots.map((slot) => [slot.name, slot.slotAt]));
    return names;
  };

  const ticking = repeat(
    options.tickMs ?? 1_000,
    () => tick(),
    (error) => onFailure(error, "schedule"),
  );
  const beating = repeat(
    leaseMs / beatsPerLease,
    () => crew.beat(),
    (error) => onFailure(error, "heartbeat"),
  );
  return {
    tick,
    async stop() {
      stopping.abort();
      await Promise.all([ticking.stop(), beating.stop()]);
      await crew.stop();
    },
  };
}

/** The workers of this process, replaced as a whole when they give up. */
function openCrew(env: Env, options: JobsOptions, stopping: AbortSignal) {
  const { leaseMs = jobLeaseMs, onFailure = () => {} } = options;
  // Until a lease after its end, as long as our word that it is done may be on its way.
  const inHand = new Map<string, number>();
  const events = new EventEmitter();
  events.on("job:start", ({ job }: { job: { id: string } }) =>
    inHand.set(job.id, Number.POSITIVE_INFINITY),
  );
  events.on("job:complete", ({ job }: { job: { id: string } }) =>
    inHand.set(job.id, performance.now() + leaseMs),
  );
  let pool: WorkerPool;
  let restarting: NodeJS.Timeout | undefined;

  const start = () => {
    pool = runTaskList(
      {
        events,
        concurrency: options.concurrency ?? 2,
        noHandleSignals: true,
        logger: silent,
        // Named statements do not survive poolers.
        noPreparedStatements: true,
        // Word that a job is done is given again and again when the database is away, and never as an unheard rejection.
        preset: { worker: { completeJobBatchDelay: 0, failJobBatchDelay: 0 } },
      },
      taskList(env, options.handlers ?? allHandlers, stopping, onFailure),
      options.queue,
    );
    const replace = (error?: unknown) => {
      if (stopping.aborted) return;
      if (error !== undefined) onFailure(error, "workers");
      restarting = setTimeout(start, restartMs);
    };
    pool.promise.then(() => replace(), replace);
  };
  start();

  return {
    async beat() {
      const now = performance.now();
      for (const [id, until] of inHand) if (until < now) inHand.delete(id);
      await beat(env.store.db, {
        workerId: pool.id,
        host: hostname(),
        pid: process.pid,
        inHand: [...inHand.keys()],
        leaseMs,
      });
    },
    async stop() {
      clearTimeout(restarting);
      // Already gone when it gave up by itself, and waits for nothing when the database is away.
      await pool.gracefulShutdown("the process is to end")?.catch(() => {});
      await takeLeave(env.store.db, pool.id).catch(() => {});
    },
  };
}

/** Our handlers as graphile-worker calls them, with a note of how each run went. */
function taskList(
  env: Env,
  handlers: Handlers,
  stopping: AbortSignal,
  onFailure: NonNullable<JobsOptions["onFailure"]>,
): TaskList {
  return Object.fromEntries(
    Object.entries(handlers).map(([name, handler]) => [
      name,
      async (payload: unknown) => {
        const startedAt = performance.now();
        await noteJobStarted(env.store.db, name, env.now());
        try {
          await handler(env, { payload: (payload ?? {}) as Record<string, string>, stopping });
        } catch (error) {
          const failure = error instanceof Error ? error.message : String(error);
          onFailure(error, name);
          await noteJobFailed(env.store.db, name, env.now(), failure).catch(() => {});
          throw error;
        }
        await noteJobSucceeded(env.store.db, name, env.now(), performance.now() - startedAt);
      },
    ]),
  );
}

/**
 * Run one job now and wait until it is done, here or by the process that was quicker. It is the same job as the scheduled
 * one, so the two never run at once. False when it is still under way elsewhere after `timeoutMs`.
 */
export async function runJobNow(
  env: Env,
  queue: QueuePool,
  name: JobName,
  timeoutMs = 60_000,
): Promise<boolean> {
  const deadline = performance.now() + timeoutMs;
  const jobId = await askForJob(env.store.db, { name });
  const tasks = taskList(
    env,
    { [name]: allHandlers[name] },
    new AbortController().signal,
    () => {},
  );
  const client = await queue.connect();
  try {
    for (;;) {
      await runTaskListOnce({ noHandleSignals: true, logger: silent }, tasks, client);
      if (!(await isJobOpen(env.store.db, jobId))) return true;
      if (performance.now() > deadline) return false;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  } finally {
    client.release();
  }
}

/** Do something again and again with rests between, until stopped; a failure is told, not fatal. */
function repeat(
  everyMs: number,
  work: () => Promise<unknown>,
  onFailure: (error: unknown) => void,
) {
  let stopped = false;
  let wake = () => {};
  const loop = async () => {
    while (!stopped) {
      await work().catch(onFailure);
      if (stopped) return;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, everyMs);
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  };
  const ended = loop();
  return {
    async stop() {
      stopped = true;
      wake();
      await ended;
    },
  };
}
