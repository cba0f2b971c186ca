import { expect } from "vitest";
import type { Discount, Fee, ProrationPolicy } from "../../src/domain/catalog/index.ts";
import {
  anchorOnDay,
  boundary,
  capCredit,
  coverByAllowance,
  type Change,
  type Cycle,
  chargesOf,
  cyclePeriodAt,
  cyclePeriodsOver,
  daysWorth,
  moneyEffect,
  portion,
  previewChange,
  refundableFrom,
  type Share,
  type Start,
  shareOf,
  shareOfNominalYear,
} from "../../src/domain/subscriptions/index.ts";
import {
  add,
  type Decimal,
  decimal,
  decimalOf,
  divide,
  formatDecimal,
  multiply,
  round,
  subtract,
  sumOf,
} from "../../src/kit/decimal.ts";
import { formatMoney, type Money, toDecimal, toMoney } from "../../src/kit/money.ts";
import { dayAt, day, formatInstant, instant, type Period, shift } from "../../src/kit/time.ts";
import { aFee, aSubscription, on, someTerms, usd, v1 } from "../harness/plans.ts";
import { oracle } from "./cases.ts";

const span = ([from, to]: readonly [string, string]): Period => ({
  startsAt: on(from),
  endsAt: on(to),
});
const minor = (value: number | string): Decimal => divide(decimal(String(value)), decimalOf(100));
const inMinor = (amount: Money): number => Number(amount.minor);
const days = (count: number | string, of: number | string): Share => ({
  part: Math.round(Number(count) * 2),
  whole: Math.round(Number(of) * 2),
});
const written = (amount: Money) => formatMoney(amount);
const cents = (amount: Decimal) => formatMoney(toMoney(amount, usd));

type Side = readonly Fee[];
type Swap = {
  readonly old: Side;
  readonly new: Side;
  readonly period: Period;
  readonly at: Period["startsAt"];
  readonly policy?: Partial<ProrationPolicy>;
  readonly restart?: boolean;
  readonly discounts?: readonly [Discount[], Discount[]];
};

/** Change a plan in the middle of a period by the real decision; what the books then move by, per side. */
function swap({ period, at, restart = false, ...sides }: Swap) {
  const terms = someTerms({ old: sides.old, new: sides.new }, { proration: sides.policy ?? {} });
  const months = Math.round((period.endsAt - period.startsAt) / (30.4 * day));
  const request: Partial<Start> = {
    startsAt: period.startsAt,
    anchor: { kind: "start" },
    cadence: months >= 12 ? "year" : "month",
    discounts: sides.discounts?.[0] ?? [],
  };
  const wanted: Change = {
    kind: "change_plan",
    plan: v1("new"),
    cadence: months >= 12 === restart ? "month" : "year",
    restartCycle: restart,
    when: { kind: "now" },
  };
  const start = aSubscription("old", "1970-01-01", request);
  const [before, after] = sides.discounts ?? [[], []];
  const preview = previewChange(
    { ...start, phases: [{ ...start.phases[0], discounts: before }] },
    wanted,
    terms,
    at,
  );
  if (preview.kind === "refused") throw new Error(preview.detail);
  if (sides.discounts === undefined) return preview.effect;
  const last = preview.subscription.phases.at(-1);
  if (!last) throw new Error("no phase");
  const [first, ...rest] = preview.subscription.phases.slice(0, -1);
  if (!first) throw new Error("no phase");
  return moneyEffect(
    chargesOf(start, terms, at),
    chargesOf(
      { ...preview.subscription, phases: [first, ...rest, { ...last, discounts: after }] },
      terms,
      at,
    ),
    usd,
  );
}

const percentOff = (percent: number): Discount => ({
  kind: "percent",
  percent: decimalOf(percent),
  selects: {},
});
const amountOff = (amount: Decimal): Discount => ({ kind: "fixed", amount, selects: {} });
const april = span(["2025-04-01", "2025-05-01"]);
const inApril = (daysUsed: number) => shift(april.startsAt, daysUsed * day);

// Parts of a period ------------------------------------------------------------------------------------------------

oracle<
  {
    amount: string;
    days_used?: number;
    days_in_period?: number;
    period?: [string, string];
    active?: [string, string];
  },
  { amount: string }
