import { Temporal } from "temporal-polyfill";

declare const instantBrand: unique symbol;
/**
 * A moment: whole microseconds since 1970-01-01T00:00:00Z. A plain number, because microseconds until the year 2255 are
 * exact in one, and the hot paths compare millions of them.
 */
export type Instant = number & { readonly [instantBrand]: never };

declare const dayBrand: unique symbol;
/** A date on a document, without time or zone: "2025-01-31". */
export type Day = string & { readonly [dayBrand]: never };

/** Half-open: contains `startsAt`, does not contain `endsAt`. The only kind of period there is. */
export type Period = { readonly startsAt: Instant; readonly endsAt: Instant };

export const second = 1_000_000;
export const minute = 60 * second;
export const hour = 60 * minute;
export const day = 24 * hour;

export class TimeSyntaxError extends Error {
  override readonly name = "TimeSyntaxError";
  constructor(text: string) {
    super(
      `"${text.slice(0, 60)}" is not an instant: write RFC 3339 with a zone, as in 2025-01-31T23:59:59.999Z`,
    );
  }
}

const rfc3339 =
  /^(\d{4})-(\d{2})-(\d{2})[Tt ](\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,9}))?([Zz]|[+-](?:[01]\d|2[0-3])(?::?[0-5]\d)?)$/;

const firstYear = 1970;
const lastYear = 2254;

/**
 * Read an RFC 3339 instant (also Postgres' own output). Digits beyond microseconds are cut off. Throws
 * `TimeSyntaxError` for anything else: a missing zone, 30 February, a leap second, years outside 1970–2254.
 */
export function instant(text: string): Instant {
  const found = tryInstant(text);
  if (found === undefined) throw new TimeSyntaxError(text);
  return found;
}

/** The same as `instant`, undefined instead of an error. */
export function tryInstant(text: string): Instant | undefined {
  return plainInstant(text) ?? anyInstant(text);
}

/** "2025-01-31T23:59:59Z", with or without ".999", as nearly every clock writes it: read without a regular expression. */
function plainInstant(text: string): Instant | undefined {
  const { length } = text;
  if (length !== 20 && length !== 24) return undefined;
  let valid = 1;
  const two = (at: number): number => {
    const tens = text.charCodeAt(at) - 48;
    const ones = text.charCodeAt(at + 1) - 48;
    if (tens >>> 0 > 9 || ones >>> 0 > 9) valid = 0;
    return tens * 10 + ones;
  };
  const marks =
    text.charCodeAt(4) === 45 &&
    text.charCodeAt(7) === 45 &&
    text.charCodeAt(10) === 84 &&
    text.charCodeAt(13) === 58 &&
    text.charCodeAt(16) === 58 &&
    text.charCodeAt(length - 1) === 90 &&
    (length === 20 || text.charCodeAt(19) === 46);
  if (!marks) return undefined;
  const year = two(0) * 100 + two(2);
  const month = two(5);
  const dayOfMonth = two(8);
  const [hours, minutes, seconds] = [two(11), two(14), two(17)];
  const millis = length === 20 ? 0 : two(20) * 10 + (two(21) % 10);
  if (valid === 0 || year < firstYear || year > lastYear || month < 1 || month > 12)
    return undefined;
  if (dayOfMonth < 1 || dayOfMonth > daysInMonth(year, month)) return undefined;
  if (hours > 23 || minutes > 59 || seconds > 59) return undefined;
  return ((Date.UTC(year, month - 1, dayOfMonth, hours, minutes, seconds) + millis) *
    1000) as Instant;
}

function anyInstant(text: string): Instant | undefined {
  const match = rfc3339.exec(text);
  if (!match) return undefined;
  const [, y, mo, d, h, mi, s, fraction, zone] = match as unknown as string[];
  const year = Number(y);
  const month = Number(mo);
  const dayOfMonth = Number(d);
  if (year < firstYear || year > lastYear || month < 1 || month > 12) return undefined;
  if (dayOfMonth < 1 || dayOfMonth > daysInMonth(year, month)) return undefined;
  if (Number(h) > 23 || Number(mi) > 59 || Number(s) > 59) return undefined;
  const ms = Date.UTC(year, month - 1, dayOfMonth, Number(h), Number(mi), Number(s));
  const micros = fraction ? Number(fraction.padEnd(6, "0").slice(0, 6)) : 0;
  const value = ms * 1000 + micros - offsetMicros(zone as string);
  return value < 0 ? undefined : (value as Instant);
}

function offsetMicros(zone: string): number {
  if (zone === "Z" || zone === "z") return 0;
  const sign = zone.startsWith("-") ? -1 : 1;
  const digits = zone.slice(1).replace(":", "");
  const minutes = Number(digits.slice(0, 2)) * 60 + Number(digits.slice(2, 4) || "0");
  return sign * minutes * minute;
}

