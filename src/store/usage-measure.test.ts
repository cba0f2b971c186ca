import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { freshDatabase, type TestDatabase } from "../../test/harness/database.ts";
import { insertMeter, seenBy, type WrittenEvent, writeUsage } from "../../test/harness/usage.ts";
import { aggregations, type Meter, readMeter } from "../domain/catalog/index.ts";
import { indexMeters, measureEvents, readDimensions } from "../domain/usage/index.ts";
import { isAdditive } from "../domain/invoicing/index.ts";
import { canonicalJson } from "../kit/canonical-json.ts";
import { add, type Decimal, decimal, formatDecimal, zero } from "../kit/decimal.ts";
import {
  hour,
  type Instant,
  instant,
  minute,
  type Period,
  period,
  windowsOf,
} from "../kit/time.ts";
import { recountEvents } from "./raw-events.ts";
import { type Breakdown, measure } from "./usage-measure.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await freshDatabase();
});
afterAll(() => database.drop());

const meterOf = (document: Record<string, unknown>): Meter => {
  const { meter, faults } = readMeter(document);
  if (!meter) throw new Error(JSON.stringify(faults));
  return meter;
};

/** One meter for each aggregation, and a few with everything switched on. */
const meters = [
  ...aggregations.map((aggregation) =>
    meterOf({
      key: aggregation,
      event_type: "work",
      aggregation,
      unit: "unit",
      value_property: aggregation === "unique" ? "user" : "amount",
      allow_negative: true,
      dimensions: [{ key: "model" }, { key: "area", values: ["eu", "us"] }],
      ...(aggregation === "percentile" && { percentile: "95" }),
    }),
  ),
  meterOf({
    key: "sampled",
    event_type: "work",
    aggregation: "percentile",
    percentile: "62.5",
    sample_seconds: 900,
    missing_samples_are_zero: true,
    unit: "unit",
    value_property: "amount",
    allow_negative: true,
  }),
  meterOf({
    key: "filtered",
    event_type: "work",
    aggregation: "sum",
    unit: "unit",
    value_property: "amount",
    allow_negative: true,
    filters: [
      { property: "user", op: "in", values: ["ann", "bo"] },
      { property: "side", op: "ne", values: ["output"] },
    ],
    dimensions: [{ key: "model" }],
  }),
];
const index = indexMeters(meters);

const start = instant("2025-03-08T05:00:00Z");
const span = period(start, instant("2025-03-11T04:00:00Z"));
const zone = "America/New_York";

const anyEvent = fc.record({
  accountId: fc.constantFrom("acc_1", "acc_2", "acc_3"),
  projectId: fc.constantFrom("prj_1", "prj_2"),
  // Before, in and after the period; some at the same microsecond, some on a boundary.
  offset: fc.oneof(
    fc.integer({ min: -600, max: 5000 }).map((n) => n * minute),
    fc.integer({ min: -5, max: 75 }).map((n) => n * hour),
    fc.integer({ min: 0, max: 71 * hour }),
  ),
  amount: fc
    .integer({ min: -50_000, max: 1_000_000 })
    .map((n) => formatDecimal(decimal(String(n)).div(1000))),
  user: fc.constantFrom("ann", "bo", "cy", "dee"),
  side: fc.constantFrom("input", "output", undefined),
  model: fc.constantFrom("large", 'sm"all\n', undefined),
  area: fc.constantFrom("eu", "us", undefined),
  correctsIndex: fc.option(fc.nat(59), { freq: 6 }),
});

let run = 0;
function eventsOf(
  drawn: (typeof anyEvent extends fc.Arbitrary<infer T> ? T : never)[],
): WrittenEvent[] {
  const plain: WrittenEvent[] = [];
  const orgId = `org_${++run}`;
  return drawn.map(
    ({ offset, accountId, projectId, amount, user, side, model, area, correctsIndex }, i) => {
      const id = `${orgId}-${i}`;
      const at = (start + offset) as Instant;
      const original =
        correctsIndex === null ? undefined : plain[correctsIndex % (plain.length || 1)];
      if (original) {
        const data = { ...original.data, amount: `-${amount.replace("-", "")}` };
        return { ...original, id, at, data, corrects: original.id };
      }
      const data = { amount, user, side, dimensions: { model }, area };
      const event = { orgId, accountId, projectId, type: "work", id, at, data };
      plain.push(event);
      return event;
    },
  );
}

const breakdowns: Breakdown[] = [
  { account: true, project: false, dimensions: [] },
  { account: false, project: true, dimensions: ["model"] },
  { account: true, project: true, dimensions: ["model", "area"] },
  { account: false, project: false, dimensions: [] },
];

