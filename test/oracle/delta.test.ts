import { expect } from "vitest";
import { decimal, formatDecimal, sumOf } from "../../src/kit/decimal.ts";
import { formatMoney, type Money, parseMoney } from "../../src/kit/money.ts";
import { currency } from "../../src/kit/currency.ts";
import { mayBillProgressively, type Price } from "../../src/domain/catalog/index.ts";
import {
  type Booking,
  charged,
  isGross,
  nothingBooked,
  type PriceSlice,
  rate,
  rateDelta,
  ratePeriod,
  reductionsOf,
} from "../../src/domain/rating/index.ts";
import { oracle } from "./cases.ts";
import { type ForeignTier, of, ofKind, priceOf, rated, same, tiersOf } from "./prices.ts";

const usd = currency("USD");
const dollars = (text: string) => parseMoney(text, usd);
const plain = (amount: Money) => same(formatMoney(amount));

/** A document that charged what the model asks, without minimum and maximum. */
const booked = (amount: string): Booking => ({
  ...nothingBooked(usd),
  gross: dollars(amount),
  total: dollars(amount),
});

const slices = (price: Price, ...quantities: readonly string[]): PriceSlice[] =>
  quantities.map((quantity) => ({ price, usage: [of(quantity)] }));

type ForeignPrice = {
  readonly model: "unit" | "volume" | "graduated" | "package" | "dynamic";
  readonly unit?: string;
  readonly multiplier?: string;
  readonly tiers?: readonly ForeignTier[];
  readonly package_size?: string;
  readonly package_price?: string;
};

function documentOf(price: ForeignPrice): Record<string, unknown> {
  switch (price.model) {
    case "unit":
    case "dynamic":
      return { model: "per_unit", unit_amount: price.unit ?? price.multiplier };
    case "package":
      return {
        model: "package",
        package_size: price.package_size,
        unit_amount: price.package_price,
      };
    case "volume":
    case "graduated":
      return { model: price.model, tiers: tiersOf(price.tiers ?? []) };
  }
}

type Runs = {
  readonly price: ForeignPrice;
  readonly cumulative_quantity_per_run: readonly string[];
  readonly maximum_spend?: string;
  readonly minimum_spend?: string;
  readonly final_run_index?: number;
};

/** One run after the other, each booking what the ones before have not. */
function runs(input: Runs): Booking[] {
  const price = priceOf({
    ...documentOf(input.price),
    minimum_amount: input.minimum_spend,
    maximum_amount: input.maximum_spend,
  });
  return input.cumulative_quantity_per_run.reduce<Booking[]>((before, quantity, index) => {
    const complete = index === (input.final_run_index ?? index);
    return [...before, rateDelta(rate(price, of(quantity), { complete }), before)];
  }, []);
}

type Booked = { readonly booked_total_per_run: readonly string[] };
const totals = ({ input, expected }: { input: Runs; expected: Booked }) => {
  const written = expected.booked_total_per_run.map(same);
  expect(runs(input).map((booking) => plain(booking.total))).toEqual(written);
};
oracle<Runs, Booked>("rating.delta", totals);
oracle<Runs, Booked>("rating.delta.minimum", totals);
oracle<Runs, Booked & { booked_gross_per_run: string[]; booked_discount_per_run: string[] }>(
  "rating.delta.maximum",
  ({ input, expected }) => {
    totals({ input, expected });
    const bookings = runs(input);
    expect(bookings.map((one) => plain(one.gross))).toEqual(expected.booked_gross_per_run);
    expect(bookings.map((one) => plain(one.reduction))).toEqual(expected.booked_discount_per_run);
  },
);

type Line = {
  readonly tiers: readonly ForeignTier[];
  readonly quantity: string;
  readonly already_billed_quantity: string;
  readonly already_billed_amount: string;
  readonly line_quantity: string;
  readonly maximum_spend: string;
  readonly minimum_spend: string;
  readonly package_size: string;
  readonly package_price: string;
  readonly is_last_line: boolean;
};

oracle<Line, { minimum_line: string; total: string }>(
  "charge.graduated.minimum",
  ({ input, expected }) => {
    const price = priceOf({
      model: "graduated",
      tiers: tiersOf(input.tiers),
      flat_amount_at_zero: true,
      minimum_amount: input.minimum_spend,
    });
    const delta = rateDelta(rate(price, of(input.quantity), { complete: input.is_last_line }), [
      booked(input.already_billed_amount),
    ]);
    expect(plain(delta.minimum)).toBe(same(expected.minimum_line));
    expect(plain(delta.total)).toBe(same(expected.total));
  },
);

type Capped = { readonly gross: string; readonly total: string };

oracle<Line, Capped & { discounts: string[] }>(
  "charge.graduated.maximum",
  ({ input, expected }) => {
    const price = priceOf({
      model: "graduated",
      tiers: tiersOf(input.tiers),
      maximum_amount: input.maximum_spend,
    });
    const result = ratePeriod(slices(price, input.already_billed_quantity, input.line_quantity));
    const delta = rateDelta(result, [booked(input.already_billed_amount)]);
    expect(plain(delta.gross)).toBe(same(expected.gross));
    expect(plain(delta.total)).toBe(same(expected.total));
    const reduction = decimal(ofKind(result, "maximum")).abs();
    const gross = result.segments.filter(isGross);
    const taken = reductionsOf(gross, reduction).slice(-expected.discounts.length);
    expect(taken.map(formatDecimal)).toEqual(expected.discounts);
  },
);

