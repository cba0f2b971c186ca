import {
  add,
  type Decimal,
  decimalOf,
  formatDecimal,
  isWhole,
  longDecimal,
  subtract,
} from "../../kit/decimal.ts";

/**
 * A count of units, exact. A plain number is always a whole one that Node holds exactly, so that the ingest path adds and
 * compares without making objects; anything with a fraction, or beyond 2^53, is a Decimal.
 */
export type Units = number | Decimal;

const plain = /^-?\d{1,15}$/;

/** Read what Postgres wrote, sums of any length, or what has been found to be a number: whole ones become plain numbers. */
export function readUnits(text: string): Units {
  return plain.test(text) ? Number(text) : unitsOf(longDecimal(text));
}

/** The shortest form of a decimal. */
export function unitsOf(value: Decimal): Units {
  if (!isWhole(value)) return value;
  const whole = Number(value.toFixed());
  return Number.isSafeInteger(whole) ? whole : value;
}

export const decimalOfUnits = (value: Units): Decimal =>
  typeof value === "number" ? decimalOf(value) : value;

export const writeUnits = (value: Units): string =>
  typeof value === "number" ? String(value) : formatDecimal(value);

export function addUnits(a: Units, b: Units): Units {
  if (typeof a === "number" && typeof b === "number") {
    const sum = a + b;
    if (Number.isSafeInteger(sum)) return sum;
  }
  return unitsOf(add(decimalOfUnits(a), decimalOfUnits(b)));
}

export function subtractUnits(a: Units, b: Units): Units {
  if (typeof a === "number" && typeof b === "number") {
    const difference = a - b;
    if (Number.isSafeInteger(difference)) return difference;
  }
  return unitsOf(subtract(decimalOfUnits(a), decimalOfUnits(b)));
}

export function compareUnits(a: Units, b: Units): number {
  if (typeof a === "number" && typeof b === "number") return a - b;
  return decimalOfUnits(a).comparedTo(decimalOfUnits(b));
}

export const leastUnits = (a: Units, b: Units): Units => (compareUnits(a, b) <= 0 ? a : b);
export const isNoUnits = (value: Units): boolean =>
  typeof value === "number" ? value === 0 : value.isZero();
export const hasUnits = (value: Units): boolean =>
  typeof value === "number" ? value > 0 : value.greaterThan(0);

export function sumUnits(values: Iterable<Units>): Units {
  let total: Units = 0;
  for (const value of values) total = addUnits(total, value);
  return total;
}
