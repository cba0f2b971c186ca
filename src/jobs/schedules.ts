import { type Instant, second } from "../kit/time.ts";
import type { DueSlot } from "../store/jobs.ts";
import type { JobName } from "./handlers.ts";

/** Everything periodic, and when it is due: at `atSeconds` past every multiple of its period, in UTC. */
export type Schedule = {
  readonly name: JobName;
  readonly everySeconds: number;
  readonly atSeconds?: number;
};

const minutely = 60;
const hourly = 60 * minutely;
const daily = 24 * hourly;

/** One line a job. Its name is that of the flow behind it. */
export const schedules: readonly Schedule[] = [
  { name: "expire-grants", everySeconds: minutely },
  { name: "settle-pending-purchases", everySeconds: minutely },
  { name: "settle-pending-refunds", everySeconds: minutely },
  { name: "top-up-automatically", everySeconds: minutely },
  { name: "post-books", everySeconds: minutely },
  { name: "continue-backfills", everySeconds: minutely },
  { name: "bill-finalized-periods", everySeconds: 15 * minutely },
  { name: "accrue-usage", everySeconds: hourly, atSeconds: 10 * minutely },
  { name: "earn-revenue", everySeconds: hourly, atSeconds: 1 * minutely },
  { name: "bill-late-usage", everySeconds: hourly, atSeconds: 12 * minutely },
  { name: "post-supply-cost", everySeconds: hourly, atSeconds: 5 * minutely },
  { name: "forget-answers", everySeconds: daily, atSeconds: 3 * hourly },
];

/** The last moment at or before `now` at which a job was due, and the next one. */
export function slotAt(schedule: Schedule, now: Instant): DueSlot {
  const { name, everySeconds, atSeconds = 0 } = schedule;
  const every = everySeconds * second;
  const offset = atSeconds * second;
  const slot = Math.floor((now - offset) / every) * every + offset;
  return { name, everySeconds, slotAt: slot as Instant, nextAt: (slot + every) as Instant };
}
