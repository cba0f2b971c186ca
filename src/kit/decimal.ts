import { Decimal as DecimalJs } from "decimal.js";

/**
 * Exact decimal numbers for quantities, rates and amounts that are not yet rounded.
 *
 * One clone of decimal.js, 100 significant digits, never exponent notation on output. Additions and multiplications of
 * anything a price or an event can hold (40 digits each) stay exact; only `divide` rounds, at the 100th digit, half up.
 */
const Exact = DecimalJs.clone({
  precision: 100,
  rounding: DecimalJs.ROUND_HALF_UP,
  toExpNeg: -9e15,
  toExpPos: 9e15,
  minE: -9e15,
  maxE: 9e15,
});

declare const decimalBrand: unique symbol;
export type Decimal = DecimalJs & { readonly [decimalBrand]?: never };

/** The written form we accept: optional minus, digits, optional fraction. No exponent, no plus, no spaces. */
const written = /^-?\d{1,20}(\.\d{1,20})?$/;

export class DecimalSyntaxError extends Error {
  override readonly name = "DecimalSyntaxError";
  constructor(text: string) {
    super(
      `"${text.slice(0, 60)}" is not a decimal number: write digits with an optional fraction, as in "12.50"`,
    );
  }
}

/** Whether a text is a decimal number in the form we accept. */
export function isDecimalText(text: string): boolean {
  return written.test(text);
}

/** Read a decimal from text. Throws `DecimalSyntaxError` on anything but plain digits. */
export function decimal(text: string): Decimal {
  if (!written.test(text)) throw new DecimalSyntaxError(text);
  return new Exact(text);
}

/** Read a number that our own database worked out: plain digits too, but as many as it takes. */
export function longDecimal(text: string): Decimal {
  if (!/^-?\d+(\.\d+)?$/.test(text)) throw new DecimalSyntaxError(text);
  return new Exact(text);
}

/** A decimal from a whole number that Node holds exactly. */
export function decimalOf(whole: number | bigint): Decimal {
  if (typeof whole === "number" && !Number.isSafeInteger(whole))
    throw new DecimalSyntaxError(String(whole));
  return new Exact(whole.toString());
}

export const zero: Decimal = new Exact(0);
export const one: Decimal = new Exact(1);

/** Write without exponent and without trailing zeros: the one form used in JSON, in hashes and in Postgres. */
export function formatDecimal(value: Decimal): string {
  const text = value.toFixed();
  return text === "-0" ? "0" : text;
}

export const add = (a: Decimal, b: Decimal): Decimal => a.plus(b);
export const subtract = (a: Decimal, b: Decimal): Decimal => a.minus(b);
export const multiply = (a: Decimal, b: Decimal): Decimal => a.times(b);
export const negate = (a: Decimal): Decimal => (a.isZero() ? zero : a.negated());
export const absolute = (a: Decimal): Decimal => a.abs();
/** Divide, rounded half up at the 100th significant digit. Throws on division by zero. */
export function divide(a: Decimal, b: Decimal): Decimal {
  if (b.isZero()) throw new RangeError("division by zero");
  return a.dividedBy(b);
}
export const compare = (a: Decimal, b: Decimal): number => a.comparedTo(b);
export const equal = (a: Decimal, b: Decimal): boolean => a.equals(b);
export const isZero = (a: Decimal): boolean => a.isZero();
export const isPositive = (a: Decimal): boolean => a.greaterThan(0);
export const isNegative = (a: Decimal): boolean => a.lessThan(0);
export const isWhole = (a: Decimal): boolean => a.isInteger();
export const least = (a: Decimal, b: Decimal): Decimal => (a.lessThan(b) ? a : b);
export const greatest = (a: Decimal, b: Decimal): Decimal => (a.lessThan(b) ? b : a);
export const sumOf = (values: Iterable<Decimal>): Decimal => {
  let total: Decimal = zero;
  for (const value of values) total = total.plus(value);
  return total;
};

/** How a number is cut to fewer digits. `half_away` is the house rule for money; the rest are for outside formats. */
export type RoundingMode = "half_away" | "half_even" | "up" | "down" | "ceiling" | "floor";

const modes: Record<RoundingMode, DecimalJs.Rounding> = {
  half_away: DecimalJs.ROUND_HALF_UP,
  half_even: DecimalJs.ROUND_HALF_EVEN,
  up: DecimalJs.ROUND_UP,
  down: DecimalJs.ROUND_DOWN,
  ceiling: DecimalJs.ROUND_CEIL,
  floor: DecimalJs.ROUND_FLOOR,
};

/** Round to a number of digits after the point (negative digits round to tens, hundreds …). */
export function round(value: Decimal, digits: number, mode: RoundingMode = "half_away"): Decimal {
  if (digits >= 0) return value.toDecimalPlaces(digits, modes[mode]);
  const scale = new Exact(10).pow(-digits);
  return value.dividedBy(scale).toDecimalPlaces(0, modes[mode]).times(scale);
}

/** The whole number this decimal is. Throws when it has a fraction. */
export function toBigInt(value: Decimal): bigint {
  if (!value.isInteger()) throw new RangeError(`${value.toFixed()} is not a whole number`);
  return BigInt(value.toFixed());
}
