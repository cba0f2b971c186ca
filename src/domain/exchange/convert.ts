import type { Currency } from "../../kit/currency.ts";
import { type Decimal, isPositive, multiply } from "../../kit/decimal.ts";
import { type Money, plus, nothing, toDecimal, toMoney } from "../../kit/money.ts";
import { addDays, type Day } from "../../kit/time.ts";

/** A rate that somebody published and we recorded: one unit of `from` is `rate` units of `to` on that day. */
export type FxRate = {
  readonly from: Currency;
  readonly to: Currency;
  readonly on: Day;
  readonly rate: Decimal;
  readonly source: string;
};

/** An amount in another currency, with what made it so: nothing is converted without saying by which rate and of which day. */
export type Conversion = {
  readonly amount: Money;
  readonly original: Money;
  readonly rate: FxRate;
};

export type RateFound =
  | { readonly kind: "rate"; readonly rate: FxRate }
  | { readonly kind: "missing"; readonly because: string };

/** Banks publish no rate on weekends and holidays: the last one counts, but not for longer than this. */
const staleAfterDays = 7;

/**
 * The rate of a day, or the last one published in the seven days before. Only rates recorded in this direction: the inverse
 * of a rounded rate is another rate, and nobody published it.
 */
export function rateOn(rates: readonly FxRate[], from: Currency, to: Currency, on: Day): RateFound {
  const oldest = addDays(on, -staleAfterDays);
  let best: FxRate | undefined;
  for (const rate of rates) {
    if (rate.from !== from || rate.to !== to || rate.on > on || rate.on < oldest) continue;
    if (!best || rate.on > best.on) best = rate;
  }
  if (best && isPositive(best.rate)) return { kind: "rate", rate: best };
  return {
    kind: "missing",
    because: `no rate from ${from} to ${to} is recorded for ${on} or the ${staleAfterDays} days before: record one`,
  };
}

/** Convert by a recorded rate, rounded once to the target's minor unit, half away from zero. */
export function convert(amount: Money, rate: FxRate): Conversion {
  if (amount.currency !== rate.from)
    throw new RangeError(`a rate from ${rate.from} cannot convert ${amount.currency}`);
  return {
    amount: toMoney(multiply(toDecimal(amount), rate.rate), rate.to),
    original: amount,
    rate,
  };
}

export type SumIn =
  | { readonly kind: "sum"; readonly total: Money; readonly conversions: readonly Conversion[] }
  | { readonly kind: "missing"; readonly because: string };

/** Add amounts of several currencies in one of them, by the rates of one day; refuses when any rate is missing. */
export function sumIn(
  target: Currency,
  amounts: readonly Money[],
  rates: readonly FxRate[],
  on: Day,
): SumIn {
  let total = nothing(target);
  const conversions: Conversion[] = [];
  for (const amount of amounts) {
    if (amount.currency === target) {
      total = plus(total, amount);
      continue;
    }
    const found = rateOn(rates, amount.currency, target, on);
    if (found.kind === "missing") return found;
    const conversion = convert(amount, found.rate);
    conversions.push(conversion);
    total = plus(total, conversion.amount);
  }
  return { kind: "sum", total, conversions };
}
