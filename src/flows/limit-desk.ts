import type { Instant } from "../kit/time.ts";
import type { Store } from "../store/connect.ts";
import type { LimitKey } from "../store/limits.ts";
import type { Env } from "./env.ts";
import { type LimitInForce, limitsInForce } from "./limits-in-force.ts";

type Read = { readonly row: LimitInForce | undefined; readonly now: Instant };
type Waiting = {
  readonly env: Env;
  readonly key: LimitKey;
  readonly done: (read: Read) => void;
  readonly failed: (error: unknown) => void;
};
type Desk = { waiting: Waiting[]; reading: boolean };

const together = 200;
const desks = new WeakMap<Store["pool"], Desk>();

/**
 * What limits an account now. Whoever asks while a query runs is answered by the next one, so that many askers pay for one
 * plan and one round trip; a query never starts before the question, so every answer has seen all that was acknowledged.
 */
export async function readLimits(env: Env, keys: readonly LimitKey[]): Promise<Read[]> {
  // Inside a transaction only its own snapshot will do.
  if (env.store.db.isTransaction) {
    const now = env.now();
    return (await limitsInForce(env, keys, now)).map((row) => ({ row, now }));
  }
  const desk = desks.get(env.store.pool) ?? { waiting: [], reading: false };
  desks.set(env.store.pool, desk);
  const reads = keys.map(
    (key) =>
      new Promise<Read>((done, failed) => {
        desk.waiting.push({ env, key, done, failed });
      }),
  );
  if (!desk.reading) void serve(desk);
  return Promise.all(reads);
}

async function serve(desk: Desk): Promise<void> {
  desk.reading = true;
  // What arrived in the same turn of the event loop goes together.
  await new Promise((resolve) => setImmediate(resolve));
  for (let group = nextGroup(desk); group.length > 0; group = nextGroup(desk)) await answer(group);
  desk.reading = false;
}

/** An organization may live at a time of its own: only askers of one time share a query. */
function nextGroup(desk: Desk): Waiting[] {
  const first = desk.waiting[0];
  if (!first) return [];
  const group = desk.waiting.filter((one) => one.env.now === first.env.now).slice(0, together);
  const chosen = new Set(group);
  desk.waiting = desk.waiting.filter((one) => !chosen.has(one));
  return group;
}

async function answer(group: readonly Waiting[]): Promise<void> {
  const { env } = group[0] as Waiting;
  try {
    const now = env.now();
    const rows = await limitsInForce(
      env,
      group.map((one) => one.key),
      now,
    );
    for (const [index, one] of group.entries()) one.done({ row: rows[index], now });
  } catch (error) {
    for (const one of group) one.failed(error);
  }
}