/** The same figures by the domain alone: group, then measure every window from the events. */
function expected(meter: Meter, events: WrittenEvent[], windows: readonly Period[], by: Breakdown) {
  const groups = new Map<string, ReturnType<typeof seenBy>>();
  for (const one of seenBy(index, meter.key, events)) {
    const { event, dimensions } = one;
    const all = readDimensions(dimensions);
    const chosen = by.dimensions.flatMap((key) =>
      all[key] === undefined ? [] : [[key, all[key]]],
    );
    const group = JSON.stringify([
      by.account ? event.accountId : null,
      by.project ? event.projectId : null,
      Object.fromEntries(chosen),
    ]);
    groups.set(group, [...(groups.get(group) ?? []), one]);
  }
  const lines: string[] = [];
  for (const [group, seen] of groups) {
    for (const [i, window] of windows.entries()) {
      const before = seen.filter(({ at }) => at < window.startsAt);
      const within = seen.filter(({ at }) => at >= window.startsAt && at < window.endsAt);
      const carried = before.reduce<Decimal>((sum, { quantity }) => add(sum, quantity), zero);
      const isLevel = meter.aggregation === "weighted_sum" && !carried.isZero();
      const readings = within.filter(({ corrects }) => corrects === undefined);
      const counts = ["count", "sum", "weighted_sum"].includes(meter.aggregation)
        ? within
        : readings;
      if (counts.length === 0 && !isLevel) continue;
      const quantity = measureEvents(meter, seen, window, carried);
      if (meter.aggregation === "unique" && quantity?.isZero()) continue;
      lines.push(`${i} ${group} ${quantity && formatDecimal(quantity)}`);
    }
  }
  return lines.toSorted();
}

async function actual(
  meter: Meter,
  orgId: string,
  windows: readonly Period[],
  by: Breakdown,
  ids = true,
) {
  const readings = await measure(database.store.db, {
    orgId,
    ...(ids && { accountIds: ["acc_1", "acc_2", "acc_3"] }),
    meter,
    windows,
    by,
  });
  return readings
    .filter(({ eventCount, quantity }) => eventCount > 0 || (quantity && !quantity.isZero()))
    .map(
      ({ accountId, projectId, dimensions, windowIndex, quantity }) =>
        `${windowIndex} ${JSON.stringify([accountId, projectId, dimensions])} ${quantity && formatDecimal(quantity)}`,
    )
    .toSorted();
}

describe("measuring agrees with the domain, event by event", () => {
  test.each([
    ["from rollups", true],
    ["from events alone", false],
  ])("%s", async (_, rolledUp) => {
    const pool = database.store.pool;
    await pool.query("delete from meter");
    for (const meter of meters) await insertMeter(pool, meter, rolledUp);
    const odd = period((start + 7 * minute) as Instant, (span.endsAt - 31 * minute) as Instant);
    const tilings = [
      [span],
      [odd],
      windowsOf("hour", odd, zone),
      windowsOf("day", span, zone),
      windowsOf("hour", period(start, (start + 30 * hour) as Instant), "Asia/Kathmandu"),
      windowsOf("minute", period((start - hour) as Instant, (start + hour) as Instant), "UTC"),
    ];
    await fc.assert(
      fc.asyncProperty(
        fc.array(anyEvent, { minLength: 1, maxLength: 60 }),
        fc.constantFrom(...tilings),
        fc.constantFrom(...breakdowns),
        fc.boolean(),
        async (drawn, windows, by, ids) => {
          const events = eventsOf(drawn);
          const orgId = events[0]?.orgId ?? "";
          await writeUsage(pool, index, events);
          for (const meter of meters) {
            expect({ [meter.key]: await actual(meter, orgId, windows, by, ids) }).toEqual({
              [meter.key]: expected(meter, events, windows, by),
            });
          }
        },
      ),
      { numRuns: 25 },
    );
  });
});

describe("the second path, event by event in fractions, agrees with the first", () => {
  test("for every aggregation that is more than a sum of its parts", async () => {
    const pool = database.store.pool;
    await pool.query("delete from meter");
    for (const meter of meters) await insertMeter(pool, meter, true);
    const slices = [span, period((start + 7 * minute) as Instant, (start + 40 * hour) as Instant)];
    const accountIds = ["acc_1", "acc_2", "acc_3"];
    await fc.assert(
      fc.asyncProperty(
        fc.array(anyEvent, { minLength: 1, maxLength: 60 }),
        fc.constantFrom(...slices),
        fc.constantFrom([], ["model"], ["model", "area"]),
        fc.option(fc.bigInt({ min: 1n, max: 40n })),
        async (drawn, slice, dimensions, untilSeq) => {
          const events = eventsOf(drawn);
          const orgId = events[0]?.orgId ?? "";
          await writeUsage(pool, index, events);
          for (const meter of meters.filter((one) => !isAdditive(one))) {
            const own = dimensions.filter((key) => meter.dimensions.some((one) => one.key === key));
            const first = await measure(database.store.db, {
              orgId,
              accountIds,
              meter,
              windows: [slice],
              by: { account: true, project: false, dimensions: own },
              ...(untilSeq === null ? {} : { untilSeq }),
            });
            const again = await recountEvents(database.store.db, {
              orgId,
              accountIds,
              meter,
              slice,
              dimensions: own,
              untilSeq,
            });
            const line = (one: {
              accountId: string | null;
              dimensions: unknown;
              eventCount: unknown;
              quantity: Decimal | null;
            }) =>
              `${one.accountId} ${String(one.dimensions)} ${String(one.eventCount)} ${formatDecimal(one.quantity ?? zero)}`;
            expect({ [meter.key]: again.map(line).toSorted() }).toEqual({
              [meter.key]: first
                .map((one) => line({ ...one, dimensions: canonicalJson(one.dimensions) }))
                .toSorted(),
            });
          }
        },
      ),
      { numRuns: 40 },
    );
  });
});
