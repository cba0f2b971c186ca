import { type Currency, minorDigits } from "./currency.ts";
import {
  type Decimal,
  decimal,
  formatDecimal,
  longDecimal,
  multiply,
  type RoundingMode,
  round,
  toBigInt,
} from "./decimal.ts";

/** An amount that has been rounded and can be posted: whole minor units of one currency. */
export type Money = { readonly currency: Currency; readonly minor: bigint };

export class CurrencyMismatchError extends Error {
  override readonly name = "CurrencyMismatchError";
  constructor(left: Currency, right: Currency) {
    super(`${left} and ${right} cannot be added: convert with a recorded rate first`);
  }
}

/** Money from whole minor units. */
export const money = (code: Currency, minor: bigint): Money => ({ currency: code, minor });
/** Whether an amount can be stored and posted: 64 bits of minor units. Sums on the way may be larger. */
export const isPostable = ({ minor }: Money): boolean => minor < 2n ** 63n && minor > -(2n ** 63n);
export const nothing = (code: Currency): Money => ({ currency: code, minor: 0n });

/**
 * The one door from an exact amount (major units) to Money: rounds to the currency's minor unit, half away from zero
 * unless an outside format asks otherwise.
 */
export function toMoney(amount: Decimal, code: Currency, mode: RoundingMode = "half_away"): Money {
  const digits = minorDigits(code);
  const rounded = round(amount, digits, mode);
  return { currency: code, minor: toBigInt(multiply(rounded, decimal(`1${"0".repeat(digits)}`))) };
}

/** The amount in major units as an exact decimal. */
export function toDecimal(value: Money): Decimal {
  return longDecimal(formatMoney(value));
}

/** Major units with exactly the currency's digits: "12.30", "1235" for JPY, "0.005" for KWD. */
export function formatMoney(value: Money): string {
  const digits = minorDigits(value.currency);
  const negative = value.minor < 0n;
  const text = (negative ? -value.minor : value.minor).toString().padStart(digits + 1, "0");
  const whole = text.slice(0, text.length - digits);
  const fraction = digits > 0 ? `.${text.slice(text.length - digits)}` : "";
  return `${negative ? "-" : ""}${whole}${fraction}`;
}

/** Read major units; refuses more digits than the currency has, because that would be silent rounding. */
export function parseMoney(text: string, code: Currency): Money {
  const amount = decimal(text);
  if (amount.decimalPlaces() > minorDigits(code)) {
    throw new RangeError(
      `${formatDecimal(amount)} has more digits than ${code} allows (${minorDigits(code)})`,
    );
  }
  return toMoney(amount, code);
}

function same(a: Money, b: Money): void {
  if (a.currency !== b.currency) throw new CurrencyMismatchError(a.currency, b.currency);
}

export function plus(a: Money, b: Money): Money {
  same(a, b);
  return { currency: a.currency, minor: a.minor + b.minor };
}

export function minus(a: Money, b: Money): Money {
  same(a, b);
  return { currency: a.currency, minor: a.minor - b.minor };
}

export const negated = (a: Money): Money => ({ currency: a.currency, minor: -a.minor });

/** Sum of amounts of one currency; an empty list is nothing of that currency. */
export function sumMoney(code: Currency, amounts: Iterable<Money>): Money {
  let total = nothing(code);
  for (const amount of amounts) total = plus(total, amount);
  return total;
}

export function compareMoney(a: Money, b: Money): number {
  same(a, b);
  return a.minor < b.minor ? -1 : a.minor > b.minor ? 1 : 0;
}
