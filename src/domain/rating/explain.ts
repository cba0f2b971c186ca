import { type Decimal, formatDecimal as number } from "../../kit/decimal.ts";
import { unreachable } from "../../kit/assert.ts";
import type { UnitConversion } from "../catalog/index.ts";
import type { Because, Segment, Step, TierBounds } from "./segments.ts";

/**
 * Why a segment is there, as one sentence without the final stop. With the conversion of its price it says what one priced unit
 * is: 2,500 tokens priced per 1,000 are "2.5 at the same price per 1,000".
 */
export function explain(segment: Segment, conversion: UnitConversion | null = null): string {
  const quantity = number(segment.quantity);
  const units = number(segment.units);
  return sentence(segment.because, { quantity, units, each: eachOf(conversion) });
}

function eachOf(conversion: UnitConversion | null): string {
  if (conversion === null || conversion.operation !== "divide") return "each";
  if (conversion.calendar === "hours_in_month") return "per month";
  const [whole = "", ...rest] = number(conversion.factor).split(".");
  return `per ${[whole.replaceAll(/\B(?=(\d{3})+$)/g, ","), ...rest].join(".")}`;
}

function sentence(
  because: Because,
  { quantity, units, each }: { quantity: string; units: string; each: string },
) {
  switch (because.kind) {
    case "flat_fee":
      return "one fee for the period, whatever was used";
    case "per_unit":
      return `${quantity} at the same price ${each}`;
    case "tier":
      return `the part of the quantity in ${tierText(because.tier)}`;
    case "tier_flat":
      return `the flat amount of ${tierText(because.tier)}`;
    case "tier_packages":
      return `${units} in ${tierText(because.tier)}, in started packages of ${number(because.packageSize)}`;
    case "volume_tier":
      return `the whole quantity at the price of the tier that ${number(because.reached)} reaches: ${tierText(because.tier)}`;
    case "volume_packages":
      return `the whole quantity in started packages of ${number(because.packageSize)}, at the price of the tier that ${number(because.reached)} reaches: ${tierText(because.tier)}`;
    case "volume_flat":
      return `the flat amount of the tier that ${number(because.reached)} reaches: ${tierText(because.tier)}`;
    case "package":
      return packageText(because, units);
    case "percentage":
      return `${number(because.rate)} per cent of ${units}${because.tier ? `, the part in ${tierText(because.tier)}` : ""}`;
    case "per_event":
      return because.freeEvents.isZero()
        ? "a fixed amount for every event"
        : `a fixed amount for every event after the first ${number(because.freeEvents)} of the period`;
    case "event_minimum":
      return `${because.events} ${eventText(because.events)} raised to at least ${number(because.limit)} each`;
    case "event_maximum":
      return `${because.events} ${eventText(because.events)} lowered to at most ${number(because.limit)} each`;
    case "cell":
      return `usage with ${matchText(because.match)}`;
    case "catch_all":
      return "usage that no other cell matches";
    case "minimum":
      return `what ${number(because.before)} lacks to the minimum of ${number(because.limit)}`;
    case "maximum":
      return `what ${number(because.before)} exceeds the maximum of ${number(because.limit)}`;
    default:
      return unreachable(because);
  }
}

const tierText = (tier: TierBounds): string =>
  tier.upper
    ? `tier ${tier.index + 1} (above ${number(tier.lower)}, up to ${number(tier.upper)})`
    : `tier ${tier.index + 1} (above ${number(tier.lower)})`;

const rounded: Readonly<Record<string, string>> = {
  up: "in started packages of",
  down: "in complete packages of",
  none: "in packages and shares of packages of",
};

const packageText = (because: Because & { kind: "package" }, units: string) =>
  `${units} ${rounded[because.rounding] ?? "in packages of"} ${number(because.packageSize)}`;

const eventText = (count: number) => (count === 1 ? "event" : "events");

const matchText = (match: Readonly<Record<string, string>>) =>
  Object.entries(match)
    .map(([key, value]) => `${key}=${value}`)
    .join(", ");

/** How the metered quantity became the charged one, a sentence a step. */
export function explainStep(step: Step): string {
  switch (step.kind) {
    case "below_zero":
      return `${number(step.metered)} is below zero and charged as nothing`;
    case "converted": {
      const sign = step.operation === "divide" ? "÷" : "×";
      const how = step.rounding === "none" ? "" : `, rounded (${step.rounding})`;
      return `${number(step.from)} ${sign} ${number(step.factor)}${how} = ${number(step.to)}`;
    }
    case "free_units":
      return `the first ${number(step.free)} are free, ${number(step.left)} ${isOne(step.left)} charged`;
    default:
      return unreachable(step);
  }
}

const isOne = (quantity: Decimal) => (quantity.equals(1) ? "is" : "are");
