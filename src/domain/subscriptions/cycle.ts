import {
  addDays,
  addMonths,
  contains,
  type Day,
  day,
  dayAt,
  type Instant,
  type Period,
  startOfDay,
  stepFrom,
} from "../../kit/time.ts";
import type { Cadence } from "../catalog/index.ts";

/**
 * Where the periods of a subscription hang. A moment repeats at its own day and time of day; a billing day is midnight of
 * that day of the month. A month that is too short uses its last day, and the month after is true to the anchor again.
 */
export type Anchor =
  | { readonly kind: "moment"; readonly at: Instant }
  | { readonly kind: "billing_day"; readonly month: string; readonly day: number };

export type Cycle = { readonly cadence: Cadence; readonly anchor: Anchor; readonly zone: string };

const monthsOf: Record<Exclude<Cadence, "week">, number> = { month: 1, quarter: 3, year: 12 };
const averageLength: Record<Cadence, number> = {
  week: 7 * day,
  month: 30.436875 * day,
  quarter: 91.310625 * day,
  year: 365.2425 * day,
};

/** Boundary number `n`, always counted from the anchor, never from the boundary before. Period n is [n, n+1). */
export function boundary(cycle: Cycle, n: number): Instant {
  const { anchor, cadence, zone } = cycle;
  if (anchor.kind === "billing_day") {
    const step = cadence === "week" ? 0 : monthsOf[cadence] * n;
    const first = startOfDay(dayInMonth(anchor.month, step, anchor.day), zone);
    return cadence === "week" ? stepFrom(first, zone, "week", n) : first;
  }
  if (cadence === "week") return stepFrom(anchor.at, zone, "week", n);
  return stepFrom(anchor.at, zone, "month", monthsOf[cadence] * n);
}

/** Period number `n` of a cycle. */
function cyclePeriod(cycle: Cycle, n: number): Period {
  return { startsAt: boundary(cycle, n), endsAt: boundary(cycle, n + 1) };
}

/** The number of the period that contains a moment. */
export function cycleIndexAt(cycle: Cycle, at: Instant): number {
  let n = Math.floor((at - boundary(cycle, 0)) / averageLength[cycle.cadence]);
  while (boundary(cycle, n) > at) n -= 1;
  while (boundary(cycle, n + 1) <= at) n += 1;
  return n;
}

export const cyclePeriodAt = (cycle: Cycle, at: Instant): Period =>
  cyclePeriod(cycle, cycleIndexAt(cycle, at));

/** Every period of a cycle that shares time with a span, whole, in order. */
export function cyclePeriodsOver(cycle: Cycle, span: Period): Period[] {
  const periods: Period[] = [];
  if (span.endsAt <= span.startsAt) return periods;
  let n = cycleIndexAt(cycle, span.startsAt);
  let next = cyclePeriod(cycle, n);
  while (next.startsAt < span.endsAt) {
    periods.push(next);
    n += 1;
    next = { startsAt: next.endsAt, endsAt: boundary(cycle, n + 1) };
  }
  return periods;
}

/**
 * The anchor for a billing day: a boundary falls into the month of the start, on that day. What comes before the next
 * boundary is a short first period.
 */
export function anchorOnDay(dayOfMonth: number, start: Instant, zone: string): Anchor {
  if (!Number.isInteger(dayOfMonth) || dayOfMonth < 1 || dayOfMonth > 31)
    throw new RangeError(`${dayOfMonth} is not a day of a month: use 1 to 28, or 31 for its end`);
  return { kind: "billing_day", month: dayAt(start, zone).slice(0, 7), day: dayOfMonth };
}

/** Whether a moment is exactly where one period ends and the next begins. */
export const isBoundary = (cycle: Cycle, at: Instant): boolean => {
  const current = cyclePeriodAt(cycle, at);
  return contains(current, at) && current.startsAt === at;
};

function dayInMonth(month: string, steps: number, dayOfMonth: number): Day {
  const first = addMonths(`${month}-01` as Day, steps);
  const last = addDays(addMonths(first, 1), -1);
  const wanted = `${first.slice(0, 8)}${String(dayOfMonth).padStart(2, "0")}` as Day;
  return wanted < last ? wanted : last;
}
