import fc from "fast-check";
import { Temporal } from "temporal-polyfill";
import { describe, expect, test } from "vitest";
import {
  addDays,
  addMonths,
  type CalendarUnit,
  contains,
  type Day,
  day,
  dayAt,
  dayOf,
  daysBetween,
  endOf,
  formatInstant,
  hour,
  type Instant,
  instant,
  intersect,
  isZone,
  lengthOf,
  minute,
  offsetAt,
  period,
  shift,
  startOf,
  startOfDay,
  stepFrom,
  TimeSyntaxError,
  tryInstant,
  windowsOf,
} from "./time.ts";

/** Offsets of :30 and :45, both hemispheres, a half-hour clock change, a day that never was, midnight that never was. */
const zones = [
  "UTC",
  "Europe/Berlin",
  "America/New_York",
  "America/St_Johns",
  "Asia/Kolkata",
  "Asia/Kathmandu",
  "Asia/Tehran",
  "Australia/Adelaide",
  "Australia/Lord_Howe",
  "Pacific/Chatham",
  "Pacific/Apia",
  "Pacific/Kiritimati",
  "America/Sao_Paulo",
  "Africa/Cairo",
  "Europe/London",
];
const units: CalendarUnit[] = ["minute", "hour", "day", "week", "month", "year"];
const zone = fc.constantFrom(...zones);
const from2000 = instant("2000-01-01T00:00:00Z");
const to2040 = instant("2040-01-01T00:00:00Z");
const anywhere = fc.integer({ min: from2000, max: to2040 }) as fc.Arbitrary<Instant>;

/** Within three hours of a change of the zone's clock, found by halving: where windows go wrong if anywhere. */
function nearChange(where: string, from: Instant): Instant {
  const step = 14 * day;
  for (let a = from; a < shift(from, 400 * day); a = shift(a, step)) {
    let [low, high] = [a, shift(a, step)];
    if (offsetAt(low, where) === offsetAt(high, where)) continue;
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2) as Instant;
      if (offsetAt(middle, where) === offsetAt(low, where)) low = middle;
      else high = middle;
    }
    return high;
  }
  return from;
}
/** A zone, and a moment in it: any, or one near a change of its clock. */
const place = fc
  .tuple(zone, anywhere, fc.boolean(), fc.integer({ min: -3 * hour, max: 3 * hour }))
  .map(([where, at, near, off]) => ({
    where,
    at: near ? shift(nearChange(where, at), off) : at,
  }));
const moment = anywhere;

