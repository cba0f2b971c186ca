import { expect } from "vitest";
import { address, book, imbalance, move, moneyAmount } from "../../src/domain/ledger/index.ts";
import {
  expectedBreakage,
  shareUpTo,
  straightLine,
  valueBetween,
} from "../../src/domain/revenue/index.ts";
import { allocate } from "../../src/kit/allocate.ts";
import { currency } from "../../src/kit/currency.ts";
import {
  add,
  decimal,
  decimalOf,
  divide,
  formatDecimal,
  multiply,
  subtract,
  sumOf,
} from "../../src/kit/decimal.ts";
import {
  formatMoney,
  type Money,
  money,
  parseMoney,
  sumMoney,
  toMoney,
} from "../../src/kit/money.ts";
import { type Instant, instant, period } from "../../src/kit/time.ts";
import { oracle } from "./cases.ts";

const usd = currency("USD");
const minor = (value: number) => money(usd, BigInt(value));
const fraction = (text: string) => {
  const [top = "0", bottom = "1"] = text.split("/");
  return divide(decimal(top), decimal(bottom));
};

oracle<{ total: number; shares: string[] }, { parts: number[] }>(
  "allotment",
  ({ input, expected }) => {
    const parts = allocate(minor(input.total), input.shares.map(fraction));
    expect(parts.map((part) => Number(part.minor))).toEqual(expected.parts);
  },
);

oracle<{ total: number; shares: { to: string; share: string }[] }, Record<string, number>>(
  "allotment.remaining_first",
  ({ input, expected }) => {
    const named = sumOf(
      input.shares.filter((one) => one.share !== "remaining").map((one) => fraction(one.share)),
    );
    const weights = input.shares.map((one) =>
      one.share === "remaining" ? subtract(decimal("1"), named) : fraction(one.share),
    );
    const parts = allocate(minor(input.total), weights);
    expect(
      Object.fromEntries(input.shares.map((one, index) => [one.to, Number(parts[index]?.minor)])),
    ).toEqual(expected);
  },
);

oracle<
  { amount: number; sources: { id: string; balance: number; share: string }[] },
  Record<string, number>
>("ledger.ordered_sources", ({ input, expected }) => {
  const parts = allocate(
    minor(input.amount),
    input.sources.map((one) => fraction(one.share)),
  );
  const taken = input.sources.map((one, index) => [
    one.id,
    Math.min(one.balance, Number(parts[index]?.minor)),
  ]);
  expect(Object.fromEntries(taken)).toEqual(expected);
});

oracle<
  { from_minor: number; from: string; to: string; rate: string; fee_minor: number },
  { to_minor: number; fee_transfer_minor: number }
>("fx.linked_transfers", ({ input, expected }) => {
  const given = money(currency(input.from), BigInt(input.from_minor));
  const fee = money(given.currency, BigInt(input.fee_minor));
  const got = toMoney(
    multiply(decimal(formatMoney(given)), decimal(input.rate)),
    currency(input.to),
  );
  const desk = address("cash", "fx-desk");
  // Two legs over the desk's accounts, one per currency, and the fee: one transaction, each currency zero by itself.
  const booked = book({
    id: "txn_1",
    cause: "fx",
    at: 0 as Instant,
    description: "exchange",
    policyVersion: 1,
    reverses: null,
    postings: [
      ...move(address("cash", "ours"), desk, moneyAmount(given)),
      ...move(desk, address("cash", "theirs"), moneyAmount(got)),
      ...move(address("cash", "ours"), address("commission", "fx-desk"), moneyAmount(fee)),
    ],
  });
  expect(booked.postings).toHaveLength(6);
  expect([Number(got.minor), Number(fee.minor)]).toEqual([
    expected.to_minor,
    expected.fee_transfer_minor,
  ]);
});

oracle<{ trns_amount: string; spl_amounts: string[] }, { sum: string }>(
  "iif_balance",
  ({ input, expected }) => {
    const amounts = [input.trns_amount, ...input.spl_amounts].map((text) => parseMoney(text, usd));
    const account = address("receivable", "acc_1");
    expect(
      imbalance(amounts.map((amount) => ({ account, amount: moneyAmount(amount) }))).size,
    ).toBe(0);
    expect(formatMoney(sumMoney(usd, amounts))).toBe(expected.sum);
  },
);

const firstOfMonth = (month: string, plus = 0): Instant => {
  const [year, no] = month.split("-").map(Number) as [number, number];
  return (Date.UTC(year, no - 1 + plus, 1) * 1000) as Instant;
};

oracle<{ amount: string; period: [string, string] }, Record<string, string>>(
  "revrec_ratable_daily",
  ({ input, expected }) => {
    const span = period(
      instant(`${input.period[0]}T00:00:00Z`),
      instant(`${input.period[1]}T00:00:00Z`),
    );
    const months = Object.keys(expected).filter((key) => /^\d{4}-\d{2}$/.test(key));
    for (const month of months) {
      const [earned] = straightLine(parseMoney(input.amount, usd), span, [
        firstOfMonth(month),
        firstOfMonth(month, 1),
      ]);
      expect(formatMoney(earned as Money)).toBe(expected[month]);
    }
  },
);