const capped = (result: readonly PriceSlice[], before: string) =>
  rateDelta(ratePeriod(result), [booked(before)]);

oracle<Line & { unit: string }, Capped & { discount: string }>(
  "charge.unit.maximum",
  ({ input, expected }) => {
    // What was billed before is a slice of its own: that many dollars.
    const before = priceOf({ model: "per_unit", unit_amount: "1" });
    const price = priceOf({
      model: "per_unit",
      unit_amount: input.unit,
      maximum_amount: input.maximum_spend,
    });
    const delta = capped(
      [...slices(before, input.already_billed_amount), ...slices(price, input.quantity)],
      input.already_billed_amount,
    );
    expect([delta.gross, delta.reduction, delta.total].map(plain)).toEqual(
      [expected.gross, expected.discount, expected.total].map(same),
    );
  },
);

oracle<Line & { multiplier: string; metered_amount: string }, Capped & { discount: string }>(
  "charge.dynamic.maximum",
  ({ input, expected }) => {
    const before = priceOf({ model: "per_unit", unit_amount: "1" });
    const price = priceOf({
      model: "per_unit",
      unit_amount: input.multiplier,
      maximum_amount: input.maximum_spend,
    });
    const delta = capped(
      [...slices(before, input.already_billed_amount), ...slices(price, input.metered_amount)],
      input.already_billed_amount,
    );
    expect([delta.gross, delta.reduction, delta.total].map(plain)).toEqual(
      [expected.gross, expected.discount, expected.total].map(same),
    );
  },
);

const packages = (input: Line) =>
  priceOf({
    model: "package",
    package_size: input.package_size,
    unit_amount: input.package_price,
    maximum_amount: input.maximum_spend,
  });

oracle<Line, Capped & { discount: string }>("charge.package.maximum", ({ input, expected }) => {
  const delta = capped(
    slices(packages(input), input.already_billed_quantity, input.line_quantity),
    input.already_billed_amount,
  );
  expect([delta.gross, delta.reduction, delta.total].map(plain)).toEqual(
    [expected.gross, expected.discount, expected.total].map(same),
  );
});

oracle<Line, { packages: number; total: string }>(
  "charge.package.progressive",
  ({ input, expected }) => {
    const parts = slices(packages(input), input.already_billed_quantity, input.line_quantity);
    const line = ratePeriod(parts).segments.at(-1);
    expect(line?.quantity.toNumber()).toBe(expected.packages);
    expect(line?.amount.toFixed()).toBe(expected.total);
  },
);

oracle<Line, { lines: string[]; total: string }>(
  "charge.volume.progressive",
  ({ input, expected }) => {
    const price = priceOf({ model: "volume", tiers: tiersOf(input.tiers) });
    const due = input.is_last_line || mayBillProgressively(price);
    const lines = due ? rate(price, of(input.quantity)).segments : [];
    expect(lines.map((line) => formatDecimal(line.amount))).toEqual(expected.lines);
  },
);

oracle<
  Line & { discount_units: string },
  { pre_line_quantity: string; line_quantity: string; discount_used_on_line: string }
>("usage_discount", ({ input, expected }) => {
  const price = priceOf({
    model: "per_unit",
    unit_amount: "1",
    free_units: input.discount_units,
  });
  const before = charged(price, decimal(input.already_billed_quantity));
  expect(formatDecimal(before)).toBe(expected.pre_line_quantity);
  const parts = slices(price, input.already_billed_quantity, input.line_quantity);
  const line = ratePeriod(parts).segments.at(-1);
  expect(line?.quantity.toFixed()).toBe(expected.line_quantity);
  const free = decimal(input.line_quantity).minus(line?.quantity ?? 0);
  expect(free.toFixed()).toBe(expected.discount_used_on_line);
});

oracle<{ free_units_per_period: string; partial_invoices_usage: string[] }, { billable: string[] }>(
  "usage_discount_across_split_invoices",
  ({ input, expected }) => {
    const price = priceOf({
      model: "per_unit",
      unit_amount: "1",
      free_units: input.free_units_per_period,
    });
    const parts = slices(price, ...input.partial_invoices_usage).map((slice, index) => ({
      ...slice,
      version: String(index),
    }));
    const { segments } = ratePeriod(parts);
    const billable = parts.map((part) =>
      sumOf(
        segments.filter((one) => one.version === part.version).map((one) => one.quantity),
      ).toFixed(),
    );
    expect(billable).toEqual(expected.billable);
  },
);

// A currency without minor unit counts the cents of the case as they are.
const cents = (minimum: number) =>
  priceOf({
    model: "per_unit",
    unit_amount: "1",
    currency: "JPY",
    minimum_amount: String(minimum),
  });

