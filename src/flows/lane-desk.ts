import type { Instant } from "../kit/time.ts";
import type { Store } from "../store/connect.ts";
import { isWorthAnother, openLimitLane } from "../store/limit-lane.ts";
import { closeLane, keepAlive, type Lane } from "../store/usage-lane.ts";
import type { Env } from "./env.ts";

/** Somebody who waits for an answer. */
export type Waiting<Asked, Answer> = {
  readonly env: Env;
  readonly asked: Asked;
  readonly done: (answer: Answer) => void;
  readonly failed: (error: unknown) => void;
};

/** Where many ask the same kind of thing at once. */
export type Desk<Asked, Answer> = { ask(env: Env, asked: Asked): Promise<Answer> };

/** Answers everybody in a group. Whom it has not answered when it throws is asked about again, on another connection. */
type Serve<Asked, Answer> = (
  lane: Lane,
  group: readonly Waiting<Asked, Answer>[],
  now: Instant,
) => Promise<void>;

const together = 200;
const attemptsMax = 3;

/**
 * Whoever asks while all lanes are busy goes with the next group, so that many share one statement, one round trip, one
 * commit. A group is never begun before its last member asked: every answer has seen all that was acknowledged before it.
 */
export function openDesk<Asked, Answer>(
  store: Store,
  lanesMax: number,
  serve: Serve<Asked, Answer>,
): Desk<Asked, Answer> {
  type One = Waiting<Asked, Answer> & { isOpen: boolean };
  let waiting: One[] = [];
  let busy = 0;
  const idle: Lane[] = [];

  async function work(): Promise<void> {
    busy++;
    // What arrived in the same turn of the event loop goes together.
    await new Promise((resolve) => setImmediate(resolve));
    for (let group = nextGroup(); group.length > 0; group = nextGroup()) await settle(group);
    busy--;
  }

  async function settle(group: readonly One[]): Promise<void> {
    for (let open = group, attempt = 1; open.length > 0; attempt++) {
      let lane: Lane | undefined;
      try {
        lane = idle.pop() ?? (await openLimitLane(store));
        keepAlive(lane, true);
        await serve(lane, open, (open[0] as One).env.now());
        keepAlive(lane, false);
        idle.push(lane);
        return;
      } catch (error) {
        if (lane) closeLane(lane);
        open = group.filter((one) => one.isOpen);
        if (attempt < attemptsMax && isWorthAnother(error)) continue;
        if (open.length <= 1) {
          for (const one of open) one.failed(error);
          return;
        }
        // One of them may be the cause: halves, until it stands alone and the others are through.
        const middle = open.length >> 1;
        await settle(open.slice(0, middle));
        await settle(open.slice(middle));
        return;
      }
    }
  }

  /** An organization may live at a time of its own: only askers of one time share a group. */
  function nextGroup(): One[] {
    const first = waiting[0];
    if (!first) return [];
    const group: One[] = [];
    const others: One[] = [];
    for (const one of waiting)
      (group.length < together && one.env.now === first.env.now ? group : others).push(one);
    waiting = others;
    return group;
  }

  return {
    ask: (env, asked) =>
      new Promise((resolve, reject) => {
        const one: One = {
          env,
          asked,
          isOpen: true,
          done(answer) {
            one.isOpen = false;
            resolve(answer);
          },
          failed(error) {
            one.isOpen = false;
            reject(error as Error);
          },
        };
        waiting.push(one);
        if (busy < lanesMax) void work();
      }),
  };
}
