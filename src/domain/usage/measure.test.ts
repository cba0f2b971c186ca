import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  add,
  compare,
  type Decimal,
  decimal,
  decimalOf,
  formatDecimal,
  sumOf,
  zero,
} from "../../kit/decimal.ts";
import {
  hour,
  type Instant,
  instant,
  minute,
  type Period,
  period,
  windowsOf,
} from "../../kit/time.ts";
import { type Aggregation, aggregations, type Meter } from "../catalog/index.ts";
import {
  emptyPart,
  inPeriods,
  mergeParts,
  nearestRank,
  partOf,
  percentileOf,
  weigh,
} from "./aggregate.ts";
import { type MeasuredEvent, measureEvents, quantityOf, roundMetered } from "./measure.ts";

const aMeter = (aggregation: Aggregation, over: Partial<Meter> = {}): Meter => ({
  key: aggregation,
  name: aggregation,
  eventType: "t",
  aggregation,
  valueProperty: "value",
  valueKind: "decimal",
  allowNegative: true,
  unit: "unit",
  filters: [],
  dimensions: [],
  ...(aggregation === "percentile" && { percentile: decimal("95") }),
  status: "published",
  ...over,
});

const january = period(instant("2025-01-01T00:00:00Z"), instant("2025-02-01T00:00:00Z"));
const june = period(instant("2025-06-01T00:00:00Z"), instant("2025-07-01T00:00:00Z"));

let made = 0;
const anEvent = (at: Instant, quantity: string, over: Partial<MeasuredEvent> = {}) => {
  made++;
  return {
    at,
    seq: BigInt(made),
    eventKey: `e${made}`,
    thing: "",
    quantity: decimal(quantity),
    ...over,
  };
};
const measured = (
  aggregation: Aggregation,
  events: readonly MeasuredEvent[],
  span: Period = january,
  over: Partial<Meter> = {},
) => {
  const quantity = measureEvents(aMeter(aggregation, over), events, span);
  return quantity && formatDecimal(quantity);
};

