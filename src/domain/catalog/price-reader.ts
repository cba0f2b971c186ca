import { type Decimal, decimal, isDecimalText, isNegative, isPositive } from "../../kit/decimal.ts";
import type { Fault } from "../refusals/index.ts";
import { isBareNumber } from "./bare-number.ts";

/** What an amount must be besides a decimal number. */
export type Bound = "any" | "not_negative" | "positive";

/** Reads the members of one object of an untrusted document and keeps a list of everything that is wrong with it. */
export type ObjectReader = {
  has(member: string): boolean;
  raw(member: string): unknown;
  fault(member: string, detail: string): void;
  /** Faults that another reader found in a part of this object; `path` is a pointer to it, without the leading slash. */
  faultsIn(path: string, found: readonly Fault[]): void;
  /** A quoted decimal: money, a rate. Undefined when missing or faulty. */
  amount(member: string, bound: Bound): Decimal | undefined;
  /** A quoted decimal or a whole number: units, bounds, sizes. */
  units(member: string, bound: Bound): Decimal | undefined;
  choice<T extends string>(member: string, allowed: readonly T[]): T | undefined;
  flag(member: string): boolean | undefined;
  texts(member: string): string[] | undefined;
  list(member: string): ObjectReader[] | undefined;
  object(member: string): ObjectReader | undefined;
  /** Say which members there may be; anything else is a fault, because a misspelt member would silently not bill. */
  only(what: string, members: readonly string[]): void;
};

const escaped = (member: string) => member.replaceAll("~", "~0").replaceAll("/", "~1");

/** Start reading. Undefined, with a fault, when the value is not an object. */
export function objectReader(
  value: unknown,
  pointer: string,
  faults: Fault[],
): ObjectReader | undefined {
  if (!isRecord(value)) {
    faults.push({ pointer, detail: `${nameOf(value)} stands where an object is expected` });
    return undefined;
  }
  const at = (member: string) => `${pointer}/${escaped(member)}`;
  const fault = (member: string, detail: string) => {
    faults.push({ pointer: at(member), detail });
  };
  const has = (member: string) =>
    Object.hasOwn(value, member) && value[member] !== undefined && value[member] !== null;

  const number = (member: string, bound: Bound, wholeAllowed: boolean): Decimal | undefined => {
    if (!has(member)) return undefined;
    const text = textOf(value[member], wholeAllowed);
    if (text.kind === "refused") {
      fault(member, text.detail);
      return undefined;
    }
    const read = decimal(text.text);
    if (bound === "positive" && !isPositive(read)) {
      fault(member, `${text.text} is not above zero`);
      return undefined;
    }
    if (bound === "not_negative" && isNegative(read)) {
      fault(member, `${text.text} is below zero`);
      return undefined;
    }
    return read;
  };

  return {
    has,
    raw: (member) => (Object.hasOwn(value, member) ? value[member] : undefined),
    fault,
    faultsIn(path, found) {
      faults.push(...found.map((one) => ({ ...one, pointer: `${pointer}/${path}${one.pointer}` })));
    },
    amount: (member, bound) => number(member, bound, false),
    units: (member, bound) => number(member, bound, true),
    choice(member, allowed) {
      if (!has(member)) return undefined;
      const found = allowed.find((one) => one === value[member]);
      if (found === undefined)
        fault(member, `${nameOf(value[member])} is not one of ${allowed.join(", ")}`);
      return found;
    },
    flag(member) {
      if (!has(member)) return undefined;
      const found = value[member];
      if (typeof found === "boolean") return found;
      fault(member, `${nameOf(found)} is neither true nor false`);
      return undefined;
    },
    texts(member) {
      if (!has(member)) return undefined;
      const found = value[member];
      if (
        Array.isArray(found) &&
        found.every((one) => typeof one === "string" && one.length > 0) &&
        new Set(found).size === found.length
      )
        return found as string[];
      fault(member, "must be a list of texts, each once");
      return undefined;
    },
    list(member) {
      const found = value[member];
      if (!Array.isArray(found)) {
        fault(member, `${nameOf(found)} stands where a list is expected`);
        return undefined;
      }
      const items = found.map((one, index) => objectReader(one, `${at(member)}/${index}`, faults));
      return items.every((item) => item !== undefined) ? items : undefined;
    },
    object: (member) => objectReader(value[member], at(member), faults),
    only(what, members) {
      for (const member of Object.keys(value)) {
        if (!members.includes(member))
          fault(member, `${what} has no member "${member}"; it may have ${members.join(", ")}`);
      }
    },
  };
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !isBareNumber(value);

type Text =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "refused"; readonly detail: string };

// Whole numbers are exact in a double and so may go without quotes where units are counted; amounts never.
function textOf(value: unknown, wholeAllowed: boolean): Text {
  if (typeof value === "string") {
    return isDecimalText(value)
      ? { kind: "text", text: value }
      : {
          kind: "refused",
          detail: `${nameOf(value)} is not a decimal number: write digits with an optional fraction, as in "12.50"`,
        };
  }
  const written = isBareNumber(value)
    ? value.bareNumber
    : typeof value === "number"
      ? String(value)
      : undefined;
  if (written === undefined)
    return {
      kind: "refused",
      detail: `${nameOf(value)} stands where a decimal number in quotes is expected`,
    };
  if (wholeAllowed && typeof value === "number" && Number.isSafeInteger(value))
    return { kind: "text", text: written === "-0" ? "0" : written };
  return {
    kind: "refused",
    detail: `the number ${written} is not in quotes and may lose digits on the way: write "${written}"`,
  };
}

function nameOf(value: unknown): string {
  if (value === undefined || value === null) return "nothing";
  if (isBareNumber(value)) return value.bareNumber;
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "an object";
  if (typeof value === "string") return JSON.stringify(value.slice(0, 60));
  return typeof value === "number" || typeof value === "boolean" ? `${value}` : "nothing";
}