function daysInMonth(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}

/** Write as RFC 3339 in UTC with milliseconds, or microseconds when there are any: "2025-01-31T23:59:59.999Z". */
export function formatInstant(at: Instant): string {
  // A document writes the same few boundaries hundreds of times.
  const place = Math.abs(at) % recentlyWritten.length;
  const recent = recentlyWritten[place];
  if (recent?.at === at) return recent.text;
  const text = writeOut(at);
  recentlyWritten[place] = { at, text };
  return text;
}

// A prime, so that boundaries, which are whole seconds or days, find different places.
const recentlyWritten: ({ readonly at: Instant; readonly text: string } | undefined)[] = Array.from(
  { length: 61 },
);

function writeOut(at: Instant): string {
  const ms = Math.floor(at / 1000);
  const micros = at - ms * 1000;
  const text = new Date(ms).toISOString();
  return micros === 0 ? text : `${text.slice(0, -1)}${micros.toString().padStart(3, "0")}Z`;
}

/** Shift by a number of microseconds (see `second`, `minute`, `hour`, `day`: fixed lengths, not calendar steps). */
export const shift = (at: Instant, micros: number): Instant => (at + micros) as Instant;

export const period = (startsAt: Instant, endsAt: Instant): Period => {
  if (endsAt < startsAt)
    throw new RangeError(
      `a period cannot end (${formatInstant(endsAt)}) before it starts (${formatInstant(startsAt)})`,
    );
  return { startsAt, endsAt };
};
export const contains = (p: Period, at: Instant): boolean => at >= p.startsAt && at < p.endsAt;
export const lengthOf = (p: Period): number => p.endsAt - p.startsAt;
/** The part two periods share, undefined when they only touch or miss. */
export function intersect(a: Period, b: Period): Period | undefined {
  const startsAt = Math.max(a.startsAt, b.startsAt) as Instant;
  const endsAt = Math.min(a.endsAt, b.endsAt) as Instant;
  return startsAt < endsAt ? { startsAt, endsAt } : undefined;
}
export const formatPeriod = (p: Period): string =>
  `[${formatInstant(p.startsAt)}, ${formatInstant(p.endsAt)})`;

/** Whether a text is an IANA zone that this platform can calculate in ("UTC", "Europe/Berlin"). */
export function isZone(name: string): boolean {
  if (!/^[A-Za-z_]+(\/[A-Za-z0-9_+-]+)*$/.test(name)) return false;
  try {
    Temporal.Instant.fromEpochMilliseconds(0).toZonedDateTimeISO(name);
    return true;
  } catch {
    return false;
  }
}

export type CalendarUnit = "minute" | "hour" | "day" | "week" | "month" | "year";

function zoned(at: Instant, zone: string): Temporal.ZonedDateTime {
  return Temporal.Instant.fromEpochNanoseconds(BigInt(at) * 1000n).toZonedDateTimeISO(zone);
}

function fromZoned(value: Temporal.ZonedDateTime): Instant {
  return Number(value.epochNanoseconds / 1000n) as Instant;
}

/**
 * Boundary number `n` counted from an anchor in a zone. Always stepped from the anchor, never from the boundary before:
 * an anchor on the 31st gives 28 February and then 31 March again. Local times that a clock change skips move forward.
 */
export function stepFrom(
  anchor: Instant,
  zone: string,
  unit: Exclude<CalendarUnit, "minute" | "hour">,
  n: number,
): Instant {
  const start = zoned(anchor, zone);
  switch (unit) {
    case "day":
      return fromZoned(start.add({ days: n }));
    case "week":
      return fromZoned(start.add({ weeks: n }));
    case "month":
      return fromZoned(start.add({ months: n }));
    case "year":
      return fromZoned(start.add({ years: n }));
  }
}

/** The first moment of the calendar unit that contains `at`, in a zone. Weeks start on Monday (ISO 8601). */
export function startOf(unit: CalendarUnit, at: Instant, zone: string): Instant {
  if (unit === "minute" || unit === "hour") {
    const { start, offset } = stretchOf(unit, at, zone);
    // When the clock was changed since then, the unit began at the change (Lord Howe: half an hour into it).
    return offsetAt(start, zone) === offset ? start : changeBefore(at, zone);
  }
  const local = dateOfWindow(at, zone);
  switch (unit) {
    case "day":
      return midnight(local, zone);
    case "week":
      return midnight(local.subtract({ days: local.dayOfWeek - 1 }), zone);
    case "month":
      return midnight(local.with({ day: 1 }), zone);
    case "year":
      return midnight(local.with({ month: 1, day: 1 }), zone);
  }
}

