// A billing-run worker in a process of its own, for tests that kill it: url, run, now.
import { workBillingRun } from "../../src/flows/billing-run.ts";
import type { Env } from "../../src/flows/env.ts";
import { systemClock } from "../../src/kit/clock.ts";
import { idMaker } from "../../src/kit/ids.ts";
import { systemRandom } from "../../src/kit/random.ts";
import { instant } from "../../src/kit/time.ts";
import { openStore } from "../../src/store/connect.ts";

const [url, runId, now] = process.argv.slice(2) as [string, string, string];
const random = systemRandom();
const env: Env = {
  store: openStore(url, { connectionsMax: 2 }),
  now: () => instant(now),
  id: idMaker(systemClock(), random),
  random,
  pepper: Buffer.alloc(32),
};
// Others may hold what is left and be killed before they are done: look again until the parent is content.
for (;;) {
  const count = await workBillingRun(env, runId, 8);
  if (count === 0) await new Promise((resolve) => setTimeout(resolve, 100));
}
