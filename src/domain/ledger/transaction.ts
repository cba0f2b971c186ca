import { add, type Decimal, decimalOf, isZero, negate, zero } from "../../kit/decimal.ts";
import type { Money } from "../../kit/money.ts";
import type { Instant } from "../../kit/time.ts";
import type { Address } from "./chart.ts";

/** Money in minor units, or units of a family. Above zero is a debit, below a credit. */
export type Amount =
  | { readonly kind: "money"; readonly money: Money }
  | { readonly kind: "units"; readonly family: string; readonly units: Decimal };

export type Posting = { readonly account: Address; readonly amount: Amount };

export type LedgerTransaction = {
  readonly id: string;
  /** What caused it, once: the same cause is never posted twice. */
  readonly cause: string;
  /** When it happened: the date in the books. */
  readonly at: Instant;
  readonly description: string;
  /** The version of the recognition policy that decided it. */
  readonly policyVersion: number;
  /** The transaction that this one undoes. */
  readonly reverses: string | null;
  readonly postings: readonly Posting[];
};

/** A transaction whose postings do not sum to zero: always a bug of ours, never booked. */
class UnbalancedError extends Error {
  override readonly name = "UnbalancedError";
}

export const commodityOf = (amount: Amount): string =>
  amount.kind === "money" ? amount.money.currency : amount.family;

/** The bare number: minor units for money, units otherwise. */
export const numberOf = (amount: Amount): Decimal =>
  amount.kind === "money" ? decimalOf(amount.money.minor) : amount.units;

const commodityKey = (amount: Amount): string => `${amount.kind}:${commodityOf(amount)}`;

/** What is left over per commodity; empty when the postings balance. Zero tolerance. */
export function imbalance(postings: readonly Posting[]): Map<string, Decimal> {
  const sums = new Map<string, Decimal>();
  for (const { amount } of postings) {
    const key = commodityKey(amount);
    sums.set(key, add(sums.get(key) ?? zero, numberOf(amount)));
  }
  for (const [key, sum] of sums) if (isZero(sum)) sums.delete(key);
  return sums;
}

/** A transaction ready to be booked: postings of nothing are left out, the rest must sum to zero per commodity. */
export function book(transaction: LedgerTransaction): LedgerTransaction {
  const left = imbalance(transaction.postings);
  if (left.size > 0) {
    const sums = [...left].map(([key, sum]) => `${key} ${sum.toFixed()}`).join(", ");
    throw new UnbalancedError(`${transaction.cause} does not balance: ${sums} is left over`);
  }
  return {
    ...transaction,
    postings: transaction.postings.filter(({ amount }) => !isZero(numberOf(amount))),
  };
}

export const debit = (account: Address, amount: Amount): Posting => ({ account, amount });
export const credit = (account: Address, amount: Amount): Posting => ({
  account,
  amount: negatedAmount(amount),
});
export const moneyAmount = (money: Money): Amount => ({ kind: "money", money });
export const unitsAmount = (family: string, units: Decimal): Amount => ({
  kind: "units",
  family,
  units,
});

/** Move an amount from one account to another: credit the first, debit the second. */
export const move = (from: Address, to: Address, amount: Amount): Posting[] => [
  debit(to, amount),
  credit(from, amount),
];

function negatedAmount(amount: Amount): Amount {
  return amount.kind === "money"
    ? moneyAmount({ currency: amount.money.currency, minor: -amount.money.minor })
    : unitsAmount(amount.family, negate(amount.units));
}

/** The transaction that undoes another, posting for posting. The first stays as it is. */
export function reversalOf(
  transaction: LedgerTransaction,
  by: { readonly id: string; readonly at: Instant; readonly description: string },
): LedgerTransaction {
  return book({
    ...transaction,
    ...by,
    cause: `reversal:${transaction.id}`,
    reverses: transaction.id,
    postings: transaction.postings.map(({ account, amount }) => ({
      account,
      amount: negatedAmount(amount),
    })),
  });
}
