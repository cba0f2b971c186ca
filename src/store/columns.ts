import type { PricedTerms } from "../domain/accounts/index.ts";
import { type Decimal, formatDecimal, longDecimal } from "../kit/decimal.ts";
import { formatInstant, type Instant, instant } from "../kit/time.ts";

/** Postgres writes "2025-01-31 23:59:59.999999+00": the same instant with a space and a short offset. */
export const readInstant = (text: string): Instant => instant(text.replace(" ", "T"));
export const readInstantOrNull = (text: string | null): Instant | null =>
  text === null ? null : readInstant(text);
export const writeInstant = (at: Instant): string => formatInstant(at);
/** What Postgres holds or has worked out: sums have as many digits as it takes. */
export const readDecimal = (text: string): Decimal => longDecimal(text);
/** What terms say about paying early and late, in the columns they have everywhere. */
export const pricedTermsOf = (row: {
  readonly early_discount_percent: string | null;
  readonly early_discount_days: number | null;
  readonly late_fee_percent: string | null;
}): PricedTerms => ({
  earlyDiscount:
    row.early_discount_percent === null || row.early_discount_days === null
      ? null
      : { percent: readDecimal(row.early_discount_percent), days: row.early_discount_days },
  lateFee:
    row.late_fee_percent === null ? null : { percentPerMonth: readDecimal(row.late_fee_percent) },
});
export const writeDecimal = (value: Decimal): string => formatDecimal(value);

/**
 * Texts as PostgreSQL writes an array of them, for long arrays and long texts: the driver's own way walks every character
 * in our process. JSON quotes as arrays do, except for control characters.
 */
export const textArray = (values: readonly (string | null)[]): string =>
  `{${values.map((value) => (value === null ? "null" : quoted(value))).join(",")}}`;

const quoted = (text: string): string =>
  hasControl.test(text) ? `"${text.replaceAll(/["\\]/g, String.raw`\$&`)}"` : JSON.stringify(text);
// oxlint-disable-next-line no-control-regex
const hasControl = /[\u0000-\u001f]/;
