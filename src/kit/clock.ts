import type { Instant } from "./time.ts";

/** Where the time comes from. Only `main` and tests construct one; everything else receives `now`. */
export type Clock = { now(): Instant };

/**
 * The machine's clock in microseconds. It never goes back within a process: a clock that is set back holds still
 * until real time has caught up, so that receive times and sequences keep the same order.
 */
export function systemClock(): Clock {
  let last = 0;
  return {
    now() {
      const micros = Math.round((performance.timeOrigin + performance.now()) * 1000);
      last = micros > last ? micros : last + 1;
      return last as Instant;
    },
  };
}

/** A clock that stands still until told. */
export function settableClock(start: Instant): Clock & { set(to: Instant): void } {
  let current = start;
  return {
    now: () => current,
    set(to) {
      current = to;
    },
  };
}
