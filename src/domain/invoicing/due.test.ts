import fc from "fast-check";
import { expect, test } from "vitest";
import { contains, formatInstant, type Instant, instant } from "../../kit/time.ts";
import {
  type BillingCalendar,
  cycles,
  periodAt,
  periodBefore,
  periodName,
  periodsTouching,
} from "./due.ts";

const zones = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"];
const anyCalendar = fc.record({
  timeZone: fc.constantFrom(...zones),
  invoiceDay: fc.integer({ min: 1, max: 28 }),
  cycle: fc.constantFrom(...cycles),
});
const anyMoment = fc.integer({
  min: instant("2001-01-01T00:00:00Z"),
  max: instant("2040-01-01T00:00:00Z"),
}) as fc.Arbitrary<Instant>;

test("every moment is in exactly one period, and neighbours touch", () => {
  fc.assert(
    fc.property(anyCalendar, anyMoment, (calendar, at) => {
      const span = periodAt(calendar, at);
      expect(contains(span, at)).toBe(true);
      expect(periodAt(calendar, span.startsAt)).toEqual(span);
      expect(periodAt(calendar, span.endsAt).startsAt).toBe(span.endsAt);
      expect(periodBefore(calendar, span).endsAt).toBe(span.startsAt);
    }),
  );
});

test.each([
  ["month", 15, 25],
  ["quarter", 1, 8],
  ["year", 1, 2],
] as const)("a %s on day %d tiles 24 months with %d periods", (cycle, invoiceDay, count) => {
  const calendar: BillingCalendar = { timeZone: "UTC", invoiceDay, cycle };
  const span = {
    startsAt: instant("2025-01-01T00:00:00Z"),
    endsAt: instant("2027-01-01T00:00:00Z"),
  };
  const periods = periodsTouching(calendar, span);
  expect(periods).toHaveLength(count);
  periods.slice(1).forEach((next, i) => expect(next.startsAt).toBe(periods[i]?.endsAt));
});

test("a month belongs to the account's own zone, across daylight saving", () => {
  const berlin: BillingCalendar = { timeZone: "Europe/Berlin", invoiceDay: 1, cycle: "month" };
  const march = periodAt(berlin, instant("2025-03-31T21:59:59.999999Z"));
  expect(formatInstant(march.startsAt)).toBe("2025-02-28T23:00:00.000Z");
  expect(formatInstant(march.endsAt)).toBe("2025-03-31T22:00:00.000Z");
  expect(periodName(berlin, march)).toBe("2025-03");
});
