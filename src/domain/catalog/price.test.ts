import { describe, expect, test } from "vitest";
import { currency } from "../../kit/currency.ts";
import { decimal, formatDecimal } from "../../kit/decimal.ts";
import { bareNumber, batchWarnings, priceWarnings, readPrice, writePrice } from "./index.ts";

const perUnit = { currency: "USD", model: "per_unit", unit_amount: "1" };
const tiered = (...tiers: unknown[]) => ({ currency: "USD", model: "graduated", tiers });
const matrix = (cells: unknown[], more: Record<string, unknown> = {}) => ({
  currency: "USD",
  model: "matrix",
  dimensions: ["model", "region"],
  cells,
  ...more,
});
const cell = (match: Record<string, string>) => ({ match, unit_amount: "1" });

const faultsOf = (document: unknown, around = {}) => {
  const read = readPrice(document, around);
  return "faults" in read ? read.faults.map((fault) => [fault.pointer, fault.detail]) : [];
};

const one = (upTo: unknown, more = {}) => ({ up_to: upTo, unit_amount: "1", ...more });

// Everything that would bill twice, never, or by accident; each names its place.
test.each<[string, unknown, string, RegExp]>([
  ["no model", { currency: "USD" }, "/model", /needs a model/],
  ["an unknown model", { ...perUnit, model: "tiered" }, "/model", /"tiered" is not one of/],
  ["no currency", { model: "per_unit", unit_amount: "1" }, "/currency", /ISO 4217/],
  ["a currency out of use", { ...perUnit, currency: "DEM" }, "/currency", /ISO 4217/],
  ["a price that is no object", ["a"], "", /a list stands where an object is expected/],
  [
    "a member that is not known",
    { ...perUnit, minimun_amount: "1" },
    "/minimun_amount",
    /has no member/,
  ],
  [
    "a member of another model",
    { ...perUnit, tiers: [] },
    "/tiers",
    /a per_unit price has no member/,
  ],
  ["a missing amount", { currency: "USD", model: "per_unit" }, "/unit_amount", /missing/],
  ["an amount without quotes", { ...perUnit, unit_amount: 0.1 }, "/unit_amount", /write "0.1"/],
  ["a whole amount without quotes", { ...perUnit, unit_amount: 5 }, "/unit_amount", /write "5"/],
  [
    "an amount of a file without quotes",
    { ...perUnit, unit_amount: bareNumber("0.10") },
    "/unit_amount",
    /write "0.10"/,
  ],
  ["an exponent", { ...perUnit, unit_amount: "1e-3" }, "/unit_amount", /not a decimal number/],
  ["an amount below zero", { ...perUnit, unit_amount: "-1" }, "/unit_amount", /below zero/],
  [
    "a fraction of a digit",
    {
      ...perUnit,
      conversion: { operation: "divide", factor: 10, rounding: "floor", digits: "1.5" },
    },
    "/conversion/digits",
    /whole number/,
  ],
  ["no tiers", tiered(), "/tiers", /at least one tier/],
  ["tiers that are no list", { ...tiered(), tiers: {} }, "/tiers", /where a list is expected/],
  [
    "no open top",
    tiered(one("10")),
    "/tiers/0/up_to",
    /tier 1 is the last and ends at 10: usage above would never be billed/,
  ],
  [
    "an open tier below another",
    tiered(one(null), one("10"), one(null)),
    "/tiers/1",
    /tier 2 comes after tier 1, which is open/,
  ],
  [
    "tiers out of order",
    tiered(one("100"), one("10"), one(null)),
    "/tiers/1/up_to",
    /tier 2 ends at 10, but tier 1 already ends at 100/,
  ],
  [
    "a tier of nothing",
    tiered(one("10"), one("10"), one(null)),
    "/tiers/1/up_to",
    /bounds must rise/,
  ],
  [
    "a tier that ends at zero",
    tiered(one("0"), one(null)),
    "/tiers/0/up_to",
    /0 is not above zero/,
  ],
  [
    "a hole",
    tiered(one("99"), one(null, { from: "100" })),
    "/tiers/1/from",
    /tier 2 starts at 100, but tier 1 ends at 99: the usage between would never be billed/,
  ],
  [
    "an overlap",
    tiered(one("100"), one(null, { from: "50" })),
    "/tiers/1/from",
    /would be billed twice/,
  ],
  [
    "a first tier that starts above zero",
    tiered(one(null, { from: 1 })),
    "/tiers/0/from",
    /tiers begin at 0/,
  ],
  [
    "a tier without any amount",
    tiered({ up_to: null }),
    "/tiers/0/unit_amount",
    /needs a unit_amount or a flat_amount/,
  ],
  [
    "a package of nothing in a tier",
    tiered(one(null, { package_size: 0 })),
    "/tiers/0/package_size",
    /not above zero/,
  ],
  [
    "a package of nothing",
    { currency: "USD", model: "package", package_size: "0", unit_amount: "1" },
    "/package_size",
    /not above zero/,
  ],
  [
    "shares of a package without end",
    {
      currency: "USD",
      model: "package",
      package_size: 30,
      unit_amount: "1",
      package_rounding: "none",
    },
    "/package_size",
    /without end/,
  ],
  [
    "a division without end",
    { ...perUnit, conversion: { operation: "divide", factor: 3600 } },
    "/conversion/rounding",
    /dividing by 3600 gives digits without end/,
  ],
  [
    "a minimum above the maximum",
    { ...perUnit, minimum_amount: "2", maximum_amount: "1" },
    "/minimum_amount",
    /above maximum_amount 1/,
  ],
  [
    "rate and tiers",
    { currency: "USD", model: "percentage", rate: "1", tiers: [] },
    "/tiers",
    /not both/,
  ],
  [
    "per-event limits crossed",
    {
      currency: "USD",
      model: "percentage",
      rate: "1",
      per_event_minimum: "2",
      per_event_maximum: "1",
    },
    "/per_event_minimum",
    /above per_event_maximum/,
  ],
  [
    "rules for single events with tiers",
    {
      currency: "USD",
      model: "percentage",
      tiers: [{ up_to: 5, rate: "1" }, { rate: "2" }],
      per_event_minimum: "1",
    },
    "/per_event_minimum",
    /go with one rate/,
  ],
  [
    "duplicate cells",
    matrix([cell({ model: "A" }), cell({ model: "A" })]),
    "/cells/1/match",
    /cells 1 and 2 match the same usage \(model=A\)/,
  ],
  [
    "cells that compete",
    matrix([cell({ model: "A" }), cell({ region: "eu" })]),
    "/cells/1/match",
    /would match both/,
  ],
  ["two catch-alls", matrix([cell({}), cell({})]), "/cells/1/match", /one catch-all/],
  [
    "a catch-all and a default",
    matrix([cell({})], { default_unit_amount: "1" }),
    "/cells/0/match",
    /one catch-all/,
  ],
  [
    "a dimension that is not declared",
    matrix([cell({ board: "x" })]),
    "/cells/0/match/board",
    /not one of the dimensions model, region/,
  ],
  ["a matrix of nothing", matrix([]), "/cells", /nothing would ever be billed/],
  [
    "a match that is no text",
    matrix([{ match: { model: 1 }, unit_amount: "1" }]),
    "/cells/0/match",
    /values are texts/,
  ],
])("%s is refused", (_, document, pointer, says) => {
  const faults = faultsOf(document);
  const found = faults.find(([at]) => at === pointer);
  expect(faults.map(([at]) => at)).toContain(pointer);
  expect(found?.[1]).toMatch(says);
});

