import type { Meter } from "../catalog/index.ts";
import { isWanted, readValue, seenDimensions, textIn } from "./raw-event.ts";
import {
  ceiling,
  fraction,
  isBelow,
  nearest,
  nought,
  over,
  plus,
  type Rational,
  rational,
  textOf,
  times,
  total,
} from "./rational.ts";

/** One stored event as it is, its data as the sender wrote it. */
export type RawEvent = {
  readonly accountId: string;
  readonly eventKey: string;
  /** The event it takes something back from. */
  readonly corrects: string | null;
  readonly seq: bigint;
  /** Microseconds since 1970. */
  readonly at: bigint;
  readonly data: Readonly<Record<string, unknown>>;
};

/** Whose usage, and which of the dimensions asked for its events carried. */
export type Group = {
  readonly accountId: string;
  readonly dimensions: Readonly<Record<string, string>>;
};

/** The usage of one group. Groups without any are absent. */
export type Recount = Group & { readonly eventCount: bigint; readonly quantity: string };

export type RecountAsked = {
  readonly meter: Meter;
  /** Dimensions to split by. */
  readonly dimensions: readonly string[];
  /** Half-open, in microseconds since 1970. */
  readonly startsAt: bigint;
  readonly endsAt: bigint;
};

type Reading = { readonly event: RawEvent; readonly value: Rational; readonly thing: string };

/**
 * Measure a period a second time, for meters whose usage is not the sum of its parts: event by event, in fractions of whole
 * numbers, with nothing of `domain/usage` and nothing that Postgres worked out. `events` are those of the period and every
 * correction there is, in any order; `levels` what a `weighted_sum` starts with, as decimal text.
 */
export function recount(
  asked: RecountAsked,
  events: readonly RawEvent[],
  levels: readonly (Group & { readonly level: string })[] = [],
): Recount[] {
  const { meter } = asked;
  const groups = new Map<string, { group: Group; readings: Reading[]; level: Rational }>();
  const groupFor = (group: Group) => {
    const name = JSON.stringify([
      group.accountId,
      asked.dimensions.map((key) => group.dimensions[key] ?? null),
    ]);
    const found = groups.get(name) ?? { group, readings: [], level: nought };
    groups.set(name, found);
    return found;
  };
  for (const { level, ...group } of levels) groupFor(group).level = fraction(level);

  const measured = events.filter((event) => isWanted(meter, event.data));
  const movesLevels = meter.aggregation === "weighted_sum";
  const taken = new Map<string, Rational>();
  for (const { corrects, data } of measured)
    if (corrects !== null && !movesLevels) {
      const value = readValue(meter, data, true);
      if (value !== undefined) taken.set(corrects, plus(taken.get(corrects) ?? nought, value));
    }
  for (const event of measured) {
    if (event.at < asked.startsAt || event.at >= asked.endsAt) continue;
    if (event.corrects !== null && !movesLevels) continue;
    const value = readValue(meter, event.data, event.corrects !== null);
    const thing = meter.aggregation === "unique" ? textIn(event.data, meter.valueProperty) : "";
    if (value === undefined || (meter.aggregation === "unique" && !thing)) continue;
    const change = taken.get(event.eventKey);
    // Something seen that was taken back was not seen; of a reading only a part may be taken back.
    if (meter.aggregation === "unique" && change !== undefined) continue;
    const dimensions = seenDimensions(meter, asked.dimensions, event.data);
    groupFor({ accountId: event.accountId, dimensions }).readings.push({
      event,
      value: change ? plus(value, change) : value,
      thing: thing ?? "",
    });
  }

  return [...groups.values()].flatMap(({ group, readings, level }) => {
    if (readings.length === 0 && level.n === 0n) return [];
    const quantity = quantityOf(asked, readings, level);
    return [{ ...group, eventCount: BigInt(readings.length), quantity: written(quantity) }];
  });
}

function quantityOf(
  { meter, startsAt, endsAt }: RecountAsked,
  readings: readonly Reading[],
  level: Rational,
): Rational {
  const values = readings.map(({ value }) => value);
  const [first = nought] = values;
  switch (meter.aggregation) {
    case "count":
    case "sum":
      return total(values);
    case "unique":
      return rational(BigInt(new Set(readings.map(({ thing }) => thing)).size));
    case "max":
      return values.reduce((a, b) => (isBelow(a, b) ? b : a), first);
    case "min":
      return values.reduce((a, b) => (isBelow(b, a) ? b : a), first);
    case "latest":
      return readings.reduce((a, b) => (isLater(b.event, a.event) ? b : a)).value;
    case "average":
      return cut(over(total(values), rational(BigInt(values.length))));
    case "percentile":
      return ranked(meter, readings, startsAt, endsAt);
    case "weighted_sum": {
      const held = times(level, rational(endsAt - startsAt));
      const moved = readings.map(({ value, event }) => times(value, rational(endsAt - event.at)));
      return cut(over(plus(held, total(moved)), rational(microsOfHour)));
    }
  }
}

const microsOfHour = 3_600_000_000n;

const isLater = (a: RawEvent, b: RawEvent): boolean =>
  a.at === b.at ? a.seq > b.seq : a.at > b.at;

/** The value at place ⌈p/100 × N⌉ of N in order, counted from 1. */
function ranked(
  meter: Meter,
  readings: readonly Reading[],
  startsAt: bigint,
  endsAt: bigint,
): Rational {
  const length = BigInt(meter.sampleSeconds ?? 0) * 1_000_000n;
  const samples = new Map<bigint, Rational>();
  readings.forEach(({ event, value }, i) => {
    const slot = length === 0n ? BigInt(i) : (event.at - startsAt) / length;
    samples.set(slot, plus(samples.get(slot) ?? nought, value));
  });
  const values = [...samples.values()];
  if (meter.missingSamplesAreZero && length > 0n) {
    const slots = (endsAt - startsAt + length - 1n) / length;
    for (let sent = BigInt(values.length); sent < slots; sent++) values.push(nought);
  }
  values.sort((a, b) => (isBelow(a, b) ? -1 : isBelow(b, a) ? 1 : 0));
  const share = over(fraction(meter.percentile?.toFixed() ?? "50"), rational(100n));
  const place = ceiling(times(share, rational(BigInt(values.length))));
  return values[Number(place > 0n ? place - 1n : 0n)] ?? nought;
}

const digitsKept = 12n;

/** To the digits that are kept of a quotient, halves away from zero. */
function cut(value: Rational): Rational {
  const scale = 10n ** digitsKept;
  return rational(nearest(times(value, rational(scale))), scale);
}

function written(value: Rational): string {
  const text = textOf(value);
  if (text === undefined) throw new RangeError("a quantity has digits without end");
  return text;
}
