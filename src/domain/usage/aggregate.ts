import {
  add,
  compare,
  type Decimal,
  decimalOf,
  divide,
  greatest,
  least,
  multiply,
  round,
  zero,
} from "../../kit/decimal.ts";
import { hour, type Instant, type Period } from "../../kit/time.ts";

/** One event as one meter sees it. */
export type Sample = {
  readonly at: Instant;
  readonly seq: bigint;
  readonly quantity: Decimal;
};

/**
 * What is kept of the usage of a stretch of time: enough for count, sum, max, min, latest and average, exact, and
 * mergeable in any order. `usage_rollup` holds one for each quarter of an hour.
 */
export type Part = {
  readonly eventCount: number;
  /** Sum of quantities. */
  readonly total: Decimal;
  readonly lowest: Decimal | null;
  readonly highest: Decimal | null;
  /** The latest by event time, and among equal times by the account's sequence. */
  readonly latest: Sample | null;
};

export const emptyPart: Part = {
  eventCount: 0,
  total: zero,
  lowest: null,
  highest: null,
  latest: null,
};

export const partOf = (sample: Sample): Part => ({
  eventCount: 1,
  total: sample.quantity,
  lowest: sample.quantity,
  highest: sample.quantity,
  latest: sample,
});

/** A correction adds to the total. It is no reading of its own, so it is neither lowest, highest nor latest. */
export const partOfCorrection = (sample: Sample): Part => ({
  ...emptyPart,
  eventCount: 1,
  total: sample.quantity,
});

export function mergeParts(a: Part, b: Part): Part {
  return {
    eventCount: a.eventCount + b.eventCount,
    total: add(a.total, b.total),
    lowest: either(a.lowest, b.lowest, least),
    highest: either(a.highest, b.highest, greatest),
    latest: either(a.latest, b.latest, later),
  };
}

const either = <T>(a: T | null, b: T | null, choose: (a: T, b: T) => T): T | null =>
  a === null ? b : b === null ? a : choose(a, b);

const later = (a: Sample, b: Sample): Sample =>
  a.at > b.at || (a.at === b.at && a.seq > b.seq) ? a : b;

/**
 * Digits kept where a division does not end: an average, level × time in hours. Far finer than any unit that is sold, and
 * short enough that price × quantity stays exact.
 */
const quotientDigits = 12;

export const average = (total: Decimal, count: number): Decimal | null =>
  count === 0 ? null : round(divide(total, decimalOf(count)), quotientDigits);

/**
 * Nearest rank: of N values in order, the one at position ⌈p/100 × N⌉. `missingCount` values that nobody reported are
 * zeros. Null when there is nothing to rank.
 */
export function percentileOf(
  values: readonly Decimal[],
  percentile: Decimal,
  missingCount = 0,
): Decimal | null {
  const count = values.length + missingCount;
  if (count === 0) return null;
  const sorted = values.toSorted(compare);
  const rank = nearestRank(percentile, count);
  const belowZero = sorted.filter((value) => value.lessThan(zero)).length;
  if (rank <= belowZero) return sorted[rank - 1] ?? zero;
  if (rank <= belowZero + missingCount) return zero;
  return sorted[rank - 1 - missingCount] ?? zero;
}

/** Counted from 1. Exact: 95 % of 8,640 is 8,208, not the 8,209 that a float may make of it. */
export const nearestRank = (percentile: Decimal, count: number): number =>
  Math.max(
    1,
    Number(round(multiply(percentile, decimalOf(count)).dividedBy(100), 0, "ceiling").toFixed()),
  );

/**
 * Level × time over a period, in level·microseconds: exact, and the parts of a period add up to the whole. Each sample
 * moves the level up or down from its moment on; `carried` is the level the period starts with.
 */
export function weigh(carried: Decimal, samples: readonly Sample[], period: Period): Decimal {
  const whole = decimalOf(period.endsAt - period.startsAt);
  return samples.reduce(
    (sum, { at, quantity }) => add(sum, multiply(quantity, decimalOf(period.endsAt - at))),
    multiply(carried, whole),
  );
}

/** Level × time in the unit people buy: 10 GB held for an hour are 10 GB-hours. */
export const inHours = (weight: Decimal): Decimal =>
  round(divide(weight, decimalOf(hour)), quotientDigits);

/** The level that gives the same level × time when held for the whole period: GB-hours to GB-months. */
export const inPeriods = (weight: Decimal, period: Period): Decimal =>
  round(divide(weight, decimalOf(period.endsAt - period.startsAt)), quotientDigits);
