import type { Decimal } from "../../kit/decimal.ts";
import { one, zero } from "../../kit/decimal.ts";
import { counted, type Draft } from "./segments.ts";
import type { Span } from "./span.ts";

/** One amount for the period, whatever was used: due once, at the price that holds when the period ends. */
export function rateFlatFee(price: { readonly amount: Decimal }, span: Span): Draft[] {
  return span.closing ? [counted(one, price.amount, zero, { kind: "flat_fee" })] : [];
}
