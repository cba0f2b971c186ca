import { listMeters } from "../store/meters.ts";
import { backfillMeter } from "./backfill-meter.ts";
import type { Env } from "./env.ts";

const metersPerPage = 200;
const sliceMs = 1_000;

/** Go on counting older events for meters that have not counted them all, until done, out of time or told to stop. */
export async function continueBackfills(
  env: Env,
  timeoutMs: number,
  stopping?: AbortSignal,
): Promise<{ finishedCount: number }> {
  const deadline = performance.now() + timeoutMs;
  const isOver = () => stopping?.aborted === true || performance.now() >= deadline;
  let finishedCount = 0;
  for (let afterKey: string | undefined; ; ) {
    const page = await listMeters(env.store.db, { afterKey, limit: metersPerPage });
    for (const { meter, rolledUp } of page) {
      while (!rolledUp && meter.status !== "draft" && !isOver()) {
        const { finished } = await backfillMeter(env, meter.key, { timeoutMs: sliceMs });
        if (!finished) continue;
        finishedCount += 1;
        break;
      }
    }
    if (page.length < metersPerPage || isOver()) return { finishedCount };
    afterKey = page.at(-1)?.meter.key;
  }
}
