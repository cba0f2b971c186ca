import { canonicalJson } from "../../kit/canonical-json.ts";
import { decimalOf } from "../../kit/decimal.ts";
import {
  explain,
  type Segment as RatedSegment,
  type PriceSlice,
  ratePeriod,
  type Usage,
  withoutCovered,
} from "../rating/index.ts";
import type { PricedUsage, Rate, Segment } from "./charges.ts";

/** The rating that invoices use: all slices of the period in one, so that tiers go on from one price to the next. */
export const ratePrimary: Rate = (slices) => {
  if (slices.length === 0) return [];
  const rated = ratePeriod(slices.map(priceSlice));
  return rated.segments.map(
    (segment): Segment => ({
      quantity: segment.quantity,
      unitAmount: segment.unitPrice,
      amount: segment.amount,
      because: because(segment, slices),
      dimensions: canonicalJson(segment.dimensions),
      priceId: segment.version,
      slice: segment.period ?? wholeOf(slices),
    }),
  );
};

// What a converted unit is per; and a price that does not come from the book says where it comes from.
function because(segment: RatedSegment, slices: readonly PricedUsage[]): string {
  const version = slices.find((one) => one.version.priceId === segment.version)?.version;
  const sentence = explain(segment, version?.price.conversion);
  return version?.origin === undefined ? sentence : `${sentence}, by ${version.origin}`;
}

const wholeOf = (slices: readonly PricedUsage[]) => ({
  startsAt: (slices[0] as PricedUsage).slice.startsAt,
  endsAt: (slices.at(-1) as PricedUsage).slice.endsAt,
});

const priceSlice = (one: PricedUsage): PriceSlice => ({
  price: one.version.price,
  version: one.version.priceId,
  period: one.slice,
  hoursInMonth: one.hoursInMonth,
  usage: usageOf(one),
});

function usageOf(one: PricedUsage): readonly Usage[] {
  if (!one.splitsByDimension)
    return [{ quantity: one.quantity, events: decimalOf(one.eventCount) }];
  const parts = one.byDimensions.map(
    (part): Usage => ({
      quantity: part.quantity,
      events: decimalOf(part.eventCount),
      dimensions: JSON.parse(part.dimensions) as Record<string, string>,
    }),
  );
  return withoutCovered(one.version.price, parts, one.covered);
}