describe("instants", () => {
  test("survive their text with every microsecond", () => {
    const any = fc.integer({ min: 0, max: instant("2254-12-31T23:59:59.999999Z") });
    fc.assert(
      fc.property(any as fc.Arbitrary<Instant>, (at) => {
        expect(instant(formatInstant(at))).toBe(at);
        expect(instant(formatInstant(at).replace("T", " ").replace("Z", "+00"))).toBe(at);
      }),
    );
  });

  test("written in any offset are the same moment", () => {
    fc.assert(
      fc.property(moment, fc.integer({ min: -14 * 60, max: 14 * 60 }), (at, offset) => {
        const local = formatInstant(shift(at, offset * minute)).replace("Z", "");
        const size = Math.abs(offset);
        const hours = Math.floor(size / 60)
          .toString()
          .padStart(2, "0");
        const minutes = (size % 60).toString().padStart(2, "0");
        const sign = offset < 0 ? "-" : "+";
        expect(instant(`${local}${sign}${hours}:${minutes}`)).toBe(at);
        expect(instant(`${local}${sign}${hours}${minutes}`)).toBe(at);
      }),
    );
  });

  test("agree with Temporal's own reading", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 8_000_000_000_000 }), (ms) => {
        const text = Temporal.Instant.fromEpochMilliseconds(ms).toString();
        expect(instant(text)).toBe(ms * 1000);
      }),
    );
  });

  test("digits beyond microseconds are cut off, not rounded into the next second", () => {
    expect(formatInstant(instant("2025-01-31T23:59:59.9999999Z"))).toBe(
      "2025-01-31T23:59:59.999999Z",
    );
    expect(formatInstant(instant("2025-01-31T23:59:59.120Z"))).toBe("2025-01-31T23:59:59.120Z");
  });

  test.each([
    "2025-01-31",
    "2025-01-31T23:59:59",
    "2025-02-29T00:00:00Z",
    "2025-04-31T00:00:00Z",
    "2025-13-01T00:00:00Z",
    "2025-00-01T00:00:00Z",
    "2025-01-01T24:00:00Z",
    "2025-01-01T23:59:60Z",
    "2025-01-01T00:00:00.Z",
    "2025-01-01T00:00:00,5Z",
    "1969-12-31T23:59:59Z",
    "1970-01-01T00:00:00+01:00",
    "2255-01-01T00:00:00Z",
    "2025-1-1T00:00:00Z",
    "20250101T000000Z",
    "2025-01-01T00:00:00+1:00",
    "2025-01-01T00:00:00+24:00",
    "2025-01-01T00:00:00+05:60",
    " 2025-01-01T00:00:00Z",
    "2025-01-01T00:00:00Z\n",
    "now",
    "",
  ])("%j is refused", (text) => {
    expect(tryInstant(text)).toBeUndefined();
    expect(() => instant(text)).toThrow(TimeSyntaxError);
  });

  test("29 February is there in leap years", () => {
    expect(formatInstant(instant("2024-02-29T00:00:00Z"))).toBe("2024-02-29T00:00:00.000Z");
    expect(formatInstant(instant("2000-02-29T12:00:00Z"))).toBe("2000-02-29T12:00:00.000Z");
    expect(tryInstant("2100-02-29T00:00:00Z")).toBeUndefined();
  });
});

describe("periods", () => {
  const p = (a: number, b: number) => period(a as Instant, b as Instant);

  test("contain their start and not their end", () => {
    expect([9, 10, 19, 20].map((at) => contains(p(10, 20), at as Instant))).toEqual([
      false,
      true,
      true,
      false,
    ]);
    expect(contains(p(10, 10), 10 as Instant)).toBe(false);
    expect(() => p(2, 1)).toThrow(/cannot end/);
  });

  test("that touch share nothing", () => {
    expect(intersect(p(0, 10), p(10, 20))).toBeUndefined();
    expect(intersect(p(0, 11), p(10, 20))).toEqual(p(10, 11));
    expect(intersect(p(0, 30), p(10, 20))).toEqual(p(10, 20));
  });
});

