import { type Decimal, decimalOf, divide, round } from "../../kit/decimal.ts";
import { contains, day, hour, type Instant, type Period, shift } from "../../kit/time.ts";

/** What is seen of a meter's events, by event time. */
export type MeterPulse = {
  readonly lastEventAt: Instant | null;
  /** Events of the last hour. */
  readonly lastHourCount: number;
  /** In how many hours of the day before that there were events. */
  readonly busyHours: number;
  /** Events of its type that wait for a person. */
  readonly quarantinedCount: number;
};

/** `silent`: never an event. `idle`: none lately, which is nothing new. `stale`: none lately, and that is unusual. */
export type MeterHealth = MeterPulse & {
  readonly status: "live" | "stale" | "idle" | "silent";
  readonly eventsPerMinute: Decimal;
};

// Half of the hours of a day: a meter that is used in office hours is not missed at night.
const busyHoursMin = 12;

export function healthOf(pulse: MeterPulse, now: Instant): MeterHealth {
  const eventsPerMinute = round(divide(decimalOf(pulse.lastHourCount), decimalOf(60)), 2);
  return { ...pulse, status: statusOf(pulse, now), eventsPerMinute };
}

function statusOf({ lastEventAt, busyHours }: MeterPulse, now: Instant): MeterHealth["status"] {
  if (lastEventAt === null) return "silent";
  if (now - lastEventAt < hour) return "live";
  return busyHours >= busyHoursMin ? "stale" : "idle";
}

/** When a meter of an account was last used, and in how many of the 24 hours before that. */
export type LastHeard = { readonly lastAt: Instant; readonly busyHours: number };

/**
 * Whether a meter stopped sending within a period: it was used in half of the hours or more, and then nothing for the last day
 * of the period and since. What was never steady is not missed, and a silence is reported in the period in which it began.
 */
export const fellSilent = ({ lastAt, busyHours }: LastHeard, period: Period): boolean =>
  busyHours >= busyHoursMin && contains(period, lastAt) && lastAt < shift(period.endsAt, -day);
