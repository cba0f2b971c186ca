import { z } from "@hono/zod-openapi";
import { isCurrency } from "../../kit/currency.ts";
import { decodeCursor, encodeCursor } from "../../kit/cursor.ts";
import { decimal, isDecimalText } from "../../kit/decimal.ts";
import { formatMoney, type Money } from "../../kit/money.ts";
import { instant, isZone, tryInstant } from "../../kit/time.ts";
import { Problem } from "../../domain/refusals/index.ts";

/** An exact number as text: the only form in which quantities, rates and amounts cross the wire. */
export const DecimalText = z
  .string()
  .refine(isDecimalText, 'write digits with an optional fraction, as in "12.50"')
  .openapi("Decimal", {
    description: "An exact decimal number as text: digits, an optional fraction, no exponent.",
    pattern: "^-?\\d{1,20}(\\.\\d{1,20})?$",
    example: "12.50",
  });
/** The same, read into a Decimal. */
export const DecimalIn = DecimalText.transform((text) => decimal(text));

/** A moment as text, always with a zone; we answer in UTC. */
export const InstantText = z
  .string()
  .refine(
    (text) => tryInstant(text) !== undefined,
    "write RFC 3339 with a zone, as in 2025-01-31T23:59:59.999Z",
  )
  .openapi("Instant", {
    description: "A moment, RFC 3339 with a zone. Up to microseconds; answered in UTC.",
    format: "date-time",
    example: "2025-01-31T23:59:59.999Z",
  });
export const InstantIn = InstantText.transform((text) => instant(text));

export const CurrencyCode = z
  .string()
  .refine(isCurrency, "write an ISO 4217 code in use, such as USD or EUR")
  .openapi("Currency", { description: "An ISO 4217 code.", pattern: "^[A-Z]{3}$", example: "USD" });

export const ZoneName = z
  .string()
  .refine(isZone, "write an IANA time zone, such as Europe/Berlin or UTC")
  .openapi("TimeZone", { description: "An IANA time zone.", example: "Europe/Berlin" });

export const MoneyView = z
  .strictObject({
    currency: CurrencyCode,
    amount: z.string().openapi({
      description: "Major units with exactly the digits of the currency.",
      example: "12.34",
    }),
  })
  .openapi("Money");
export const moneyView = (value: Money): z.input<typeof MoneyView> => ({
  currency: value.currency,
  amount: formatMoney(value),
});

/** A name for addresses: lower case, digits and dashes. Never of the form of an id. */
export const Slug = z
  .string()
  .min(1)
  .max(64)
  .regex(
    /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/,
    "use lower-case letters, digits and dashes, as in acme-usd",
  )
  .openapi("Slug", {
    description: "A name for addresses, unique in its place.",
    example: "acme-usd",
  });

export const Name = z.string().trim().min(1).max(200).openapi({ example: "Acme" });
export const Reason = z
  .string()
  .trim()
  .min(1)
  .max(1000)
  .openapi({ description: "Why; part of the audit trail.", example: "agreed by mail" });

/** A path member that names a thing by id or slug. */
export const idOrSlug = (what: string, example: string) =>
  z
    .string()
    .min(1)
    .max(80)
    .openapi({ description: `Id or slug of the ${what}.`, example });

export const OrganizationParam = z.object({
  organization: z.string().min(1).max(80).openapi({
    description: "Id or slug of the organization, or `current` for the one the key belongs to.",
    example: "current",
  }),
});

/** Query members of every list. */
export const PageQuery = z.object({
  limit: z.coerce.number().int().min(1).max(200).default(50).openapi({
    description: "How many to return at most.",
    type: "integer",
    minimum: 1,
    maximum: 200,
    default: 50,
  }),
  cursor: z.string().max(500).optional().openapi({
    description: "next_cursor of the page before; leave out for the first page.",
  }),
});

/** One page of things; `next_cursor` is null on the last one. */
export const pageOf = <T extends z.ZodType>(item: T) =>
  z.strictObject({
    object: z.literal("list"),
    data: z.array(item),
    next_cursor: z.string().nullable().openapi({
      description: "Pass as cursor to get the next page; null when this is the last.",
    }),
  });

/** The position in a cursor: as many texts or numbers as the order has columns. */
export function positionOf(
  cursor: string | undefined,
  length: number,
): (string | number)[] | undefined {
  if (cursor === undefined) return undefined;
  const position = decodeCursor(cursor);
  if (!position || position.length !== length) throw new Problem("cursor_not_valid");
  return position;
}

/**
 * Cut a page from rows that were asked for with `limit + 1`: the extra one says that there is more. `position` gives the
 * keyset values of a row.
 */
export function page<Row, View>(
  rows: readonly Row[],
  limit: number,
  view: (row: Row) => View,
  position: (row: Row) => (string | number)[],
): { object: "list"; data: View[]; next_cursor: string | null } {
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  return {
    object: "list",
    data: shown.map(view),
    next_cursor: rows.length > limit && last !== undefined ? encodeCursor(position(last)) : null,
  };
}
