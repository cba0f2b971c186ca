import { expect } from "vitest";
import { currency } from "../../src/kit/currency.ts";
import { type Decimal, decimal, formatDecimal } from "../../src/kit/decimal.ts";
import { formatMoney, toMoney } from "../../src/kit/money.ts";
import {
  rateWindow,
  sumWindows,
  termsAt,
  type WindowTerms,
} from "../../src/domain/rating/index.ts";
import { oracle } from "./cases.ts";
import { of, rated, same } from "./prices.ts";

type Line = {
  readonly unit: string;
  readonly commitment_amount_per_window?: string;
  readonly commitment_quantity_per_window?: string;
  readonly overage_factor?: string;
  readonly true_up?: boolean;
};

const cost = (unit_amount: string, quantity: string): Decimal =>
  rated({ model: "per_unit", unit_amount }, of(quantity)).unrounded;

/** A commitment of units is a commitment of what those units cost. */
function termsOf(line: Line): WindowTerms & { readonly unit: string } {
  const {
    unit,
    commitment_amount_per_window: amount,
    commitment_quantity_per_window: units,
  } = line;
  const committed = amount ? decimal(amount) : units ? cost(unit, units) : null;
  return {
    unit,
    committed,
    overageFactor: decimal(line.overage_factor ?? "1"),
    trueUp: line.true_up ?? false,
  };
}

const windowOf = (line: Line, quantity: string) =>
  rateWindow(termsOf(line), cost(line.unit, quantity));

oracle<Line & { window_values: string[] }, { per_window?: string[]; total: string }>(
  "commitment.windowed",
  ({ input, expected }) => {
    const windows = input.window_values.map((quantity) => windowOf(input, quantity));
    if (expected.per_window)
      expect(windows.map((one) => formatDecimal(one.charge))).toEqual(expected.per_window);
    expect(formatDecimal(sumWindows(windows).charge)).toBe(same(expected.total));
  },
);

type TimeOfDay = {
  readonly line: Line;
  readonly buckets: readonly (Line & { readonly from: string; readonly to: string })[];
  readonly windows: readonly { readonly at: string; readonly value: string }[];
};
type Parts = {
  readonly per_window?: string[];
  readonly utilized?: string;
  readonly overage?: string;
  readonly true_up?: string;
  readonly total: string;
};

function byTimeOfDay({ input, expected }: { input: TimeOfDay; expected: Parts }) {
  const parts = input.buckets.map((bucket) => ({
    startsAt: bucket.from,
    endsAt: bucket.to,
    terms: termsOf(bucket),
  }));
  const windows = input.windows.map(({ at, value }) => {
    const terms = termsAt(parts, at, termsOf(input.line));
    return rateWindow(terms, cost(terms.unit, value));
  });
  const sum = sumWindows(windows);
  if (expected.per_window)
    expect(windows.map((one) => formatDecimal(one.charge))).toEqual(expected.per_window);
  if (expected.utilized) expect(formatDecimal(sum.utilized)).toBe(expected.utilized);
  if (expected.overage) expect(formatDecimal(sum.overage)).toBe(expected.overage);
  if (expected.true_up) expect(formatDecimal(sum.trueUp)).toBe(expected.true_up);
  expect(formatDecimal(sum.charge)).toBe(same(expected.total));
}
oracle<TimeOfDay, Parts>("commitment.windowed.time_of_day", byTimeOfDay);
oracle<TimeOfDay, Parts>("commitment.windowed.quantity", byTimeOfDay);

oracle<
  { commitment_units: string; unit_amount: string; usage_cost: string; overage_factor: string },
  { charged: string }
>("window_commitment", ({ input, expected }) => {
  const terms = termsOf({
    unit: input.unit_amount,
    commitment_quantity_per_window: input.commitment_units,
    overage_factor: input.overage_factor,
    true_up: true,
  });
  const { charge } = rateWindow(terms, decimal(input.usage_cost));
  expect(formatDecimal(charge)).toBe(same(expected.charged));
});

/** A commitment for an hour (or a term) that is charged whether it is used or not. */
const floored = (committed: string, factor = "1"): WindowTerms => ({
  committed: decimal(committed),
  overageFactor: decimal(factor),
  trueUp: true,
});

oracle<
  {
    hourly_commitment: string;
    eligible_usage_at_discount: string;
    uncovered_on_demand?: string;
  },
  { rows: { status: "Used" | "Unused" | null; effective: string }[] }
>("commitment_hour_utilisation", ({ input, expected }) => {
  const usage = decimal(input.eligible_usage_at_discount).plus(input.uncovered_on_demand ?? "0");
  const window = rateWindow(floored(input.hourly_commitment), usage);
  const parts = { Used: window.utilized, Unused: window.trueUp, beyond: window.overage };
  for (const { status, effective } of expected.rows)
    expect(formatDecimal(parts[status ?? "beyond"])).toBe(same(effective));
  const total = expected.rows.reduce((sum, row) => sum.plus(row.effective), decimal("0"));
  expect(formatDecimal(window.charge)).toBe(formatDecimal(total));
});

oracle<
  { commitment_hour_cost: string; usage_of_other_sku_on_demand: string },
  { unused_effective: string; on_demand: string; total_effective: string }
>("commitment_unused_other_sku", ({ input, expected }) => {
  const committed = rateWindow(floored(input.commitment_hour_cost), decimal("0"));
  const other = rateWindow(
    { committed: null, overageFactor: decimal("1"), trueUp: false },
    decimal(input.usage_of_other_sku_on_demand),
  );
  expect(formatDecimal(committed.trueUp)).toBe(same(expected.unused_effective));
  expect(formatDecimal(other.charge)).toBe(same(expected.on_demand));
  const sum = sumWindows([committed, other]);
  expect(formatDecimal(sum.charge)).toBe(same(expected.total_effective));
});

oracle<
  { commitment_per_hour: string; plan_rate: string; on_demand: string; instances: number },
  { hour_total: string }
>("savings_plan_floor", ({ input, expected }) => {
  const factor = decimal(input.on_demand).div(input.plan_rate);
  const terms = { ...floored(input.commitment_per_hour), overageFactor: factor };
  const hour = rateWindow(terms, cost(input.plan_rate, String(input.instances)));
  expect(formatMoney(toMoney(hour.charge, currency("USD")))).toBe(expected.hour_total);
  expect(formatDecimal(rateWindow(terms, decimal("0")).charge)).toBe(same(input.plan_rate));
});

oracle<
  { commitment: string; contracted_unit: string; monthly_usage_units: string[] },
  { focus_rows: { row: string; EffectiveCost: string }[]; sum_effective: string }
>("spend_commitment_true_up_year_end", ({ input, expected }) => {
  const months = input.monthly_usage_units.map((units) => cost(input.contracted_unit, units));
  const used = months.reduce((sum, month) => sum.plus(month), decimal("0"));
  const year = rateWindow(floored(input.commitment), used);
  const written = [...months, year.trueUp].map((amount) => formatDecimal(amount));
  expect(written).toEqual(expected.focus_rows.map((row) => row.EffectiveCost));
  expect(formatDecimal(year.charge)).toBe(expected.sum_effective);
});
