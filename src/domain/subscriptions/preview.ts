import type { Currency } from "../../kit/currency.ts";
import { type Money, sumMoney } from "../../kit/money.ts";
import type { Instant } from "../../kit/time.ts";
import { type Change, type ChangeDecision, change } from "./change.ts";
import { type Charge, chargedByCause, chargesOf, difference, type Terms } from "./charges.ts";
import type { Subscription } from "./subscription.ts";

/** What a change does to the bill: each cause that changes, with the amount to add (or give back, below zero). */
export type MoneyEffect = {
  readonly lines: readonly { readonly charge: Charge; readonly amount: Money }[];
  readonly credit: Money;
  readonly charge: Money;
  readonly net: Money;
};

export type ChangePreview = Exclude<ChangeDecision, { kind: "refused" }> & {
  readonly effect: MoneyEffect;
};

/**
 * The decision and its money. What a preview shows is what the change does: both are this function, and the money is the
 * difference between what should be charged after and before, the same difference that the next invoice will take.
 */
export function previewChange(
  subscription: Subscription,
  wanted: Change,
  terms: Terms,
  now: Instant,
  mayBackdate = false,
): ChangePreview | Extract<ChangeDecision, { kind: "refused" }> {
  const decision = change(subscription, wanted, now, mayBackdate);
  if (decision.kind === "refused") return decision;
  const { effectiveAt } = decision;
  // What the old timeline would only charge at the very moment of a later change is never charged at all.
  const existing = effectiveAt > now ? ((effectiveAt - 1) as Instant) : now;
  const effect = moneyEffect(
    chargesOf(subscription, terms, existing),
    chargesOf(decision.subscription, terms, Math.max(effectiveAt, now) as Instant),
    subscription.currency,
  );
  return { ...decision, effect };
}

/** What should be charged, less what has been. */
export function moneyEffect(
  existing: readonly Charge[],
  expected: readonly Charge[],
  currency: Currency,
): MoneyEffect {
  const byCause = new Map([...existing, ...expected].map((charge) => [charge.cause, charge]));
  const changed = difference(chargedByCause(expected), chargedByCause(existing));
  const lines = [...changed].map(([cause, amount]) => ({
    charge: byCause.get(cause) as Charge,
    amount,
  }));
  const sum = (amounts: Money[]) => sumMoney(currency, amounts);
  const amounts = lines.map((line) => line.amount);
  return {
    lines,
    credit: sum(amounts.filter((amount) => amount.minor < 0n)),
    charge: sum(amounts.filter((amount) => amount.minor > 0n)),
    net: sum(amounts),
  };
}
