import { type Currency, isCurrency } from "../../kit/currency.ts";
import { type Decimal, decimal, formatDecimal, isZero, zero } from "../../kit/decimal.ts";
import type { Fault } from "../refusals/index.ts";
import {
  hoursInUnknownMonth,
  type MatrixCell,
  packageRoundings,
  type Price,
  type PriceModel,
  type PriceModelName,
  priceModels,
  type RateTier,
  type Tier,
  type UnitConversion,
} from "./price.ts";
import { type ObjectReader, objectReader } from "./price-reader.ts";
import { soundnessOf } from "./price-soundness.ts";

/** What a price may be compared with while it is read. */
export type PriceSurroundings = {
  /** The currency of the book, plan or account that the price is for. */
  readonly currency?: Currency;
  /** The dimensions of the meter that the price is for, with their values where those are closed. */
  readonly dimensions?: readonly { readonly key: string; readonly values?: readonly string[] }[];
};

export type PriceReading = { readonly price: Price } | { readonly faults: readonly Fault[] };

/**
 * Read a price from an untrusted plain document (snake case, amounts as quoted decimals). Either the price, sound and
 * with every default filled in, or everything that is wrong with it, each fault with its pointer.
 */
export function readPrice(document: unknown, surroundings: PriceSurroundings = {}): PriceReading {
  const faults: Fault[] = [];
  const reader = objectReader(document, "", faults);
  if (!reader) return { faults };

  const model = reader.choice("model", priceModels);
  if (!reader.has("model"))
    reader.fault("model", `a price needs a model, one of ${priceModels.join(", ")}`);
  const currency = readCurrency(reader, surroundings.currency);
  const modifiers = readModifiers(reader);
  if (model === undefined) return { faults };

  reader.only(`a ${model} price`, [...membersOf[model], ...common, ...modifiersOf(model)]);
  const core = readModel(model, reader);
  if (!core || currency === undefined || faults.length > 0) return { faults };

  const price: Price = { ...core, currency, ...modifiers };
  const unsound = soundnessOf(price, startsOf(document), surroundings);
  return unsound.length > 0 ? { faults: unsound } : { price };
}

const common = ["currency", "model", "minimum_amount", "maximum_amount"] as const;

const membersOf: Readonly<Record<PriceModelName, readonly string[]>> = {
  flat_fee: ["amount"],
  per_unit: ["unit_amount"],
  graduated: ["tiers", "flat_amount_at_zero"],
  volume: ["tiers", "flat_amount_at_zero"],
  package: ["package_size", "unit_amount", "package_rounding"],
  percentage: [
    "rate",
    "tiers",
    "flat_amount_at_zero",
    "fixed_amount",
    "free_events",
    "free_events_cover",
    "per_event_minimum",
    "per_event_maximum",
  ],
  matrix: ["dimensions", "cells", "default_unit_amount"],
};

// A flat fee does not look at the quantity; the cells of a matrix are its groups.
function modifiersOf(model: PriceModelName): readonly string[] {
  if (model === "flat_fee") return [];
  const measured = ["free_units", "conversion", "negative_usage"];
  return model === "matrix" ? measured : [...measured, "group_by"];
}

function readCurrency(reader: ObjectReader, expected: Currency | undefined): Currency | undefined {
  const code = reader.raw("currency");
  if (typeof code !== "string" || !isCurrency(code)) {
    reader.fault("currency", "a price needs an ISO 4217 currency code in use, such as USD or EUR");
    return undefined;
  }
  if (expected !== undefined && code !== expected) {
    reader.fault("currency", `the price is in ${code}, but what it is for is in ${expected}`);
    return undefined;
  }
  return code;
}

function readModifiers(reader: ObjectReader) {
  return {
    freeUnits: reader.units("free_units", "not_negative") ?? zero,
    conversion: reader.has("conversion") ? readConversion(reader.object("conversion")) : null,
    minimumAmount: reader.amount("minimum_amount", "not_negative") ?? null,
    maximumAmount: reader.amount("maximum_amount", "not_negative") ?? null,
    groupBy: reader.texts("group_by") ?? [],
    flatAtZero: reader.flag("flat_amount_at_zero") ?? false,
    negativeUsage: reader.choice("negative_usage", ["zero", "mirror"]) ?? ("zero" as const),
  };
}

const operations = ["divide", "multiply"] as const;

