import { add, type Decimal, decimalOf, divide, greatest, least, zero } from "../../kit/decimal.ts";
import type { Meter } from "../catalog/index.ts";
import type { Measured } from "./facts.ts";

/** Whether the usage of a period is the sum of the usage of its parts, so that each part can have its own price. */
export const isAdditive = (meter: Meter): boolean =>
  meter.aggregation === "sum" || meter.aggregation === "count";

/** One quantity from its parts, by the meter's aggregation. */
export function quantityOf(meter: Meter, parts: readonly Measured[]): Decimal {
  if (parts.length === 0) return zero;
  switch (meter.aggregation) {
    // A counted event weighs 1, a correction of one −1: the sum, not the number of rows.
    case "count":
    case "sum":
    case "unique":
    case "percentile":
    case "weighted_sum":
      return parts.reduce<Decimal>((total, part) => add(total, part.total), zero);
    case "max":
      return extreme(parts, (part) => part.highest, greatest);
    case "min":
      return extreme(parts, (part) => part.lowest, least);
    case "average": {
      const count = countOf(parts);
      const total = parts.reduce<Decimal>((sum, part) => add(sum, part.total), zero);
      return count === 0n ? zero : divide(total, decimalOf(count));
    }
    case "latest":
      return parts.reduce((a, b) => (isLater(b, a) ? b : a)).latest ?? zero;
  }
}

export const countOf = (parts: readonly Measured[]): bigint =>
  parts.reduce((count, part) => count + part.eventCount, 0n);

function extreme(
  parts: readonly Measured[],
  of: (part: Measured) => Decimal | null,
  pick: (a: Decimal, b: Decimal) => Decimal,
): Decimal {
  const values = parts.map(of).filter((value) => value !== null);
  return values.length === 0 ? zero : values.reduce(pick);
}

// By event time, then by the account's own order: the same rule as the meter's.
function isLater(b: Measured, a: Measured): boolean {
  const [aAt, bAt] = [a.latestAt ?? 0, b.latestAt ?? 0];
  return bAt > aAt || (bAt === aAt && (b.latestSeq ?? 0n) > (a.latestSeq ?? 0n));
}
