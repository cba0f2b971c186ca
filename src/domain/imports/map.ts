import type { Fault } from "../refusals/index.ts";

/** Where one value of an event comes from: a column of the row, or the same text for every row. */
export type ValueFrom =
  | { readonly kind: "column"; readonly column: string }
  | { readonly kind: "constant"; readonly text: string };

/** How rows of a foreign file become usage events. */
export type ImportMap = {
  readonly format: "csv" | "jsonl";
  readonly delimiter: string;
  readonly type: ValueFrom;
  readonly source: ValueFrom;
  readonly subject: ValueFrom;
  readonly organization: ValueFrom | null;
  /** Null: the id is derived from the row itself, so that importing the same file again changes nothing. */
  readonly id: ValueFrom | null;
  readonly time: ValueFrom & { readonly form: TimeForm; readonly zone: string };
  readonly data: Readonly<Record<string, ValueFrom>>;
};

/** `rfc3339`: with a zone. `local`: date and time without one, read in `zone`. The rest count from 1970. */
const timeForms = [
  "rfc3339",
  "local",
  "unix_seconds",
  "unix_milliseconds",
  "unix_microseconds",
] as const;
export type TimeForm = (typeof timeForms)[number];

export type ReadMap =
  | { readonly kind: "map"; readonly map: ImportMap }
  | { readonly kind: "faulty"; readonly faults: readonly Fault[] };

/** Read a map from an untrusted document (parsed YAML or JSON); every fault is named by its JSON pointer. */
export function readImportMap(document: unknown): ReadMap {
  const faults: Fault[] = [];
  const root = asRecord(document, "", faults);
  const event = asRecord(root["event"], "/event", faults);
  refuseUnknown(root, ["format", "delimiter", "event"], "", faults);
  refuseUnknown(
    event,
    ["type", "source", "subject", "organization", "id", "time", "data"],
    "/event",
    faults,
  );

  const required = (key: string): ValueFrom => {
    const value = valueFrom(event[key], `/event/${key}`, faults);
    if (value) return value;
    if (event[key] === undefined)
      faults.push({
        pointer: `/event/${key}`,
        detail: `is missing: write a text, or { column: NAME }`,
      });
    return { kind: "constant", text: "" };
  };
  const optional = (key: string) =>
    event[key] === undefined ? null : (valueFrom(event[key], `/event/${key}`, faults) ?? null);

  const format = root["format"] ?? "csv";
  if (format !== "csv" && format !== "jsonl")
    faults.push({ pointer: "/format", detail: `is ${JSON.stringify(format)}: write csv or jsonl` });
  const delimiter = root["delimiter"] ?? ",";
  if (typeof delimiter !== "string" || delimiter.length !== 1)
    faults.push({ pointer: "/delimiter", detail: "must be one character" });

  const map: ImportMap = {
    format: format === "jsonl" ? "jsonl" : "csv",
    delimiter: typeof delimiter === "string" ? delimiter : ",",
    type: required("type"),
    source: required("source"),
    subject: required("subject"),
    organization: optional("organization"),
    id: optional("id"),
    time: readTime(event["time"], faults),
    data: readData(event["data"], faults),
  };
  return faults.length > 0 ? { kind: "faulty", faults } : { kind: "map", map };
}

/** The columns a file must have for this map to work. */
export function columnsOf(map: ImportMap): string[] {
  const sources = [
    map.type,
    map.source,
    map.subject,
    map.organization,
    map.id,
    map.time,
    ...Object.values(map.data),
  ];
  const columns = sources.flatMap((source) => (source?.kind === "column" ? [source.column] : []));
  return [...new Set(columns)];
}

function readTime(given: unknown, faults: Fault[]): ImportMap["time"] {
  const pointer = "/event/time";
  const nothing = { kind: "constant", text: "", form: "rfc3339", zone: "UTC" } as const;
  if (given === undefined) {
    faults.push({ pointer, detail: "is missing: write { column: NAME, form: rfc3339 }" });
    return nothing;
  }
  const record = asRecord(given, pointer, faults);
  refuseUnknown(record, ["column", "form", "zone"], pointer, faults);
  const form = record["form"] ?? "rfc3339";
  if (!timeForms.includes(form as TimeForm)) {
    faults.push({
      pointer: `${pointer}/form`,
      detail: `is ${JSON.stringify(form)}: write one of ${timeForms.join(", ")}`,
    });
  }
  const column = record["column"];
  if (typeof column !== "string") {
    faults.push({
      pointer: `${pointer}/column`,
      detail: "must name the column that holds the time",
    });
    return nothing;
  }
  const zone = record["zone"] ?? "UTC";
  return {
    kind: "column",
    column,
    form: form as TimeForm,
    zone: typeof zone === "string" ? zone : "UTC",
  };
}

function readData(given: unknown, faults: Fault[]): Record<string, ValueFrom> {
  if (given === undefined) return {};
  const record = asRecord(given, "/event/data", faults);
  const data: Record<string, ValueFrom> = {};
  for (const [property, source] of Object.entries(record)) {
    const value = valueFrom(source, `/event/data/${property}`, faults);
    if (value) data[property] = value;
  }
  return data;
}

function valueFrom(given: unknown, pointer: string, faults: Fault[]): ValueFrom | undefined {
  if (given === undefined) return undefined;
  if (typeof given === "string") return { kind: "constant", text: given };
  if (typeof given === "number" || typeof given === "boolean") {
    faults.push({
      pointer,
      detail: `is ${String(given)}: quote it, so that it is taken as written`,
    });
    return undefined;
  }
  const record = asRecord(given, pointer, faults);
  const column = record["column"];
  if (typeof column === "string") {
    refuseUnknown(record, ["column"], pointer, faults);
    return { kind: "column", column };
  }
  faults.push({ pointer, detail: "must be a text, or { column: NAME }" });
  return undefined;
}

function asRecord(given: unknown, pointer: string, faults: Fault[]): Record<string, unknown> {
  if (typeof given === "object" && given !== null && !Array.isArray(given))
    return given as Record<string, unknown>;
  faults.push({ pointer, detail: "must be a mapping of names to values" });
  return {};
}

function refuseUnknown(
  record: Record<string, unknown>,
  known: readonly string[],
  pointer: string,
  faults: Fault[],
): void {
  for (const key of Object.keys(record)) {
    if (!known.includes(key))
      faults.push({
        pointer: `${pointer}/${key}`,
        detail: `is not a field here: known are ${known.join(", ")}`,
      });
  }
}
