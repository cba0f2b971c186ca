import { type Decimal, decimal, formatDecimal } from "../kit/decimal.ts";
import { formatInstant, type Instant, instant } from "../kit/time.ts";

/** Postgres writes "2025-01-31 23:59:59.999999+00": the same instant with a space and a short offset. */
export const readInstant = (text: string): Instant => instant(text.replace(" ", "T"));
export const readInstantOrNull = (text: string | null): Instant | null =>
  text === null ? null : readInstant(text);
export const writeInstant = (at: Instant): string => formatInstant(at);
export const readDecimal = (text: string): Decimal => decimal(text);
export const writeDecimal = (value: Decimal): string => formatDecimal(value);