oracle<
  { amount: string; start: string; end: string; method: string },
  { recognised: string[]; sum: string; months: string[] }
>("revrec_amortisation_granularity", ({ input, expected }) => {
  const span = period(instant(input.start), instant(input.end));
  const bounds = [
    span.startsAt,
    ...expected.months.slice(1).map((month) => firstOfMonth(month)),
    span.endsAt,
  ];
  const parts = straightLine(parseMoney(input.amount, usd), span, bounds);
  expect(formatMoney(sumMoney(usd, parts))).toBe(expected.sum);
  expect(parts.map(formatMoney)).toEqual(expected.recognised);
});

type Usage = { date: string; units: string };
oracle<
  { unit_amount: string; usage: Usage[] },
  { journal: { month: string; debit: string; credit: string; amount: string }[] }
>("revrec_usage_unbilled", ({ input, expected }) => {
  for (const { month, amount } of expected.journal) {
    const used = sumOf(
      input.usage.filter((one) => one.date.startsWith(month)).map((one) => decimal(one.units)),
    );
    const earned = toMoney(multiply(used, decimal(input.unit_amount)), usd);
    const { postings } = book({
      id: "txn_1",
      cause: month,
      at: firstOfMonth(month, 1),
      description: "usage",
      policyVersion: 1,
      reverses: null,
      postings: move(
        address("revenue", "usage"),
        address("unbilled", "acc_1"),
        moneyAmount(earned),
      ),
    });
    expect(postings.map((one) => one.account)).toEqual([
      "assets:unbilled:acc_1",
      "income:revenue:usage",
    ]);
    expect(formatMoney(earned)).toBe(amount);
  }
});

oracle<
  { sold: string; expected_breakage_pct: string },
  { expected_breakage: string; expected_redeemed: string }
>("revrec_breakage_expected", ({ input, expected }) => {
  const sold = parseMoney(input.sold, usd);
  const lost = expectedBreakage(sold, decimal(input.expected_breakage_pct));
  expect(formatMoney(lost)).toBe(expected.expected_breakage);
  expect(formatMoney({ ...sold, minor: sold.minor - lost.minor })).toBe(expected.expected_redeemed);
});

oracle<
  { prepaid: string; contracted_unit: string; monthly_usage_units: string[] },
  {
    focus_rows: { row: string; BilledCost: string; EffectiveCost: string }[];
    sum_effective: string;
  }
>("prepaid_commitment_drawdown", ({ input, expected }) => {
  const paid = parseMoney(input.prepaid, usd);
  const size = decimal(input.prepaid);
  let gone = decimal("0");
  const effective = input.monthly_usage_units.map((units) => {
    const after = add(gone, multiply(decimal(units), decimal(input.contracted_unit)));
    const value = valueBetween(paid, size, gone, after);
    gone = after;
    return value;
  });
  const breakage = valueBetween(paid, size, gone, size);
  const written = [...effective, breakage].map((value) =>
    formatDecimal(decimal(formatMoney(value))),
  );
  expect(written).toEqual(expected.focus_rows.slice(1).map((row) => row.EffectiveCost));
  expect(formatDecimal(decimal(formatMoney(sumMoney(usd, [...effective, breakage]))))).toBe(
    expected.sum_effective,
  );
});

oracle<
  { purchase_normalised_units: string; purchase_cost: string; resources: { units: string }[] },
  { effective_each: string; sum_effective: string }
>("commitment_normalised_units", ({ input, expected }) => {
  const shares = allocate(
    parseMoney(input.purchase_cost, usd),
    input.resources.map((one) => decimal(one.units)),
  );
  for (const share of shares) expect(formatMoney(share)).toBe(expected.effective_each);
  expect(formatMoney(sumMoney(usd, shares))).toBe(expected.sum_effective);
});

oracle<
  { hourly_commitment: string; hours: string; upfront_pct: string },
  { upfront_billed: string; recurring_per_hour: string }
>("commitment_purchase_partial_upfront", ({ input, expected }) => {
  const hourly = decimal(input.hourly_commitment);
  const total = toMoney(multiply(hourly, decimal(input.hours)), usd);
  const upfront = money(usd, shareUpTo(total, decimal(input.upfront_pct), decimalOf(100)));
  expect(formatMoney(upfront)).toBe(expected.upfront_billed);
  const rest = subtract(decimal(formatMoney(total)), decimal(formatMoney(upfront)));
  expect(formatMoney(toMoney(divide(rest, decimal(input.hours)), usd))).toBe(
    expected.recurring_per_hour,
  );
});
