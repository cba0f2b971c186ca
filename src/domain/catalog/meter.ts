import { type Decimal, decimal, decimalOf, isDecimalText } from "../../kit/decimal.ts";
import type { Fault } from "../refusals/index.ts";

/** How events become one number. All exact; `unique`, `percentile` and `weighted_sum` need more than sums of parts. */
export const aggregations = [
  "count",
  "sum",
  "unique",
  "max",
  "min",
  "latest",
  "average",
  "percentile",
  "weighted_sum",
] as const;
export type Aggregation = (typeof aggregations)[number];

/** Forward only. A deprecated meter still bills. */
export const meterStatuses = ["draft", "published", "deprecated", "retired"] as const;
export type MeterStatus = (typeof meterStatuses)[number];

/** A declared dimension of a meter: a property of the event's data by which usage may be split and priced. */
export type Dimension = {
  readonly key: string;
  /** The only values accepted; undefined accepts any text. */
  readonly values?: readonly string[];
};

export const filterOps = ["eq", "ne", "in", "not_in", "exists"] as const;

/** A condition on a property of the event's data; a meter measures an event only when all its filters hold. */
export type MeterFilter = {
  readonly property: string;
  readonly op: (typeof filterOps)[number];
  readonly values: readonly string[];
};

export const meterRoundings = ["half_away", "ceiling", "floor"] as const;

/** How the quantity of a period is cut to fewer digits before it is priced. */
export type MeterRounding = {
  readonly mode: (typeof meterRoundings)[number];
  readonly digits: number;
};

/**
 * What becomes of usage that arrives after the invoice of its period was issued. `next_invoice`: a line on the next one.
 * `credit_note`: the same, but what is owed less is given back at once by a credit note. `own_document`: a debit or a credit
 * note of its own. `hold`: nothing, until somebody with the right to do so has approved it.
 */
export const lateUsagePolicies = ["next_invoice", "credit_note", "own_document", "hold"] as const;
export type LateUsagePolicy = (typeof lateUsagePolicies)[number];

/**
 * What is counted and how. Key, event type, aggregation, unit and value never change once published; dimensions may only
 * grow. No price.
 */
export type Meter = {
  readonly key: string;
  readonly name: string;
  readonly eventType: string;
  readonly aggregation: Aggregation;
  /** The property of `data` that holds the quantity (or, for `unique`, the thing to tell apart). Not used by `count`. */
  readonly valueProperty: string;
  /** `integer` refuses "12.5"; `decimal` accepts it. */
  readonly valueKind: "integer" | "decimal";
  /** Whether a plain event (not a correction) may carry a quantity below zero: level changes of gauges do. */
  readonly allowNegative: boolean;
  readonly unit: string;
  readonly filters: readonly MeterFilter[];
  readonly dimensions: readonly Dimension[];
  /** For `percentile`: 95 is the 95th, by nearest rank over samples of `sampleSeconds`. */
  readonly percentile?: Decimal;
  /** Values within one interval, counted from the start of the period, add up to one sample. Undefined: each event is one. */
  readonly sampleSeconds?: number;
  readonly missingSamplesAreZero?: boolean;
  readonly rounding?: MeterRounding;
  /** Left out: as the account has it. Documents say what they left for later, so it may change at any time. */
  readonly lateUsage?: LateUsagePolicy;
  readonly status: MeterStatus;
};

/** The meter as a plain document, in the field names of YAML and JSON. What `readMeter` reads, this writes. */
export function writeMeter(meter: Meter): Record<string, unknown> {
  return {
    key: meter.key,
    name: meter.name,
    event_type: meter.eventType,
    aggregation: meter.aggregation,
    value_property: meter.valueProperty,
    value_kind: meter.valueKind,
    allow_negative: meter.allowNegative,
    unit: meter.unit,
    filters: meter.filters.map(({ property, op, values }) => ({ property, op, values })),
    dimensions: meter.dimensions.map(({ key, values }) => (values ? { key, values } : { key })),
    ...(meter.percentile && { percentile: meter.percentile.toFixed() }),
    ...(meter.sampleSeconds !== undefined && { sample_seconds: meter.sampleSeconds }),
    ...(meter.missingSamplesAreZero !== undefined && {
      missing_samples_are_zero: meter.missingSamplesAreZero,
    }),
    ...(meter.rounding && { rounding: { ...meter.rounding } }),
    ...(meter.lateUsage && { late_usage: meter.lateUsage }),
    status: meter.status,
  };
}

