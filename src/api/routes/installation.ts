import { z } from "@hono/zod-openapi";
import { formatInstant, type Instant } from "../../kit/time.ts";
import { jobLeaseMs, listJobStates, listJobWorkers } from "../../store/jobs.ts";
import { InstantText } from "../contract/common.ts";
import { type Endpoint, endpoint } from "../endpoint.ts";

const group = "Installation";

const JobView = z
  .strictObject({
    object: z.literal("job"),
    name: z.string().openapi({ example: "expire-grants" }),
    every_seconds: z
      .int()
      .nullable()
      .openapi({ description: "Null for work that is only asked for." }),
    last_started_at: InstantText.nullable(),
    last_success_at: InstantText.nullable(),
    took_ms: z.int().nullable().openapi({ description: "How long the last success took." }),
    last_failure_at: InstantText.nullable(),
    last_failure: z.string().nullable(),
    failures_in_a_row: z.int(),
    next_run_at: InstantText.nullable(),
  })
  .openapi("Job");

const WorkerView = z
  .strictObject({
    object: z.literal("job_worker"),
    id: z.string(),
    host: z.string(),
    pid: z.int(),
    started_at: InstantText,
  })
  .openapi("JobWorker");

const textOf = (at: Instant | null): string | null => (at === null ? null : formatInstant(at));

const jobs = endpoint({
  method: "GET",
  path: "/v1/installation/jobs",
  id: "listJobs",
  group,
  summary: "See what runs by the clock, how it went, and which processes run it",
  description: "A job appears when a process that works has handed it out for the first time.",
  permission: "installation.read",
  response: z.strictObject({
    object: z.literal("list"),
    data: z.array(JobView),
    workers: z.array(WorkerView),
  }),
  run: async (env) => {
    const states = await listJobStates(env.store.db);
    const workers = await listJobWorkers(env.store.db, jobLeaseMs);
    return {
      object: "list" as const,
      data: states.map((state) => ({
        object: "job" as const,
        name: state.name,
        every_seconds: state.everySeconds,
        last_started_at: textOf(state.startedAt),
        last_success_at: textOf(state.succeededAt),
        took_ms: state.tookMs,
        last_failure_at: textOf(state.failedAt),
        last_failure: state.failure,
        failures_in_a_row: state.failuresInRow,
        next_run_at: textOf(state.nextAt),
      })),
      workers: workers.map((worker) => ({
        object: "job_worker" as const,
        id: worker.workerId,
        host: worker.host,
        pid: worker.pid,
        started_at: formatInstant(worker.startedAt),
      })),
    };
  },
});

export const installationRoutes: readonly Endpoint[] = [jobs];