>("proration.subscription_item", ({ input, expected }) => {
  const share =
    input.period && input.active
      ? shareOf("second", span(input.active), span(input.period), "UTC")
      : days(input.days_used ?? 0, input.days_in_period ?? 0);
  expect(cents(portion(decimal(input.amount), share))).toBe(expected.amount);
});

oracle<{ amount: string; days_used: number; days_in_period: number }, { amount: string }>(
  "proration.subscription_end",
  ({ input, expected }) => {
    const share = days(input.days_used, input.days_in_period);
    expect(portion(decimal(input.amount), share)).toEqual(decimal(expected.amount));
  },
);

oracle<
  { plan_amount_cents: number; billable_days?: number; trial_days?: number; period_days: number },
  { precise_cents?: string; amount_cents: string }
>("proration.subscription_fee", ({ input, expected }) => {
  const billable = input.billable_days ?? Math.max(0, input.period_days - (input.trial_days ?? 0));
  const amount = portion(decimalOf(input.plan_amount_cents), days(billable, input.period_days));
  if (expected.precise_cents) expect(formatDecimal(round(amount, 4))).toBe(expected.precise_cents);
  expect(formatDecimal(round(amount, 0))).toBe(expected.amount_cents);
});

oracle<
  { plan_cents: number; period_days: number; unused_days: number; tax_percent: string },
  { credit_cents: number; tax_cents: number; total_cents: number }
>("proration.termination_credit_note", ({ input, expected }) => {
  // A month of 31 days, ended with so many days left: what was paid less what was used.
  const terms = someTerms({ plan: [aFee("PLAN", formatDecimal(minor(input.plan_cents)))] });
  const at = shift(on("2025-01-01"), (input.period_days - input.unused_days) * day);
  const ended = previewChange(
    aSubscription("plan", "2025-01-01"),
    { kind: "cancel", when: { kind: "now" } },
    terms,
    at,
  );
  if (ended.kind === "refused") throw new Error(ended.detail);
  const credit = -inMinor(ended.effect.credit);
  const tax = divide(multiply(decimalOf(credit), decimal(input.tax_percent)), decimalOf(100));
  expect(credit).toBe(expected.credit_cents);
  expect(Number(round(tax, 0))).toBe(expected.tax_cents);
  expect(credit + Number(round(tax, 0))).toBe(expected.total_cents);
});

oracle<
  { potential_credit: string; original_amount_paid: string; previous_credits: string },
  { credit: string }
>("proration.credit_cap", ({ input, expected }) => {
  const credit = capCredit(
    decimal(input.potential_credit),
    decimal(input.original_amount_paid),
    decimal(input.previous_credits),
  );
  expect(formatDecimal(credit)).toBe(expected.credit);
});

oracle<{ amount: string; period: [string, string]; start: string }, { credits: string }>(
  "proration.credit_grant",
  ({ input, expected }) => {
    const period = span(input.period);
    const active = { startsAt: instant(input.start), endsAt: period.endsAt };
    const credits = portion(decimal(input.amount), shareOf("second", active, period, "UTC"));
    expect(formatDecimal(round(credits, 8))).toBe(expected.credits);
  },
);

oracle<{ price: string; from: string; to: string; basis_days: number }, { amount: string }>(
  "proration.fixed_30_day_month",
  ({ input, expected }) => {
    const month = span(["2023-05-15", "2023-06-15"]);
    const share = shareOf("month_30", span([input.from, input.to]), month, "UTC");
    expect(share.whole).toBe(input.basis_days);
    expect(cents(portion(decimal(input.price), share))).toBe(expected.amount);
  },
);

oracle<{ currency: string; unit: string; days_active: string; days: string }, { amount: string }>(
  "proration_days",
  ({ input, expected }) => {
    const share = days(input.days_active, input.days);
    expect(cents(portion(decimal(input.unit), share))).toBe(expected.amount);
  },
);

oracle<
  { days_left: string; new_price_multiple: string },
  { exact_days: string; granted_days: string }
>("proration_days_round_up", ({ input, expected }) => {
  const worth = daysWorth(
    decimal(input.days_left),
    decimal("1"),
    decimal(input.new_price_multiple),
  );
  expect(formatDecimal(worth.exact)).toBe(expected.exact_days);
  expect(formatDecimal(worth.granted)).toBe(expected.granted_days);
});

// Changes in the middle of a period --------------------------------------------------------------------------------

