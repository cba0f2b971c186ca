import { canonicalJson } from "../../kit/canonical-json.ts";
import { isDecimalText } from "../../kit/decimal.ts";
import type { Meter, MeterFilter } from "../catalog/index.ts";
import { compareUnits, readUnits, type Units } from "../grants/index.ts";

/** What of an event decides which meters measure it, and how much. */
export type Measurable = {
  readonly type: string;
  readonly data: Readonly<Record<string, unknown>>;
  /** A correction takes back part of an earlier event: its quantity may be below zero. */
  readonly isCorrection: boolean;
};

/** What one meter makes of one event. */
export type Measurement = {
  readonly meter: Meter;
  /** `count` and `unique`: 1, or −1 for a correction. Every other aggregation: the number in the value property. */
  readonly quantity: Units;
  /** For `unique`: the thing to tell apart. Empty for every other aggregation. */
  readonly thing: string;
  /** The declared dimensions the event carries, as canonical JSON: `{"model":"large"}`, or `{}`. */
  readonly dimensions: string;
};

export type MatchFaultReason =
  | "missing_value"
  | "invalid_value_type"
  | "negative_value"
  | "invalid_dimensions"
  | "dimension_value_not_allowed";

export type MatchFault = {
  readonly kind: "faulty";
  readonly reason: MatchFaultReason;
  readonly meterKey: string;
  /** Where in the event: "/data/tokens". */
  readonly pointer: string;
  readonly detail: string;
};

export type Match =
  /** No meter listens to this event type. */
  | { readonly kind: "unknown_meter" }
  /** Empty when meters listen to the type but no filter lets the event through: it is kept, and measured by none. */
  | { readonly kind: "measured"; readonly measurements: readonly Measurement[] }
  | MatchFault;

/** Meters by the event type they listen to. Drafts and retired meters listen to nothing. */
export type MeterIndex = ReadonlyMap<string, readonly Meter[]>;

export function indexMeters(meters: Iterable<Meter>): MeterIndex {
  const index = new Map<string, Meter[]>();
  for (const meter of meters) {
    if (!isCounting(meter)) continue;
    const listening = index.get(meter.eventType);
    if (listening) listening.push(meter);
    else index.set(meter.eventType, [meter]);
  }
  return index;
}

/** A deprecated meter still bills. */
const isCounting = (meter: Meter): boolean =>
  meter.status === "published" || meter.status === "deprecated";

/**
 * Which meters measure an event, and how much each. One meter that cannot read the event makes the whole event faulty:
 * an event counts everywhere or nowhere. `store/measured-sql.ts` says the same in SQL; a test holds the two together.
 */
export function matchEvent(index: MeterIndex, event: Measurable): Match {
  const listening = index.get(event.type);
  if (listening === undefined) return { kind: "unknown_meter" };

  const stranger = undeclaredDimension(listening, event.data);
  if (stranger !== undefined) return stranger;

  const measurements: Measurement[] = [];
  for (const meter of listening) {
    const found = measureEvent(meter, event);
    if (found === undefined) continue;
    if ("kind" in found) return found;
    measurements.push(found);
  }
  return { kind: "measured", measurements };
}

/** What one meter makes of one event of its type: undefined when a filter does not hold. */
function measureEvent(meter: Meter, event: Measurable): Measurement | MatchFault | undefined {
  for (const filter of meter.filters) {
    if (!holds(filter, textIn(event.data, filter.property))) return undefined;
  }
  const dimensions = dimensionsOf(meter, event.data);
  if (typeof dimensions !== "string") return dimensions;

  switch (meter.aggregation) {
    case "count":
      return { meter, quantity: once(event), thing: "", dimensions };
    case "unique": {
      if (event.isCorrection) return { meter, quantity: -1, thing: "", dimensions };
      const thing = thingOf(meter, event.data);
      return typeof thing === "string" ? { meter, quantity: 1, thing, dimensions } : thing;
    }
    case "sum":
    case "max":
    case "min":
    case "latest":
    case "average":
    case "percentile":
    case "weighted_sum": {
      const quantity = quantityOf(meter, event);
      return typeof quantity === "object" && "kind" in quantity
        ? quantity
        : { meter, quantity, thing: "", dimensions };
    }
  }
}

const once = (event: Measurable): Units => (event.isCorrection ? -1 : 1);

const wholeText = /^-?\d{1,20}$/;

const shortWhole = /^\d{1,15}$/;

function quantityOf(meter: Meter, event: Measurable): Units | MatchFault {
  const value = member(event.data, meter.valueProperty);
  // What almost every event says, without making an object of it.
  if (typeof value === "string" && shortWhole.test(value)) return Number(value);
  const at = { meterKey: meter.key, pointer: `/data/${escapePointer(meter.valueProperty)}` };
  if (value === undefined) {
    const detail = `meter ${meter.key} needs a quantity in data.${meter.valueProperty}`;
    return { kind: "faulty", reason: "missing_value", ...at, detail };
  }
  const text = quantityText(value);
  const isWritten = text !== undefined && isDecimalText(text);
  if (!isWritten || (meter.valueKind === "integer" && !wholeText.test(text))) {
    const wanted = meter.valueKind === "integer" ? "a whole number" : "a decimal number";
    const detail = `${shown(value)} is not ${wanted}: write digits as a string, as in "12"`;
    return { kind: "faulty", reason: "invalid_value_type", ...at, detail };
  }
  const quantity = readUnits(text);
  if (compareUnits(quantity, 0) < 0 && !meter.allowNegative && !event.isCorrection) {
    const detail = `${text} is below zero, which meter ${meter.key} accepts in corrections only`;
    return { kind: "faulty", reason: "negative_value", ...at, detail };
  }
  return quantity;
}

