import { day, type Instant, minute, tryInstant } from "../../kit/time.ts";

/** A usage event as its sender meant it, whatever it was wrapped in. Says nothing yet about who pays or what is measured. */
export type UsageEvent = {
  readonly source: string;
  readonly id: string;
  readonly type: string;
  /** Under which name the event speaks of a project. */
  readonly subject: string;
  readonly time: Instant;
  /** Null once meters have read it: what waits to be stored is many, and `dataText` says the same. */
  readonly data: Readonly<Record<string, unknown>> | null;
  /** The data as it is stored. */
  readonly dataText: string;
  /** The id (same source) of the event that this one takes something back from. */
  readonly corrects: string | null;
};

/** Why an event is not taken. The pointer is relative to the event. */
export type Rejection = {
  readonly kind: "rejected";
  readonly code: RejectionCode;
  readonly pointer: string;
  readonly detail: string;
};

export type RejectionCode =
  | "invalid_event"
  | "missing_attribute"
  | "missing_value"
  | "invalid_value_type"
  | "dimension_value_not_allowed"
  | "future_event"
  | "project_not_yours"
  | "original_not_found"
  | "correction_not_negative"
  | "correction_below_zero";

export type EventReading = { readonly kind: "event"; readonly event: UsageEvent } | Rejection;

/** What one event may be. Times are distances from the moment of receipt, in microseconds. */
export type EventLimits = {
  readonly futureMicros: number;
  readonly pastMicros: number;
};
export const defaultEventLimits: EventLimits = { futureMicros: 5 * minute, pastMicros: 30 * day };

/** What of an event is carried until it is stored. */
export const withoutData = (event: UsageEvent): UsageEvent => ({
  source: event.source,
  id: event.id,
  type: event.type,
  subject: event.subject,
  time: event.time,
  data: null,
  dataText: event.dataText,
  corrects: event.corrects,
});

export const dataOf = (event: UsageEvent): Readonly<Record<string, unknown>> =>
  event.data ?? (JSON.parse(event.dataText) as Record<string, unknown>);

const attributeMax = 256;
const dataMax = 65_536;

/** Where plain JSON leaves out the source, this one is meant. */
const defaultSource = "api";

/**
 * Read one event from its decoded envelope: CloudEvents 1.0 attributes beside `data`. `strict` asks for everything that
 * CloudEvents requires; plain JSON may leave out `specversion` and `source`.
 */
export function readEvent(envelope: unknown, strict: boolean): EventReading {
  if (typeof envelope !== "object" || envelope === null || Array.isArray(envelope))
    return invalid("", "an event is a JSON object");
  const given = envelope as Record<string, unknown>;
  const version = given["specversion"];
  if (version !== "1.0" && (strict || version !== undefined)) {
    if (version === undefined) return missing("specversion", '"1.0"');
    return invalid("/specversion", `only CloudEvents "1.0" is understood`);
  }
  const isCloudEvent = strict || version !== undefined;
  const source = given["source"] ?? (isCloudEvent ? undefined : defaultSource);

  if (!isAttribute(given["id"]))
    return attributeFault("id", given["id"], "a name of its own for each event");
  if (!isAttribute(source)) return attributeFault("source", source, "where the event comes from");
  if (!isAttribute(given["type"]))
    return attributeFault("type", given["type"], "the event type that a meter listens to");
  if (!isAttribute(given["subject"]))
    return attributeFault("subject", given["subject"], "the project that used something");
  const corrects = given["corrects"] ?? null;
  if (corrects !== null && !isAttribute(corrects))
    return attributeFault("corrects", corrects, "the id of the event to correct");
  const time = given["time"];
  if (time === undefined || time === null) return missing("time", "when it happened");
  const at = typeof time === "string" ? tryInstant(time) : undefined;
  if (at === undefined)
    return invalid(
      "/time",
      "not an instant: write RFC 3339 with a zone, as in 2025-01-31T23:59:59.999Z",
    );

  const data = readData(given);
  if ("kind" in data) return data;
  return {
    kind: "event",
    event: {
      source,
      id: given["id"],
      type: given["type"],
      subject: given["subject"],
      time: at,
      data: data.value,
      dataText: data.text,
      corrects,
    },
  };
}

const plainText = /^[ -~]{1,256}$/;
const unwritable = /[\0]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/;

function isAttribute(value: unknown): value is string {
  if (typeof value !== "string") return false;
  return (
    plainText.test(value) ||
    (value.length > 0 && value.length <= attributeMax && !unwritable.test(value))
  );
}

function attributeFault(name: string, value: unknown, meaning: string): Rejection {
  if (value === undefined || value === null || value === "") return missing(name, meaning);
  return invalid(`/${name}`, `${name} is a text of at most ${attributeMax} characters: ${meaning}`);
}

const missing = (name: string, meaning: string): Rejection => ({
  kind: "rejected",
  code: "missing_attribute",
  pointer: `/${name}`,
  detail: `${name} is missing: ${meaning}`,
});

const invalid = (pointer: string, detail: string): Rejection => ({
  kind: "rejected",
  code: "invalid_event",
  pointer,
  detail,
});

// What JSON can write and PostgreSQL cannot hand out again: NUL and halves of surrogate pairs.
const unreadable = /(?:^|[^\\])(?:\\\\)*\\u(?:0000|d[89a-f])/i;

function readData(
  envelope: Record<string, unknown>,
): { value: Record<string, unknown>; text: string } | Rejection {
  const type = envelope["datacontenttype"];
  if (type !== undefined && type !== null && !isJsonType(type))
    return invalid("/datacontenttype", "the data of usage events is JSON");
  const value = envelope["data"] ?? {};
  if (envelope["data_base64"] !== undefined)
    return invalid("/data_base64", "the data of usage events is JSON: send it in data");
  if (typeof value !== "object" || Array.isArray(value))
    return invalid("/data", "the data of a usage event is a JSON object");
  let text: string;
  try {
    text = JSON.stringify(value);
  } catch {
    return invalid("/data", "data is nested too deeply");
  }
  if (text.length > dataMax) return invalid("/data", `data is larger than ${dataMax} characters`);
  if (text.includes("\\u") && unreadable.test(text))
    return invalid("/data", "data holds a NUL character or half a surrogate pair");
  return { value: value as Record<string, unknown>, text };
}

export const isJsonType = (type: unknown): boolean =>
  typeof type === "string" && /^application\/(?:[\w.-]+\+)?json\s*(?:;|$)/i.test(type);

/** What time alone decides. An event from the future is refused: the sender's clock is wrong. An old one waits for a person. */
export function checkTime(
  time: Instant,
  now: Instant,
  limits: EventLimits,
): "timely" | "future_event" | "too_old" {
  if (time > now + limits.futureMicros) return "future_event";
  return time < now - limits.pastMicros ? "too_old" : "timely";
}
