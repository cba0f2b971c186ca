import type { Store } from "../store/connect.ts";
import type { Env } from "./env.ts";
import { type ReservationAsked, type ReservationMade, reserveUnits } from "./reserve-units.ts";

/** Where reservations are asked for: what comes in while one transaction runs is decided together in the next. */
export type ReservationDesk = { reserve(asked: ReservationAsked): Promise<ReservationMade> };

type Waiting = {
  readonly env: Env;
  readonly asked: ReservationAsked;
  readonly done: (made: ReservationMade) => void;
  readonly failed: (error: unknown) => void;
};

const together = 200;
const desks = new WeakMap<Store["pool"], { push(one: Waiting): void }>();

/** The desk of this process for a database. */
export function reservationDesk(env: Env): ReservationDesk {
  // Inside a transaction of the caller's own there is nobody to share with.
  if (env.store.db.isTransaction)
    return { reserve: async (asked) => (await reserveUnits(env, [asked]))[0] as ReservationMade };
  let desk = desks.get(env.store.pool);
  if (!desk) {
    desk = openDesk();
    desks.set(env.store.pool, desk);
  }
  const opened = desk;
  return {
    reserve: (asked) =>
      new Promise((done, failed) => {
        opened.push({ env, asked, done, failed });
      }),
  };
}

function openDesk(): { push(one: Waiting): void } {
  let queue: Waiting[] = [];
  let running = false;

  async function work(): Promise<void> {
    running = true;
    while (queue.length > 0) {
      // An organization may live at a time of its own: only askers of one time share a transaction.
      const now = (queue[0] as Waiting).env.now();
      const sandbox = (queue[0] as Waiting).env.now;
      const group = queue.filter((one) => one.env.now === sandbox).slice(0, together);
      const chosen = new Set(group);
      queue = queue.filter((one) => !chosen.has(one));
      await serve(group, now);
    }
    running = false;
  }

  async function serve(group: readonly Waiting[], now: ReturnType<Env["now"]>): Promise<void> {
    const first = group[0] as Waiting;
    try {
      const made = await reserveUnits(
        { ...first.env, now: () => now },
        group.map((one) => one.asked),
      );
      for (const [index, one] of group.entries()) one.done(made[index] as ReservationMade);
    } catch (error) {
      for (const one of group) one.failed(error);
    }
  }

  return {
    push(one) {
      queue.push(one);
      if (!running) void work();
    },
  };
}
