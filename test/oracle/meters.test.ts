import { expect } from "vitest";
import type { Meter } from "../../src/domain/catalog/index.ts";
import {
  checkTime,
  defaultEventLimits,
  inPeriods,
  type MeasuredEvent,
  measureEvents,
  roundMetered,
  weigh,
} from "../../src/domain/usage/index.ts";
import {
  decimal,
  decimalOf,
  formatDecimal,
  multiply,
  round,
  subtract,
} from "../../src/kit/decimal.ts";
import { contains, dayOf, instant, period, startOfDay } from "../../src/kit/time.ts";
import { oracle } from "./cases.ts";

const aMeter = (aggregation: Meter["aggregation"], over: Partial<Meter> = {}): Meter => ({
  key: "m",
  name: "m",
  eventType: "t",
  aggregation,
  valueProperty: "value",
  valueKind: "decimal",
  allowNegative: true,
  unit: "unit",
  filters: [],
  dimensions: [],
  status: "published",
  ...over,
});

const span = period(instant("2025-01-01T00:00:00Z"), instant("2025-02-01T00:00:00Z"));
const measured = (aggregation: Meter["aggregation"], values: readonly (string | number)[]) => {
  const events = values.map(
    (value, i): MeasuredEvent => ({
      at: span.startsAt,
      seq: BigInt(i + 1),
      eventKey: String(i),
      thing: "",
      quantity: decimal(String(value)),
    }),
  );
  return measureEvents(aMeter(aggregation), events, span) ?? decimal("0");
};

oracle<
  { period: [string, string]; initial: string; events: { at: string; value: string }[] },
  { value: string }
>("meter.weighted_sum", ({ input, expected }) => {
  const whole = period(instant(input.period[0]), instant(input.period[1]));
  const samples = input.events.map(({ at, value }, i) => ({
    at: instant(at),
    seq: BigInt(i + 1),
    quantity: decimal(value),
  }));
  const level = inPeriods(weigh(decimal(input.initial), samples, whole), whole);
  expect(formatDecimal(round(level, 5))).toBe(formatDecimal(decimal(expected.value)));
});

oracle<
  { value: string; function: "round" | "floor" | "ceil"; precision: number },
  { value: string }
>("meter.rounding", ({ input, expected }) => {
  const mode = ({ round: "half_away", floor: "floor", ceil: "ceiling" } as const)[input.function];
  const meter = aMeter("sum", { rounding: { mode, digits: input.precision } });
  expect(formatDecimal(roundMetered(meter, decimal(input.value)))).toBe(expected.value);
});

oracle<{ entries: number[]; credited_units?: number; unit_minor: number }, { amount: number }>(
  "usage.summable",
  ({ input, expected }) => {
    const due = subtract(measured("sum", input.entries), decimalOf(input.credited_units ?? 0));
    expect(formatDecimal(multiply(due, decimalOf(input.unit_minor)))).toBe(String(expected.amount));
  },
);

oracle<{ events: number; credited_units: number; unit_minor: number }, { amount: number }>(
  "usage.count",
  ({ input, expected }) => {
    const ones = Array.from({ length: input.events }, () => 1);
    const due = subtract(measured("count", ones), decimalOf(input.credited_units));
    expect(formatDecimal(multiply(due, decimalOf(input.unit_minor)))).toBe(String(expected.amount));
  },
);

oracle<{ segments: { values: number[] }[]; active_unit_minor: number }, { amount: number }>(
  "usage.price_change_mid_cycle_max",
  ({ input, expected }) => {
    const peak = measured(
      "max",
      input.segments.flatMap(({ values }) => values),
    );
    const amount = multiply(peak, decimalOf(input.active_unit_minor));
    expect(formatDecimal(amount)).toBe(String(expected.amount));
  },
);

oracle<
  { period_start: string; period_end: string; timezone: string; event_times: string[] },
  { in_period: boolean[] }
>("period_bounds", ({ input, expected }) => {
  const whole = period(
    startOfDay(dayOf(input.period_start), input.timezone),
    startOfDay(dayOf(input.period_end), input.timezone),
  );
  expect(input.event_times.map((time) => contains(whole, instant(time)))).toEqual(
    expected.in_period,
  );
});

oracle<{ now: string; event_times: string[] }, { accepted: boolean[] }>(
  "event_window",
  ({ input, expected }) => {
    const now = instant(input.now);
    const accepted = input.event_times.map(
      (time) => checkTime(instant(time), now, defaultEventLimits) !== "future_event",
    );
    expect(accepted).toEqual(expected.accepted);
  },
);
