import { type Decimal, decimalOf, divide, round } from "../../kit/decimal.ts";
import {
  contains,
  type Day,
  dayAt,
  dayOf,
  hour,
  type Instant,
  lengthOf,
  type Period,
  startOfDay,
  stepFrom,
} from "../../kit/time.ts";

export const cycles = ["month", "quarter", "year"] as const;
export type Cycle = (typeof cycles)[number];

/** What decides where an account's invoice periods begin and end. */
export type BillingCalendar = {
  readonly timeZone: string;
  /** 1 to 28: every month has it. */
  readonly invoiceDay: number;
  readonly cycle: Cycle;
};

const monthsIn: Record<Cycle, number> = { month: 1, quarter: 3, year: 12 };
const anchorYear = 2000;

/**
 * Period number `n` of a calendar, counted from January 2000 in the account's own zone. Each boundary is stepped from that
 * anchor, never from the boundary before it, so periods tile time for as long as the calendar stays the same.
 */
function periodNumber(calendar: BillingCalendar, n: number): Period {
  return { startsAt: boundary(calendar, n), endsAt: boundary(calendar, n + 1) };
}

/** The period that contains a moment. */
export function periodAt(calendar: BillingCalendar, at: Instant): Period {
  return periodNumber(calendar, numberAt(calendar, at));
}

/** The period before one that `periodAt` gave. */
export function periodBefore(calendar: BillingCalendar, span: Period): Period {
  return periodNumber(calendar, numberAt(calendar, span.startsAt) - 1);
}

/** The periods that touch a span of time, oldest first. */
export function periodsTouching(calendar: BillingCalendar, span: Period): Period[] {
  const periods: Period[] = [];
  for (let n = numberAt(calendar, span.startsAt); ; n++) {
    const next = periodNumber(calendar, n);
    if (next.startsAt >= span.endsAt) return periods;
    periods.push(next);
  }
}

/** The hours of one month of a period: those on the clock, 743 or 745 where it is turned; a quarter's third, a year's twelfth. */
export function hoursInMonth({ cycle }: BillingCalendar, span: Period): Decimal {
  const key = `${lengthOf(span)}/${monthsIn[cycle]}`;
  const hours =
    knownHours.get(key) ??
    round(divide(decimalOf(lengthOf(span)), decimalOf(hour * monthsIn[cycle])), 12);
  knownHours.set(key, hours);
  return hours;
}

// Months have few lengths, and a long division is a part of every price.
const knownHours = new Map<string, Decimal>();

/** How a period is called on paper: "2025-01", "2025-Q1", "2025"; by its dates when it is not a calendar one. */
export function periodName(calendar: BillingCalendar, span: Period): string {
  const from = dayAt(span.startsAt, calendar.timeZone);
  if (calendar.invoiceDay !== 1)
    return `${from} to ${dayAt((span.endsAt - 1) as Instant, calendar.timeZone)}`;
  const year = from.slice(0, 4);
  switch (calendar.cycle) {
    case "month":
      return from.slice(0, 7);
    case "quarter":
      return `${year}-Q${Math.floor((Number(from.slice(5, 7)) - 1) / 3) + 1}`;
    case "year":
      return year;
  }
}

function numberAt(calendar: BillingCalendar, at: Instant): number {
  const date: Day = dayAt(at, calendar.timeZone);
  const months = (Number(date.slice(0, 4)) - anchorYear) * 12 + Number(date.slice(5, 7)) - 1;
  // The date says the month; the invoice day may still put the moment into the period before.
  let n = Math.floor(months / monthsIn[calendar.cycle]);
  if (at < boundary(calendar, n)) n -= 1;
  while (!contains(periodNumber(calendar, n), at)) n += 1;
  return n;
}

// A month close asks for the same few boundaries ten thousand times, and a zoned step costs tens of microseconds.
const known = new Map<string, Instant>();
const knownMax = 20_000;

function boundary(calendar: BillingCalendar, n: number): Instant {
  const key = `${calendar.timeZone}|${calendar.invoiceDay}|${calendar.cycle}|${n}`;
  const found = known.get(key);
  if (found !== undefined) return found;
  const first = `${anchorYear}-01-${String(calendar.invoiceDay).padStart(2, "0")}`;
  const anchor = startOfDay(dayOf(first), calendar.timeZone);
  const at = stepFrom(anchor, calendar.timeZone, "month", n * monthsIn[calendar.cycle]);
  if (known.size >= knownMax) known.clear();
  known.set(key, at);
  return at;
}