oracle<{ minimum_cents: number; used_cents: number }, { true_up_cents: number }>(
  "minimum.true_up",
  ({ input, expected }) => {
    const result = rate(cents(input.minimum_cents), of(input.used_cents));
    expect(ofKind(result, "minimum")).toBe(String(expected.true_up_cents));
  },
);

oracle<
  { minimum_cents: number; used_cents: number; billable_days: number; period_days: number },
  { precise_cents: string; true_up_cents: number }
>("minimum.true_up.prorated", ({ input, expected }) => {
  const share = {
    part: decimal(String(input.billable_days)),
    whole: decimal(String(input.period_days)),
  };
  const result = rate(cents(input.minimum_cents), of(input.used_cents), { share });
  const trueUp = result.segments.find((segment) => segment.because.kind === "minimum");
  expect(trueUp?.amount.toDecimalPlaces(2).toFixed()).toBe(expected.precise_cents);
  const delta = rateDelta(result, []);
  expect(delta.minimum.minor).toBe(BigInt(expected.true_up_cents));
});

oracle<{ segments: { units: number; unit_minor: number }[] }, { amounts: number[] }>(
  "usage.price_change_mid_cycle_summable",
  ({ input, expected }) => {
    const parts = input.segments.map(({ units, unit_minor }) => ({
      price: priceOf({ model: "per_unit", unit_amount: String(unit_minor), currency: "JPY" }),
      usage: [of(units)],
    }));
    const amounts = ratePeriod(parts).segments.map((segment) => segment.amount.toNumber());
    expect(amounts).toEqual(expected.amounts);
  },
);

type Block = {
  readonly block_size: number;
  readonly max_blocks: number | null;
  readonly block_price: string;
};

/** Blocks are counted within their tier there; our tiers say where they end, and the last one is open. */
function blockTiers(blocks: readonly Block[]) {
  let end = 0;
  return blocks.map(({ block_size, max_blocks, block_price }, index) => {
    end += block_size * (max_blocks ?? 0);
    return {
      up_to: index === blocks.length - 1 ? null : end,
      unit_amount: block_price,
      package_size: block_size,
    };
  });
}

const inBlocks = (model: string, blocks: readonly Block[], quantity: number) =>
  rated({ model, tiers: blockTiers(blocks) }, of(quantity));

oracle<{ tiers: Block[]; quantity: number }, { amount: string; per_tier: string[] }>(
  "blocks.graduated",
  ({ input, expected }) => {
    const result = inBlocks("graduated", input.tiers, input.quantity);
    expect(formatDecimal(result.unrounded)).toBe(expected.amount);
    expect(result.segments.map((one) => formatDecimal(one.amount))).toEqual(expected.per_tier);
  },
);

oracle<{ tiers: Block[]; quantity: number }, { amount: string }>(
  "blocks.volume",
  ({ input, expected }) => {
    const result = inBlocks("volume", input.tiers, input.quantity);
    expect(formatDecimal(result.unrounded)).toBe(expected.amount);
  },
);

oracle<{ tiers: Block[]; records: { qty: number }[]; already_billed: string }, { delta: string }>(
  "blocks.late_delta",
  ({ input, expected }) => {
    const price = priceOf({ model: "graduated", tiers: blockTiers(input.tiers) });
    const usage = input.records.map(({ qty }) => of(qty));
    const delta = rateDelta(rate(price, usage), [booked(input.already_billed)]);
    expect(plain(delta.total)).toBe(expected.delta);
  },
);

oracle<{ block_size: number; block_price: string; records: number[] }, { amount: string }>(
  "blocks.period_sum",
  ({ input, expected }) => {
    const price = {
      model: "package",
      package_size: input.block_size,
      unit_amount: input.block_price,
    };
    const result = rated(
      price,
      input.records.map((quantity) => of(quantity)),
    );
    expect(formatDecimal(result.unrounded)).toBe(expected.amount);
  },
);

oracle<
  { units: Record<string, { block_size: number; block_price: string; quantity: number }> },
  { amount: string; per_unit: Record<string, string> }
>("blocks.multi_unit", ({ input, expected }) => {
  const amounts = Object.entries(input.units).map(([unit, block]): [string, string] => {
    const price = {
      model: "package",
      package_size: block.block_size,
      unit_amount: block.block_price,
    };
    return [unit, formatDecimal(rated(price, of(block.quantity)).unrounded)];
  });
  expect(Object.fromEntries(amounts)).toEqual(expected.per_unit);
  expect(sumOf(amounts.map(([, amount]) => decimal(amount))).toFixed()).toBe(expected.amount);
});

oracle<
  { policy: string; tiers: Record<string, Block[]>; quantity: Record<string, number> },
  { amount: string }
>("blocks.multi_unit_tiers", ({ input, expected }) => {
  const amounts = Object.entries(input.tiers).map(
    ([unit, blocks]) => inBlocks(input.policy, blocks, input.quantity[unit] ?? 0).unrounded,
  );
  expect(sumOf(amounts).toFixed()).toBe(expected.amount);
});