describe("the worked figures", () => {
  // (user, quantity): (a,5), (b,3), (a,9), (c,1), (b,9)
  const noon = instant("2025-01-15T12:00:00Z");
  const users = ["a", "b", "a", "c", "b"];
  const five = ["5", "3", "9", "1", "9"].map((quantity, i) =>
    anEvent((noon + i * minute) as Instant, quantity, { thing: users[i] as string }),
  );
  const ones = five.map((event) => ({ ...event, quantity: decimal("1") }));

  test.each([
    ["count", ones, "5"],
    ["sum", five, "27"],
    ["unique", ones, "3"],
    ["max", five, "9"],
    ["min", five, "1"],
    ["latest", five, "9"],
    ["average", five, "5.4"],
  ] as const)("%s of five events is %s", (aggregation, events, expected) => {
    expect(measured(aggregation, events)).toBe(expected);
  });

  test("the 95th percentile of 1 to 100 is 95", () => {
    const hundred = Array.from({ length: 100 }, (_, i) => anEvent(noon, String(i + 1)));
    expect(measured("percentile", hundred)).toBe("95");
  });

  test("of 8,640 five-minute samples it is the 8,208th smallest, whatever the top 432 are", () => {
    const samples = Array.from({ length: 8640 }, (_, i) =>
      anEvent((june.startsAt + i * 5 * minute) as Instant, String(i + 1)),
    );
    const spikes = samples.map((event, i) =>
      i >= 8208 ? { ...event, quantity: decimal("999999999") } : event,
    );
    expect(measured("percentile", samples, june, { sampleSeconds: 300 })).toBe("8208");
    expect(measured("percentile", spikes, june, { sampleSeconds: 300 })).toBe("8208");
    expect(nearestRank(decimal("95"), 8640)).toBe(8208);
  });

  test("samples nobody sent are skipped, or are zeros where the meter says so", () => {
    const tenth = Array.from({ length: 864 }, (_, i) =>
      anEvent((june.startsAt + i * 5 * minute) as Instant, "7"),
    );
    expect(measured("percentile", tenth, june, { sampleSeconds: 300 })).toBe("7");
    const zeros = { sampleSeconds: 300, missingSamplesAreZero: true };
    expect(measured("percentile", tenth.slice(0, 433), june, zeros)).toBe("7");
    expect(measured("percentile", tenth.slice(0, 432), june, zeros)).toBe("0");
    expect(measured("percentile", [], june, { sampleSeconds: 300 })).toBe(null);
    expect(measured("percentile", [], june, zeros)).toBe("0");
  });

  test("values of one interval add up to one sample", () => {
    const three = ["1", "2", "4"].map((quantity, i) =>
      anEvent((june.startsAt + i * minute) as Instant, quantity),
    );
    expect(measured("percentile", three, june, { sampleSeconds: 300 })).toBe("7");
  });

  test("10 GB held all January are 7,440 GB-hours, one GB-month for each", () => {
    const gauge = (at: string, change: string) => anEvent(instant(at), change);
    const all = [gauge("2025-01-01T00:00:00Z", "10")];
    const half = [gauge("2025-01-01T00:00:00Z", "10"), gauge("2025-01-16T12:00:00Z", "-10")];
    expect(measured("weighted_sum", all)).toBe("7440");
    expect(formatDecimal(inPeriods(weigh(zero, all, january), january))).toBe("10");
    expect(measured("weighted_sum", half)).toBe("3720");
    expect(formatDecimal(inPeriods(weigh(zero, half, january), january))).toBe("5");
    const carried = measureEvents(aMeter("weighted_sum"), [], june, decimal("10"));
    expect(carried && formatDecimal(carried)).toBe("7200");
    expect(formatDecimal(inPeriods(weigh(decimal("10"), [], june), june))).toBe("10");
  });

  test("a user active on 20 days counts once; 42 users are 42", () => {
    const visits = Array.from({ length: 42 }, (_, user) =>
      Array.from({ length: 20 }, (_, day) =>
        anEvent((january.startsAt + day * 24 * hour) as Instant, "1", { thing: `u${user}` }),
      ),
    ).flat();
    expect(measured("unique", visits.slice(0, 20))).toBe("1");
    expect(measured("unique", visits)).toBe("42");
  });

  test("daily maxima 7, 9 and 4 are a monthly 9", () => {
    const days = ["7", "9", "4"].map((quantity, i) =>
      anEvent((january.startsAt + i * 24 * hour) as Instant, quantity),
    );
    expect(measured("max", days)).toBe("9");
  });

  test("seconds 61, 59 and 30 of two conversations are 2.5 minutes, and 2", () => {
    const talks = ["x", "y", "x"];
    const events = ["61", "59", "30"].map((quantity, i) =>
      anEvent(january.startsAt, quantity, { thing: talks[i] as string }),
    );
    expect(measured("sum", events)).toBe("150");
    expect(measured("unique", events)).toBe("2");
  });

  test("the last microsecond of February is February's", () => {
    const february = period(instant("2025-02-01T00:00:00Z"), instant("2025-03-01T00:00:00Z"));
    const march = period(instant("2025-03-01T00:00:00Z"), instant("2025-04-01T00:00:00Z"));
    const events = [
      anEvent(instant("2025-02-28T23:59:59.999Z"), "1"),
      anEvent(instant("2025-03-01T00:00:00.000Z"), "2"),
    ];
    expect([measured("sum", events, february), measured("sum", events, march)]).toEqual(["1", "2"]);
  });

  test("a meter's own rounding", () => {
    const rounded = (mode: "ceiling" | "floor" | "half_away", digits: number, value: string) =>
      formatDecimal(roundMetered(aMeter("sum", { rounding: { mode, digits } }), decimal(value)));
    expect(rounded("half_away", 2, "123.456")).toBe("123.46");
    expect(rounded("floor", 2, "123.456")).toBe("123.45");
    expect(rounded("ceiling", 0, "123.001")).toBe("124");
    expect(rounded("ceiling", -2, "123")).toBe("200");
    expect(formatDecimal(roundMetered(aMeter("sum"), decimal("1.25")))).toBe("1.25");
  });
});

describe("corrections", () => {
  const at = january.startsAt;
  const hundred = anEvent(at, "100");
  const forty = anEvent(at, "40");
  const back = anEvent((at + minute) as Instant, "-70", { corrects: hundred.eventKey });

  test.each([
    ["sum", "70"],
    ["max", "40"],
    ["min", "30"],
    ["latest", "40"],
    ["average", "35"],
    ["percentile", "40"],
  ] as const)("%s reads the corrected value: %s", (aggregation, expected) => {
    expect(measured(aggregation, [hundred, forty, back])).toBe(expected);
  });

  test("a count and a level follow it, and what it takes back was not seen", () => {
    const one = anEvent(at, "1", { thing: "a" });
    const other = anEvent(at, "1", { thing: "b" });
    const taken = anEvent(at, "-1", { corrects: other.eventKey });
    expect(measured("count", [one, other, taken])).toBe("1");
    expect(measured("unique", [one, other, taken])).toBe("1");
    const noLevel = anEvent(at, "-100", { corrects: hundred.eventKey });
    expect(measured("weighted_sum", [hundred, noLevel])).toBe("0");
  });

  test("one that arrives in the next month still corrects the reading of this one", () => {
    const late = { ...back, at: january.endsAt };
    expect(measured("max", [hundred, late])).toBe("30");
    expect(measured("sum", [hundred, late])).toBe("100");
  });
});

const quantities = fc
  .integer({ min: -1_000_000, max: 1_000_000 })
  .map((n) => decimalOf(n).div(1000));
