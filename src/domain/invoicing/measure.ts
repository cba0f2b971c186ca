import { type Decimal, sumOf } from "../../kit/decimal.ts";
import type { Meter } from "../catalog/index.ts";
import type { Measured } from "./facts.ts";

/** Whether the usage of a period is the sum of the usage of its parts, so that each part can have its own price. */
export const isAdditive = (meter: Meter): boolean =>
  meter.aggregation === "sum" || meter.aggregation === "count";

/** One quantity from its parts. */
export const quantityOf = (parts: readonly Measured[]): Decimal =>
  sumOf(parts.map((part) => part.quantity));

export const countOf = (parts: readonly Measured[]): bigint =>
  parts.reduce((count, part) => count + part.eventCount, 0n);
