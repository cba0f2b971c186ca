import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  anyAmount,
  anyDocument,
  anyUsage,
  soundPrice,
  usageOf,
} from "../../../test/harness/prices.ts";
import { decimal, formatDecimal } from "../../kit/decimal.ts";
import { rate, ratePeriod, withoutCovered } from "../rating/index.ts";
import { fraction, recompute, textOf } from "./index.ts";

describe("two reckonings of one period", () => {
  test("agree to the last digit, whatever the price and the usage", () => {
    fc.assert(
      fc.property(anyDocument(), fc.array(anyUsage(), { maxLength: 4 }), (document, usage) => {
        const rated = rate(soundPrice(document), usage.map(usageOf));
        const proof = recompute([{ document, usage }]);
        expect(formatDecimal(rated.unrounded)).toBe(proof.unrounded);
        expect(rated.amount.minor).toBe(proof.minor);
      }),
      { numRuns: 1000 },
    );
  });

  test("agree where the price changes within the period", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(anyDocument(), fc.array(anyUsage(), { maxLength: 3 })), {
          minLength: 2,
          maxLength: 3,
        }),
        fc.boolean(),
        (parts, complete) => {
          const rated = ratePeriod(
            parts.map(([document, usage]) => ({
              price: soundPrice(document),
              usage: usage.map(usageOf),
            })),
            { complete },
          );
          const proof = recompute(
            parts.map(([document, usage]) => ({ document, usage })),
            { complete },
          );
          expect(formatDecimal(rated.unrounded)).toBe(proof.unrounded);
          expect(rated.amount.minor).toBe(proof.minor);
        },
      ),
      { numRuns: 1000 },
    );
  });

  test("agree in a month of any length, where the price converts by its hours", () => {
    fc.assert(
      fc.property(fc.integer({ min: 672, max: 745 }), anyAmount(), (hours, quantity) => {
        const conversion = {
          operation: "divide",
          factor: "hours_in_month",
          rounding: "half_away",
          digits: 12,
        };
        const document = { currency: "USD", model: "per_unit", unit_amount: "0.25", conversion };
        const price = soundPrice(document);
        const slice = { price, usage: [{ quantity: decimal(quantity) }] };
        const rated = ratePeriod([{ ...slice, hoursInMonth: decimal(`${hours}`) }]);
        const usage = [{ quantity }];
        const proof = recompute([{ document, usage, hoursInMonth: `${hours}` }]);
        expect(formatDecimal(rated.unrounded)).toBe(proof.unrounded);
        expect(formatDecimal(ratePeriod([slice]).unrounded)).toBe(
          recompute([{ document, usage }]).unrounded,
        );
      }),
    );
  });

  test("agree on what is left to pay when a batch has paid for a part", () => {
    fc.assert(
      fc.property(
        anyDocument(),
        fc.array(anyUsage(), { minLength: 1, maxLength: 4 }),
        anyAmount(10n ** 8n, 3),
        (document, usage, covered) => {
          // Where single events are looked at, their amounts are the quantity: nothing can be taken off it.
          fc.pre(document.model !== "percentage");
          const price = soundPrice(document);
          const rows = withoutCovered(price, usage.map(usageOf), decimal(covered));
          const rated = rate(price, rows);
          const proof = recompute([{ document, usage, covered }]);
          expect(formatDecimal(rated.unrounded)).toBe(proof.unrounded);
        },
      ),
      { numRuns: 500 },
    );
  });

  test("agree when corrections outweigh the usage", () => {
    fc.assert(
      fc.property(anyDocument(), anyUsage(), (document, usage) => {
        // Rules for single events have no answer to events that were never there.
        fc.pre(document.model !== "percentage");
        const taken = { ...usage, quantity: `-${usage.quantity}`, eventAmounts: [] };
        const rated = rate(soundPrice(document), usageOf(taken));
        const proof = recompute([{ document, usage: [taken] }]);
        expect(formatDecimal(rated.unrounded)).toBe(proof.unrounded);
      }),
      { numRuns: 300 },
    );
  });
});

test("a prorated minimum that never ends is a fraction, and rounds to the same cent", () => {
  const document = {
    currency: "USD",
    model: "per_unit",
    unit_amount: "0.01",
    minimum_amount: "10",
  };
  const usage = { quantity: "200" };
  const proof = recompute([{ document, usage: [usage] }], { share: { part: "15", whole: "31" } });
  const rated = rate(
    soundPrice(document),
    { quantity: decimal("200") },
    { share: { part: decimal("15"), whole: decimal("31") } },
  );
  expect(proof.unrounded).toBeUndefined();
  expect(proof.exact).toEqual({ n: 150n, d: 31n });
  expect([proof.minor, rated.amount.minor]).toEqual([484n, 484n]);
});

test("fractions are written with exactly the digits they have", () => {
  for (const text of ["0", "-1", "0.001", "12345678901234567890.5", "-0.25"])
    expect(textOf(fraction(text))).toBe(text);
  expect(() => fraction("1e5")).toThrow(TypeError);
});
