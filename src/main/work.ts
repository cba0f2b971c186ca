import pino from "pino";
import type { Jobs } from "../jobs/worker.ts";
import type { Config } from "./config.ts";
import type { Opened } from "./wire.ts";

/** Keep time until told to stop. */
export async function work(opened: Opened, config: Config, concurrency?: number): Promise<Jobs> {
  const log = pino({ level: config.logLevel }, pino.destination({ fd: 2, sync: false }));
  // Loaded here: the API answers before the queue has been read from disk.
  const { startJobs } = await import("../jobs/worker.ts");
  return startJobs(opened.env, {
    queue: opened.queue(),
    ...(concurrency === undefined ? {} : { concurrency }),
    onFailure: (err, what) => log.error({ err, job: what }, "a job failed; it is tried again"),
  });
}
