import { describe, expect, test } from "vitest";
import { formatInstant, instant, period } from "../../kit/time.ts";
import { pageOfWindows, planReading, windowsIn } from "./window.ts";

const span = (from: string, to: string) => period(instant(from), instant(to));

describe("windows in a zone", () => {
  test.each([
    ["America/New_York", "2025-03-09T05:00:00Z", "2025-03-10T04:00:00Z", 23],
    ["America/New_York", "2025-11-02T04:00:00Z", "2025-11-03T05:00:00Z", 25],
    ["Asia/Kolkata", "2025-06-14T18:30:00Z", "2025-06-15T18:30:00Z", 24],
    ["Asia/Kathmandu", "2025-06-14T18:15:00Z", "2025-06-15T18:15:00Z", 24],
    // Half an hour is skipped, and half an hour comes twice.
    ["Australia/Lord_Howe", "2025-10-04T13:30:00Z", "2025-10-05T13:00:00Z", 24],
    ["Australia/Lord_Howe", "2025-04-05T13:00:00Z", "2025-04-06T13:30:00Z", 25],
  ])("a day of %s from %s to %s has %s hours, without gap or overlap", (zone, from, to, count) => {
    const day = span(from, to);
    expect(windowsIn(day, "day", zone)).toEqual([day]);
    const hours = windowsIn(day, "hour", zone);
    expect(hours).toHaveLength(count);
    expect(hours[0]?.startsAt).toBe(day.startsAt);
    expect(hours.at(-1)?.endsAt).toBe(day.endsAt);
    for (const [i, one] of hours.entries()) {
      if (i > 0) expect(one.startsAt).toBe(hours[i - 1]?.endsAt);
    }
  });

  test("a year, a month, a week and a minute", () => {
    const contract = span("2025-03-31T22:00:00Z", "2026-03-31T22:00:00Z");
    expect(windowsIn(contract, "month", "Europe/Berlin")).toHaveLength(12);
    expect(windowsIn(contract, "year", "Europe/Berlin")).toHaveLength(2);
    expect(windowsIn(contract, undefined, "Europe/Berlin")).toEqual([contract]);
    expect(
      windowsIn(span("2025-01-01T00:00:00Z", "2025-02-01T00:00:00Z"), "week", "UTC"),
    ).toHaveLength(5);
    expect(
      windowsIn(span("2025-01-01T00:00:30Z", "2025-01-01T00:02:00Z"), "minute", "UTC"),
    ).toHaveLength(2);
  });

  test("pages of windows adjoin", () => {
    const year = span("2025-01-01T00:00:00Z", "2025-01-02T00:00:00Z");
    const first = pageOfWindows(year, "hour", "UTC", 10);
    expect(first.windows).toHaveLength(10);
    expect(first.nextStartsAt && formatInstant(first.nextStartsAt)).toBe(
      "2025-01-01T10:00:00.000Z",
    );
    const rest = pageOfWindows(
      { startsAt: first.nextStartsAt ?? year.startsAt, endsAt: year.endsAt },
      "hour",
      "UTC",
      14,
    );
    expect(rest.windows).toHaveLength(14);
    expect(rest.nextStartsAt).toBeUndefined();
  });
});

describe("what is read from rollups, and what from events", () => {
  const plan = (from: string, to: string, unit?: "minute" | "hour" | "day", zone = "UTC") => {
    const { allRaw, rawPeriods } = planReading(windowsIn(span(from, to), unit, zone));
    const raw = rawPeriods.map((p) => `${formatInstant(p.startsAt)} ${formatInstant(p.endsAt)}`);
    return allRaw ? "all" : raw;
  };

  test("whole quarter hours need no event, in zones of :30 and :45 too", () => {
    expect(plan("2025-01-01T00:00:00Z", "2025-02-01T00:00:00Z", "hour")).toEqual([]);
    expect(plan("2025-01-01T00:00:00Z", "2025-02-01T00:00:00Z", "hour", "Asia/Kathmandu")).toEqual(
      [],
    );
    expect(plan("2025-01-01T00:00:00Z", "2025-02-01T00:00:00Z", "day", "Asia/Kolkata")).toEqual([]);
  });

  test("odd ends are read from events, each once", () => {
    expect(plan("2025-01-01T00:07:00Z", "2025-01-01T02:31:00Z", "hour")).toEqual([
      "2025-01-01T00:07:00.000Z 2025-01-01T00:15:00.000Z",
      "2025-01-01T02:30:00.000Z 2025-01-01T02:31:00.000Z",
    ]);
    expect(plan("2025-01-01T00:07:00Z", "2025-01-01T00:08:00Z")).toEqual([
      "2025-01-01T00:07:00.000Z 2025-01-01T00:08:00.000Z",
    ]);
  });

  test("minutes are read from events altogether", () => {
    expect(plan("2025-01-01T00:00:00Z", "2025-01-02T00:00:00Z", "minute")).toBe("all");
  });
});
