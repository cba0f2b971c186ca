import { type Money, minus, money, plus } from "../../kit/money.ts";
import { decimalOf } from "../../kit/decimal.ts";
import { allocate } from "../../kit/allocate.ts";

/** What of a line can be disputed or was: the line itself, the tax that comes on top of it, and what is left of it. */
export type DisputedLine = {
  readonly amount: Money;
  /** Nothing where prices include the tax. */
  readonly taxOnTop: Money;
  readonly left: Money;
};

export type DisputeDecision =
  | { readonly kind: "dispute"; readonly amount: Money; readonly withheld: Money }
  | { readonly kind: "nothing_left" }
  | { readonly kind: "too_large"; readonly left: Money };

/**
 * Decide how much is under dispute: what was named, or all that is left of the line. `withheld` is that with its share of
 * the line's tax: what nobody is reminded of until the dispute is decided.
 */
export function decideDispute(line: DisputedLine, asked: Money | null): DisputeDecision {
  if (line.left.minor <= 0n) return { kind: "nothing_left" };
  const amount = asked ?? line.left;
  if (amount.minor > line.left.minor) return { kind: "too_large", left: line.left };
  const rest = minus(line.amount, amount);
  const [tax] = allocate(line.taxOnTop, [decimalOf(amount.minor), decimalOf(rest.minor)]);
  return { kind: "dispute", amount, withheld: plus(amount, tax as Money) };
}

/** What may be asked for: what is open, less what is under dispute; never below nothing. */
export function askableOf(open: Money, withheld: Money): Money {
  const left = minus(open, withheld);
  return left.minor < 0n ? money(open.currency, 0n) : left;
}
