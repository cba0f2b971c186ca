import { JsonSyntaxError, parseExactJson } from "../../kit/exact-json.ts";
import { isJsonType } from "./event.ts";

/** A request that brings events, in any of the shapes in which they come. */
export type EventRequest = {
  readonly contentType: string;
  /** A header by its lower-case name. */
  readonly header: (name: string) => string | undefined;
  readonly text: string;
};

/** Events still in their wrapping, and where each stands in the body. */
export type Envelopes =
  | {
      readonly kind: "envelopes";
      readonly values: readonly unknown[];
      /** CloudEvents proper: every required attribute must be there. */
      readonly strict: boolean;
      readonly pointerOf: (index: number) => string;
    }
  | {
      readonly kind: "unreadable";
      readonly code: "body_not_json" | "content_type_not_supported" | "request_not_valid";
      readonly detail: string;
    };

const structured = "application/cloudevents+json";
const batch = "application/cloudevents-batch+json";
const accepted = `application/json, ${structured}, ${batch}, or headers ce-… (binary mode)`;

/**
 * Take the events out of a request: CloudEvents structured, batched and binary; plain JSON as one object, an array, or
 * `{"events": […]}`.
 */
export function unwrap(request: EventRequest): Envelopes {
  const type = (request.contentType.split(";")[0] ?? "").trim().toLowerCase();
  const isBinary = type !== structured && type !== batch && isBinaryMode(request);
  if (isBinary && type !== "" && !isJsonType(type))
    return unreadable(
      "content_type_not_supported",
      `data of type ${type} cannot be metered: send JSON`,
    );
  if (
    !isBinary &&
    type !== "" &&
    type !== "application/json" &&
    type !== structured &&
    type !== batch
  )
    return unreadable(
      "content_type_not_supported",
      `${type} is not understood here: send ${accepted}`,
    );

  let value: unknown;
  try {
    value = isBinary && request.text === "" ? {} : parseExactJson(request.text);
  } catch (error) {
    if (!(error instanceof JsonSyntaxError)) throw error;
    return unreadable("body_not_json", `the body is not JSON: ${error.message.slice(0, 200)}`);
  }
  if (isBinary) return alone(binaryEnvelope(request, value), true);
  if (type === structured) return alone(value, true);
  if (Array.isArray(value)) return many(value, type === batch, "");
  if (type === batch)
    return unreadable("request_not_valid", "a batch of CloudEvents is a JSON array");
  const events = (value as { events?: unknown } | null)?.events;
  return Array.isArray(events) ? many(events, false, "/events") : alone(value, false);
}

const alone = (value: unknown, strict: boolean): Envelopes => ({
  kind: "envelopes",
  values: [value],
  strict,
  pointerOf: () => "",
});

const many = (values: readonly unknown[], strict: boolean, under: string): Envelopes => ({
  kind: "envelopes",
  values,
  strict,
  pointerOf: (index) => `${under}/${index}`,
});

const unreadable = (
  code: "body_not_json" | "content_type_not_supported" | "request_not_valid",
  detail: string,
): Envelopes => ({ kind: "unreadable", code, detail });

const isBinaryMode = ({ header }: EventRequest): boolean =>
  header("ce-specversion") !== undefined ||
  header("ce-id") !== undefined ||
  header("ce-type") !== undefined;

const attributes = ["specversion", "id", "source", "type", "subject", "time", "corrects"] as const;

function binaryEnvelope(request: EventRequest, data: unknown): Record<string, unknown> {
  const envelope: Record<string, unknown> = { data };
  for (const name of attributes) {
    const written = request.header(`ce-${name}`);
    if (written !== undefined) envelope[name] = readHeader(written);
  }
  return envelope;
}

/** CloudEvents header values are percent-encoded; older senders also quote them. */
function readHeader(written: string): string {
  const bare = /^".*"$/.test(written) ? written.slice(1, -1).replaceAll(/\\(.)/g, "$1") : written;
  try {
    return decodeURIComponent(bare);
  } catch {
    return bare;
  }
}
