import { describe, expect, test } from "vitest";
import { soundPrice } from "../../../test/harness/prices.ts";
import { decimal, formatDecimal } from "../../kit/decimal.ts";
import { formatMoney } from "../../kit/money.ts";
import { instant, period } from "../../kit/time.ts";
import {
  bookingOf,
  explain,
  explainStep,
  type PriceSlice,
  type Rated,
  rate,
  rateDelta,
  ratePeriod,
  segmentDelta,
  statementOf,
  UnratableError,
  type Usage,
  withoutCovered,
} from "./index.ts";

const of = (quantity: string, more: Partial<Usage> = {}): Usage => ({
  quantity: decimal(quantity),
  ...more,
});
const slice = (
  document: Record<string, unknown>,
  quantity: string,
  version: string,
): PriceSlice => ({
  price: soundPrice(document),
  usage: [of(quantity)],
  version,
});
const told = (rated: Rated) =>
  rated.segments.map((one) =>
    [one.version, one.quantity, one.unitPrice, one.amount].map((value) =>
      typeof value === "object" && value ? formatDecimal(value) : value,
    ),
  );

const tiers = (first: string, rest: string) => ({
  model: "graduated",
  tiers: [{ up_to: 10_000, unit_amount: first }, { unit_amount: rest }],
});

describe("a price that changes within the period", () => {
  test("goes on in the tiers where the one before left off", () => {
    const rated = ratePeriod([
      slice(tiers("0.001", "0.0008"), "8000", "v1"),
      slice(tiers("0.002", "0.0016"), "5000", "v2"),
    ]);
    expect(told(rated)).toEqual([
      ["v1", "8000", "0.001", "8"],
      ["v2", "2000", "0.002", "4"],
      ["v2", "3000", "0.0016", "4.8"],
    ]);
  });

  test("gives free units once, and packages that were begun are used up first", () => {
    const free = { model: "per_unit", unit_amount: "1", free_units: 10 };
    expect(
      told(ratePeriod([slice(free, "8", "v1"), slice({ ...free, unit_amount: "2" }, "5", "v2")])),
    ).toEqual([["v2", "3", "2", "6"]]);
    const packages = { model: "package", package_size: 20, unit_amount: "10" };
    expect(
      told(
        ratePeriod([
          slice(packages, "25", "v1"),
          slice(packages, "15", "v2"),
          slice(packages, "1", "v3"),
        ]),
      ),
    ).toEqual([
      ["v1", "2", "10", "20"],
      ["v2", "0", "10", "0"],
      ["v3", "1", "10", "10"],
    ]);
  });

  test("charges the flat amount of a tier once, by the version that enters it", () => {
    const flat = (amount: string) => ({
      model: "graduated",
      tiers: [
        { up_to: 10, flat_amount: amount },
        { flat_amount: amount, unit_amount: "1" },
      ],
    });
    const rated = ratePeriod([slice(flat("5"), "6", "v1"), slice(flat("7"), "6", "v2")]);
    expect(
      rated.segments
        .filter((one) => one.because.kind === "tier_flat")
        .map((one) => [one.version, formatDecimal(one.amount)]),
    ).toEqual([
      ["v1", "5"],
      ["v2", "7"],
    ]);
  });

  test("takes fee, volume tier and limits from the version in force at the end", () => {
    const volume = (unit: string, more: string) => ({
      model: "volume",
      tiers: [
        { up_to: 10, unit_amount: unit },
        { unit_amount: more, flat_amount: "3" },
      ],
    });
    // 12 in all reach the second tier of both versions.
    expect(
      told(ratePeriod([slice(volume("2", "1"), "6", "v1"), slice(volume("4", "3"), "6", "v2")])),
    ).toEqual([
      ["v1", "6", "1", "6"],
      ["v2", "6", "3", "18"],
      ["v2", "1", "3", "3"],
    ]);
    const fee = (amount: string) => ({ model: "flat_fee", amount });
    expect(told(ratePeriod([slice(fee("50"), "0", "v1"), slice(fee("60"), "0", "v2")]))).toEqual([
      ["v2", "1", "60", "60"],
    ]);
    const least = (minimum_amount: string) => ({
      model: "per_unit",
      unit_amount: "1",
      minimum_amount,
    });
    expect(
      formatMoney(
        ratePeriod([slice(least("99"), "1", "v1"), slice(least("25"), "1", "v2")]).amount,
      ),
    ).toBe("25.00");
  });

  test("takes back at the price of the tier what a correction takes away", () => {
    const rated = ratePeriod([
      slice(tiers("1", "2"), "10005", "v1"),
      slice(tiers("1", "2"), "-10", "v2"),
    ]);
    expect(told(rated).slice(2)).toEqual([
      ["v2", "-5", "1", "-5"],
      ["v2", "-5", "2", "-10"],
    ]);
    expect(formatDecimal(rated.unrounded)).toBe("9995");
  });

  test("never adds currencies", () => {
    const euro = { currency: "EUR", model: "per_unit", unit_amount: "1" };
    expect(() =>
      ratePeriod([slice(euro, "1", "a"), slice({ ...euro, currency: "USD" }, "1", "b")]),
    ).toThrow(/EUR and USD/);
  });

  test("an empty list of slices is a mistake of the caller", () => {
    expect(() => ratePeriod([])).toThrow(RangeError);
  });
});

