import { expect, test } from "vitest";
import { decimal, formatDecimal } from "../../kit/decimal.ts";
import { formatMoney } from "../../kit/money.ts";
import { type Price, readPrice } from "../catalog/index.ts";
import { rate, ratePeriod, type Usage } from "./index.ts";

// The figures of the four documents that started the project.

const priceOf = (document: Record<string, unknown>): Price => {
  const read = readPrice({ currency: "USD", ...document });
  if ("faults" in read) throw new Error(JSON.stringify(read.faults));
  return read.price;
};

const of = (quantity: string, more: Partial<Usage> = {}): Usage => ({
  quantity: decimal(quantity),
  ...more,
});

const cost = (price: Price, quantity: string) => {
  const rated = rate(price, of(quantity));
  return [formatMoney(rated.amount), formatDecimal(rated.unrounded)];
};

const tiers = [
  { up_to: "10000", unit_amount: "0.001" },
  { up_to: "100000", unit_amount: "0.0008" },
  { up_to: null, unit_amount: "0.0006" },
];

test("a flat rate per call keeps the digits that are not billed", () => {
  const price = priceOf({ model: "per_unit", unit_amount: "0.001" });
  expect(cost(price, "12345")).toEqual(["12.35", "12.345"]);
  expect(cost(price, "1")).toEqual(["0.00", "0.001"]);
  expect(cost(price, "0")).toEqual(["0.00", "0"]);
  expect(rate(price, of("0")).segments).toEqual([]);
});

test.each([
  ["0", "0.00", "0"],
  ["1", "0.00", "0.001"],
  ["10000", "10.00", "10"],
  ["10001", "10.00", "10.0008"],
  ["100000", "82.00", "82"],
  ["100001", "82.00", "82.0006"],
  ["150000", "112.00", "112"],
])("graduated tiers: %s calls cost %s (%s)", (quantity, amount, unrounded) => {
  expect(cost(priceOf({ model: "graduated", tiers }), quantity)).toEqual([amount, unrounded]);
});

test("150,000 graduated calls are three segments that say where they come from", () => {
  const rated = rate(priceOf({ model: "graduated", tiers }), of("150000"));
  expect(
    rated.segments.map((one) =>
      [one.tier?.lower, one.tier?.upper, one.quantity, one.amount].map((value) =>
        value ? formatDecimal(value) : null,
      ),
    ),
  ).toEqual([
    ["0", "10000", "10000", "10"],
    ["10000", "100000", "90000", "72"],
    ["100000", null, "50000", "30"],
  ]);
});

test.each([
  ["10000", "10.00", "10"],
  ["10001", "8.00", "8.0008"],
  ["100000", "80.00", "80"],
  ["100001", "60.00", "60.0006"],
  ["150000", "90.00", "90"],
])("volume tiers: %s calls cost %s (%s)", (quantity, amount, unrounded) => {
  expect(cost(priceOf({ model: "volume", tiers }), quantity)).toEqual([amount, unrounded]);
});

test.each([
  ["0", "0.00"],
  ["20", "10.00"],
  ["21", "20.00"],
  ["98", "50.00"],
])("packages of 20 at $10: %s cost %s", (quantity, amount) => {
  const price = priceOf({ model: "package", package_size: "20", unit_amount: "10" });
  expect(cost(price, quantity)[0]).toBe(amount);
});

test("a minimum of $25 adds a line to usage of $10, a maximum of $100 caps $140", () => {
  const price = priceOf({
    model: "per_unit",
    unit_amount: "1",
    minimum_amount: "25",
    maximum_amount: "100",
  });
  const low = rate(price, of("10"));
  expect(formatMoney(low.amount)).toBe("25.00");
  expect(low.segments.map((one) => [one.because.kind, formatDecimal(one.amount)])).toEqual([
    ["per_unit", "10"],
    ["minimum", "15"],
  ]);
  const high = rate(price, of("140"));
  expect(formatMoney(high.amount)).toBe("100.00");
  expect(high.segments.map((one) => [one.because.kind, formatDecimal(one.amount)])).toEqual([
    ["per_unit", "140"],
    ["maximum", "-40"],
  ]);
});

test("rates by model: each event is billed by its cell, one without a model by the catch-all, once", () => {
  const price = priceOf({
    model: "matrix",
    dimensions: ["model"],
    cells: [
      { match: { model: "A" }, unit_amount: "0.000003" },
      { match: { model: "B" }, unit_amount: "0.000015" },
    ],
    default_unit_amount: "0.000003",
  });
  expect(formatMoney(rate(price, of("500000", { dimensions: { model: "A" } })).amount)).toBe(
    "1.50",
  );
  const mixed = rate(price, [
    of("500000", { dimensions: { model: "A" } }),
    of("100000", { dimensions: { model: "B" } }),
    of("500000"),
  ]);
  expect(mixed.segments.map((one) => [one.because.kind, formatDecimal(one.amount)])).toEqual([
    ["cell", "1.5"],
    ["cell", "1.5"],
    ["catch_all", "1.5"],
  ]);
});

test("a month of storage, requests, users and features costs $241.50", () => {
  // 7,200 GB-hours of a month of 720 hours are 10 GB-months.
  const lines = [
    rate(
      priceOf({
        model: "per_unit",
        unit_amount: "0.25",
        conversion: { operation: "divide", factor: "720", rounding: "half_away", digits: 12 },
      }),
      of("7200"),
    ),
    rate(
      priceOf({
        model: "per_unit",
        unit_amount: "0.10",
        conversion: { operation: "divide", factor: "1000" },
      }),
      of("1250000"),
    ),
    rate(priceOf({ model: "per_unit", unit_amount: "2" }), of("42")),
    rate(priceOf({ model: "per_unit", unit_amount: "15" }), of("2")),
  ].map((rated) => rated.amount);
  expect(lines.map(formatMoney)).toEqual(["2.50", "125.00", "84.00", "30.00"]);
  expect(lines.reduce((sum, line) => sum + line.minor, 0n)).toBe(241_50n);
});

test("what a plan includes is not charged: 12 GB-months with 10 included cost $0.50, without $3.00", () => {
  const price = { model: "per_unit", unit_amount: "0.25" };
  expect(cost(priceOf({ ...price, free_units: "10" }), "12")[0]).toBe("0.50");
  expect(cost(priceOf(price), "12")[0]).toBe("3.00");
});

test("overage beyond a batch: 15 of 25 SMS at $0.06 cost $0.90", () => {
  expect(cost(priceOf({ model: "per_unit", unit_amount: "0.06" }), "15")[0]).toBe("0.90");
});

test("10 GB held for a month are 10 GB-months, however many hours the month has", () => {
  const price = priceOf({
    model: "per_unit",
    unit_amount: "0.25",
    conversion: {
      operation: "divide",
      factor: "hours_in_month",
      rounding: "half_away",
      digits: 12,
    },
  });
  for (const hours of [672, 696, 720, 743, 744, 745]) {
    const usage = [of(`${hours * 10}`)];
    const rated = ratePeriod([{ price, usage, hoursInMonth: decimal(`${hours}`) }]);
    expect(formatMoney(rated.amount)).toBe("2.50");
  }
  // Nobody told which month: 730 hours.
  expect(cost(price, "7300")).toEqual(["2.50", "2.5"]);
});