type DayChange = {
  period: [string, string];
  proration_date: string;
  credit_days: number;
  period_days: number;
  old_price?: string;
  old_quantity?: number;
  new_price?: string;
  new_quantity?: number;
};
type DayResult = { credit?: string; charge?: string; net?: string };

/** Their periods name the last day, ours the moment after it. */
function changeByDay({ input, expected }: { input: DayChange; expected: DayResult }) {
  const period = { startsAt: on(input.period[0]), endsAt: shift(on(input.period[1]), day) };
  const times = (price = "0", quantity = 1) =>
    formatDecimal(multiply(decimal(price), decimalOf(quantity)));
  const effect = swap({
    old: input.old_price ? [aFee("ITEM", times(input.old_price, input.old_quantity))] : [],
    new: input.new_price ? [aFee("ITEM", times(input.new_price, input.new_quantity))] : [],
    period,
    at: on(input.proration_date),
    policy: { unit: "day" },
  });
  if (expected.credit) expect(written(effect.credit)).toBe(expected.credit);
  if (expected.charge) expect(written(effect.charge)).toBe(expected.charge);
  if (expected.net) expect(written(effect.net)).toBe(expected.net);
}
oracle<DayChange, DayResult>("proration.plan_change", changeByDay);
oracle<DayChange, DayResult>("proration.item_added", changeByDay);
oracle<DayChange, DayResult>("proration.item_removed", changeByDay);

oracle<
  {
    period: [string, string];
    change_on: string;
    changes_minor: { old: number; new: number }[];
    interval_change?: boolean;
  },
  { credit: number; charge: number; net: number }
>("proration.change_minor", ({ input, expected }) => {
  const [one] = input.changes_minor;
  const period = span(input.period);
  const share = (from: Period["startsAt"]) =>
    shareOf("day", { startsAt: from, endsAt: period.endsAt }, period, "UTC");
  const left = share(on(input.change_on));
  const wholeMonths = [28, 29, 30, 31, 365, 366].includes(left.whole);
  expect(wholeMonths).toBe(true);
  const effect = swap({
    old: [aFee("PLAN", formatDecimal(minor(one?.old ?? 0)))],
    new: [aFee("PLAN", formatDecimal(minor(one?.new ?? 0)))],
    ...asRealMonth(period, on(input.change_on)),
    restart: input.interval_change ?? false,
  });
  expect({
    credit: inMinor(effect.credit),
    charge: inMinor(effect.charge),
    net: inMinor(effect.net),
  }).toEqual(expected);
});

/** Some cases have periods of 30 days where no month has 30: use April, which has, with the same number of days left. */
function asRealMonth(period: Period, at: Period["startsAt"]) {
  if (period.endsAt - period.startsAt !== 30 * day) return { period, at };
  return { period: april, at: shift(april.startsAt, at - period.startsAt) };
}

oracle<
  {
    period_days: number;
    days_left: number;
    old_minor: number;
    new_minor: number;
    old_discount: { percent?: number; fixed_minor?: number } | null;
    new_discount: { percent?: number; fixed_minor?: number } | null;
  },
  { credit: number; charge: number }
>("proration.change_with_discount_minor", ({ input, expected }) => {
  const read = (given: typeof input.old_discount): Discount[] =>
    given === null
      ? []
      : [given.percent ? percentOff(given.percent) : amountOff(minor(given.fixed_minor ?? 0))];
  const effect = swap({
    old: [aFee("PLAN", formatDecimal(minor(input.old_minor)))],
    new: [aFee("PLAN", formatDecimal(minor(input.new_minor)))],
    period: april,
    at: inApril(input.period_days - input.days_left),
    discounts: [read(input.old_discount), read(input.new_discount)],
  });
  expect([inMinor(effect.credit), inMinor(effect.charge)]).toEqual([
    expected.credit,
    expected.charge,
  ]);
});

oracle<
  {
    old: Record<string, number>;
    new: Record<string, number>;
    fixed_discount: number;
    fraction_left: string;
    report?: string;
  },
  { credits?: number[]; charges?: number[]; net?: number }
