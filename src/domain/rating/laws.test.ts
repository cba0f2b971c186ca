import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  anyAmount,
  anyDocument,
  anyQuantity,
  anyTiers,
  anyUsage,
  soundPrice,
  usageOf,
} from "../../../test/harness/prices.ts";
import { compare, decimal, equal, multiply, sumOf, zero } from "../../kit/decimal.ts";
import { formatMoney, sumMoney } from "../../kit/money.ts";
import { readPrice, writePrice } from "../catalog/index.ts";
import { type Booking, bookingOf, charged, rate, rateDelta, ratePeriod } from "./index.ts";

type Tiers = readonly {
  up_to: string | null;
  unit_amount: string;
  flat_amount?: string | undefined;
}[];

const graduated = (tiers: Tiers, flats = true) =>
  soundPrice({
    model: "graduated",
    tiers: tiers.map((tier) => (flats ? tier : { ...tier, flat_amount: "0" })),
  });
const of = (quantity: string) => ({ quantity: decimal(quantity) });

describe("graduated prices", () => {
  test("never fall when more is used", () => {
    fc.assert(
      fc.property(anyTiers(false), anyQuantity(), anyAmount(), (tiers, quantity, more) => {
        const price = graduated(tiers);
        const less = rate(price, of(quantity)).unrounded;
        const sum = decimal(quantity).plus(decimal(more));
        expect(compare(rate(price, { quantity: sum }).unrounded, less)).toBeGreaterThanOrEqual(0);
      }),
    );
  });

  test("have no jumps without flat amounts: a bit more costs at most the dearest tier's price of it", () => {
    fc.assert(
      fc.property(anyTiers(false), anyAmount(10n ** 4n), (tiers, bit) => {
        const price = graduated(tiers, false);
        const dearest = tiers
          .map((tier) => decimal(tier.unit_amount))
          .reduce((a, b) => (a.lessThan(b) ? b : a));
        for (const { up_to } of tiers) {
          const bound = decimal(up_to ?? "0");
          const at = rate(price, { quantity: bound }).unrounded;
          const beyond = rate(price, { quantity: bound.plus(decimal(bit)) }).unrounded;
          const step = beyond.minus(at);
          expect(step.isNegative()).toBe(false);
          expect(compare(step, multiply(dearest, decimal(bit)))).toBeLessThanOrEqual(0);
        }
      }),
    );
  });
});

test("volume is per unit at the tier reached, plus that tier's flat amount", () => {
  fc.assert(
    fc.property(anyTiers(false), anyQuantity(), (tiers, quantity) => {
      fc.pre(!decimal(quantity).isZero());
      const landed = tiers.find(
        (tier) => tier.up_to === null || compare(decimal(quantity), decimal(tier.up_to)) <= 0,
      );
      const perUnit = soundPrice({ model: "per_unit", unit_amount: landed?.unit_amount });
      const expected = rate(perUnit, of(quantity)).unrounded.plus(
        decimal(landed?.flat_amount ?? "0"),
      );
      const volume = soundPrice({ model: "volume", tiers });
      expect(rate(volume, of(quantity)).unrounded).toEqual(expected);
    }),
  );
});

