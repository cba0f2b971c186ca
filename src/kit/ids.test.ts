import fc from "fast-check";
import { expect, test } from "vitest";
import { settableClock } from "./clock.ts";
import { type IdKind, idMaker, isId, prefixes } from "./ids.ts";
import { seededRandom } from "./random.ts";
import { type Instant, instant } from "./time.ts";

const kinds = Object.keys(prefixes) as IdKind[];
const start = instant("2025-01-01T00:00:00Z");

test("ids of one millisecond are unique and in order", () => {
  const id = idMaker(settableClock(start), seededRandom(1));
  const made = Array.from({ length: 10_000 }, () => id("invoice"));
  expect(new Set(made).size).toBe(made.length);
  expect(made.toSorted()).toEqual(made);
});

test("later ids sort later, also when the clock is set back", () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: -5_000_000, max: 5_000_000 })),
      fc.nat(),
      (jumps, seed) => {
        const clock = settableClock(start);
        const id = idMaker(clock, seededRandom(seed));
        const made = jumps.map((jump) => {
          clock.set((clock.now() + jump) as Instant);
          return id("project");
        });
        expect(made.toSorted()).toEqual(made);
        expect(new Set(made).size).toBe(made.length);
      },
    ),
  );
});

test("makers of different seeds do not meet in the same millisecond", () => {
  const clock = settableClock(start);
  const made = Array.from({ length: 2_000 }, (_, seed) =>
    idMaker(clock, seededRandom(seed))("account"),
  );
  expect(new Set(made).size).toBe(made.length);
});

test("the same seed and clock give the same ids", () => {
  const make = () => {
    const id = idMaker(settableClock(start), seededRandom(7));
    return kinds.map((kind) => id(kind));
  };
  expect(make()).toEqual(make());
});

test("an id says what it names: prefixes are unique, and only its own kind takes it", () => {
  expect(new Set(Object.values(prefixes)).size).toBe(kinds.length);
  const id = idMaker(settableClock(start), seededRandom(1));
  for (const kind of kinds) {
    const one = id(kind);
    expect(one).toMatch(/^[a-z]{3}_[0-9a-hjkmnp-tv-z]{20}$/);
    expect(kinds.filter((other) => isId(other, one))).toEqual([kind]);
  }
  for (const text of ["", "inv_", "inv_A", "inv_x y", "INV_0", `inv_${"0".repeat(41)}`]) {
    expect([text, isId("invoice", text)]).toEqual([text, false]);
  }
});