>("proration.discount_allocation_minor", ({ input, expected }) => {
  expect(input.fraction_left).toBe("15/30");
  const fees = (side: Record<string, number>) =>
    Object.entries(side).map(([sku, amount]) => aFee(sku, formatDecimal(minor(amount))));
  const off = [amountOff(minor(input.fixed_discount))];
  const { lines } = swap({
    old: fees(input.old),
    new: fees(input.new),
    period: april,
    at: inApril(15),
    discounts: [off, off],
  });
  const of = (plan: string) =>
    lines.filter((line) => line.charge.plan.plan === plan).map((line) => inMinor(line.amount));
  if (expected.net === undefined) {
    expect([of("old"), of("new")]).toEqual([expected.credits, expected.charges]);
    return;
  }
  const reported = lines.filter((line) => line.charge.sku === "seats");
  expect(reported.reduce((sum, line) => sum + inMinor(line.amount), 0)).toBe(expected.net);
});

oracle<{ unit_minor: number; seats: [number, number]; fraction_left: string }, { charge: number }>(
  "proration.seats_minor",
  ({ input, expected }) => {
    const [left, whole] = input.fraction_left.split("/").map(Number) as [number, number];
    expect(whole).toBe(30);
    const terms = someTerms({
      team: [aFee("SEAT", formatDecimal(minor(input.unit_minor)), { per: "unit" })],
    });
    const preview = previewChange(
      aSubscription("team", "2025-04-01", {
        quantities: new Map([["SEAT", decimalOf(input.seats[0])]]),
      }),
      {
        kind: "set_quantity",
        sku: "SEAT",
        quantity: decimalOf(input.seats[1]),
        when: { kind: "now" },
      },
      terms,
      inApril(30 - left),
    );
    expect(preview.kind === "changed" && inMinor(preview.effect.net)).toBe(expected.charge);
  },
);

oracle<{ unit_minor: number; quantity: number; added_on: string }, { amount: number }>(
  "proration.one_time_minor",
  ({ input, expected }) => {
    const fee = aFee("ONCE", formatDecimal(minor(input.unit_minor)), {
      kind: "one_time",
      per: "unit",
    });
    const subscription = aSubscription("plan", input.added_on, {
      quantities: new Map([["ONCE", decimalOf(input.quantity)]]),
    });
    const [charge] = chargesOf(subscription, someTerms({ plan: [fee] }), on(input.added_on));
    expect(charge && inMinor(toMoney(charge.amount, usd))).toBe(expected.amount);
  },
);

oracle<
  { period: [string, string]; added_on: string; annual_price_minor: number },
  { amount: number }
>("proration.cross_cadence_minor", ({ input, expected }) => {
  const slice = { startsAt: on(input.added_on), endsAt: on(input.period[1]) };
  const amount = portion(minor(input.annual_price_minor), shareOfNominalYear(slice, "UTC"));
  expect(inMinor(toMoney(amount, usd))).toBe(expected.amount);
});

type Upgrade = {
  old: string;
  new: string;
  day?: number;
  days_in_period?: number;
  days_used?: number | string;
  day_of_change?: number;
  days?: number | string;
  days_remaining?: string;
};
type Upgraded = {
  credit: string;
  charge: string;
  net: string;
  used?: string;
  no_proration_charge?: string;
};

/** All of them are months of thirty days; where only the day of the change is given, it is used up to its end. */
function upgrade({ input, expected }: { input: Upgrade; expected: Upgraded }) {
  expect(Number(input.days_in_period ?? input.days)).toBe(30);
  const used =
    input.days_used ??
    input.day ??
    (input.days_remaining ? 30 - Number(input.days_remaining) : (input.day_of_change ?? 0) - 1);
  const sides = {
    old: [aFee("PLAN", input.old)],
    new: [aFee("PLAN", input.new)],
    period: april,
    at: inApril(Number(used)),
  };
  const effect = swap(sides);
  expect([effect.credit, effect.charge, effect.net].map(written)).toEqual([
    expected.credit,
    expected.charge,
    expected.net,
  ]);
  if (expected.used)
    expect(cents(add(decimal(input.old), toDecimal(effect.credit)))).toBe(expected.used);
  if (expected.no_proration_charge) {
    const whole = swap({ ...sides, policy: { unit: "none" } });
    expect(written(whole.charge)).toBe(expected.no_proration_charge);
  }
}
oracle<Upgrade, Upgraded>("proration_upgrade", upgrade);
oracle<Upgrade, Upgraded>("proration_downgrade", upgrade);