describe("every price", () => {
  test("has segments whose unit price times quantity is their amount, and that add up to the whole", () => {
    fc.assert(
      fc.property(anyDocument(), fc.array(anyUsage(), { maxLength: 3 }), (document, usage) => {
        const rated = rate(soundPrice(document), usage.map(usageOf));
        for (const one of rated.segments)
          expect(one.amount).toEqual(multiply(one.unitPrice, one.quantity));
        expect(sumOf(rated.segments.map((one) => one.amount))).toEqual(rated.unrounded);
      }),
    );
  });

  test("accounts for every charged unit once", () => {
    fc.assert(
      fc.property(anyDocument(), fc.array(anyUsage(), { maxLength: 3 }), (document, usage) => {
        // A fee does not count units, groups count their own, and whole free events are no units.
        fc.pre(document.model !== "flat_fee" && !document.group_by);
        fc.pre(document.free_events_cover !== "whole_event");
        const price = soundPrice(document);
        const rated = rate(price, usage.map(usageOf));
        const metered = sumOf(usage.map((one) => decimal(one.quantity)));
        const units = sumOf(rated.segments.map((one) => one.units));
        expect(units.toFixed()).toBe(charged(price, metered).toFixed());
      }),
    );
  });

  test("costs the same whole or cut into slices", () => {
    fc.assert(
      fc.property(
        anyDocument(),
        fc.array(anyUsage(), { minLength: 1, maxLength: 5 }),
        fc.nat(5),
        (document, usage, cut) => {
          // Cells take their free units in the order of the price; cut usage comes in the order of time.
          fc.pre(document.model !== "matrix" || !(document.free_units || document.conversion));
          const price = soundPrice(document);
          const whole = rate(price, usage.map(usageOf));
          const parts = ratePeriod([
            { price, usage: usage.slice(0, cut).map(usageOf) },
            { price, usage: usage.slice(cut).map(usageOf) },
          ]);
          expect(parts.unrounded.toFixed()).toBe(whole.unrounded.toFixed());
        },
      ),
      { numRuns: 500 },
    );
  });

  test("is booked exactly once, however often it is calculated on the way", () => {
    fc.assert(
      fc.property(anyDocument(), fc.array(anyUsage(), { minLength: 1 }), (document, usage) => {
        const price = soundPrice(document);
        const runs = usage.map((_, index) => rate(price, usage.slice(0, index + 1).map(usageOf)));
        const booked: Booking[] = [];
        for (const run of runs) booked.push(rateDelta(run, booked));
        const last = runs.at(-1);
        if (!last) throw new Error("no run");
        const sum = sumMoney(
          last.currency,
          booked.map((one) => one.total),
        );
        expect(formatMoney(sum)).toBe(formatMoney(last.amount));
        expect(rateDelta(last, booked).total.minor).toBe(0n);
        const { gross, minimum, reduction, total } = bookingOf(last);
        expect(gross.minor + minimum.minor - reduction.minor).toBe(total.minor);
      }),
    );
  });

  test("stays between its minimum and its maximum", () => {
    fc.assert(
      fc.property(anyDocument(), fc.array(anyUsage(), { maxLength: 3 }), (document, usage) => {
        fc.pre(document.minimum_amount !== undefined);
        const price = soundPrice(document);
        const { unrounded } = rate(price, usage.map(usageOf));
        expect(compare(unrounded, price.minimumAmount ?? zero)).toBeGreaterThanOrEqual(0);
        expect(compare(unrounded, price.maximumAmount ?? unrounded)).toBeLessThanOrEqual(0);
      }),
    );
  });

  test("is read back as it was written", () => {
    fc.assert(
      fc.property(anyDocument(), (document) => {
        const price = soundPrice(document);
        const again = readPrice(JSON.parse(JSON.stringify(writePrice(price))));
        expect(again).toEqual({ price });
      }),
    );
  });
});

test("packages are rounded once, on the total of the period", () => {
  const price = soundPrice({ model: "package", package_size: "20", unit_amount: "10" });
  const slice = { price, usage: [of("15")] };
  const { segments, unrounded } = ratePeriod([slice, slice, slice]);
  // 15 take one package, 30 take two, 45 take three; each alone would have taken one as well, but 60 take three too.
  expect(segments.map((one) => one.quantity.toNumber())).toEqual([1, 1, 1]);
  expect(ratePeriod([slice, slice, slice, slice]).unrounded).toEqual(unrounded);
});

// An oracle that shares nothing with the engine: whole numbers of 10^-24 dollars, and tiers peeled off from the top.
describe("10,000 random prices and quantities", () => {
  const scale = 12;
  const whole = (text: string): bigint => {
    const [units = "", fraction = ""] = text.split(".");
    return BigInt(units + fraction.padEnd(scale, "0"));
  };

  function peel(tiers: Tiers, quantity: string): bigint {
    let left = whole(quantity);
    let cost = 0n;
    for (let index = tiers.length - 1; index >= 0; index--) {
      const lower = index === 0 ? 0n : whole(tiers[index - 1]?.up_to ?? "0");
      if (left <= lower) continue;
      cost += (left - lower) * whole(tiers[index]?.unit_amount ?? "0");
      cost += whole(tiers[index]?.flat_amount ?? "0") * 10n ** BigInt(scale);
      left = lower;
    }
    return cost;
  }

  // Half away from zero, from 10^-24 dollars to cents.
  const cents = (cost: bigint) => (cost + 5n * 10n ** 21n) / 10n ** 22n;

  test("cost what arithmetic without any fractions says", () => {
    fc.assert(
      fc.property(anyTiers(false), anyQuantity(), (tiers, quantity) => {
        const rated = rate(graduated(tiers), of(quantity));
        const cost = peel(tiers, quantity);
        expect(rated.unrounded.times("1e24").toFixed()).toBe(cost.toString());
        expect(rated.amount.minor).toBe(cents(cost));
      }),
      { numRuns: 10_000 },
    );
  });

  test("are equal however the same number is written", () => {
    const price = soundPrice({ model: "per_unit", unit_amount: "0.10" });
    expect(equal(rate(price, of("3")).unrounded, decimal("0.3"))).toBe(true);
    expect(rate(price, of("3.000")).unrounded).toEqual(rate(price, of("3")).unrounded);
  });
});