function readConversion(reader: ObjectReader | undefined): UnitConversion | null {
  if (!reader) return null;
  reader.only("a conversion", ["operation", "factor", "rounding", "digits"]);
  const operation = needed(reader, "operation", reader.choice("operation", operations));
  const calendar = reader.raw("factor") === "hours_in_month" ? ("hours_in_month" as const) : null;
  const factor = calendar
    ? decimal(hoursInUnknownMonth)
    : needed(reader, "factor", reader.units("factor", "positive"));
  const rounding =
    reader.choice("rounding", ["none", "ceiling", "floor", "half_away"]) ?? ("none" as const);
  const digits = reader.units("digits", "not_negative") ?? zero;
  if (!digits.isInteger() || digits.greaterThan(20))
    reader.fault("digits", `${formatDecimal(digits)} is not a whole number from 0 to 20`);
  if (operation === undefined || factor === undefined) return null;
  return { operation, factor, calendar, rounding, digits: digits.toNumber() };
}

function readModel(model: PriceModelName, reader: ObjectReader): PriceModel | undefined {
  switch (model) {
    case "flat_fee": {
      const amount = needed(reader, "amount", reader.amount("amount", "not_negative"));
      return amount && { model, amount };
    }
    case "per_unit": {
      const unitAmount = neededUnitAmount(reader);
      return unitAmount && { model, unitAmount };
    }
    case "graduated":
    case "volume": {
      const tiers = reader.list("tiers")?.map(readTier);
      return tiers?.every((tier) => tier !== undefined) ? { model, tiers } : undefined;
    }
    case "package": {
      const packageSize = needed(reader, "package_size", reader.units("package_size", "positive"));
      const unitAmount = neededUnitAmount(reader);
      const packageRounding = reader.choice("package_rounding", packageRoundings) ?? "up";
      return packageSize && unitAmount && { model, packageSize, unitAmount, packageRounding };
    }
    case "percentage":
      return readPercentage(reader);
    case "matrix":
      return readMatrix(reader);
  }
}

function readTier(reader: ObjectReader): Tier | undefined {
  reader.only("a tier", ["from", "up_to", "unit_amount", "flat_amount", "package_size"]);
  const upTo = readUpTo(reader);
  const flatAmount = reader.amount("flat_amount", "not_negative");
  const unitAmount = reader.amount("unit_amount", "not_negative");
  const packageSize = reader.units("package_size", "positive") ?? null;
  if (!reader.has("unit_amount") && !reader.has("flat_amount")) {
    reader.fault("unit_amount", 'a tier needs a unit_amount or a flat_amount, as in "0.001"');
    return undefined;
  }
  return { upTo, unitAmount: unitAmount ?? zero, flatAmount: flatAmount ?? zero, packageSize };
}

function readUpTo(reader: ObjectReader): Decimal | null {
  reader.units("from", "not_negative");
  return reader.units("up_to", "positive") ?? null;
}

function readPercentage(reader: ObjectReader): PriceModel | undefined {
  if (reader.has("rate") && reader.has("tiers")) {
    reader.fault("tiers", "a percentage has one rate or tiers of rates, not both");
    return undefined;
  }
  const tiers = reader.has("tiers")
    ? reader.list("tiers")?.map(readRateTier)
    : [oneRate(needed(reader, "rate", reader.amount("rate", "not_negative")))];
  const shared = {
    model: "percentage" as const,
    fixedAmount: reader.amount("fixed_amount", "not_negative") ?? zero,
    freeEvents: reader.units("free_events", "not_negative") ?? zero,
    freeEventsCover:
      reader.choice("free_events_cover", ["fixed_amount", "whole_event"]) ?? "fixed_amount",
    perEventMinimum: reader.amount("per_event_minimum", "not_negative") ?? null,
    perEventMaximum: reader.amount("per_event_maximum", "not_negative") ?? null,
  };
  return tiers?.every((tier) => tier !== undefined) ? { ...shared, tiers } : undefined;
}

const oneRate = (rate: Decimal | undefined): RateTier | undefined =>
  rate && { upTo: null, rate, flatAmount: zero };

function readRateTier(reader: ObjectReader): RateTier | undefined {
  reader.only("a tier of rates", ["from", "up_to", "rate", "flat_amount"]);
  const upTo = readUpTo(reader);
  const rate = needed(reader, "rate", reader.amount("rate", "not_negative"));
  const flatAmount = reader.amount("flat_amount", "not_negative") ?? zero;
  return rate && { upTo, rate, flatAmount };
}

function readMatrix(reader: ObjectReader): PriceModel | undefined {
  const dimensions = needed(reader, "dimensions", reader.texts("dimensions"));
  if (!reader.has("cells")) reader.fault("cells", "a matrix needs a list of cells");
  const cells = reader.has("cells") ? reader.list("cells")?.map(readCell) : undefined;
  const defaultUnitAmount = reader.amount("default_unit_amount", "not_negative") ?? null;
  if (!dimensions || !cells?.every((cell) => cell !== undefined)) return undefined;
  return { model: "matrix", dimensions, cells, defaultUnitAmount };
}

