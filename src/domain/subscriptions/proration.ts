import { allocate } from "../../kit/allocate.ts";
import type { Currency } from "../../kit/currency.ts";
import {
  type Decimal,
  decimalOf,
  divide,
  greatest,
  least,
  multiply,
  round,
  subtract,
  sumOf,
  zero,
} from "../../kit/decimal.ts";
import { type Money, toMoney } from "../../kit/money.ts";
import {
  type Day,
  dayAt,
  daysBetween,
  type Instant,
  lengthOf,
  type Period,
} from "../../kit/time.ts";
import type { ProrationUnit } from "../catalog/index.ts";

/** A part of a period as an exact fraction. Parts that tile their period add up to exactly the whole. */
export type Share = { readonly part: number; readonly whole: number };

export const wholeShare: Share = { part: 1, whole: 1 };

/** A share in lowest terms: "21/31". */
export function formatShare({ part, whole }: Share): string {
  const common = (a: number, b: number): number => (b === 0 ? a : common(b, a % b));
  const by = common(whole, part);
  return `${part / by}/${whole / by}`;
}

/** Which share of a billing period a slice of it is, by the policy's way of counting, in the account's zone. */
export function shareOf(unit: ProrationUnit, slice: Period, whole: Period, zone: string): Share {
  switch (unit) {
    case "second":
      return { part: lengthOf(slice), whole: lengthOf(whole) };
    case "day":
      return { part: localDays(slice, zone), whole: localDays(whole, zone) };
    case "day_inclusive":
      return { part: touchedDays(slice, zone), whole: touchedDays(whole, zone) };
    case "month_30":
      return { part: days360(slice, zone), whole: days360(whole, zone) };
    case "none":
      return wholeShare;
  }
}

/** The part of an amount that a share stands for: exact until the one division. */
export function portion(amount: Decimal, share: Share): Decimal {
  if (share.part === share.whole) return amount;
  return divide(multiply(amount, decimalOf(share.part)), decimalOf(share.whole));
}

/** A yearly price for a few days of a period of another length: a year is 365 days by name, also in leap years. */
export const shareOfNominalYear = (slice: Period, zone: string): Share => ({
  part: localDays(slice, zone),
  whole: 365,
});

/** The parts of one amount, rounded so that they add up to the rounded sum: largest remainder first. */
export function splitByShares(amount: Decimal, shares: readonly Share[], code: Currency): Money[] {
  const parts = shares.map((share) => portion(amount, share));
  return allocate(toMoney(sumOf(parts), code), parts);
}

/** What may still be given back: never more than was paid and not yet credited, never below zero. */
export function capCredit(wanted: Decimal, paid: Decimal, credited: Decimal): Decimal {
  return greatest(zero, least(wanted, subtract(paid, credited)));
}

/**
 * Where a refund of prepaid time may begin when the time was granted in steps: the first step that is still untouched.
 * Undefined when no whole step is left.
 */
export function refundableFrom(
  paid: Period,
  steps: readonly Period[],
  now: Instant,
): Instant | undefined {
  return steps.find((step) => step.startsAt >= now && step.endsAt <= paid.endsAt)?.startsAt;
}

/** Days of the new plan that the unused worth of the old one buys: exactly, and with a begun day given whole. */
export function daysWorth(
  daysLeft: Decimal,
  oldPrice: Decimal,
  newPrice: Decimal,
): { readonly exact: Decimal; readonly granted: Decimal } {
  const exact = divide(multiply(daysLeft, oldPrice), newPrice);
  return { exact, granted: round(exact, 0, "ceiling") };
}

const localDays = (slice: Period, zone: string): number =>
  daysBetween(dayAt(slice.startsAt, zone), dayAt(slice.endsAt, zone));

/** Every date the slice touches: the day of a change then counts for both sides. */
function touchedDays(slice: Period, zone: string): number {
  if (slice.endsAt <= slice.startsAt) return 0;
  const last = (slice.endsAt - 1) as Instant;
  return daysBetween(dayAt(slice.startsAt, zone), dayAt(last, zone)) + 1;
}

/** Days when every month has thirty (the 30E/360 count of bonds). */
function days360(slice: Period, zone: string): number {
  const count = (date: Day) => {
    const [year, month, dayOfMonth] = date.split("-").map(Number) as [number, number, number];
    return year * 360 + month * 30 + Math.min(dayOfMonth, 30);
  };
  return count(dayAt(slice.endsAt, zone)) - count(dayAt(slice.startsAt, zone));
}