export type MeterReading =
  | { readonly meter: Meter; readonly faults?: never }
  | { readonly faults: readonly Fault[]; readonly meter?: never };

const identifier = /^[a-z][a-z0-9_.-]{0,62}$/;
const eventTypeName = /^[A-Za-z][A-Za-z0-9_./-]{0,199}$/;
const propertyName = /^[A-Za-z_][A-Za-z0-9_-]{0,62}$/;
const fields = new Set([
  "key",
  "name",
  "event_type",
  "aggregation",
  "value_property",
  "value_kind",
  "allow_negative",
  "unit",
  "filters",
  "dimensions",
  "percentile",
  "sample_seconds",
  "missing_samples_are_zero",
  "rounding",
  "late_usage",
  "status",
]);

// Bounded, so that one event cannot be made to mean a thousand rollup rows.
const dimensionsMax = 12;
const allowedValuesMax = 1_000;
const filtersMax = 20;
const daySeconds = 86_400;

/** Read a meter from a document nobody has checked, and refuse what could never measure soundly: all faults at once. */
export function readMeter(document: unknown): MeterReading {
  if (!isRecord(document))
    return { faults: [{ pointer: "", detail: "a meter is an object with a key" }] };
  const faults: Fault[] = [];
  const fail = (pointer: string, detail: string) => void faults.push({ pointer, detail });
  for (const field of Object.keys(document)) {
    if (!fields.has(field)) fail(pointerTo(field), `a meter has no field ${field}`);
  }

  const text = (field: string, pattern: RegExp, form: string, otherwise?: string): string => {
    const value = document[field] ?? otherwise;
    if (typeof value === "string" && pattern.test(value)) return value;
    fail(pointerTo(field), value === undefined ? `${field} is missing: ${form}` : form);
    return "";
  };
  const choice = <T extends string>(field: string, among: readonly T[], otherwise?: T): T => {
    const value = document[field] ?? otherwise;
    const found = among.find((one) => one === value);
    if (found === undefined) fail(pointerTo(field), `${field} is one of ${among.join(", ")}`);
    return found ?? (among[0] as T);
  };
  const flag = (field: string): boolean | undefined => {
    const value = document[field];
    if (value !== undefined && typeof value !== "boolean")
      fail(pointerTo(field), `${field} is true or false`);
    return typeof value === "boolean" ? value : undefined;
  };

  const key = text("key", identifier, "key is lower case letters, digits, _ . and -, up to 63");
  const aggregation = choice("aggregation", aggregations);
  const name = text(
    "name",
    /^\S(.{0,198}\S)?$/u,
    "name is a line of up to 200 characters",
    key || "?",
  );
  const valueForm = "value_property names a property of data: letters, digits, _ and -";
  const percentile = readPercentile(document["percentile"], aggregation, fail);
  const sampleSeconds = readSampleSeconds(document["sample_seconds"], aggregation, fail);
  const missingSamplesAreZero = flag("missing_samples_are_zero");
  if (missingSamplesAreZero && sampleSeconds === undefined)
    fail("/missing_samples_are_zero", "only samples of a declared sample_seconds can be missing");
  const rounding = readRounding(document["rounding"], fail);
  const lateUsage =
    document["late_usage"] === undefined ? undefined : choice("late_usage", lateUsagePolicies);

  const meter: Meter = {
    key,
    name,
    eventType: text("event_type", eventTypeName, "event_type is a type as events carry it"),
    aggregation,
    valueProperty: text("value_property", propertyName, valueForm, "value"),
    valueKind: choice("value_kind", ["integer", "decimal"], "decimal"),
    allowNegative: flag("allow_negative") ?? aggregation === "weighted_sum",
    unit: text("unit", /^\S(.{0,48}\S)?$/u, "unit is what one is called: request, GB-hour, token"),
    filters: readFilters(document["filters"], fail),
    dimensions: readDimensionList(document["dimensions"], fail),
    ...(percentile && { percentile }),
    ...(sampleSeconds !== undefined && { sampleSeconds }),
    ...(missingSamplesAreZero !== undefined && { missingSamplesAreZero }),
    ...(rounding && { rounding }),
    ...(lateUsage && { lateUsage }),
    status: choice("status", meterStatuses, "published"),
  };
  return faults.length > 0 ? { faults } : { meter };
}

