import { expect, test } from "vitest";
import { settableClock, systemClock } from "./clock.ts";
import { seededRandom, systemRandom } from "./random.ts";
import { instant } from "./time.ts";

test("the machine's clock counts microseconds and never the same moment twice", () => {
  const clock = systemClock();
  const readings = Array.from({ length: 10_000 }, () => clock.now());
  expect(readings[0]).toBeGreaterThan(instant("2026-01-01T00:00:00Z"));
  expect(readings.every(Number.isSafeInteger)).toBe(true);
  expect(readings.every((at, index) => index === 0 || at > (readings[index - 1] as number))).toBe(
    true,
  );
});

test("a settable clock stands still until told", () => {
  const clock = settableClock(instant("2025-01-01T00:00:00Z"));
  expect(clock.now()).toBe(clock.now());
  clock.set(instant("2024-12-31T23:00:00Z"));
  expect(clock.now()).toBe(instant("2024-12-31T23:00:00Z"));
});

test("a seed repeats, and spreads evenly", () => {
  expect(seededRandom(42).bytes(32)).toEqual(seededRandom(42).bytes(32));
  expect(seededRandom(42).bytes(32)).not.toEqual(seededRandom(43).bytes(32));
  const random = seededRandom(1);
  const drawn = Array.from({ length: 100_000 }, () => random.below(10));
  for (let value = 0; value < 10; value++) {
    expect(Math.abs(drawn.filter((one) => one === value).length - 10_000)).toBeLessThan(500);
  }
  const fractions = Array.from({ length: 1_000 }, () => random.fraction());
  expect(fractions.every((one) => one >= 0 && one < 1)).toBe(true);
  expect(systemRandom().bytes(16)).toHaveLength(16);
});