describe("what a price is for", () => {
  test("has the same currency", () => {
    expect(faultsOf(perUnit, { currency: currency("EUR") })).toEqual([
      ["/currency", "the price is in USD, but what it is for is in EUR"],
    ]);
    expect(faultsOf(perUnit, { currency: currency("USD") })).toEqual([]);
  });

  test("has the dimensions the price looks at, with their values", () => {
    const dimensions = [{ key: "model", values: ["A", "B"] }, { key: "region" }];
    expect(faultsOf(matrix([cell({ model: "A", region: "eu" })]), { dimensions })).toEqual([]);
    expect(faultsOf(matrix([cell({ model: "C" })]), { dimensions })[0]?.[1]).toMatch(
      /does not accept/,
    );
    expect(faultsOf({ ...perUnit, group_by: ["board"] }, { dimensions })[0]).toEqual([
      "/group_by/0",
      '"board" is not a dimension of the meter, which has model, region',
    ]);
  });
});

test("every fault is reported, not the first only", () => {
  expect(faultsOf({ ...perUnit, unit_amount: "-1", minimum_amount: 3, x: 1 }).length).toBe(3);
});

test("cells may be nested: the more specific one wins, and a cell for both settles a competition", () => {
  const both = cell({ model: "A", region: "eu" });
  expect(faultsOf(matrix([cell({ model: "A" }), both]))).toEqual([]);
  expect(faultsOf(matrix([cell({ model: "A" }), cell({ region: "eu" }), both]))).toEqual([]);
});

test("units may be whole numbers without quotes, and defaults are filled in", () => {
  const read = readPrice(tiered(one(10), one(null, { flat_amount: "2.50" })));
  if ("faults" in read) throw new Error("not sound");
  expect(read.price).toMatchObject({ freeUnits: decimal("0"), groupBy: [], negativeUsage: "zero" });
  expect(writePrice(read.price)).toEqual({
    currency: "USD",
    model: "graduated",
    tiers: [
      { up_to: "10", unit_amount: "1" },
      { up_to: null, unit_amount: "1", flat_amount: "2.5" },
    ],
  });
});

describe("what an author should know before publishing", () => {
  const soundly = (document: unknown) => {
    const read = readPrice(document);
    if ("faults" in read) throw new Error(JSON.stringify(read.faults));
    return priceWarnings(read.price);
  };

  test("where a volume price makes the bill fall, and from what to what", () => {
    const tiers = [
      { up_to: "10000", unit_amount: "0.001" },
      { up_to: "100000", unit_amount: "0.0008" },
      { unit_amount: "0.0006" },
    ];
    expect(soundly({ currency: "USD", model: "volume", tiers }).map((one) => one.facts)).toEqual([
      {
        boundary: "10000",
        amount_at: "10",
        beyond: "10001",
        amount_beyond: "8.0008",
        currency: "USD",
      },
      {
        boundary: "100000",
        amount_at: "80",
        beyond: "100001",
        amount_beyond: "60.0006",
        currency: "USD",
      },
    ]);
    expect(soundly({ currency: "USD", model: "graduated", tiers })).toEqual([]);
  });

  test("that a matrix has no catch-all", () => {
    expect(soundly(matrix([cell({ model: "A" })])).map((one) => one.code)).toEqual([
      "no_catch_all",
    ]);
    expect(soundly(matrix([cell({})]))).toEqual([]);
  });

  test("that a batch is not cheaper than overage", () => {
    const usd = currency("USD");
    const sms = { units: decimal("1000"), amount: decimal("40") };
    expect(batchWarnings(sms, decimal("0.06"), usd)).toEqual([]);
    const [warning] = batchWarnings(sms, decimal("0.04"), usd);
    expect(warning).toMatchObject({ code: "batch_not_cheaper", facts: { overage_amount: "40" } });
    expect(formatDecimal(decimal(warning?.facts.units ?? "0"))).toBe("1000");
  });
});
