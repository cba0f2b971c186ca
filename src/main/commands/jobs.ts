import { type JobName, handlers } from "../../jobs/handlers.ts";
import { schedules, slotAt } from "../../jobs/schedules.ts";
import { formatInstant, type Instant } from "../../kit/time.ts";
import { jobLeaseMs, type JobState, listJobStates, listJobWorkers } from "../../store/jobs.ts";
import type { AddCommand } from "../command.ts";
import { UsageError } from "../config.ts";
import { open, type Opened } from "../wire.ts";

export const addJobs: AddCommand = (program, run) => {
  program
    .command("jobs")
    .description("what runs by the clock: when it ran, how it went, when it runs next")
    .option("--run <name>", "run one of them now")
    .action(
      run(async ({ config, note, print }, options: { run?: string }) => {
        const name = options.run;
        if (name !== undefined && !isPeriodic(name))
          throw new UsageError(`--run is one of ${schedules.map((one) => one.name).join(", ")}`);
        const opened = await open({ config, note });
        const { db } = opened.env.store;
        try {
          const isDone = name === undefined || (await runNow(opened, name));
          const known = await listJobStates(db);
          const rows = schedules.map((schedule) => {
            const state = known.find((one) => one.name === schedule.name);
            const { everySeconds, nextAt } = slotAt(schedule, opened.env.now());
            return jobRow(schedule.name, everySeconds, nextAt, state);
          });
          const workers = await listJobWorkers(db, jobLeaseMs);
          const shown = name === undefined ? rows : rows.filter((row) => row.name === name);
          const failing = shown.filter((row) => row.failures_in_row > 0).length;
          print(
            {
              jobs: shown,
              workers: workers.map(({ host, pid }) => ({ host, pid })),
            },
            isDone
              ? `${table(shown)}\n${workers.length === 0 ? "no process runs them at the moment: tallyline up, or tallyline work" : `${workers.length} ${workers.length === 1 ? "process runs" : "processes run"} them`}`
              : `${name} is still under way in another process`,
          );
          return isDone && (name === undefined || failing === 0) ? 0 : 1;
        } finally {
          await opened.close();
        }
      }),
    );
};

async function runNow(opened: Opened, name: JobName): Promise<boolean> {
  const { runJobNow } = await import("../../jobs/worker.ts");
  return runJobNow(opened.env, opened.queue(), name);
}

const isPeriodic = (name: string): name is JobName =>
  name in handlers && schedules.some((one) => one.name === name);

const textOf = (at: Instant | null | undefined): string | null => (at ? formatInstant(at) : null);

const jobRow = (
  name: string,
  everySeconds: number,
  nextAt: Instant,
  state: JobState | undefined,
) => ({
  name,
  every_seconds: everySeconds,
  last_success_at: textOf(state?.succeededAt),
  took_ms: state?.tookMs ?? null,
  last_failure_at: textOf(state?.failedAt),
  last_failure: state?.failure ?? null,
  failures_in_row: state?.failuresInRow ?? 0,
  next_run_at: formatInstant(nextAt),
});

function table(rows: readonly ReturnType<typeof jobRow>[]): string {
  const short = (at: string | null) => (at === null ? "never" : `${at.slice(0, 19)}Z`);
  const lines = rows.flatMap((row) => [
    `${row.name.padEnd(26)}${short(row.last_success_at).padEnd(22)}${short(row.next_run_at).padEnd(22)}${row.failures_in_row === 0 ? "" : row.failures_in_row}`.trimEnd(),
    ...(row.failures_in_row === 0 || row.last_failure === null
      ? []
      : [`  ${row.last_failure.split("\n")[0]}`]),
  ]);
  const head = `${"job".padEnd(26)}${"last success".padEnd(22)}${"next run".padEnd(22)}failures in a row`;
  return [head, ...lines].join("\n");
}