/** The first moment after the calendar unit that contains `at`: where its half-open window ends. */
export function endOf(unit: CalendarUnit, at: Instant, zone: string): Instant {
  if (unit === "minute" || unit === "hour") {
    const { end, offset } = stretchOf(unit, at, zone);
    const last = (end - 1) as Instant;
    return offsetAt(last, zone) === offset ? end : changeBefore(last, zone);
  }
  const local = dateOfWindow(startOf(unit, at, zone), zone);
  switch (unit) {
    case "day":
      return midnight(local.add({ days: 1 }), zone);
    case "week":
      return midnight(local.add({ days: 7 }), zone);
    case "month":
      return midnight(local.add({ months: 1 }), zone);
    case "year":
      return midnight(local.add({ years: 1 }), zone);
  }
}

/** A day starts once, also where the clock went back over midnight and the evening before came again (St. John's, 2003). */
function dateOfWindow(at: Instant, zone: string): Temporal.PlainDate {
  const date = zoned(at, zone).toPlainDate();
  const next = date.add({ days: 1 });
  return midnight(next, zone) <= at ? next : date;
}

/** The minute or hour around a moment as if the clock were never changed: rounded in local time, not in UTC. */
function stretchOf(unit: "minute" | "hour", at: Instant, zone: string) {
  const size = unit === "minute" ? minute : hour;
  const offset = offsetAt(at, zone);
  const start = (Math.floor((at + offset) / size) * size - offset) as Instant;
  return { start, end: (start + size) as Instant, offset };
}

/** When the clocks of a zone were last changed, at that moment or before. */
function changeBefore(at: Instant, zone: string): Instant {
  const change = zoned((at + 1) as Instant, zone).getTimeZoneTransition("previous");
  return change === null ? at : fromZoned(change);
}

/** The calendar windows of one unit that tile a period, cut to it at both ends. */
export function windowsOf(unit: CalendarUnit, span: Period, zone: string): Period[] {
  const windows: Period[] = [];
  let at = span.startsAt;
  while (at < span.endsAt) {
    const endsAt = Math.min(endOf(unit, at, zone), span.endsAt) as Instant;
    windows.push({ startsAt: at, endsAt });
    at = endsAt;
  }
  return windows;
}

/** The zone's distance from UTC at a moment, in microseconds. */
export function offsetAt(at: Instant, zone: string): number {
  return zone === "UTC" ? 0 : zoned(at, zone).offsetNanoseconds / 1000;
}

/** Midnight (or the first moment there is) of a date in a zone. */
export function startOfDay(date: Day, zone: string): Instant {
  return midnight(Temporal.PlainDate.from(date), zone);
}

function midnight(date: Temporal.PlainDate, zone: string): Instant {
  return fromZoned(date.toZonedDateTime(zone));
}

/** The date in a zone at a moment. */
export function dayAt(at: Instant, zone: string): Day {
  if (zone === "UTC") return formatInstant(at).slice(0, 10) as Day;
  // All lines of a document, and nearly all documents of a run, ask about the same moment.
  const recent = recentDays.get(zone);
  if (recent?.at === at) return recent.date;
  const date = zoned(at, zone).toPlainDate().toString() as Day;
  recentDays.set(zone, { at, date });
  return date;
}

const recentDays = new Map<string, { readonly at: Instant; readonly date: Day }>();

/** Read an ISO date; throws on one that is not in the calendar. */
export function dayOf(text: string): Day {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(text)) throw new TimeSyntaxError(text);
  return Temporal.PlainDate.from(text, { overflow: "reject" }).toString() as Day;
}

/** A date some days later (or earlier). */
export function addDays(date: Day, days: number): Day {
  return Temporal.PlainDate.from(date).add({ days }).toString() as Day;
}

/** A date some months later, kept within the month: 31 January plus one is 28 or 29 February. */
export function addMonths(date: Day, months: number): Day {
  return Temporal.PlainDate.from(date).add({ months }).toString() as Day;
}

/** Whole days from one date to another. */
export function daysBetween(from: Day, to: Day): number {
  return Temporal.PlainDate.from(from).until(Temporal.PlainDate.from(to), { largestUnit: "day" })
    .days;
}

/**
 * Read a date and time written without a zone ("2023-11-16 18:17:03.9799600", or with a T) as the local time of a zone.
 * Digits beyond microseconds are cut off; local times that a clock change skips move forward. Undefined when unreadable.
 */
export function instantInZone(text: string, zone: string): Instant | undefined {
  const match = /^(\d{4}-\d{2}-\d{2})[ T](\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?)$/.exec(text);
  if (!match) return undefined;
  const asUtc = tryInstant(
    `${match[1]}T${(match[2] as string).length === 5 ? `${match[2]}:00` : match[2]}Z`,
  );
  if (asUtc === undefined || zone === "UTC") return asUtc;
  const local = Temporal.Instant.fromEpochNanoseconds(BigInt(asUtc) * 1000n)
    .toZonedDateTimeISO("UTC")
    .toPlainDateTime();
  return fromZoned(local.toZonedDateTime(zone));
}
