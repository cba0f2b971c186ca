import fc from "fast-check";
import { expect, test } from "vitest";
import { contains, dayAt, type Instant, instant, shift, day } from "../../kit/time.ts";
import { cadences } from "../catalog/index.ts";
import {
  type Anchor,
  anchorOnDay,
  boundary,
  type Cycle,
  cycleIndexAt,
  cyclePeriodAt,
  cyclePeriodsOver,
} from "./cycle.ts";

const zones = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"];
const anyMoment = fc.integer({
  min: instant("2001-01-01T00:00:00Z"),
  max: instant("2040-01-01T00:00:00Z"),
}) as fc.Arbitrary<Instant>;
const anyCycle: fc.Arbitrary<Cycle> = fc
  .record({
    at: anyMoment,
    day: fc.constantFrom(1, 15, 28, 29, 30, 31),
    kind: fc.constantFrom("moment", "billing_day"),
    zone: fc.constantFrom(...zones),
    cadence: fc.constantFrom(...cadences),
  })
  .map(({ at, day: dayOfMonth, kind, zone, cadence }) => ({
    cadence,
    zone,
    anchor: kind === "moment" ? ({ kind, at } as Anchor) : anchorOnDay(dayOfMonth, at, zone),
  }));

test("24 months of any cycle, in any zone, tile time without gap or overlap", () => {
  fc.assert(
    fc.property(anyCycle, anyMoment, (cycle, from) => {
      const span = { startsAt: from, endsAt: shift(from, 731 * day) };
      const periods = cyclePeriodsOver(cycle, span);
      expect(contains(periods[0] as never, from)).toBe(true);
      expect(periods.at(-1)?.endsAt).toBeGreaterThanOrEqual(span.endsAt);
      periods.slice(1).forEach((next, i) => expect(next.startsAt).toBe(periods[i]?.endsAt));
      for (const { startsAt, endsAt } of periods) {
        expect(startsAt).toBeLessThan(endsAt);
        expect(boundary(cycle, cycleIndexAt(cycle, startsAt))).toBe(startsAt);
      }
    }),
  );
});

test("a month that is too short uses its last day, and the next one is true to the anchor again", () => {
  const monthEnd: Cycle = {
    cadence: "month",
    zone: "Europe/Berlin",
    anchor: anchorOnDay(31, instant("2025-01-15T00:00:00Z"), "Europe/Berlin"),
  };
  const dates = [0, 1, 2, 3, 13].map((n) => dayAt(boundary(monthEnd, n), monthEnd.zone));
  expect(dates).toEqual(["2025-01-31", "2025-02-28", "2025-03-31", "2025-04-30", "2026-02-28"]);
});

test.each([
  ["2025-01-15", 15, "2025-01-15", "2025-02-15"],
  ["2025-01-16", 15, "2025-01-15", "2025-02-15"],
  ["2025-01-14", 15, "2024-12-15", "2025-01-15"],
  ["2025-02-10", 31, "2025-01-31", "2025-02-28"],
])("a start on %s with billing day %i is in the period %s to %s", (start, dayOfMonth, from, to) => {
  const at = instant(`${start}T00:00:00Z`);
  const anchor = anchorOnDay(dayOfMonth, at, "UTC");
  const { startsAt, endsAt } = cyclePeriodAt({ cadence: "month", zone: "UTC", anchor }, at);
  expect([dayAt(startsAt, "UTC"), dayAt(endsAt, "UTC")]).toEqual([from, to]);
});
