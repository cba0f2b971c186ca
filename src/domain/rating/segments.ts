import { type Decimal, multiply, negate, sumOf } from "../../kit/decimal.ts";
import type { Period } from "../../kit/time.ts";

/** Why a segment is there: the rule that made it, with the values that went in. `explain.ts` makes it a sentence. */
export type Because =
  | { readonly kind: "flat_fee" }
  | { readonly kind: "per_unit" }
  | { readonly kind: "tier"; readonly tier: TierBounds }
  | { readonly kind: "tier_flat"; readonly tier: TierBounds }
  | { readonly kind: "tier_packages"; readonly tier: TierBounds; readonly packageSize: Decimal }
  | { readonly kind: "volume_tier"; readonly tier: TierBounds; readonly reached: Decimal }
  | { readonly kind: "volume_flat"; readonly tier: TierBounds; readonly reached: Decimal }
  | {
      readonly kind: "volume_packages";
      readonly tier: TierBounds;
      readonly reached: Decimal;
      readonly packageSize: Decimal;
    }
  | { readonly kind: "package"; readonly packageSize: Decimal; readonly rounding: string }
  | { readonly kind: "percentage"; readonly rate: Decimal; readonly tier: TierBounds | null }
  | { readonly kind: "per_event"; readonly freeEvents: Decimal }
  | { readonly kind: "event_minimum"; readonly events: number; readonly limit: Decimal }
  | { readonly kind: "event_maximum"; readonly events: number; readonly limit: Decimal }
  | { readonly kind: "cell"; readonly match: Readonly<Record<string, string>> }
  | { readonly kind: "catch_all" }
  | { readonly kind: "minimum"; readonly limit: Decimal; readonly before: Decimal }
  | { readonly kind: "maximum"; readonly limit: Decimal; readonly before: Decimal };

/** (lower, upper]; `index` counts from 0. */
export type TierBounds = {
  readonly index: number;
  readonly lower: Decimal;
  readonly upper: Decimal | null;
};

/** What stands between the metered and the charged quantity, in the order in which it was done. */
export type Step =
  | {
      readonly kind: "below_zero";
      readonly metered: Decimal;
    }
  | {
      readonly kind: "converted";
      readonly from: Decimal;
      readonly to: Decimal;
      readonly operation: "divide" | "multiply";
      readonly factor: Decimal;
      readonly rounding: string;
    }
  | { readonly kind: "free_units"; readonly free: Decimal; readonly left: Decimal };

/**
 * The smallest thing that has one price: one tier (or cell, or rule) of one price version in one slice of the period.
 * `unitPrice × quantity = amount`, exactly and unrounded; one segment is one FOCUS row.
 */
export type Segment = {
  readonly quantity: Decimal;
  readonly unitPrice: Decimal;
  readonly amount: Decimal;
  /** How many charged units this segment accounts for: `quantity`, unless packages, events or fees are counted. */
  readonly units: Decimal;
  readonly tier: TierBounds | null;
  readonly because: Because;
  /** The group or the dimension values that were priced, empty when the price does not look at them. */
  readonly dimensions: Readonly<Record<string, string>>;
  /** Which version of the price, and for which part of the period; null when the caller named none. */
  readonly version: string | null;
  readonly period: Period | null;
};

/** A segment before it is known whose usage it prices. */
export type Draft = Pick<Segment, "quantity" | "unitPrice" | "units" | "tier" | "because">;

export const usage = (
  quantity: Decimal,
  unitPrice: Decimal,
  because: Because,
  tier: TierBounds | null = null,
): Draft => ({ quantity, unitPrice, units: quantity, tier, because });

/** A count of something that is not units (packages, events), standing for `units` of them. */
export const counted = (
  quantity: Decimal,
  unitPrice: Decimal,
  units: Decimal,
  because: Because,
  tier: TierBounds | null = null,
): Draft => ({ quantity, unitPrice, units, tier, because });

export const finish = (
  draft: Draft,
  of: Pick<Segment, "dimensions" | "version" | "period">,
): Segment => ({ ...draft, amount: multiply(draft.quantity, draft.unitPrice), ...of });

/** The same segments, taken back. */
export const negated = (drafts: readonly Draft[]): Draft[] =>
  drafts.map((draft) => ({
    ...draft,
    quantity: negate(draft.quantity),
    units: negate(draft.units),
  }));

export const amountOf = (segments: readonly Segment[]): Decimal =>
  sumOf(segments.map((segment) => segment.amount));

/** Whether a segment is what the price model itself asks, before minimum and maximum. */
export const isGross = (segment: Segment): boolean =>
  segment.because.kind !== "minimum" && segment.because.kind !== "maximum";
