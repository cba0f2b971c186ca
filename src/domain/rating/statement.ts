import { formatDecimal } from "../../kit/decimal.ts";
import { formatMoney } from "../../kit/money.ts";
import { formatInstant } from "../../kit/time.ts";
import { explain } from "./explain.ts";
import type { Rated } from "./rate.ts";
import type { Segment } from "./segments.ts";

/** What rating says to the outside: `tallyline rate --json`, `POST /v1/rating/estimate`, the trail of an invoice line. */
export type RatingStatement = {
  readonly currency: string;
  /** Rounded to the currency, once. */
  readonly amount: string;
  /** The sum of the segments, to the last digit. */
  readonly unrounded: string;
  readonly segments: readonly SegmentStatement[];
};

export type SegmentStatement = {
  /** (lower, upper], `upper: null` is open; null where the price has no tiers. */
  readonly tier: {
    readonly index: number;
    readonly lower: string;
    readonly upper: string | null;
  } | null;
  readonly quantity: string;
  readonly unit_price: string;
  /** quantity × unit_price, exactly. */
  readonly amount: string;
  readonly because: { readonly kind: string; readonly sentence: string };
  readonly dimensions?: Readonly<Record<string, string>>;
  readonly price_version?: string;
  readonly period?: { readonly starts_at: string; readonly ends_at: string };
};

export function statementOf(rated: Rated): RatingStatement {
  return {
    currency: rated.currency,
    amount: formatMoney(rated.amount),
    unrounded: formatDecimal(rated.unrounded),
    segments: rated.segments.map(segmentStatement),
  };
}

function segmentStatement(segment: Segment): SegmentStatement {
  const { tier, period } = segment;
  return {
    tier: tier && {
      index: tier.index,
      lower: formatDecimal(tier.lower),
      upper: tier.upper && formatDecimal(tier.upper),
    },
    quantity: formatDecimal(segment.quantity),
    unit_price: formatDecimal(segment.unitPrice),
    amount: formatDecimal(segment.amount),
    because: { kind: segment.because.kind, sentence: explain(segment) },
    ...(Object.keys(segment.dimensions).length > 0 ? { dimensions: segment.dimensions } : {}),
    ...(segment.version === null ? {} : { price_version: segment.version }),
    ...(period
      ? {
          period: {
            starts_at: formatInstant(period.startsAt),
            ends_at: formatInstant(period.endsAt),
          },
        }
      : {}),
  };
}