type Fail = (pointer: string, detail: string) => void;

function readPercentile(value: unknown, aggregation: Aggregation, fail: Fail): Decimal | undefined {
  if (value === undefined) {
    if (aggregation === "percentile") fail("/percentile", 'a percentile meter says which: "95"');
    return undefined;
  }
  if (aggregation !== "percentile") {
    fail("/percentile", `${aggregation} has no percentile`);
    return undefined;
  }
  const text = typeof value === "number" ? String(value) : value;
  const percentile = typeof text === "string" && isDecimalText(text) ? decimal(text) : undefined;
  if (percentile?.greaterThan(0) && percentile.lessThanOrEqualTo(decimalOf(100))) return percentile;
  fail("/percentile", "percentile is above 0 and at most 100");
  return undefined;
}

function readSampleSeconds(
  value: unknown,
  aggregation: Aggregation,
  fail: Fail,
): number | undefined {
  if (value === undefined) return undefined;
  if (aggregation !== "percentile") fail("/sample_seconds", `${aggregation} takes no samples`);
  if (Number.isInteger(value) && Number(value) >= 1 && daySeconds % Number(value) === 0)
    return Number(value);
  fail("/sample_seconds", "sample_seconds is a whole number of seconds that divides a day");
  return undefined;
}

function readRounding(value: unknown, fail: Fail): MeterRounding | undefined {
  if (value === undefined) return undefined;
  const { mode, digits, ...rest } = isRecord(value) ? value : {};
  const found = meterRoundings.find((one) => one === mode);
  const isDigits = Number.isInteger(digits) && Number(digits) >= -12 && Number(digits) <= 12;
  if (found && isDigits && Object.keys(rest).length === 0)
    return { mode: found, digits: Number(digits) };
  fail("/rounding", `rounding has a mode (${meterRoundings.join(", ")}) and digits from -12 to 12`);
  return undefined;
}

function readFilters(value: unknown, fail: Fail): MeterFilter[] {
  const list = readList("/filters", value, filtersMax, fail);
  return list.flatMap((item, index) => {
    const at = `/filters/${index}`;
    if (!isRecord(item)) {
      fail(at, "a filter has property, op and values");
      return [];
    }
    const { property, op, values = [], ...rest } = item;
    for (const field of Object.keys(rest))
      fail(`${at}${pointerTo(field)}`, `a filter has no field ${field}`);
    const found = filterOps.find((one) => one === op);
    if (typeof property !== "string" || !propertyName.test(property))
      fail(`${at}/property`, "property names a property of data");
    if (!found) fail(`${at}/op`, `op is one of ${filterOps.join(", ")}`);
    const isTexts = Array.isArray(values) && values.every((one) => typeof one === "string");
    if (!isTexts || values.length > allowedValuesMax) {
      fail(`${at}/values`, `values is a list of up to ${allowedValuesMax} texts`);
      return [];
    }
    const isFew = found === "eq" || found === "ne";
    if (isFew && values.length !== 1) fail(`${at}/values`, `${found} compares with one value`);
    if ((found === "in" || found === "not_in") && values.length === 0)
      fail(`${at}/values`, `${found} needs at least one value`);
    if (found === "exists" && values.length > 0) fail(`${at}/values`, "exists takes no values");
    return found ? [{ property: String(property), op: found, values }] : [];
  });
}

