import type { Env } from "../src/flows/env.ts";
import { systemClock } from "../src/kit/clock.ts";
import { idMaker } from "../src/kit/ids.ts";
import { systemRandom } from "../src/kit/random.ts";
import { instant } from "../src/kit/time.ts";
import { openStore } from "../src/store/connect.ts";

/** The Env of a process that only works: a small pool, and time standing still where the bench says. */
export function workerEnv(url: string, at: string): Env {
  const random = systemRandom();
  return {
    store: openStore(url, { connectionsMax: 4 }),
    now: () => instant(at),
    id: idMaker(systemClock(), random),
    random,
    pepper: Buffer.alloc(32),
  };
}
