import { expect } from "vitest";
import { type Decimal, decimal, formatDecimal } from "../../src/kit/decimal.ts";
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
