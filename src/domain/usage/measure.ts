import { add, type Decimal, decimalOf, round, zero } from "../../kit/decimal.ts";
import { type Instant, type Period, second } from "../../kit/time.ts";
import type { Meter } from "../catalog/index.ts";
import {
  average,
  emptyPart,
  inHours,
  mergeParts,
  type Part,
  partOf,
  percentileOf,
  type Sample,
  weigh,
} from "./aggregate.ts";

/** One event with everything any aggregation may want of it. */
export type MeasuredEvent = Sample & {
  readonly eventKey: string;
  /** For `unique`: what it saw. */
  readonly thing: string;
  /** The event this one corrects. */
  readonly corrects?: string;
};

/**
 * The quantity of a period from the events themselves, for every aggregation: what rollups and SQL must agree with.
 * `events` are those of the period and every correction of one of them; `carried` is the level a `weighted_sum` starts with.
 *
 * A correction moves `count`, `sum` and `weighted_sum` at its own time. For the others there is nothing to add to: it
 * changes the reading it corrects, at that reading's time, and takes a `unique` sighting away altogether.
 */
export function measureEvents(
  meter: Meter,
  events: readonly MeasuredEvent[],
  period: Period,
  carried: Decimal = zero,
): Decimal | null {
  const within = events.filter(({ at }) => at >= period.startsAt && at < period.endsAt);
  switch (meter.aggregation) {
    case "count":
    case "sum":
      return within.reduce((sum, { quantity }) => add(sum, quantity), zero);
    case "weighted_sum":
      return inHours(weigh(carried, within, period));
    case "unique":
      return decimalOf(new Set(seenIn(within, events).map(({ thing }) => thing)).size);
    case "max":
    case "min":
    case "latest":
    case "average":
      return quantityOf(
        meter,
        readingsIn(within, events).map(partOf).reduce(mergeParts, emptyPart),
      );
    case "percentile": {
      const samples = samplesOf(meter, readingsIn(within, events), period.startsAt);
      const missing = meter.missingSamplesAreZero
        ? intervalCount(meter, period) - samples.length
        : 0;
      return percentileOf(samples, meter.percentile ?? zero, missing);
    }
  }
}

/** The quantity in a merged part, for the aggregations that parts are enough for. Null: nothing was read. */
export function quantityOf(meter: Meter, part: Part): Decimal | null {
  switch (meter.aggregation) {
    case "count":
    case "sum":
      return part.total;
    case "max":
      return part.highest;
    case "min":
      return part.lowest;
    case "latest":
      return part.latest?.quantity ?? null;
    case "average":
      return average(part.total, part.eventCount);
    case "unique":
    case "percentile":
    case "weighted_sum":
      return null;
  }
}

/** What a meter with a declared rounding hands on to pricing. */
export const roundMetered = (meter: Meter, quantity: Decimal): Decimal =>
  meter.rounding ? round(quantity, meter.rounding.digits, meter.rounding.mode) : quantity;

/** How many samples a period has when none is missing. */
export const intervalCount = (meter: Meter, period: Period): number =>
  Math.ceil((period.endsAt - period.startsAt) / ((meter.sampleSeconds ?? 1) * second));

const originalsIn = (within: readonly MeasuredEvent[]) =>
  within.filter(({ corrects }) => corrects === undefined);

function readingsIn(
  within: readonly MeasuredEvent[],
  events: readonly MeasuredEvent[],
): MeasuredEvent[] {
  const taken = new Map<string, Decimal>();
  for (const { corrects, quantity } of events) {
    if (corrects !== undefined) taken.set(corrects, add(taken.get(corrects) ?? zero, quantity));
  }
  return originalsIn(within).map((event) => ({
    ...event,
    quantity: add(event.quantity, taken.get(event.eventKey) ?? zero),
  }));
}

function seenIn(within: readonly MeasuredEvent[], events: readonly MeasuredEvent[]) {
  const taken = new Set(events.map(({ corrects }) => corrects));
  return originalsIn(within).filter(({ eventKey }) => !taken.has(eventKey));
}

/** Values of one interval, counted from the start of the period, add up to one sample. */
function samplesOf(meter: Meter, readings: readonly Sample[], startsAt: Instant): Decimal[] {
  if (meter.sampleSeconds === undefined) return readings.map(({ quantity }) => quantity);
  const length = meter.sampleSeconds * second;
  const slots = new Map<number, Decimal>();
  for (const { at, quantity } of readings) {
    const slot = Math.floor((at - startsAt) / length);
    slots.set(slot, add(slots.get(slot) ?? zero, quantity));
  }
  return [...slots.values()];
}
