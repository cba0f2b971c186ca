import type { Currency } from "../../kit/currency.ts";
import type { Decimal } from "../../kit/decimal.ts";

/**
 * Tiers are (lower, upper], contiguous from 0; `upTo: null` is the open top. `flatAmount` is due once the tier is reached.
 * With a `packageSize`, the units of the tier are sold in started packages and `unitAmount` is the price of one.
 */
export type Tier = {
  readonly upTo: Decimal | null;
  readonly unitAmount: Decimal;
  readonly flatAmount: Decimal;
  readonly packageSize: Decimal | null;
};

/** A tier of a percentage: `rate` per cent of the part of the amount that falls into it. */
export type RateTier = {
  readonly upTo: Decimal | null;
  readonly rate: Decimal;
  readonly flatAmount: Decimal;
};

/** One cell of a matrix: the unit amount for usage whose dimensions equal all of `match`. The most specific cell wins. */
export type MatrixCell = {
  readonly match: Readonly<Record<string, string>>;
  readonly unitAmount: Decimal;
};

/** From metered quantity to priced quantity: divide or multiply, then round. 1,000 requests, bytes to GB, seconds to minutes. */
export type UnitConversion = {
  readonly operation: "divide" | "multiply";
  readonly factor: Decimal;
  /** The factor is the hours of the month that is priced (GB-hours to GB-months); `factor` is that of a month unknown. */
  readonly calendar: "hours_in_month" | null;
  readonly rounding: "none" | "ceiling" | "floor" | "half_away";
  readonly digits: number;
};

/** Hours of a month whose dates nobody told: a twelfth of 365 days. */
export const hoursInUnknownMonth = "730";

/** The price as it converts in a month of so many hours. */
export const priceInMonth = (price: Price, hours: Decimal | undefined): Price =>
  hours === undefined || price.conversion?.calendar !== "hours_in_month"
    ? price
    : { ...price, conversion: { ...price.conversion, factor: hours } };

export const priceModels = [
  "flat_fee",
  "per_unit",
  "graduated",
  "volume",
  "package",
  "percentage",
  "matrix",
] as const;
export type PriceModelName = (typeof priceModels)[number];

/** What becomes of a package that is only begun: charged in full, not at all, or for its share. */
export const packageRoundings = ["up", "down", "none"] as const;
export type PackageRounding = (typeof packageRoundings)[number];

export type PriceModel =
  | { readonly model: "flat_fee"; readonly amount: Decimal }
  | { readonly model: "per_unit"; readonly unitAmount: Decimal }
  | { readonly model: "graduated"; readonly tiers: readonly Tier[] }
  | { readonly model: "volume"; readonly tiers: readonly Tier[] }
  | {
      readonly model: "package";
      readonly packageSize: Decimal;
      readonly unitAmount: Decimal;
      readonly packageRounding: PackageRounding;
    }
  /** Per cent of the quantity (an amount of money), plus `fixedAmount` for each event beyond `freeEvents`. */
  | {
      readonly model: "percentage";
      readonly tiers: readonly RateTier[];
      readonly fixedAmount: Decimal;
      readonly freeEvents: Decimal;
      /** Whether a free event is spared the fixed amount only, or the percentage too. */
      readonly freeEventsCover: "fixed_amount" | "whole_event";
      readonly perEventMinimum: Decimal | null;
      readonly perEventMaximum: Decimal | null;
    }
  | {
      readonly model: "matrix";
      readonly dimensions: readonly string[];
      readonly cells: readonly MatrixCell[];
      readonly defaultUnitAmount: Decimal | null;
    };

/** A price: a model, its currency and the modifiers that hold for every model. Immutable once published. */
export type Price = PriceModel & {
  readonly currency: Currency;
  readonly freeUnits: Decimal;
  readonly conversion: UnitConversion | null;
  readonly minimumAmount: Decimal | null;
  readonly maximumAmount: Decimal | null;
  /** Dimensions whose combinations are each priced by themselves: conversion, free units, tiers and packages start anew. */
  readonly groupBy: readonly string[];
  /** Whether the flat amount of the first tier is due even when nothing was used. */
  readonly flatAtZero: boolean;
  /** A period whose corrections outweigh its usage: charged nothing, or priced as its mirror image (a credit). */
  readonly negativeUsage: "zero" | "mirror";
};

/** Whether parts of a period can be charged before its end: a volume price may still fall. */
export const mayBillProgressively = (price: Price): boolean => price.model !== "volume";