describe("usage whose corrections outweigh it", () => {
  const price = { model: "per_unit", unit_amount: "0.5" };
  test("costs nothing, or is given back, as the price says", () => {
    expect(formatDecimal(rate(soundPrice(price), of("-3")).unrounded)).toBe("0");
    const mirror = soundPrice({ ...price, negative_usage: "mirror" });
    expect(formatDecimal(rate(mirror, of("-3")).unrounded)).toBe("-1.5");
    expect(
      told(
        ratePeriod([
          { price: mirror, usage: [of("-3")] },
          { price: mirror, usage: [of("5")] },
        ]),
      ),
    ).toEqual([
      [null, "-3", "0.5", "-1.5"],
      [null, "3", "0.5", "1.5"],
      [null, "2", "0.5", "1"],
    ]);
  });
});

describe("what a batch has paid for", () => {
  const matrix = soundPrice({
    model: "matrix",
    dimensions: ["model"],
    cells: [
      { match: { model: "A" }, unit_amount: "3" },
      { match: { model: "B" }, unit_amount: "5" },
    ],
  });
  test("comes off the first cells of the price", () => {
    const usage = [
      of("10", { dimensions: { model: "B" } }),
      of("10", { dimensions: { model: "A" } }),
    ];
    const left = withoutCovered(matrix, usage, decimal("12"));
    expect(told(rate(matrix, left)).map((row) => row[1])).toEqual(["8"]);
    expect(rate(matrix, withoutCovered(matrix, usage, decimal("99"))).segments).toEqual([]);
  });

  test("usage that no cell matches names its values", () => {
    expect(() => rate(matrix, of("1", { dimensions: { model: "C" } }))).toThrow(UnratableError);
    expect(() => rate(matrix, of("1"))).toThrow("no cell matches usage with model=(none)");
  });
});

describe("the difference to what was booked", () => {
  const price = soundPrice({ ...tiers("1", "2") });
  test("is told in segments too: equal ones cancel, the rest is reversed and added", () => {
    const [before, after] = [rate(price, of("8000")), rate(price, of("12000"))];
    const { added, reversed } = segmentDelta(after.segments, before.segments);
    expect(reversed.map((one) => formatDecimal(one.amount))).toEqual(["8000"]);
    expect(added.map((one) => formatDecimal(one.amount))).toEqual(["10000", "4000"]);
    expect(segmentDelta(before.segments, before.segments)).toEqual({ added: [], reversed: [] });
    expect(formatMoney(rateDelta(after, [bookingOf(before)]).total)).toBe("6000.00");
  });

  test("keeps a minimum for the end of the period", () => {
    const least = soundPrice({ model: "per_unit", unit_amount: "1", minimum_amount: "25" });
    const open = rate(least, of("10"), { complete: false });
    expect(formatMoney(open.amount)).toBe("10.00");
    const { minimum, total } = rateDelta(rate(least, of("10")), [bookingOf(open)]);
    expect([minimum, total].map(formatMoney)).toEqual(["15.00", "15.00"]);
  });
});

