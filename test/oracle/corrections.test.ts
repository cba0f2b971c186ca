import { expect } from "vitest";
import { leftOf } from "../../src/domain/corrections/index.ts";
import { type Charge, differences } from "../../src/domain/invoicing/index.ts";
import { currency } from "../../src/kit/currency.ts";
import { type Decimal, decimal, multiply, subtract } from "../../src/kit/decimal.ts";
import {
  formatMoney,
  type Money,
  money,
  negated,
  parseMoney,
  sumMoney,
  toMoney,
} from "../../src/kit/money.ts";
import { packagesOf } from "../../src/domain/rating/index.ts";
import { day, formatInstant, instant, shift } from "../../src/kit/time.ts";
import { oracle } from "./cases.ts";

const usd = currency("USD");
const dollars = (text: string): Money => parseMoney(text, usd);
const none = money(usd, 0n);

/** What may be given back when somebody asks for an amount. */
const given = (asked: Money, left: Money): Money =>
  asked.minor <= 0n ? none : asked.minor < left.minor ? asked : left;

oracle<
  { potential_credit: string; original_amount_paid: string; previous_credits: string },
  { credit: string }
>("proration.credit_cap", ({ input, expected }) => {
  const left = leftOf(dollars(input.original_amount_paid), dollars(input.previous_credits));
  expect(given(dollars(input.potential_credit), left)).toEqual(dollars(expected.credit));
});

oracle<{ charged: string; refunds: string[] }, { refundable: string }>(
  "refund.remaining_on_line",
  ({ input, expected }) => {
    const refunded = negated(sumMoney(usd, input.refunds.map(dollars)));
    expect(leftOf(dollars(input.charged), refunded)).toEqual(dollars(expected.refundable));
  },
);

oracle<{ charged: string; already_refunded: string }, { credit: string }>(
  "refund.from_stored_line",
  ({ input, expected }) => {
    const left = leftOf(dollars(input.charged), dollars(input.already_refunded));
    expect(left).toEqual(dollars(expected.credit));
  },
);

oracle<
  { unit_amount: string; period1_billed: string; period1_now: string; cumulative_p2: string },
  { period1_correction: string; period2: string }
>("late_usage_period_preserving", ({ input, expected }) => {
  const [january, february] = ["2025-01", "2025-02"].map((month, i) => ({
    cause: `usage:API:${month}`,
    period: {
      startsAt: instant(`2025-0${i + 1}-01T00:00:00Z`),
      endsAt: instant(`2025-0${i + 2}-01T00:00:00Z`),
    },
  })) as [Slot, Slot];
  const unit = decimal(input.unit_amount);
  const first = chargeOf(january, decimal(input.period1_billed), unit);
  const existing = { ...first, amountMinor: toMoney(first.unrounded, usd).minor };
  const now = chargeOf(january, decimal(input.period1_now), unit);
  const second = subtract(decimal(input.cumulative_p2), decimal(input.period1_now));
  const lines = differences([now, chargeOf(february, second, unit)], [existing], usd);
  expect(lines.map((line) => [line.cause, line.basis, formatMoney(line.amount)])).toEqual([
    [january.cause, "restatement", expected.period1_correction],
    [february.cause, "charge", expected.period2],
  ]);
});

oracle<
  {
    records: { date: string; qty: number }[];
    block_size?: number;
    block_price?: string;
  },
  { lines: { service_month: string; amount: string }[] }
>("late_usage.window", ({ input, expected }) => {
  // Nothing was billed for the month so far; whatever arrived is a line of its own month.
  const charges = input.records.map(({ date, qty }) => {
    const startsAt = instant(`${date.slice(0, 7)}-01T00:00:00Z`);
    const slot = { cause: `usage:API:${date}`, period: { startsAt, endsAt: shift(startsAt, day) } };
    const blocks = packagesOf(decimal(String(qty)), decimal(String(input.block_size ?? 1)));
    return chargeOf(slot, blocks, decimal(input.block_price ?? "1"));
  });
  const lines = differences(charges, [], usd).map((line) => ({
    service_month: formatInstant(line.period.startsAt).slice(0, 7),
    amount: formatMoney(line.amount),
  }));
  expect(lines).toEqual(expected.lines);
});

type Slot = Pick<Charge, "cause" | "period">;

function chargeOf(slot: Slot, quantity: Decimal, unitAmount: Decimal): Charge {
  const amount = multiply(quantity, unitAmount);
  return {
    ...slot,
    usageType: "usage",
    skuCode: "API",
    description: "API",
    meterKey: "calls",
    unit: "call",
    quantity,
    unrounded: amount,
    segments: [
      {
        quantity,
        unitAmount,
        amount,
        because: "",
        dimensions: "{}",
        priceId: "prc_1",
        slice: slot.period,
      },
    ],
    measured: [],
  };
}