oracle<
  { old: string; new: string; period_seconds: string; remaining_seconds: string },
  { credit: string; charge: string; net: string }
>("proration_per_second", ({ input, expected }) => {
  expect(Number(input.period_seconds) * 1_000_000).toBe(april.endsAt - april.startsAt);
  const effect = swap({
    old: [aFee("PLAN", input.old)],
    new: [aFee("PLAN", input.new)],
    period: april,
    at: shift(april.endsAt, -Number(input.remaining_seconds) * 1_000_000),
  });
  expect([effect.credit, effect.charge, effect.net].map(written)).toEqual([
    expected.credit,
    expected.charge,
    expected.net,
  ]);
});

oracle<
  { old: string; new: string; fixed_discount: string; fraction_remaining: string },
  { credit: string; charge: string; net: string }
>("proration_with_fixed_discount", ({ input, expected }) => {
  expect(input.fraction_remaining).toBe("0.5");
  const off = [amountOff(decimal(input.fixed_discount))];
  const effect = swap({
    old: [aFee("PLAN", input.old)],
    new: [aFee("PLAN", input.new)],
    period: april,
    at: inApril(15),
    discounts: [off, off],
  });
  expect([effect.credit, effect.charge, effect.net].map(written)).toEqual([
    expected.credit,
    expected.charge,
    expected.net,
  ]);
});

oracle<
  { old: string; new: string; tax_pct: string; fraction_remaining: string },
  { net_excl: string; tax: string; total: string }
>("proration_with_tax", ({ input, expected }) => {
  expect(input.fraction_remaining).toBe("0.5");
  const { net } = swap({
    old: [aFee("PLAN", input.old)],
    new: [aFee("PLAN", input.new)],
    period: april,
    at: inApril(15),
  });
  const tax = divide(multiply(toDecimal(net), decimal(input.tax_pct)), decimalOf(100));
  expect([written(net), cents(tax), cents(add(toDecimal(net), tax))]).toEqual([
    expected.net_excl,
    expected.tax,
    expected.total,
  ]);
});

oracle<
  { old: string; new: string; day_remaining: number; days: number },
  { exact: string; amount: string }
>("small_proration_below_processor_minimum", ({ input, expected }) => {
  const { net } = swap({
    old: [aFee("PLAN", input.old)],
    new: [aFee("PLAN", input.new)],
    period: april,
    at: inApril(input.days - input.day_remaining),
  });
  expect(written(net)).toBe(expected.amount);
});

// Cycles -----------------------------------------------------------------------------------------------------------

oracle<{ anchor: string; now: string; interval_months: number }, { start: string; end: string }>(
  "cycle.month_end_clamp",
  ({ input, expected }) => {
    const cycle: Cycle = {
      cadence: input.interval_months === 12 ? "year" : "month",
      zone: "UTC",
      anchor: { kind: "moment", at: instant(input.anchor) },
    };
    const { startsAt, endsAt } = cyclePeriodAt(cycle, instant(input.now));
    expect([startsAt, endsAt]).toEqual([instant(expected.start), instant(expected.end)]);
  },
);

oracle<{ anchor: string; count: number }, { boundaries: string[] }>(
  "billing_anchor_month_end",
  ({ input, expected }) => {
    const moment: Cycle = {
      cadence: "month",
      zone: "UTC",
      anchor: { kind: "moment", at: instant(input.anchor) },
    };
    const monthEnd: Cycle = { ...moment, anchor: anchorOnDay(31, instant(input.anchor), "UTC") };
    for (const cycle of [moment, monthEnd]) {
      const dates = Array.from({ length: input.count }, (_, n) => dayAt(boundary(cycle, n), "UTC"));
      expect(dates).toEqual(expected.boundaries);
    }
  },
);

oracle<
  {
    start: string;
    end: string | null;
    bill_through: string;
    bill_cycle_day: number;
    period_months: number;
  },
  { cycles_decimal: string }
>("proration.cycles", ({ input, expected }) => {
  // Their whole cycles are billed in advance up to the last one begun; a known end cuts what follows it.
  const startsAt = on(input.start);
  const cadence = input.period_months === 12 ? "year" : "month";
  const terms = someTerms({ plan: [aFee("PLAN", "1")] }, { cadence, proration: { unit: "day" } });
  const subscription = {
    ...aSubscription("plan", input.start, {
      startsAt,
      cadence,
      anchor: { kind: "billing_day", day: input.bill_cycle_day },
    }),
    endsAt: input.end === null ? null : on(input.end),
  };
  const charges = chargesOf(subscription, terms, on(input.bill_through));
  const cycles = sumOf(charges.map((charge) => charge.amount));
  expect(round(cycles, 9).toFixed(9)).toBe(expected.cycles_decimal);
});

