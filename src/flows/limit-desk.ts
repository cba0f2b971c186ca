import type { Instant } from "../kit/time.ts";
import type { Store } from "../store/connect.ts";
import { readLimitRows } from "../store/limit-lane.ts";
import type { LimitKey } from "../store/limit-rows.ts";
import type { Env } from "./env.ts";
import { type Desk, openDesk } from "./lane-desk.ts";
import { catalogFor, type LimitInForce, limitsInForce, withPlans } from "./limits-in-force.ts";

type Read = { readonly row: LimitInForce | undefined; readonly now: Instant };

/** While the rows of one group are on their way, those of another are turned into answers. */
const lanes = 2;
const desks = new WeakMap<Store["pool"], Desk<LimitKey, Read>>();

/** What limits an account now: everything that was acknowledged before the question counts. */
export async function readLimits(env: Env, keys: readonly LimitKey[]): Promise<Read[]> {
  const { db, pool } = env.store;
  // Inside a transaction only its own snapshot will do.
  if (db.isTransaction) {
    const now = env.now();
    return (await limitsInForce(env, keys, now)).map((row) => ({ row, now }));
  }
  const desk = desks.get(pool) ?? openReadingDesk(env.store);
  desks.set(pool, desk);
  return Promise.all(keys.map((key) => desk.ask(env, key)));
}

const openReadingDesk = (store: Store): Desk<LimitKey, Read> =>
  openDesk(store, lanes, async (lane, group, now) => {
    const rows = await readLimitRows(
      lane,
      group.map((one) => one.asked),
      now,
    );
    const known = await catalogFor({ store }, rows);
    const inForce = withPlans(rows, known, now);
    for (const [index, one] of group.entries()) one.done({ row: inForce[index], now });
  });
