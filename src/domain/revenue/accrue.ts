import { minus, type Money, money } from "../../kit/money.ts";
import type { Instant } from "../../kit/time.ts";
import { address, book, type LedgerTransaction, move, moneyAmount } from "../ledger/index.ts";
import { type BookedLine, summed, type Unbilled } from "./post-document.ts";
import type { RecognitionPolicy } from "./policy.ts";

export type Accrual = {
  readonly transaction: LedgerTransaction | null;
  /** What then stands unbilled under each cause of the period; nothing where what was accrued is taken back. */
  readonly unbilled: Unbilled;
};

/**
 * Accrue a closed period that has no invoice yet: what its draft says is earned, less what was accrued before. Unbilled
 * against revenue, dated at the period's last moment. Late events change the draft, and the next accrual books the difference.
 */
export function accrue(
  period: {
    readonly id: string;
    readonly accountId: string;
    readonly name: string;
    readonly at: Instant;
  },
  lines: readonly BookedLine[],
  before: Unbilled,
  policy: RecognitionPolicy,
): Accrual {
  const earned = new Map<string, { sku: string; amount: Money }>();
  if (policy.usage === "accrued")
    for (const line of lines)
      if (line.kind === "charge") earned.set(line.cause, { sku: line.sku, amount: line.earned });
  const unbilled = new Map(earned);
  for (const [cause, { sku, amount }] of before)
    if (!unbilled.has(cause)) unbilled.set(cause, { sku, amount: money(amount.currency, 0n) });
  const postings = [...unbilled].flatMap(([cause, { sku, amount }]) => {
    const was = before.get(cause)?.amount ?? money(amount.currency, 0n);
    return move(
      address("revenue", sku),
      address("unbilled", period.accountId),
      moneyAmount(minus(amount, was)),
    );
  });
  const transaction = book({
    id: period.id,
    cause: `accrual:${period.id}`,
    at: period.at,
    description: `earned in ${period.name}, not yet invoiced`,
    policyVersion: policy.version,
    reverses: null,
    postings: summed(postings),
  });
  return { transaction: transaction.postings.length > 0 ? transaction : null, unbilled };
}
