import { decimal, isDecimalText, sumOf } from "../../kit/decimal.ts";
import { type ObjectReader, objectReader } from "../catalog/index.ts";
import type { Fault } from "../refusals/index.ts";
import type { Usage } from "./rate.ts";

export type UsageReading =
  | { readonly usage: readonly Usage[] }
  | { readonly faults: readonly Fault[] };

/** Read usage to be priced from an untrusted plain document: one row, or a list of them. */
export function readUsage(document: unknown, pointer = ""): UsageReading {
  const faults: Fault[] = [];
  const rows = Array.isArray(document) ? document : [document];
  const usage = rows.flatMap((row: unknown, index) => {
    const at = Array.isArray(document) ? `${pointer}/${index}` : pointer;
    const reader = objectReader(row, at, faults);
    return reader ? (readRow(reader) ?? []) : [];
  });
  return faults.length > 0 ? { faults } : { usage };
}

function readRow(reader: ObjectReader): Usage | undefined {
  reader.only("usage", ["quantity", "events", "event_amounts", "dimensions"]);
  const eventAmounts = readAmounts(reader);
  if (!reader.has("quantity") && !eventAmounts)
    reader.fault("quantity", 'usage needs a quantity, as in "150000"');
  const quantity = reader.units("quantity", "any") ?? (eventAmounts && sumOf(eventAmounts));
  const events = reader.units("events", "not_negative");
  const dimensions = readDimensions(reader);
  if (!quantity) return undefined;
  return {
    quantity,
    ...(events ? { events } : {}),
    ...(eventAmounts ? { eventAmounts } : {}),
    ...(dimensions ? { dimensions } : {}),
  };
}

function readAmounts(reader: ObjectReader) {
  if (!reader.has("event_amounts")) return undefined;
  const amounts = reader.raw("event_amounts");
  if (
    Array.isArray(amounts) &&
    amounts.every((one) => typeof one === "string" && isDecimalText(one))
  )
    return amounts.map((one: string) => decimal(one));
  reader.fault("event_amounts", 'must be a list of decimal numbers in quotes, as in ["12.50"]');
  return undefined;
}

function readDimensions(reader: ObjectReader): Record<string, string> | undefined {
  if (!reader.has("dimensions")) return undefined;
  const found = reader.raw("dimensions");
  if (
    typeof found === "object" &&
    found !== null &&
    !Array.isArray(found) &&
    Object.values(found).every((value) => typeof value === "string")
  )
    return found as Record<string, string>;
  reader.fault("dimensions", 'must be texts by name, as in {"model": "A"}');
  return undefined;
}
