import { setTimeout as sleep } from "node:timers/promises";
import { Problem } from "../../domain/refusals/index.ts";

const attemptsMax = 60;
const waitMaxMs = 5_000;

/** Try again while the ingest says it is full: nothing is lost by waiting, and everything by giving up. */
export async function retryBusy<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      const isBusy = error instanceof Problem && error.code === "ingest_busy";
      if (!isBusy || attempt >= attemptsMax) throw error;
      await sleep(Math.min(50 * 2 ** attempt, waitMaxMs));
    }
  }
}
