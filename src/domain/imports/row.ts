import { canonicalJson } from "../../kit/canonical-json.ts";
import { sha256 } from "../../kit/hash.ts";
import { type Instant, formatInstant, instantInZone, tryInstant } from "../../kit/time.ts";
import type { ImportMap, ValueFrom } from "./map.ts";

/** A row as the file has it: column name to text. */
export type Row = Readonly<Record<string, string>>;

/** A usage event in CloudEvents form, ready to be sent. */
export type ImportedEvent = {
  readonly specversion: "1.0";
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly subject: string;
  readonly time: string;
  readonly organization?: string;
  readonly data: Readonly<Record<string, string>>;
};

export type MappedRow =
  | { readonly kind: "event"; readonly event: ImportedEvent }
  | { readonly kind: "bad"; readonly reason: string };

/**
 * Turns rows into events. Keeps count of rows that are equal in every column, because two equal rows are two uses: the
 * derived id is a hash over the row's content and which of its equals it is. The same file, in whatever order of rows,
 * always gives the same ids.
 */
export function rowMapper(map: ImportMap): (row: Row) => MappedRow {
  const seen = new Map<string, number>();
  return (row) => {
    const time = readTime(map, row);
    if (typeof time === "string") return { kind: "bad", reason: time };
    const missing = missingColumn(map, row);
    if (missing !== undefined)
      return { kind: "bad", reason: `column ${missing} is empty or missing` };

    const source = valueOf(map.source, row);
    const event = {
      specversion: "1.0" as const,
      id: map.id ? valueOf(map.id, row) : derivedId(source, row, seen),
      source,
      type: valueOf(map.type, row),
      subject: valueOf(map.subject, row),
      time: formatInstant(time),
      ...(map.organization ? { organization: valueOf(map.organization, row) } : {}),
      data: Object.fromEntries(
        Object.entries(map.data).map(([property, from]) => [property, valueOf(from, row)]),
      ),
    };
    return { kind: "event", event };
  };
}

function derivedId(source: string, row: Row, seen: Map<string, number>): string {
  const content = sha256(canonicalJson([source, row]))
    .toString("base64url")
    .slice(0, 27);
  const count = (seen.get(content) ?? 0) + 1;
  seen.set(content, count);
  return `row-${content}-${count}`;
}

function valueOf(from: ValueFrom, row: Row): string {
  return from.kind === "constant" ? from.text : (row[from.column] ?? "").trim();
}

function missingColumn(map: ImportMap, row: Row): string | undefined {
  const needed = [
    map.type,
    map.source,
    map.subject,
    map.organization,
    map.id,
    ...Object.values(map.data),
  ];
  for (const from of needed) {
    if (from?.kind === "column" && valueOf(from, row) === "") return from.column;
  }
  return undefined;
}

/** The row's instant, or a sentence that says why it has none. */
function readTime(map: ImportMap, row: Row): Instant | string {
  const text = valueOf(map.time, row);
  const column = map.time.kind === "column" ? map.time.column : "time";
  const bad = (wanted: string) =>
    `column ${column} holds "${text.slice(0, 40)}", which is not ${wanted}`;
  switch (map.time.form) {
    case "rfc3339":
      return tryInstant(text) ?? bad("an RFC 3339 time with a zone, such as 2025-01-31T23:59:59Z");
    case "local":
      return (
        instantInZone(text, map.time.zone) ?? bad("a date and time, such as 2025-01-31 23:59:59")
      );
    case "unix_seconds":
      return epoch(text, 6) ?? bad("seconds since 1970");
    case "unix_milliseconds":
      return epoch(text, 3) ?? bad("milliseconds since 1970");
    case "unix_microseconds":
      return epoch(text, 0) ?? bad("microseconds since 1970");
  }
}

/** Digits with an optional fraction, moved by a number of decimal places into whole microseconds; the rest is cut off. */
function epoch(text: string, places: number): Instant | undefined {
  const match = /^(\d{1,16})(?:\.(\d{1,9}))?$/.exec(text);
  if (!match) return undefined;
  const micros = Number(`${match[1]}${(match[2] ?? "").padEnd(places, "0").slice(0, places)}`);
  return Number.isSafeInteger(micros) ? (micros as Instant) : undefined;
}