/** JSON numbers pass through a float: those that may have lost digits there are refused, as text they would be exact. */
function quantityText(value: unknown): string | undefined {
  if (typeof value === "string") return value;
  if (typeof value !== "number" || !Number.isFinite(value)) return undefined;
  const text = String(value);
  const digits = text.replace(/^-?0*\.?0*|\./g, "").length;
  return Number.isSafeInteger(value) || digits <= 15 ? text : undefined;
}

function thingOf(meter: Meter, data: Measurable["data"]): string | MatchFault {
  const value = member(data, meter.valueProperty);
  const text = scalarText(value);
  if (text !== undefined && text !== "") return text;
  const isMissing = value === undefined || value === "";
  return {
    kind: "faulty",
    reason: isMissing ? "missing_value" : "invalid_value_type",
    meterKey: meter.key,
    pointer: `/data/${escapePointer(meter.valueProperty)}`,
    detail: `meter ${meter.key} tells events apart by data.${meter.valueProperty}: give it a text`,
  };
}

const noDimensions = "{}";

function dimensionsOf(meter: Meter, data: Measurable["data"]): string | MatchFault {
  let found: Record<string, string> | undefined;
  for (const { key, values } of meter.dimensions) {
    const value = dimensionIn(data, key);
    if (value === undefined) continue;
    const text = scalarText(value);
    const fault = (reason: MatchFaultReason, detail: string): MatchFault => {
      return {
        kind: "faulty",
        reason,
        meterKey: meter.key,
        pointer: dimensionPointer(data, key),
        detail,
      };
    };
    if (text === undefined)
      return fault("invalid_dimensions", `dimension ${key} is ${shown(value)}: give it a text`);
    if (values && !values.includes(text)) {
      const allowed = values.join(", ");
      return fault(
        "dimension_value_not_allowed",
        `dimension ${key} is "${text}", not one of ${allowed}`,
      );
    }
    found ??= {};
    found[key] = text;
  }
  return found === undefined ? noDimensions : canonicalJson(found);
}

/**
 * Dimensions stand in `data.dimensions`, a closed set, or beside the value in `data` itself, where other properties may
 * stand too. Only in the closed set can a key be one that nobody declared.
 */
function dimensionIn(data: Measurable["data"], key: string): unknown {
  return memberOfSet(data, key) ?? member(data, key);
}

function memberOfSet(data: Measurable["data"], key: string): unknown {
  const set = dimensionSet(data);
  return set && member(set, key);
}

const dimensionPointer = (data: Measurable["data"], key: string): string =>
  `/data/${memberOfSet(data, key) === undefined ? "" : "dimensions/"}${escapePointer(key)}`;

function dimensionSet(data: Measurable["data"]): Readonly<Record<string, unknown>> | undefined {
  const set = member(data, "dimensions");
  return typeof set === "object" && !Array.isArray(set)
    ? (set as Record<string, unknown>)
    : undefined;
}

function undeclaredDimension(
  listening: readonly Meter[],
  data: Measurable["data"],
): MatchFault | undefined {
  const set = dimensionSet(data);
  if (set === undefined) return undefined;
  for (const key of Object.keys(set)) {
    if (listening.some((meter) => meter.dimensions.some((declared) => declared.key === key)))
      continue;
    const meterKey = listening.map((meter) => meter.key).join(", ");
    return {
      kind: "faulty",
      reason: "invalid_dimensions",
      meterKey,
      pointer: `/data/dimensions/${escapePointer(key)}`,
      detail: `dimension ${key} is not declared by any meter of this event type (${meterKey})`,
    };
  }
  return undefined;
}

/** Read the canonical text of dimension values back. */
export const readDimensions = (text: string): Readonly<Record<string, string>> =>
  text === noDimensions ? {} : (JSON.parse(text) as Record<string, string>);

function holds(filter: MeterFilter, text: string | undefined): boolean {
  switch (filter.op) {
    case "eq":
    case "in":
      return text !== undefined && filter.values.includes(text);
    case "ne":
    case "not_in":
      return text === undefined || !filter.values.includes(text);
    case "exists":
      return text !== undefined;
  }
}

function textIn(data: Measurable["data"], property: string): string | undefined {
  const value = member(data, property);
  if (value === undefined) return undefined;
  return scalarText(value) ?? JSON.stringify(value);
}

/** A property the sender wrote; null counts as not written, and what every object inherits is not the sender's. */
const member = (data: Readonly<Record<string, unknown>>, key: string): unknown =>
  Object.hasOwn(data, key) ? (data[key] ?? undefined) : undefined;

function scalarText(value: unknown): string | undefined {
  if (typeof value === "string") return value;
  return typeof value === "number" || typeof value === "boolean" ? String(value) : undefined;
}

const shown = (value: unknown): string => (JSON.stringify(value) ?? "nothing").slice(0, 60);
const escapePointer = (part: string): string => part.replaceAll("~", "~0").replaceAll("/", "~1");
