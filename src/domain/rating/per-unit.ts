import { type Decimal, subtract } from "../../kit/decimal.ts";
import { type Draft, usage } from "./segments.ts";
import { along, type Span } from "./span.ts";

/** Every unit costs the same. A meter that carries an amount of money makes the unit amount a multiplier. */
export function ratePerUnit(price: { readonly unitAmount: Decimal }, span: Span): Draft[] {
  return along(span.from, span.to, (from, to) => [
    usage(subtract(to, from), price.unitAmount, { kind: "per_unit" }),
  ]);
}
