import { add, type Decimal, isZero, zero } from "../../kit/decimal.ts";
import type { Instant } from "../../kit/time.ts";
import type { Address } from "./chart.ts";
import { type Amount, commodityOf, type LedgerTransaction, numberOf } from "./transaction.ts";

/** What stands on one account in one commodity. Debits are above zero. */
export type Balance = {
  readonly account: Address;
  readonly kind: Amount["kind"];
  readonly commodity: string;
  readonly number: Decimal;
};

/** Balances from everything dated up to and including an instant, sorted, without the zeros. */
export function balancesAt(
  transactions: Iterable<LedgerTransaction>,
  at: Instant = Number.MAX_SAFE_INTEGER as Instant,
): Balance[] {
  const found = new Map<string, { account: Address; amount: Amount; number: Decimal }>();
  for (const transaction of transactions) {
    if (transaction.at > at) continue;
    for (const { account, amount } of transaction.postings) {
      const key = `${account}\n${amount.kind}\n${commodityOf(amount)}`;
      const entry = found.get(key) ?? { account, amount, number: zero };
      entry.number = add(entry.number, numberOf(amount));
      found.set(key, entry);
    }
  }
  return [...found.entries()]
    .filter(([, { number }]) => !isZero(number))
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([, { account, amount, number }]) => ({
      account,
      kind: amount.kind,
      commodity: commodityOf(amount),
      number,
    }));
}

/** The sum over all accounts, per commodity: zero, or the books are broken. */
export function trialBalance(balances: readonly Balance[]): Map<string, Decimal> {
  const sums = new Map<string, Decimal>();
  for (const { kind, commodity, number } of balances) {
    const key = `${kind}:${commodity}`;
    sums.set(key, add(sums.get(key) ?? zero, number));
  }
  return sums;
}