describe("windows", () => {
  // Long spans of short units would be millions of windows.
  const spanOf: Record<CalendarUnit, number> = {
    minute: 3 * hour,
    hour: 5 * day,
    day: 60 * day,
    week: 200 * day,
    month: 800 * day,
    year: 3000 * day,
  };

  test.each(units)("of one %s tile any period in any zone, without gap or overlap", (unit) => {
    fc.assert(
      fc.property(
        place,
        fc.double({ min: 0, max: 1, noNaN: true }),
        ({ at: from, where }, part) => {
          const span = period(from, shift(from, Math.floor(part * spanOf[unit])));
          const windows = windowsOf(unit, span, where);
          let at = span.startsAt;
          for (const window of windows) {
            expect(window.startsAt).toBe(at);
            expect(window.endsAt).toBeGreaterThan(window.startsAt);
            at = window.endsAt;
          }
          expect(at).toBe(span.endsAt);
        },
      ),
      { numRuns: 60 },
    );
  });

  test.each(units)("every moment of one %s has the same start and end", (unit) => {
    fc.assert(
      fc.property(place, fc.double({ min: 0, max: 1, noNaN: true }), ({ at, where }, part) => {
        const startsAt = startOf(unit, at, where);
        const endsAt = endOf(unit, at, where);
        expect(startsAt).toBeLessThanOrEqual(at);
        expect(endsAt).toBeGreaterThan(at);
        const inside = shift(startsAt, Math.floor(part * (endsAt - startsAt - 1)));
        expect([startOf(unit, inside, where), endOf(unit, inside, where)]).toEqual([
          startsAt,
          endsAt,
        ]);
        expect(startOf(unit, endsAt, where)).toBe(endsAt);
      }),
      { numRuns: 60 },
    );
  });

  test("a day starts once where the clock went back over midnight", () => {
    // At 00:01 on 26 October 2003 it was 23:01 on the 25th again.
    const again = instant("2003-10-26T02:31:00Z");
    expect(startOf("day", again, "America/St_Johns")).toBe(instant("2003-10-26T02:30:00Z"));
    expect(endOf("day", again, "America/St_Johns")).toBe(instant("2003-10-27T03:30:00Z"));
  });

  test("the clocks that a year goes through: days of 23, 24 and 25 hours, and Lord Howe's half hour", () => {
    const lengths = (where: string, year: number) => {
      const span = period(
        startOfDay(`${year}-01-01` as Day, where),
        startOfDay(`${year + 1}-01-01` as Day, where),
      );
      const days = windowsOf("day", span, where).map((w) => lengthOf(w) / hour);
      return { count: days.length, odd: days.filter((length) => length !== 24) };
    };
    expect(lengths("Europe/Berlin", 2025)).toEqual({ count: 365, odd: [23, 25] });
    expect(lengths("America/New_York", 2024)).toEqual({ count: 366, odd: [23, 25] });
    expect(lengths("Australia/Lord_Howe", 2025)).toEqual({ count: 365, odd: [24.5, 23.5] });
    expect(lengths("Asia/Kathmandu", 2025)).toEqual({ count: 365, odd: [] });
  });

  test("Samoa skipped 30 December 2011", () => {
    const span = period(
      startOfDay("2011-12-28" as Day, "Pacific/Apia"),
      startOfDay("2012-01-02" as Day, "Pacific/Apia"),
    );
    const days = windowsOf("day", span, "Pacific/Apia").map((w) =>
      dayAt(w.startsAt, "Pacific/Apia"),
    );
    expect(days).toEqual(["2011-12-28", "2011-12-29", "2011-12-31", "2012-01-01"]);
  });

  test.each([
    [
      "Asia/Kathmandu",
      "2025-01-01T00:20:00Z",
      "2025-01-01T00:15:00.000Z",
      "2025-01-01T01:15:00.000Z",
    ],
    [
      "Asia/Kolkata",
      "2025-01-01T00:20:00Z",
      "2024-12-31T23:30:00.000Z",
      "2025-01-01T00:30:00.000Z",
    ],
    // The hour that happens twice is two hours of 60 minutes.
    [
      "Europe/Berlin",
      "2025-10-26T00:30:00Z",
      "2025-10-26T00:00:00.000Z",
      "2025-10-26T01:00:00.000Z",
    ],
    [
      "Europe/Berlin",
      "2025-10-26T01:30:00Z",
      "2025-10-26T01:00:00.000Z",
      "2025-10-26T02:00:00.000Z",
    ],
    // Chatham's clock goes back from 03:45 to 02:45: a quarter of an hour is left of that hour.
    [
      "Pacific/Chatham",
      "2025-04-05T14:10:00Z",
      "2025-04-05T14:00:00.000Z",
      "2025-04-05T14:15:00.000Z",
    ],
  ])("the hour in %s at %s is [%s, %s)", (where, at, startsAt, endsAt) => {
    expect(formatInstant(startOf("hour", instant(at), where))).toBe(startsAt);
    expect(formatInstant(endOf("hour", instant(at), where))).toBe(endsAt);
  });

  test("weeks start on Monday", () => {
    const week = startOf("week", instant("2025-01-01T12:00:00Z"), "Europe/Berlin");
    expect(dayAt(week, "Europe/Berlin")).toBe("2024-12-30");
  });
});