function readCell(reader: ObjectReader): MatrixCell | undefined {
  reader.only("a cell", ["match", "unit_amount"]);
  const unitAmount = neededUnitAmount(reader);
  const match = reader.raw("match");
  if (
    typeof match !== "object" ||
    match === null ||
    Array.isArray(match) ||
    !Object.values(match).every((value) => typeof value === "string")
  ) {
    reader.fault("match", 'a cell matches on dimensions, as in {"model": "A"}: values are texts');
    return undefined;
  }
  return unitAmount && { match: match as Record<string, string>, unitAmount };
}

const neededUnitAmount = (reader: ObjectReader) =>
  needed(reader, "unit_amount", reader.amount("unit_amount", "not_negative"));

function needed<T>(reader: ObjectReader, member: string, value: T | undefined): T | undefined {
  if (!reader.has(member)) reader.fault(member, `${member} is missing`);
  return value;
}

// `from` is for people: it says again what the tier below already says, and must say the same.
function startsOf(document: unknown): readonly (string | undefined)[] {
  const tiers = (document as { tiers?: readonly { from?: string | number | null }[] }).tiers ?? [];
  return tiers.map(({ from }) => (from === undefined || from === null ? undefined : `${from}`));
}

/** The plain document of a price: what is stored, hashed, exported and read back. Defaults are left out. */
export function writePrice(price: Price): Record<string, unknown> {
  const document: Record<string, unknown> = { currency: price.currency, ...writeModel(price) };
  if (!isZero(price.freeUnits)) document.free_units = formatDecimal(price.freeUnits);
  if (price.conversion) {
    const { operation, factor, calendar, rounding, digits } = price.conversion;
    const written = calendar ?? formatDecimal(factor);
    document.conversion = { operation, factor: written, rounding, digits };
  }
  if (price.minimumAmount) document.minimum_amount = formatDecimal(price.minimumAmount);
  if (price.maximumAmount) document.maximum_amount = formatDecimal(price.maximumAmount);
  if (price.groupBy.length > 0) document.group_by = [...price.groupBy];
  if (price.flatAtZero) document.flat_amount_at_zero = true;
  if (price.negativeUsage !== "zero") document.negative_usage = price.negativeUsage;
  return document;
}

function writeModel(price: Price): Record<string, unknown> {
  const { model } = price;
  switch (price.model) {
    case "flat_fee":
      return { model, amount: formatDecimal(price.amount) };
    case "per_unit":
      return { model, unit_amount: formatDecimal(price.unitAmount) };
    case "graduated":
    case "volume":
      return { model, tiers: price.tiers.map(writeTier) };
    case "package":
      return {
        model,
        package_size: formatDecimal(price.packageSize),
        unit_amount: formatDecimal(price.unitAmount),
        ...(price.packageRounding === "up" ? {} : { package_rounding: price.packageRounding }),
      };
    case "percentage":
      return { model, ...writePercentage(price) };
    case "matrix":
      return {
        model,
        dimensions: [...price.dimensions],
        cells: price.cells.map((cell) => ({
          match: { ...cell.match },
          unit_amount: formatDecimal(cell.unitAmount),
        })),
        ...(price.defaultUnitAmount
          ? { default_unit_amount: formatDecimal(price.defaultUnitAmount) }
          : {}),
      };
  }
}

const writeBound = (upTo: Decimal | null) => (upTo ? formatDecimal(upTo) : null);

const writeTier = (tier: Tier) => ({
  up_to: writeBound(tier.upTo),
  unit_amount: formatDecimal(tier.unitAmount),
  ...(isZero(tier.flatAmount) ? {} : { flat_amount: formatDecimal(tier.flatAmount) }),
  ...(tier.packageSize ? { package_size: formatDecimal(tier.packageSize) } : {}),
});

function writePercentage(price: Price & { model: "percentage" }): Record<string, unknown> {
  const [only, ...more] = price.tiers;
  const document: Record<string, unknown> =
    only && more.length === 0 && isZero(only.flatAmount)
      ? { rate: formatDecimal(only.rate) }
      : {
          tiers: price.tiers.map((tier) => ({
            up_to: writeBound(tier.upTo),
            rate: formatDecimal(tier.rate),
            ...(isZero(tier.flatAmount) ? {} : { flat_amount: formatDecimal(tier.flatAmount) }),
          })),
        };
  if (!isZero(price.fixedAmount)) document.fixed_amount = formatDecimal(price.fixedAmount);
  if (!isZero(price.freeEvents)) document.free_events = formatDecimal(price.freeEvents);
  if (price.freeEventsCover !== "fixed_amount") document.free_events_cover = price.freeEventsCover;
  if (price.perEventMinimum) document.per_event_minimum = formatDecimal(price.perEventMinimum);
  if (price.perEventMaximum) document.per_event_maximum = formatDecimal(price.perEventMaximum);
  return document;
}