oracle<
  { paid_period: [string, string]; now: string; entitlement_interval: string },
  { refund_from: string | null }
>("refund.snap_to_entitlement_reset", ({ input, expected }) => {
  const paid = span(input.paid_period);
  const months: Cycle = {
    cadence: "month",
    zone: "UTC",
    anchor: { kind: "moment", at: paid.startsAt },
  };
  const from = refundableFrom(paid, cyclePeriodsOver(months, paid), on(input.now));
  expect(from === undefined ? null : formatInstant(from).slice(0, 10)).toBe(expected.refund_from);
});

// Seats and included amounts ---------------------------------------------------------------------------------------

oracle<{ seats: number; included: number; unit_amount: string }, { amount: string }>(
  "seats",
  ({ input, expected }) => {
    const fee = aFee("SEAT", input.unit_amount, {
      per: "unit",
      includedUnits: decimalOf(input.included),
    });
    const subscription = aSubscription("plan", "2025-01-01", {
      quantities: new Map([["SEAT", decimalOf(input.seats)]]),
    });
    const [charge] = chargesOf(subscription, someTerms({ plan: [fee] }), on("2025-01-01"));
    expect(charge && formatDecimal(charge.amount)).toBe(expected.amount);
  },
);

oracle<
  { seats: string; seat_price: string; allowance_per_seat: string },
  { amount: string; allowance_total: string }
>("seats_with_entity_allowance", ({ input, expected }) => {
  const subscription = aSubscription("plan", "2025-01-01", {
    quantities: new Map([["SEAT", decimal(input.seats)]]),
  });
  const terms = someTerms({ plan: [aFee("SEAT", input.seat_price, { per: "unit" })] });
  const [charge] = chargesOf(subscription, terms, on("2025-01-01"));
  expect(charge && cents(charge.amount)).toBe(expected.amount);
  const allowance = multiply(
    subscription.phases[0].quantities.get("SEAT") ?? decimal("0"),
    decimal(input.allowance_per_seat),
  );
  expect(formatDecimal(allowance)).toBe(expected.allowance_total);
});

oracle<
  { monthly_seats: string[]; unit: string },
  { focus_rows: { PricingQuantity: string; BilledCost: string; ChargePeriodEnd: string }[] }
>("seats_in_arrears", ({ input, expected }) => {
  const terms = someTerms({
    plan: [aFee("SEAT", input.unit, { per: "unit", timing: "in_arrears" })],
  });
  let subscription = aSubscription("plan", "2025-04-01", {
    quantities: new Map([["SEAT", decimal(input.monthly_seats[0] ?? "0")]]),
  });
  input.monthly_seats.slice(1).forEach((count, i) => {
    const preview = previewChange(
      subscription,
      { kind: "set_quantity", sku: "SEAT", quantity: decimal(count), when: { kind: "now" } },
      terms,
      on(`2025-0${5 + i}-01`),
    );
    if (preview.kind === "changed") subscription = preview.subscription;
  });
  const rows = chargesOf(subscription, terms, on("2025-07-01")).map((charge) => ({
    PricingQuantity: formatDecimal(charge.segments[0]?.quantity ?? decimal("0")),
    BilledCost: formatDecimal(charge.amount),
    ChargePeriodEnd: charge.period.endsAt,
  }));
  expect(rows).toEqual(
    expected.focus_rows.map(({ PricingQuantity, BilledCost, ChargePeriodEnd }) => ({
      PricingQuantity,
      BilledCost,
      ChargePeriodEnd: instant(ChargePeriodEnd),
    })),
  );
});

oracle<
  { seats: string; unit: string },
  { focus_rows: { BilledCost: string; ChargePeriodStart: string; ChargePeriodEnd: string }[] }
