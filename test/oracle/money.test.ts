import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { allocate } from "../../src/kit/allocate.ts";
import { currency, currencyCodes, isCurrency, minorDigits } from "../../src/kit/currency.ts";
import { decimal, decimalOf, multiply, round } from "../../src/kit/decimal.ts";
import { formatMoney, parseMoney, sumMoney, toMoney } from "../../src/kit/money.ts";
import { dayAt, daysBetween, instant } from "../../src/kit/time.ts";
import { oracle, sharedData } from "./cases.ts";

oracle<{ default: number }, Record<string, string[]>>("currency_exponents", (one) => {
  const listed = new Map(
    Object.entries(one.expected).flatMap(([digits, codes]) =>
      codes.map((code): [string, number] => [code, Number(digits)]),
    ),
  );
  expect([...listed.keys()].filter((code) => !isCurrency(code))).toEqual([]);
  for (const code of currencyCodes) {
    expect([code, minorDigits(code)]).toEqual([code, listed.get(code) ?? one.input.default]);
  }
});

oracle<
  { currency: string; amount_major?: string; payout_available?: string },
  { iso4217_minor?: string; payout_amount?: string }
>("minor_units", ({ input, expected }) => {
  const amount = parseMoney(
    input.amount_major ?? input.payout_available ?? "",
    currency(input.currency),
  );
  expect(amount.minor.toString()).toBe(expected.iso4217_minor ?? expected.payout_amount);
});

oracle<{ amount: string; currency: string }, { minor: number }>(
  "money.minor_units",
  ({ input, expected }) => {
    expect(parseMoney(input.amount, currency(input.currency)).minor).toBe(BigInt(expected.minor));
  },
);

oracle<{ amount: string; currency: string }, { rounded: string }>(
  "money.round",
  ({ input, expected }) => {
    const rounded = toMoney(decimal(input.amount), currency(input.currency));
    expect(rounded).toEqual(parseMoney(expected.rounded, currency(input.currency)));
  },
);

oracle<{ lines: { count: number; amount: string }; currency: string }, { total: string }>(
  "money.round_per_line",
  ({ input, expected }) => {
    const code = currency(input.currency);
    const line = toMoney(decimal(input.lines.amount), code);
    const total = sumMoney(
      code,
      Array.from({ length: input.lines.count }, () => line),
    );
    expect(formatMoney(total)).toBe(expected.total);
  },
);

// A currency for each number of digits that the cases use.
const byDigits: Record<number, string> = { 0: "JPY", 2: "USD", 3: "KWD", 4: "CLF" };

oracle<{ total: string; weights: string[]; decimals: number }, { parts: string[] }>(
  "money.allocate_largest_remainder",
  ({ input, expected }) => {
    const code = currency(byDigits[input.decimals] ?? "");
    const parts = allocate(parseMoney(input.total, code), input.weights.map(decimal));
    // We keep a part of nothing in its place, so that parts and weights stay side by side.
    expect(parts.filter((part) => part.minor !== 0n).map(formatMoney)).toEqual(expected.parts);
  },
);

oracle<{ value: string }, { rounded: number }>(
  "rounding.half_away_from_zero",
  ({ input, expected }) => {
    expect(round(decimal(input.value), 0)).toEqual(decimalOf(expected.rounded));
  },
);

oracle<{ currency: string; qty: string; unit: string }, { sum: string }>(
  "unit_price_precision",
  ({ input, expected }) => {
    const exact = multiply(decimal(input.qty), decimal(input.unit));
    expect(formatMoney(toMoney(exact, currency(input.currency)))).toBe(expected.sum);
  },
);

type Dates = { from: string; to: string; timezone: string };
const localDays = ({ from, to, timezone }: Dates) =>
  daysBetween(dayAt(instant(from), timezone), dayAt(instant(to), timezone));

oracle<Dates, { days: number }>("calendar.days_between_local_dates", ({ input, expected }) => {
  expect(localDays(input)).toBe(expected.days);
});

oracle<Dates, { days: number }>(
  "calendar.days_between_local_dates.disputed",
  ({ input, expected }) => {
    expect(localDays(input)).toBe(expected.days);
  },
);

const codes = sharedData("codes/iso4217_codes-all.csv");

describe.runIf(codes)("the published list of ISO 4217", () => {
  const text = codes ? readFileSync(codes, "utf8") : "";
  // Entity names may hold quoted commas; the four columns at the end never do.
  const rows = text
    .trim()
    .split(/\r?\n/)
    .slice(1)
    .map((line) => line.split(",").slice(-4))
    .map(([code, , digits, withdrawn]) => ({ code, digits, withdrawn }));

  // The list is of 2014. What the standard changed since then, amendment by amendment.
  const gone = "BGN BYR CUC EEK GWP HRK LTL LVL MRO SLL STD VEF ZMK ZWL ANG";
  const redenominated = new Set<string>(gone.split(" "));

  test("currencies in use have the digits of the standard", () => {
    const wrong = rows.filter(
      ({ code = "", digits = "", withdrawn }) =>
        !withdrawn &&
        /^\d$/.test(digits) &&
        !redenominated.has(code) &&
        !(isCurrency(code) && minorDigits(code) === Number(digits)),
    );
    expect(wrong).toEqual([]);
  });

  test("withdrawn currencies, and units that are not money, are refused", () => {
    const inUse = new Set(rows.filter((row) => !row.withdrawn).map((row) => row.code));
    const refused = rows.filter(({ code = "", digits = "", withdrawn }) =>
      withdrawn ? !inUse.has(code) : !/^\d$/.test(digits),
    );
    const taken = refused.map((row) => row.code ?? "").filter(isCurrency);
    expect(taken).toEqual([]);
  });
});
