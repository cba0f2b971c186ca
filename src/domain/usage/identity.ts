import { canonicalJson } from "../../kit/canonical-json.ts";
import { sha256Hex } from "../../kit/hash.ts";
import type { Instant } from "../../kit/time.ts";
import type { UsageEvent } from "./event.ts";

/**
 * The identity of an event within its organization: the first 128 bits of SHA-256 over source, NUL and id, as 32 hex
 * digits. Neither can hold a NUL, so no two pairs share a text.
 */
export const eventKey = (source: string, id: string): string =>
  sha256Hex(`${source}\0${id}`).slice(0, 32);

/** What the sender said under an identity. */
export type Content = {
  readonly type: string;
  readonly subject: string;
  readonly time: Instant;
  readonly dataText: string;
  /** The key of the corrected event. */
  readonly corrects: string | null;
};

export const contentOf = (event: UsageEvent): Content => ({
  type: event.type,
  subject: event.subject,
  time: event.time,
  dataText: event.dataText,
  corrects: event.corrects === null ? null : eventKey(event.source, event.corrects),
});

/** Whether two sends under one identity said the same. The order of members in `data` says nothing. */
export function isSameContent(a: Content, b: Content): boolean {
  return (
    a.type === b.type &&
    a.subject === b.subject &&
    a.time === b.time &&
    a.corrects === b.corrects &&
    (a.dataText === b.dataText || canonicalData(a.dataText) === canonicalData(b.dataText))
  );
}

const canonicalData = (text: string): string => canonicalJson(JSON.parse(text));

/** One text for one content, to tell different wrong contents apart. */
export const contentDigest = (content: Content): string =>
  sha256Hex(
    [
      content.type,
      content.subject,
      content.time,
      content.corrects ?? "",
      canonicalData(content.dataText),
    ].join("\0"),
  );