>("upfront_licenses", ({ input, expected }) => {
  const terms = someTerms(
    { plan: [aFee("SEAT", input.unit, { per: "unit" })] },
    { cadence: "year" },
  );
  const subscription = aSubscription("plan", "2025-04-01", {
    cadence: "year",
    quantities: new Map([["SEAT", decimal(input.seats)]]),
  });
  const rows = chargesOf(subscription, terms, on("2025-04-01")).map((charge) => ({
    BilledCost: formatDecimal(charge.amount),
    period: charge.period,
  }));
  expect(rows).toEqual(
    expected.focus_rows.map((row) => ({
      BilledCost: row.BilledCost,
      period: { startsAt: instant(row.ChargePeriodStart), endsAt: instant(row.ChargePeriodEnd) },
    })),
  );
});

// Versions and repairs ---------------------------------------------------------------------------------------------

oracle<
  { old: { included: number; overage_unit: string }; new: { included: number }; used: number },
  { overage_line: string; remaining: number }
>("version.migration", ({ input, expected }) => {
  const [before, after] = coverByAllowance([
    { slice: april, included: decimalOf(input.old.included), used: decimalOf(input.used) },
    { slice: april, included: decimalOf(input.new.included), used: decimal("0") },
  ]);
  const overage = multiply(before?.beyond ?? decimal("0"), decimal(input.old.overage_unit));
  expect(formatDecimal(overage)).toBe(expected.overage_line);
  expect(formatDecimal(after?.remaining ?? decimal("-1"))).toBe(String(expected.remaining));
});

type Repair = {
  item: { period: [string, string]; amount: string };
  prior_item_adjustment?: string;
  change_on: string;
  new_price: string;
};

/** Their repair is our credit of unused time; never more than was paid and not yet given back. */
function repair({
  input,
  expected,
}: {
  input: Repair;
  expected: { new_item: string; repair: string; account_credit: string };
}) {
  const effect = swap({
    old: [aFee("PLAN", input.item.amount)],
    new: [aFee("PLAN", input.new_price)],
    period: span(input.item.period),
    at: on(input.change_on),
  });
  const credited = decimal((input.prior_item_adjustment ?? "0").replace("-", ""));
  const credit = capCredit(
    toDecimal(effect.credit).negated(),
    decimal(input.item.amount),
    credited,
  );
  expect([
    written(effect.charge),
    cents(credit.negated()),
    cents(subtract(credit, toDecimal(effect.charge))),
  ]).toEqual([expected.new_item, expected.repair, expected.account_credit]);
}
oracle<Repair, { new_item: string; repair: string; account_credit: string }>(
  "repair.change",
  repair,
);
oracle<Repair, { new_item: string; repair: string; account_credit: string }>(
  "repair.change_with_prior_adjustment",
  repair,
);

oracle<
  { item: { amount: string }; change_on_day: number; new_price: string },
  { new_item: string; repair: string; account_credit: string }
>("repair.change_same_day", ({ input, expected }) => {
  const year = span(["2012-05-01", "2013-05-01"]);
  const effect = swap({
    old: [aFee("PLAN", input.item.amount)],
    new: [aFee("PLAN", input.new_price)],
    period: year,
    at: shift(year.startsAt, input.change_on_day * day),
    restart: true,
  });
  expect([
    written(effect.charge),
    written(effect.credit),
    cents(toDecimal(effect.net).negated()),
  ]).toEqual([expected.new_item, expected.repair, expected.account_credit]);
});

oracle<
  {
    previous: { period: [string, string]; full_price: string; amount: string };
    change_on: string;
    new_price: string;
  },
  { new_item: string; repair: string; credit_used: string }
>("repair.change_of_change", ({ input, expected }) => {
  // The item before last began in the middle of the month: what is left of it is counted from the whole month.
  const month = span(["2012-05-01", "2012-06-01"]);
  const left = (from: string) =>
    shareOf("second", { startsAt: on(from), endsAt: month.endsAt }, month, "UTC");
  const charge = toMoney(portion(decimal(input.new_price), left(input.change_on)), usd);
  const keeps = toMoney(
    subtract(
      portion(decimal(input.previous.full_price), left(input.previous.period[0])),
      portion(decimal(input.previous.full_price), left(input.change_on)),
    ),
    usd,
  );
  const credit = subtract(decimal(input.previous.amount), toDecimal(keeps));
  expect([
    written(charge),
    cents(credit.negated()),
    cents(subtract(credit, toDecimal(charge))),
  ]).toEqual([expected.new_item, expected.repair, expected.credit_used]);
});
