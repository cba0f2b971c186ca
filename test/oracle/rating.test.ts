import { expect } from "vitest";
import { decimal, formatDecimal } from "../../src/kit/decimal.ts";
import { oracle } from "./cases.ts";
import {
  billed,
  exactly,
  type ForeignTier,
  of,
  ofKind,
  priceOf,
  rated,
  same,
  tiersOf,
} from "./prices.ts";
import { charged, convert, packagesOf, rateSteps } from "../../src/domain/rating/index.ts";
import { readPrice } from "../../src/domain/catalog/index.ts";

type Tiered = {
  readonly tiers: readonly ForeignTier[];
  readonly quantity: string;
  readonly package_size?: number;
  readonly included?: number;
};
type Amount = { readonly amount: string };
type Total = { readonly total: string };

// Where a product charges the first tier's flat amount without usage, the case runs with that option.
const atZero = { flat_amount_at_zero: true };

const inPackages = (size: number | undefined) => (size ? { package_size: size } : {});

oracle<Tiered, Amount>("tiers.graduated", ({ input, expected }) => {
  const tiers = tiersOf(input.tiers, inPackages(input.package_size));
  const price = { model: "graduated", tiers, negative_usage: "mirror" };
  expect(exactly(rated(price, of(input.quantity)))).toBe(same(expected.amount));
});

oracle<Tiered, Amount>("tiers.volume", ({ input, expected }) => {
  const { included = 0 } = input;
  // Included units are a first tier that costs nothing, and every bound lies that much higher.
  const moved = input.tiers.map((tier) => ({
    ...tier,
    up_to: typeof tier.up_to === "number" ? tier.up_to + included : null,
  }));
  const free = included ? [{ up_to: included }] : [];
  const tiers = tiersOf([...free, ...moved], inPackages(input.package_size));
  const price = { model: "volume", tiers, negative_usage: "mirror" };
  expect(exactly(rated(price, of(input.quantity)))).toBe(same(expected.amount));
});

oracle<Tiered, Amount>("tiers.graduated_flat", ({ input, expected }) => {
  const price = { model: "graduated", tiers: tiersOf(input.tiers) };
  expect(exactly(rated(price, of(input.quantity)))).toBe(same(expected.amount));
});

oracle<Tiered, Amount>("tiers.graduated_cap", ({ input, expected }) => {
  const price = { model: "graduated", tiers: tiersOf(input.tiers) };
  expect(exactly(rated(price, of(input.quantity)))).toBe(same(expected.amount));
});

oracle<
  { tiers: { from: number; to: number | null; unit_amount: string }[]; quantity: string },
  Amount
>("tiers.volume_gap", ({ input, expected }) => {
  const written = input.tiers.map(({ from, to, unit_amount }) => ({
    from,
    up_to: to,
    unit_amount,
  }));
  const read = readPrice({ currency: "USD", model: "volume", tiers: written });
  expect("faults" in read && read.faults.map((fault) => fault.pointer)).toEqual(["/tiers/1/from"]);
  // Closed as our reader advises: each tier ends where the next one starts.
  const closed = input.tiers.map(({ unit_amount }, index) => ({
    up_to: input.tiers[index + 1]?.from ?? null,
    unit_amount,
  }));
  const amount = exactly(rated({ model: "volume", tiers: closed }, of(input.quantity)));
  expect(amount).toBe(same(expected.amount));
});

const publishedTiers = (model: string) => (one: { input: Tiered; expected: Amount }) => {
  const price = { model, tiers: tiersOf(one.input.tiers) };
  expect(billed(rated(price, of(one.input.quantity)))).toBe(one.expected.amount);
};
oracle<Tiered, Amount>("graduated", publishedTiers("graduated"));
oracle<Tiered, Amount>("graduated_with_overage", publishedTiers("graduated"));
oracle<Tiered, Amount>("volume", publishedTiers("volume"));
oracle<Tiered, Amount>("volume_flat", publishedTiers("volume"));
oracle<Tiered, Amount>("volume_unit_plus_flat", publishedTiers("volume"));

/** Amounts of slabs that were published without their quantities: one flat amount a tier. */
const slabs = (amounts: readonly string[]) =>
  amounts.map((flat_amount, index) => ({
    up_to: index + 1 < amounts.length ? index + 1 : null,
    flat_amount,
  }));

