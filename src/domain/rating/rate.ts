import type { Currency } from "../../kit/currency.ts";
import {
  add,
  type Decimal,
  decimalOf,
  greatest,
  least,
  subtract,
  sumOf,
  zero,
} from "../../kit/decimal.ts";
import { type Money, toMoney } from "../../kit/money.ts";
import type { Period } from "../../kit/time.ts";
import { unreachable } from "../../kit/assert.ts";
import { type Price, priceInMonth } from "../catalog/index.ts";
import { rateFlatFee } from "./flat-fee.ts";
import { rateGraduated } from "./graduated.ts";
import { cellFor, rateMatrix } from "./matrix.ts";
import { charged, limitDrafts, type Share, stepsOf } from "./modifiers.ts";
import { ratePackage } from "./package.ts";
import { type EventSpan, looksAtEvents, rateEvents, ratePercentage } from "./percentage.ts";
import { ratePerUnit } from "./per-unit.ts";
import { amountOf, type Draft, finish, type Segment, type Step } from "./segments.ts";
import type { Span } from "./span.ts";
import { rateVolume } from "./volume.ts";

/** Usage of one meter with one set of dimension values. */
export type Usage = {
  readonly quantity: Decimal;
  /** How many events it came from; needed by prices that charge per event. */
  readonly events?: Decimal;
  /** The amount of each event, in their order; needed by prices with rules for single events. */
  readonly eventAmounts?: readonly Decimal[];
  readonly dimensions?: Readonly<Record<string, string>>;
};

/** The usage of a part of the period, with the price in force in it. */
export type PriceSlice = {
  readonly price: Price;
  readonly usage: readonly Usage[];
  readonly version?: string;
  readonly period?: Period;
  /** Hours of the month that is priced, for prices that convert by them. */
  readonly hoursInMonth?: Decimal;
};

export type RatingOptions = {
  /** Whether all usage of the period is there: only then is a minimum made up. True unless told. */
  readonly complete?: boolean;
  /** The part of a whole period that is priced, for minimum and maximum. */
  readonly share?: Share;
};

/** What usage costs: exact, with its segments, and rounded once at the end. */
export type Rated = {
  readonly currency: Currency;
  readonly segments: readonly Segment[];
  /** The sum of the segments, exact. */
  readonly unrounded: Decimal;
  /** The same, rounded to the currency. */
  readonly amount: Money;
  /** What the model asks, before minimum and maximum. */
  readonly gross: Decimal;
  /** From the metered to the charged quantity, for each group of the last price. */
  readonly steps: readonly Step[];
};

/** Price usage that has one price for the whole period. */
export const rate = (
  price: Price,
  usage: Usage | readonly Usage[],
  options: RatingOptions = {},
): Rated => ratePeriod([{ price, usage: "quantity" in usage ? [usage] : usage }], options);

/**
 * Price the usage of one period, cut into slices where the price changed (oldest first). Each slice is charged at its own
 * price, but the quantity continues: tiers, packages, free units and rounding go on where the slice before left off, so no
 * unit is priced twice and none gets a fresh start. Flat fees, minimum and maximum are those of the last price. A meter
 * whose periods are not the sum of their parts has one slice: the whole quantity, at the price in force at the end.
 */
export function ratePeriod(given: readonly PriceSlice[], options: RatingOptions = {}): Rated {
  const slices = given.map((one) => ({ ...one, price: priceInMonth(one.price, one.hoursInMonth) }));
  const last = slices.at(-1);
  if (!last) throw new RangeError("nothing to rate: no slice");
  const { currency } = last.price;
  const foreign = slices.find((slice) => slice.price.currency !== currency);
  if (foreign)
    throw new RangeError(
      `prices in ${foreign.price.currency} and ${currency} cannot be added in one period`,
    );

  const gross = slices.flatMap((_, index) => rateSlice(slices, index));
  const before = amountOf(gross);
  const { complete = true, share } = options;
  const limits = limitDrafts(last.price, before, { complete, share }).map((draft) =>
    finish(draft, { dimensions: {}, version: last.version ?? null, period: last.period ?? null }),
  );
  const segments = [...gross, ...limits];
  const unrounded = amountOf(segments);
  return {
    currency,
    segments,
    unrounded,
    amount: toMoney(unrounded, currency),
    gross: before,
    steps: stepsAtEnd(slices, last.price),
  };
}

function rateSlice(slices: readonly PriceSlice[], index: number): Segment[] {
  const slice = slices[index] as PriceSlice;
  const { price } = slice;
  const ends = { opening: index === 0, closing: index === slices.length - 1 };
  const of = { version: slice.version ?? null, period: slice.period ?? null };
  const earlier = slices.slice(0, index).flatMap((one) => one.usage);
  const all = slices.flatMap((one) => one.usage);

  if (price.model === "matrix") return rateCells(price, slice.usage, earlier, all, ends, of);
  const [before, now] = [grouped(price, earlier), grouped(price, slice.usage)];
  return [...grouped(price, all)].flatMap(([key, { dimensions, usage }]) => {
    const rows = { before: before.get(key)?.usage ?? [], now: now.get(key)?.usage ?? [] };
    const start = quantityOf(rows.before);
    const span: Span = {
      from: charged(price, start),
      to: charged(price, add(start, quantityOf(rows.now))),
      total: charged(price, quantityOf(usage)),
      ...ends,
    };
    return rateModel(price, span, start, eventsOf(rows.before, rows.now)).map((draft) =>
      finish(draft, { dimensions, ...of }),
    );
  });
}

