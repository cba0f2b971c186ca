import { describe, expect, test } from "vitest";
import { Life } from "../simulation/life.ts";

// Three short lives by default, for the sake of time. One life: TALLYLINE_SEED=17. More of them, and longer:
// TALLYLINE_SEEDS=50 TALLYLINE_MONTHS=24. What happened in a life that failed: TALLYLINE_TELL=1.
const only = process.env["TALLYLINE_SEED"];
const seedsMax = Number(process.env["TALLYLINE_SEEDS"] ?? "3");
const months = Number(process.env["TALLYLINE_MONTHS"] ?? "8");
const steps = Number(process.env["TALLYLINE_STEPS"] ?? "6");
const seeds =
  only === undefined ? Array.from({ length: seedsMax }, (_, i) => i + 1) : [Number(only)];

describe(`${months} months of a random customer's life, every invariant after every step`, () => {
  test.each(seeds)(
    "seed %d: documents sum to what was owed, and everything re-derives",
    async (seed) => {
      const life = await Life.begin(seed);
      try {
        for (let n = 0; n < months; n++) await life.month(steps);
        await life.proveEverything();
        expect(life.told.length).toBeGreaterThan(months);
      } catch (error) {
        const story = life.told.slice(-400).join("\n");
        throw new Error(
          `TALLYLINE_SEED=${seed}: ${(error as Error).message}\n${process.env["TALLYLINE_TELL"] ? story : ""}`,
          { cause: error },
        );
      } finally {
        await life.end();
      }
    },
    600_000,
  );
});