oracle<{ slab_amounts: string[] }, Amount>("graduated_slab_sum", ({ input, expected }) => {
  const price = { model: "graduated", tiers: slabs(input.slab_amounts) };
  expect(billed(rated(price, of(input.slab_amounts.length)))).toBe(expected.amount);
});

oracle<{ tier_amounts: string[]; charge_minimum: string }, Amount & { top_up: string }>(
  "charge_level_minimum",
  ({ input, expected }) => {
    const tiers = slabs(input.tier_amounts);
    const price = { model: "graduated", tiers, minimum_amount: input.charge_minimum };
    const result = rated(price, of(input.tier_amounts.length));
    expect(billed(result)).toBe(expected.amount);
    expect(ofKind(result, "minimum")).toBe(same(expected.top_up));
  },
);

oracle<{ unit_amount: string; quantity: string }, Amount>("per_unit", ({ input, expected }) => {
  const price = { model: "per_unit", unit_amount: input.unit_amount };
  expect(billed(rated(price, of(input.quantity)))).toBe(expected.amount);
});

type Packed = {
  readonly quantity: string | number;
  readonly package_size: string | number;
  readonly package_price?: string;
  readonly unit_amount?: string;
  readonly included?: number;
  readonly free_units?: string;
  readonly rounding?: "up" | "down" | "none";
};
const packed = (input: Packed, package_rounding: string = input.rounding ?? "up") =>
  rated(
    {
      model: "package",
      package_size: input.package_size,
      unit_amount: input.package_price ?? input.unit_amount,
      free_units: input.included ?? input.free_units ?? 0,
      package_rounding,
    },
    of(input.quantity),
  );

oracle<Packed, Amount>("package", ({ input, expected }) => {
  expect(exactly(packed(input))).toBe(same(expected.amount));
});
oracle<Packed, Amount>("prepaid.packages", ({ input, expected }) => {
  expect(exactly(packed(input, "none"))).toBe(same(expected.amount));
});
oracle<Packed, Total>("charge.package", ({ input, expected }) => {
  expect(exactly(packed(input))).toBe(same(expected.total));
});
oracle<Packed, { packages: number }>("charge.package.count", ({ input, expected }) => {
  const size = decimal(String(input.package_size));
  expect(packagesOf(decimal(String(input.quantity)), size).toNumber()).toBe(expected.packages);
});

type Overage = {
  readonly included: string | number;
  readonly used?: string;
  readonly quantity?: number;
  readonly unit_amount: string;
  readonly package_size?: number;
};
oracle<Overage, Amount>("overage", ({ input, expected }) => {
  const { unit_amount, included, package_size } = input;
  const price = package_size
    ? { model: "package", package_size, unit_amount, free_units: included }
    : { model: "per_unit", unit_amount, free_units: Number(included) };
  expect(exactly(rated(price, of(input.used ?? input.quantity ?? "")))).toBe(same(expected.amount));
});

oracle<{ free: string; quantity: string; unit_amount: string }, Amount & { chargeable: string }>(
  "free_threshold",
  ({ input, expected }) => {
    const price = { model: "per_unit", unit_amount: input.unit_amount, free_units: input.free };
    const result = rated(price, of(input.quantity));
    expect(billed(result)).toBe(expected.amount);
    expect(result.segments.map((one) => formatDecimal(one.quantity))).toEqual([
      expected.chargeable,
    ]);
  },
);

oracle<{ flat: string; included: string; overage_unit: string; quantity: string }, Amount>(
  "flat_plus_overage",
  ({ input, expected }) => {
    const tiers = [
      { up_to: input.included, flat_amount: input.flat },
      { up_to: null, unit_amount: input.overage_unit },
    ];
    expect(billed(rated({ model: "graduated", tiers }, of(input.quantity)))).toBe(expected.amount);
  },
);

oracle<{ computed: string; minimum: string; maximum: string }, Amount>(
  "min_max_clamp",
  ({ input, expected }) => {
    const price = {
      model: "per_unit",
      unit_amount: "1",
      minimum_amount: input.minimum,
      maximum_amount: input.maximum,
    };
    expect(billed(rated(price, of(input.computed)))).toBe(expected.amount);
  },
);