const anyEvents = fc.array(
  fc.record({
    offset: fc.integer({ min: 0, max: 71 * 60 }),
    quantity: quantities,
    thing: fc.constantFrom("a", "b", "c", "d"),
  }),
  { maxLength: 60 },
);
const start = instant("2025-03-08T05:00:00Z");
const eventsFrom = (
  drawn: { offset: number; quantity: Decimal; thing: string }[],
): MeasuredEvent[] =>
  drawn.map(({ offset, quantity, thing }, i) => ({
    at: (start + offset * minute) as Instant,
    seq: BigInt(i + 1),
    eventKey: `k${i}`,
    quantity,
    thing,
  }));
const threeDays = period(start, instant("2025-03-11T04:00:00Z"));

describe("laws", () => {
  test("any order of arrival measures the same", () => {
    fc.assert(
      fc.property(anyEvents, fc.infiniteStream(fc.nat()), (drawn, keys) => {
        const events = eventsFrom(drawn);
        const shuffled = events
          .map((event) => ({ event, key: keys.next().value as number }))
          .toSorted((a, b) => a.key - b.key)
          .map(({ event }) => event);
        for (const aggregation of aggregations) {
          expect(measured(aggregation, shuffled, threeDays)).toEqual(
            measured(aggregation, events, threeDays),
          );
        }
      }),
    );
  });

  test("merged parts are the whole, however it is cut", () => {
    fc.assert(
      fc.property(anyEvents, fc.nat(60), (drawn, cut) => {
        const parts = eventsFrom(drawn).map(partOf);
        const left = parts.slice(0, cut).reduce(mergeParts, emptyPart);
        const right = parts.slice(cut).reduce(mergeParts, emptyPart);
        const whole = parts.reduce(mergeParts, emptyPart);
        for (const aggregation of ["count", "sum", "max", "min", "latest", "average"] as const) {
          const meter = aMeter(aggregation);
          expect(quantityOf(meter, mergeParts(right, left))).toEqual(quantityOf(meter, whole));
        }
      }),
    );
  });

  test("hours make days, days make the whole, in a zone that skips an hour", () => {
    const zone = "America/New_York";
    const days = windowsOf("day", threeDays, zone);
    expect(days.map((day) => windowsOf("hour", day, zone).length)).toEqual([24, 23, 24]);
    fc.assert(
      fc.property(anyEvents, (drawn) => {
        const events = eventsFrom(drawn);
        const of = (aggregation: Aggregation, span: Period) =>
          measureEvents(aMeter(aggregation), events, span);
        const parts = (aggregation: Aggregation, spans: Period[]) =>
          spans.map((span) => of(aggregation, span)).filter((value) => value !== null);
        for (const span of [...days, threeDays]) {
          const hours = windowsOf("hour", span, zone);
          for (const additive of ["count", "sum"] as const)
            expect(sumOf(parts(additive, hours))).toEqual(of(additive, span));
          expect(extreme(parts("max", hours), 1)).toEqual(of("max", span));
          expect(extreme(parts("min", hours), -1)).toEqual(of("min", span));
          const uniques = parts("unique", hours);
          const unique = of("unique", span) as Decimal;
          expect(unique.lessThanOrEqualTo(sumOf(uniques))).toBe(true);
          expect(unique.greaterThanOrEqualTo(extreme(uniques, 1) ?? zero)).toBe(true);
          const percentile = of("percentile", span);
          if (percentile !== null) {
            expect(percentile.lessThanOrEqualTo(of("max", span) as Decimal)).toBe(true);
            expect(percentile.greaterThanOrEqualTo(of("min", span) as Decimal)).toBe(true);
          }
        }
      }),
    );
  });

  test("a level weighs the same in one piece and in hours, with what is carried over", () => {
    fc.assert(
      fc.property(anyEvents, quantities, (drawn, carried) => {
        const events = eventsFrom(drawn);
        let level = carried;
        let sum: Decimal = zero;
        for (const span of windowsOf("hour", threeDays, "UTC")) {
          const within = events.filter(({ at }) => at >= span.startsAt && at < span.endsAt);
          sum = add(sum, weigh(level, within, span));
          level = within.reduce((now, { quantity }) => add(now, quantity), level);
        }
        expect(sum).toEqual(weigh(carried, events, threeDays));
      }),
    );
  });

  test("zeros that nobody sent rank like zeros that somebody did", () => {
    fc.assert(
      fc.property(
        fc.array(quantities, { maxLength: 30 }),
        fc.nat(30),
        fc.integer({ min: 1, max: 100 }),
        (values, missing, p) => {
          const sent = [...values, ...Array.from({ length: missing }, () => zero)];
          expect(percentileOf(values, decimalOf(p), missing)).toEqual(
            percentileOf(sent, decimalOf(p)),
          );
        },
      ),
    );
  });
});

const extreme = (values: Decimal[], sign: 1 | -1): Decimal | null =>
  values.toSorted((a, b) => sign * compare(b, a))[0] ?? null;