describe("anchored steps", () => {
  const days = (from: string, where: string, unit: "day" | "week" | "month" | "year", to: number) =>
    Array.from({ length: to }, (_, n) => dayAt(stepFrom(instant(from), where, unit, n), where));

  test("an anchor on the 31st comes back to the 31st", () => {
    expect(days("2025-01-31T00:00:00Z", "UTC", "month", 6)).toEqual([
      "2025-01-31",
      "2025-02-28",
      "2025-03-31",
      "2025-04-30",
      "2025-05-31",
      "2025-06-30",
    ]);
    expect(days("2024-02-29T00:00:00Z", "UTC", "year", 5)).toEqual([
      "2024-02-29",
      "2025-02-28",
      "2026-02-28",
      "2027-02-28",
      "2028-02-29",
    ]);
  });

  test("steps go on for ever in order, and never depend on the step before", () => {
    fc.assert(
      fc.property(
        moment,
        zone,
        fc.constantFrom("day", "week", "month", "year"),
        (at, where, unit) => {
          let before = stepFrom(at, where, unit, 0);
          expect(before).toBe(at);
          for (let n = 1; n <= 14; n++) {
            const next = stepFrom(at, where, unit, n);
            expect(next).toBeGreaterThan(before);
            before = next;
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  test("keep the local time of day across a clock change", () => {
    const next = stepFrom(instant("2025-03-29T09:00:00+01:00"), "Europe/Berlin", "day", 1);
    expect(formatInstant(next)).toBe("2025-03-30T07:00:00.000Z");
    // 02:30 does not exist that night: an hour later it does.
    const skipped = stepFrom(instant("2025-03-29T02:30:00+01:00"), "Europe/Berlin", "day", 1);
    expect(formatInstant(skipped)).toBe("2025-03-30T01:30:00.000Z");
  });
});

describe("dates and zones", () => {
  test("adding days and counting them are one thing", () => {
    fc.assert(
      fc.property(moment, fc.integer({ min: -5000, max: 5000 }), (at, count) => {
        const from = dayAt(at, "UTC");
        expect(daysBetween(from, addDays(from, count))).toBe(count);
      }),
    );
  });

  test("months keep within themselves", () => {
    expect(addMonths("2025-01-31" as Day, 1)).toBe("2025-02-28");
    expect(addMonths("2024-01-31" as Day, 1)).toBe("2024-02-29");
    expect(addMonths("2025-03-31" as Day, -1)).toBe("2025-02-28");
  });

  test.each(["2025-02-30", "2025-2-3", "20250203", "2025-02-03T00:00:00Z", ""])(
    "%j is not a date",
    (text) => {
      expect(() => dayOf(text)).toThrow();
    },
  );

  test("a date starts where its zone says", () => {
    fc.assert(
      fc.property(place, ({ at, where }) => {
        const date = dayAt(at, where);
        const startsAt = startOfDay(date, where);
        expect(startsAt).toBeLessThanOrEqual(at);
        expect(dayAt(startsAt, where)).toBe(date);
        expect(dayAt(shift(startsAt, -1), where)).not.toBe(date);
      }),
    );
  });

  test("offsets are whole minutes between -12 and +14 hours", () => {
    fc.assert(
      fc.property(moment, zone, (at, where) => {
        const offset = offsetAt(at, where);
        expect(Math.abs(offset % minute)).toBe(0);
        expect(Math.abs(offset)).toBeLessThanOrEqual(14 * hour);
      }),
    );
  });

  test("names of zones", () => {
    expect(zones.filter((name) => !isZone(name))).toEqual([]);
    for (const name of ["", "Mars/Olympus", "+01:00", "Europe", "../etc/passwd", "UTC+1"]) {
      expect([name, isZone(name)]).toEqual([name, false]);
    }
  });
});