oracle<{ minimum: string; usage: string }, { true_up: string; total: string }>(
  "minimum_commitment",
  ({ input, expected }) => {
    const price = { model: "per_unit", unit_amount: "1", minimum_amount: input.minimum };
    const result = rated(price, of(input.usage));
    expect(billed(result)).toBe(expected.total);
    expect(ofKind(result, "minimum")).toBe(same(expected.true_up));
  },
);

const charge =
  (model: string) =>
  ({ input, expected }: { input: Tiered; expected: Total }) => {
    const price = { model, tiers: tiersOf(input.tiers), ...atZero };
    expect(exactly(rated(price, of(input.quantity)))).toBe(same(expected.total));
  };
oracle<Tiered, Total>("charge.graduated", charge("graduated"));
oracle<Tiered, Total>("charge.volume", charge("volume"));

type Limits = { readonly minimum_spend: string | null; readonly maximum_spend: string | null };
oracle<Tiered & Limits, Total & { gross: string; minimum_line: string; discount: string }>(
  "charge.volume.minmax",
  ({ input, expected }) => {
    const result = rated(
      {
        model: "volume",
        tiers: tiersOf(input.tiers),
        ...atZero,
        minimum_amount: input.minimum_spend,
        maximum_amount: input.maximum_spend,
      },
      of(input.quantity),
    );
    expect(formatDecimal(result.gross)).toBe(same(expected.gross));
    expect(ofKind(result, "minimum")).toBe(same(expected.minimum_line));
    expect(decimal(ofKind(result, "maximum")).abs().toFixed()).toBe(same(expected.discount));
    expect(exactly(result)).toBe(same(expected.total));
  },
);

oracle<{ unit: string; quantity: string }, Total>("charge.unit", ({ input, expected }) => {
  const price = { model: "per_unit", unit_amount: input.unit };
  expect(exactly(rated(price, of(input.quantity)))).toBe(same(expected.total));
});

oracle<{ multiplier: string; metered_amount: string; currency: string }, Total>(
  "charge.dynamic",
  ({ input, expected }) => {
    const price = { model: "per_unit", unit_amount: input.multiplier, currency: input.currency };
    expect(billed(rated(price, of(input.metered_amount)))).toBe(expected.total);
  },
);

type Percentage = {
  readonly rate_percent: string;
  readonly fixed_per_event: string | null;
  readonly events_count?: number;
  readonly running_total?: readonly string[];
  readonly aggregation?: string;
  readonly event_values?: readonly string[];
  readonly free_events?: number | null;
  readonly free_units?: string | null;
  readonly per_event_min?: string;
  readonly per_event_max?: string;
};

// The first events as running totals, then whatever is missing to the aggregation.
function eventAmounts(input: Percentage) {
  if (input.event_values) return input.event_values.map(decimal);
  const totals = [...(input.running_total ?? []), input.aggregation ?? "0"].map(decimal);
  return totals.map((total, index) => total.minus(totals[index - 1] ?? decimal("0")));
}

function percentage(input: Percentage) {
  const price = {
    model: "percentage",
    rate: input.rate_percent,
    fixed_amount: input.fixed_per_event,
    free_events: input.free_events,
    free_units: input.free_units,
    per_event_minimum: input.per_event_min,
    per_event_maximum: input.per_event_max,
  };
  const free = Boolean(input.free_events ?? input.free_units);
  const amounts = eventAmounts(input);
  const quantity = amounts.reduce((sum, amount) => sum.plus(amount), decimal("0"));
  // Where nothing is free, single events do not matter: their number does.
  return free || input.per_event_min
    ? rated({ ...price, free_events_cover: "whole_event" }, { quantity, eventAmounts: amounts })
    : rated(price, { quantity, events: decimal(String(input.events_count ?? amounts.length)) });
}

oracle<Percentage, Total & { paid_units?: string; paid_events?: number }>(
  "charge.percentage",
  ({ input, expected }) => {
    const result = percentage(input);
    expect(exactly(result)).toBe(same(expected.total));
    const [share, fixed] = ["percentage", "per_event"].map((kind) =>
      result.segments.find((segment) => segment.because.kind === kind),
    );
    if (expected.paid_units) expect(share?.quantity.toFixed()).toBe(same(expected.paid_units));
    if (expected.paid_events) expect(fixed?.quantity.toNumber()).toBe(expected.paid_events);
  },
);
oracle<Percentage, Total>("charge.percentage.per_event_min_max", ({ input, expected }) => {
  expect(exactly(percentage(input))).toBe(same(expected.total));
});

