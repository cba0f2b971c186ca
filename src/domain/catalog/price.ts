import type { Currency } from "../../kit/currency.ts";
import type { Decimal } from "../../kit/decimal.ts";

/** Tiers are (lower, upper], contiguous from 0; `upTo: null` is the open top. `flatAmount` is due once the tier is reached. */
export type Tier = {
  readonly upTo: Decimal | null;
  readonly unitAmount: Decimal;
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
  readonly rounding: "none" | "ceiling" | "floor" | "half_away";
  readonly digits: number;
};

export type PriceModel =
  | { readonly model: "flat_fee"; readonly amount: Decimal }
  | { readonly model: "per_unit"; readonly unitAmount: Decimal }
  | { readonly model: "graduated"; readonly tiers: readonly Tier[] }
  | { readonly model: "volume"; readonly tiers: readonly Tier[] }
  | { readonly model: "package"; readonly packageSize: Decimal; readonly unitAmount: Decimal }
  /** `rate` per cent of the quantity (an amount of money), plus `fixedAmount` for each event beyond `freeEvents`. */
  | {
      readonly model: "percentage";
      readonly rate: Decimal;
      readonly fixedAmount: Decimal;
      readonly freeEvents: Decimal;
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
};