function readDimensionList(value: unknown, fail: Fail): Dimension[] {
  const list = readList("/dimensions", value, dimensionsMax, fail);
  const seen = new Set<string>();
  return list.flatMap((item, index) => {
    const at = `/dimensions/${index}`;
    const { key, values, ...rest } = isRecord(item) ? item : { key: item };
    for (const field of Object.keys(rest))
      fail(`${at}${pointerTo(field)}`, `a dimension has no field ${field}`);
    if (typeof key !== "string" || !propertyName.test(key) || reserved.has(key)) {
      fail(`${at}/key`, `key names a property of data, and is none of ${[...reserved].join(", ")}`);
      return [];
    }
    if (seen.has(key)) fail(`${at}/key`, `dimension ${key} is declared twice`);
    seen.add(key);
    if (values === undefined) return [{ key }];
    const isTexts = Array.isArray(values) && values.every((one) => typeof one === "string");
    if (!isTexts || values.length === 0 || values.length > allowedValuesMax) {
      fail(`${at}/values`, `values is a list of 1 to ${allowedValuesMax} texts`);
      return [];
    }
    return [{ key, values }];
  });
}

/** What `group_by` says when it does not mean a dimension, and the set that dimensions may stand in. */
const reserved = new Set(["project", "account", "dimensions"]);

function readList(pointer: string, value: unknown, lengthMax: number, fail: Fail): unknown[] {
  if (value === undefined) return [];
  if (Array.isArray(value) && value.length <= lengthMax) return value;
  fail(pointer, `${pointer.slice(1)} is a list of up to ${lengthMax}`);
  return [];
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const pointerTo = (field: string): string =>
  `/${field.replaceAll("~", "~0").replaceAll("/", "~1")}`;

export type MeterChange =
  | { readonly kind: "ok"; readonly changed: readonly string[] }
  | {
      readonly kind: "refused";
      readonly reason: "meter_field_fixed" | "meter_dimension_removed" | "meter_status_backward";
      readonly pointer: string;
      readonly detail: string;
    };

// All that decides what an event is worth. Old invoices were made by it, and must be made by it again.
const fixedOncePublished = [
  "event_type",
  "aggregation",
  "value_property",
  "value_kind",
  "allow_negative",
  "unit",
  "filters",
  "percentile",
  "sample_seconds",
  "missing_samples_are_zero",
  "rounding",
] as const;

/**
 * Whether a meter may become what `next` says. What it measures is fixed from the day it is published: a different
 * measure is a different meter under another key, side by side with this one.
 */
export function changeMeter(current: Meter, next: Meter): MeterChange {
  const before = writeMeter(current);
  const after = writeMeter(next);
  const isDifferent = (field: string) =>
    JSON.stringify(before[field]) !== JSON.stringify(after[field]);

  const fixed = current.status === "draft" ? [] : fixedOncePublished;
  const broken = ["key", ...fixed].find(isDifferent);
  if (broken !== undefined) {
    return {
      kind: "refused",
      reason: "meter_field_fixed",
      pointer: `/${broken}`,
      detail: `${broken} of meter ${current.key} is fixed: define a meter with another key beside it`,
    };
  }
  if (meterStatuses.indexOf(next.status) < meterStatuses.indexOf(current.status)) {
    return {
      kind: "refused",
      reason: "meter_status_backward",
      pointer: "/status",
      detail: `meter ${current.key} is ${current.status}: it cannot go back to ${next.status}`,
    };
  }
  const lost = current.status === "draft" ? undefined : lostDimension(current, next);
  if (lost !== undefined) {
    return {
      kind: "refused",
      reason: "meter_dimension_removed",
      pointer: "/dimensions",
      detail: `${lost} stands on events of meter ${current.key}: dimensions may only grow`,
    };
  }
  return { kind: "ok", changed: Object.keys(after).filter(isDifferent) };
}

/** A dimension, or one of its allowed values, that the old meter accepts and the new one does not. */
function lostDimension(current: Meter, next: Meter): string | undefined {
  for (const { key, values } of current.dimensions) {
    const kept = next.dimensions.find((dimension) => dimension.key === key);
    if (!kept) return `dimension ${key}`;
    if (!kept.values) continue;
    if (!values) return `any value of dimension ${key}`;
    const gone = values.find((value) => !kept.values?.includes(value));
    if (gone !== undefined) return `value ${gone} of dimension ${key}`;
  }
  return undefined;
}