test("every rule says why it charges", () => {
  const sentences = [
    rate(soundPrice({ model: "per_unit", unit_amount: "1", minimum_amount: "5" }), of("2")),
    rate(soundPrice({ model: "per_unit", unit_amount: "9", maximum_amount: "5" }), of("2")),
    rate(
      soundPrice({
        model: "volume",
        tiers: [{ unit_amount: "1", flat_amount: "2", package_size: 10 }],
      }),
      of("12"),
    ),
    rate(
      soundPrice({ model: "graduated", tiers: [{ unit_amount: "1", package_size: 10 }] }),
      of("12"),
    ),
    rate(
      soundPrice({ model: "package", package_size: 5, unit_amount: "1", package_rounding: "down" }),
      of("12"),
    ),
    rate(
      soundPrice({ model: "percentage", rate: "1", fixed_amount: "0.3" }),
      of("12", { events: decimal("2") }),
    ),
  ].flatMap((rated) => rated.segments.map((one) => explain(one)));
  expect(sentences).toEqual([
    "2 at the same price each",
    "what 2 lacks to the minimum of 5",
    "2 at the same price each",
    "what 18 exceeds the maximum of 5",
    "the whole quantity in started packages of 10, at the price of the tier that 12 reaches: tier 1 (above 0)",
    "the flat amount of the tier that 12 reaches: tier 1 (above 0)",
    "12 in tier 1 (above 0), in started packages of 10",
    "12 in complete packages of 5",
    "1 per cent of 12",
    "a fixed amount for every event",
  ]);
});

test("the steps from the metered to the charged quantity are told in their order", () => {
  const price = soundPrice({
    model: "per_unit",
    unit_amount: "1",
    free_units: 1,
    group_by: ["region"],
    conversion: { operation: "divide", factor: 1000, rounding: "ceiling" },
  });
  const usage = ["eu", "us"].map((region) => of("1400", { dimensions: { region } }));
  const said = rate(price, usage).steps.map(explainStep);
  const each = ["1400 ÷ 1000, rounded (ceiling) = 2", "the first 1 are free, 1 is charged"];
  expect(said).toEqual([...each, ...each]);
  expect(rate(price, of("-1")).steps.map(explainStep)).toEqual([
    "-1 is below zero and charged as nothing",
  ]);
});

test("a statement carries version and slice of every segment", () => {
  const january = period(instant("2025-01-01T00:00:00Z"), instant("2025-02-01T00:00:00Z"));
  const rated = ratePeriod([
    { price: soundPrice(tiers("1", "2")), usage: [of("1")], version: "prc_1", period: january },
  ]);
  expect(statementOf(rated).segments[0]).toMatchObject({
    price_version: "prc_1",
    period: { starts_at: "2025-01-01T00:00:00.000Z", ends_at: "2025-02-01T00:00:00.000Z" },
  });
});

test("a converted unit says what one of it is", () => {
  const sentence = (conversion: object) => {
    const price = soundPrice({ model: "per_unit", unit_amount: "1.50", conversion });
    const [segment] = rate(price, of("2500")).segments;
    return segment && explain(segment, price.conversion);
  };
  expect(sentence({ operation: "divide", factor: "1000" })).toBe("2.5 at the same price per 1,000");
  expect(
    sentence({ operation: "divide", factor: "hours_in_month", rounding: "half_away", digits: 6 }),
  ).toBe("3.424658 at the same price per month");
  expect(sentence({ operation: "multiply", factor: "2" })).toBe("5000 at the same price each");
});
