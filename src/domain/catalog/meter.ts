import type { Decimal } from "../../kit/decimal.ts";

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

/** A condition on a property of the event's data; a meter measures an event only when all its filters hold. */
export type MeterFilter = {
  readonly property: string;
  readonly op: "eq" | "ne" | "in" | "not_in" | "exists";
  readonly values: readonly string[];
};

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
  readonly sampleSeconds?: number;
  readonly missingSamplesAreZero?: boolean;
  readonly status: MeterStatus;
};
