import { type Decimal, formatDecimal } from "../../kit/decimal.ts";
import { formatInstant, type Period } from "../../kit/time.ts";
import type { Currency } from "../../kit/currency.ts";
import { explain } from "./explain.ts";
import type { Segment } from "./segments.ts";

/** What a row of FOCUS 1.2 needs beside the segment. */
export type FocusContext = {
  readonly currency: Currency;
  readonly billingPeriod: Period;
  /** What the charge is for; a fee paid in advance is a purchase, everything measured is usage. */
  readonly charge: "usage" | "recurring" | "one_time";
  readonly pricingUnit: string;
  readonly consumedUnit: string;
  readonly skuId: string;
  readonly skuPriceId: string;
  /** Whether the row corrects a period that was invoiced before. */
  readonly correction?: boolean;
};

/** The columns of FOCUS that rating decides; who pays, and to whom, the report adds. */
export type FocusRow = {
  readonly ChargeCategory: "Usage" | "Purchase" | "Adjustment";
  readonly ChargeClass: "Correction" | null;
  readonly ChargeFrequency: "Usage-Based" | "Recurring" | "One-Time";
  readonly ChargeDescription: string;
  readonly ChargePeriodStart: string;
  readonly ChargePeriodEnd: string;
  readonly BillingPeriodStart: string;
  readonly BillingPeriodEnd: string;
  readonly BillingCurrency: string;
  readonly PricingCategory: "Standard" | null;
  readonly PricingCurrency: string;
  readonly PricingQuantity: string | null;
  readonly PricingUnit: string | null;
  readonly ConsumedQuantity: string | null;
  readonly ConsumedUnit: string | null;
  readonly ListUnitPrice: string | null;
  readonly ContractedUnitPrice: string | null;
  readonly ListCost: string;
  readonly ContractedCost: string;
  readonly BilledCost: string;
  readonly EffectiveCost: string;
  readonly SkuId: string;
  readonly SkuPriceId: string;
};

/**
 * One segment as one row of FOCUS: unit price × pricing quantity = cost holds in every row because it holds in every
 * segment. A reduction to a maximum has no unit price that FOCUS would allow and becomes an adjustment.
 */
export function focusRow(segment: Segment, context: FocusContext): FocusRow {
  const reduction = segment.unitPrice.isNegative();
  const period = segment.period ?? context.billingPeriod;
  const cost = formatDecimal(segment.amount);
  const unlessReduced = (value: string) => (reduction ? null : value);
  const unitPrice = unlessReduced(formatDecimal(segment.unitPrice));
  const counted = segment.quantity.equals(segment.units);
  return {
    ChargeCategory: reduction ? "Adjustment" : categories[context.charge],
    ChargeClass: context.correction ? "Correction" : null,
    ChargeFrequency: frequencies[context.charge],
    ChargeDescription: explain(segment),
    ChargePeriodStart: formatInstant(period.startsAt),
    ChargePeriodEnd: formatInstant(period.endsAt),
    BillingPeriodStart: formatInstant(context.billingPeriod.startsAt),
    BillingPeriodEnd: formatInstant(context.billingPeriod.endsAt),
    BillingCurrency: context.currency,
    PricingCategory: reduction ? null : "Standard",
    PricingCurrency: context.currency,
    PricingQuantity: unlessReduced(formatDecimal(segment.quantity)),
    PricingUnit: unlessReduced(counted ? context.pricingUnit : unitOf(segment)),
    ...consumed(segment.units, context),
    ListUnitPrice: unitPrice,
    ContractedUnitPrice: unitPrice,
    ListCost: cost,
    ContractedCost: cost,
    BilledCost: cost,
    EffectiveCost: cost,
    SkuId: context.skuId,
    SkuPriceId: context.skuPriceId,
  };
}

const categories = { usage: "Usage", recurring: "Purchase", one_time: "Purchase" } as const;
const frequencies = {
  usage: "Usage-Based",
  recurring: "Recurring",
  one_time: "One-Time",
} as const;

/** What is counted where it is not the units themselves. */
function unitOf({ because }: Segment): string {
  if (because.kind === "per_event") return "Events";
  return "packageSize" in because ? "Packages" : "Fees";
}

const consumed = (units: Decimal, context: FocusContext) =>
  units.isZero() || context.charge !== "usage"
    ? { ConsumedQuantity: null, ConsumedUnit: null }
    : { ConsumedQuantity: formatDecimal(units), ConsumedUnit: context.consumedUnit };
