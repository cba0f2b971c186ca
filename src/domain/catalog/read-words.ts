import { type Instant, instant, tryInstant } from "../../kit/time.ts";
import type { ObjectReader } from "./price-reader.ts";

const identifierForm = /^[a-z][a-z0-9_.-]{0,62}$/;
const skuForm = /^[A-Za-z][A-Za-z0-9_.-]{0,62}$/;

const word =
  (form: RegExp, says: string) =>
  (item: ObjectReader, member: string): string | undefined => {
    if (!item.has(member)) return undefined;
    const value = item.raw(member);
    if (typeof value === "string" && form.test(value)) return value;
    item.fault(member, says);
    return undefined;
  };

/** A key of ours: services, meters, plans, books, features. */
export const identifier = word(
  identifierForm,
  "write lower case letters, digits, _ . and -, up to 63, beginning with a letter",
);
/** A SKU code, as it stands on invoices: "USAGE-SMS-1000". */
export const skuCode = word(
  skuForm,
  "write a code of letters, digits, _ . and -, up to 63, as in USAGE-SMS-1000",
);
/** A line of text for people. */
export const line = word(/^\S(.{0,198}\S)?$/u, "write a line of up to 200 characters");

/** The value, or a fault that it is missing; the reading goes on either way. */
export function needed(item: ObjectReader, member: string, value: string | undefined): string {
  if (!item.has(member)) item.fault(member, `${member} is missing`);
  return value ?? "";
}

/** Since when something holds; since ever when nothing is said. */
export function readFrom(item: ObjectReader): Instant {
  const always = instant("1970-01-01T00:00:00Z");
  if (!item.has("effective_from")) return always;
  const from = tryInstant(String(item.raw("effective_from")));
  if (from === undefined)
    item.fault("effective_from", "write RFC 3339 with a zone, as in 2025-02-01T00:00:00Z");
  return from ?? always;
}
