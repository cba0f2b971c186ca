import type { Instant } from "../kit/time.ts";
import { systemClock } from "../kit/clock.ts";
import { openStore } from "../store/connect.ts";
import { jobLeaseMs, type JobState, listJobStates, listJobWorkers } from "../store/jobs.ts";

/** How the jobs of a database stand; undefined when it has no tables for them yet. */
export async function readJobs(url: string): Promise<
  | {
      readonly states: readonly JobState[];
      readonly workerCount: number;
      readonly clockAt: Instant;
    }
  | undefined
> {
  const store = openStore(url, { connectionsMax: 1, applicationName: "tallyline doctor" });
  try {
    const states = await listJobStates(store.db);
    const workers = await listJobWorkers(store.db, jobLeaseMs);
    return { states, workerCount: workers.length, clockAt: systemClock().now() };
  } catch (error) {
    // No such table.
    if ((error as { code?: string }).code === "42P01") return undefined;
    throw error;
  } finally {
    await store.db.destroy();
  }
}