oracle<Tiered, Total>("charge.graduated_percentage", ({ input, expected }) => {
  const tiers = input.tiers.map(({ up_to, rate_percent, flat }) => ({
    up_to,
    rate: rate_percent,
    flat_amount: flat,
  }));
  const price = { model: "percentage", tiers, ...atZero };
  expect(exactly(rated(price, of(input.quantity)))).toBe(same(expected.total));
});

oracle<Tiered & { group_values: string[] }, Total>(
  "charge.per_group.graduated",
  ({ input, expected }) => {
    expect(exactly(perGroup("graduated", input))).toBe(same(expected.total));
  },
);
oracle<Tiered & { group_values: string[] }, Total>(
  "charge.per_group.volume",
  ({ input, expected }) => {
    expect(exactly(perGroup("volume", input))).toBe(same(expected.total));
  },
);

function perGroup(model: string, input: Tiered & { group_values: string[] }) {
  // Our tiers are open at the top; usage never gets there.
  const tiers = tiersOf(
    input.tiers.map((tier, index) =>
      index === input.tiers.length - 1 ? { ...tier, up_to: null } : tier,
    ),
  );
  return byGroup({ model, tiers }, input.group_values);
}

const byGroup = (price: Record<string, unknown>, values: readonly string[]) =>
  rated(
    { ...price, group_by: ["group"] },
    values.map((value, index) => of(value, { dimensions: { group: String(index) } })),
  );

oracle<{ package_size: string; package_price: string; bucket_values: string[] }, Total>(
  "charge.bucketed.package",
  ({ input, expected }) => {
    const { package_size, package_price: unit_amount } = input;
    const result = byGroup({ model: "package", package_size, unit_amount }, input.bucket_values);
    expect(exactly(result)).toBe(same(expected.total));
  },
);
oracle<{ unit: string; bucket_values: string[] }, Total>(
  "charge.bucketed.unit",
  ({ input, expected }) => {
    const result = byGroup({ model: "per_unit", unit_amount: input.unit }, input.bucket_values);
    expect(exactly(result)).toBe(same(expected.total));
  },
);

oracle<{ tiers: ForeignTier[]; event_units: number[]; event_prorated_units: string[] }, Total>(
  "charge.graduated.prorated",
  ({ input, expected }) => {
    const price = priceOf({ model: "graduated", tiers: tiersOf(input.tiers), ...atZero });
    if (price.model !== "graduated") throw new Error(price.model);
    const steps = input.event_units.map((units, index) => ({
      units: decimal(String(units)),
      weighted: decimal(input.event_prorated_units[index] ?? "0"),
    }));
    const total = rateSteps(price, steps).reduce(
      (sum, draft) => sum.plus(draft.quantity.times(draft.unitPrice)),
      decimal("0"),
    );
    expect(total.toDecimalPlaces(2).toFixed()).toBe(same(expected.total));
  },
);

type Conversion = { op: "divide" | "multiply"; factor: string; rounding: string; quantity: string };
const roundings: Record<string, string> = { ceil: "ceiling", half_up: "half_away", none: "none" };
const conversionOf = (input: Conversion) => ({
  operation: input.op,
  factor: input.factor,
  rounding: roundings[input.rounding],
});

oracle<Conversion, { billed_quantity: string }>("unit_conversion", ({ input, expected }) => {
  const price = priceOf({ model: "per_unit", unit_amount: "1", conversion: conversionOf(input) });
  if (!price.conversion) throw new Error("no conversion");
  const converted = convert(price.conversion, decimal(input.quantity));
  expect(formatDecimal(converted)).toBe(expected.billed_quantity);
  expect(formatDecimal(charged(price, decimal(input.quantity)))).toBe(expected.billed_quantity);
});

oracle<
  Conversion & { usage_discount_units: string; unit: string },
  Total & { billed_quantity: string }
>("unit_conversion.usage_discount", ({ input, expected }) => {
  const price = {
    model: "per_unit",
    unit_amount: input.unit,
    conversion: conversionOf(input),
    free_units: input.usage_discount_units,
  };
  const result = rated(price, of(input.quantity));
  expect(result.segments.map((one) => formatDecimal(one.quantity))).toEqual([
    expected.billed_quantity,
  ]);
  expect(exactly(result)).toBe(same(expected.total));
});