function rateModel(
  price: Exclude<Price, { model: "matrix" }>,
  span: Span,
  start: Decimal,
  events: EventSpan,
): Draft[] {
  switch (price.model) {
    case "flat_fee":
      return rateFlatFee(price, span);
    case "per_unit":
      return ratePerUnit(price, span);
    case "graduated":
      return rateGraduated(price, span);
    case "volume":
      return rateVolume(price, span);
    case "package":
      return ratePackage(price, span);
    case "percentage":
      return looksAtEvents(price)
        ? rateEvents(price, start, events)
        : ratePercentage(price, span, events);
    default:
      return unreachable(price);
  }
}

// Conversion and free units of a matrix hold for all its usage together; cells use them up in the order they stand.
function rateCells(
  price: Price & { model: "matrix" },
  now: readonly Usage[],
  earlier: readonly Usage[],
  all: readonly Usage[],
  ends: Pick<Span, "opening" | "closing">,
  of: Pick<Segment, "version" | "period">,
): Segment[] {
  const total = charged(price, quantityOf(all));
  let position = quantityOf(earlier);
  return byCell(price, now).flatMap((rows) => {
    const from = charged(price, position);
    position = add(position, quantityOf(rows));
    const dimensions = rows[0]?.dimensions ?? {};
    const span = { from, to: charged(price, position), total, ...ends };
    return rateMatrix(price, dimensions, span).map((draft) =>
      finish(draft, {
        dimensions: draft.because.kind === "cell" ? draft.because.match : {},
        ...of,
      }),
    );
  });
}

function byCell(price: Price & { model: "matrix" }, usage: readonly Usage[]): Usage[][] {
  const order = (one: Usage) => {
    const cell = cellFor(price.cells, one.dimensions ?? {});
    return cell ? price.cells.indexOf(cell) : price.cells.length;
  };
  const cells = new Map<number, Usage[]>();
  for (const one of usage) {
    const place = order(one);
    const rows = cells.get(place);
    if (rows) rows.push(one);
    else cells.set(place, [one]);
  }
  return [...cells.entries()].toSorted(([a], [b]) => a - b).map(([, rows]) => rows);
}

type Group = {
  readonly dimensions: Readonly<Record<string, string>>;
  readonly usage: Usage[];
};

/** Usage by the combination of the price's group dimensions, in a fixed order; one group, empty, when it has none. */
function grouped(price: Price, usage: readonly Usage[]): Map<string, Group> {
  const keys = price.groupBy;
  if (keys.length === 0) return new Map([["", { dimensions: {}, usage: [...usage] }]]);
  const groups = new Map<string, Group>();
  for (const one of usage) {
    const values = keys.map((key) => one.dimensions?.[key] ?? null);
    const key = JSON.stringify(values);
    const group = groups.get(key);
    if (group) group.usage.push(one);
    else groups.set(key, { dimensions: named(keys, values), usage: [one] });
  }
  return new Map([...groups].toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

const named = (keys: readonly string[], values: readonly (string | null)[]) =>
  Object.fromEntries(
    keys
      .map((key, index): [string, string | null] => [key, values[index] ?? null])
      .filter((pair): pair is [string, string] => pair[1] !== null),
  );

/**
 * Take off what allowances and batches have paid for, in the order in which the price charges: cell by cell, group by
 * group, or as the usage comes. What is left is priced as if the rest had never been used.
 */
export function withoutCovered(
  price: Price,
  usage: readonly Usage[],
  covered: Decimal,
): readonly Usage[] {
  const inOrder =
    price.model === "matrix"
      ? byCell(price, usage).flat()
      : [...grouped(price, usage).values()].flatMap((group) => group.usage);
  let left = covered;
  return inOrder.map((one) => {
    const taken = greatest(least(left, one.quantity), zero);
    left = subtract(left, taken);
    return { ...one, quantity: subtract(one.quantity, taken) };
  });
}

const quantityOf = (usage: readonly Usage[]): Decimal => sumOf(usage.map((one) => one.quantity));

function eventsOf(before: readonly Usage[], now: readonly Usage[]): EventSpan {
  return {
    before: countOf(before) ?? zero,
    count: countOf(now),
    amounts: now.every((one) => one.eventAmounts)
      ? now.flatMap((one) => one.eventAmounts ?? [])
      : null,
  };
}

function countOf(usage: readonly Usage[]): Decimal | null {
  const counts = usage.map(
    (one) => one.events ?? (one.eventAmounts ? decimalOf(one.eventAmounts.length) : null),
  );
  return counts.every((count) => count !== null) ? sumOf(counts) : null;
}

function stepsAtEnd(slices: readonly PriceSlice[], price: Price): Step[] {
  if (price.model === "flat_fee") return [];
  const all = slices.flatMap((slice) => slice.usage);
  return [...grouped(price, all).values()].flatMap((group) =>
    stepsOf(price, quantityOf(group.usage)),
  );
}
