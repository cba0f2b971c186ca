import type { Meter, MeterFilter } from "../catalog/index.ts";
import { fraction, isBelow, nought, type Rational, rational } from "./rational.ts";

// A second reading of events, which shares nothing with the one that ingest counts by.

type Data = Readonly<Record<string, unknown>>;

/** What the sender wrote under a name; undefined when it is not there or null. */
const under = (data: unknown, name: string): unknown => {
  if (typeof data !== "object" || data === null || !Object.hasOwn(data, name)) return undefined;
  return (data as Record<string, unknown>)[name] ?? undefined;
};

/** A text, a number in plain digits, or a truth value as text. Undefined for lists and objects. */
function plain(value: unknown): string | undefined {
  if (typeof value === "string") return value;
  if (typeof value === "boolean") return value ? "true" : "false";
  return typeof value === "number" ? digitsOf(value) : undefined;
}

/** The digits of a number of at most 15 of them, which a float keeps: without exponent. */
function digitsOf(value: number): string {
  const [digits = "", exponent] = String(value).split("e-");
  if (exponent === undefined) return digits;
  const [, sign = "", whole = "", after = ""] = /^(-?)(\d+)\.?(\d*)$/.exec(digits) ?? [];
  return `${sign}0.${"0".repeat(Number(exponent) - whole.length)}${whole}${after}`;
}

/** What stands under a name of the data, as plain text. */
export const textIn = (data: Data, name: string): string | undefined => plain(under(data, name));

/** Whether all filters of a meter let an event of its type through. */
export const isWanted = (meter: Meter, data: Data): boolean =>
  meter.filters.every((filter) => passes(filter, data));

function passes({ property, op, values }: MeterFilter, data: Data): boolean {
  const value = under(data, property);
  if (value === undefined) return op === "ne" || op === "not_in";
  const isAmong = values.includes(plain(value) ?? JSON.stringify(value));
  return op === "exists" || isAmong === (op === "eq" || op === "in");
}

const decimalDigits = /^-?\d{1,20}(\.\d{1,20})?$/;
const wholeDigits = /^-?\d{1,20}$/;

/** What an event counts for: undefined when the meter cannot read it. */
export function readValue(meter: Meter, data: Data, isCorrection: boolean): Rational | undefined {
  if (meter.aggregation === "count" || meter.aggregation === "unique")
    return rational(isCorrection ? -1n : 1n);
  const text = textIn(data, meter.valueProperty);
  const form = meter.valueKind === "integer" ? wholeDigits : decimalDigits;
  if (text === undefined || !form.test(text)) return undefined;
  const value = fraction(text);
  return isBelow(value, nought) && !meter.allowNegative && !isCorrection ? undefined : value;
}

/** Those of the dimensions asked for that the meter declares and the event carries. */
export function seenDimensions(
  meter: Meter,
  asked: readonly string[],
  data: Data,
): Record<string, string> {
  const seen: Record<string, string> = {};
  for (const { key, values } of meter.dimensions) {
    if (!asked.includes(key)) continue;
    const text = plain(under(under(data, "dimensions"), key) ?? under(data, key));
    if (text !== undefined && (!values || values.includes(text))) seen[key] = text;
  }
  return seen;
}
