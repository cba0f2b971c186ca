import { type Money, money } from "../../kit/money.ts";

/** Money in advance or given, on its way onto an invoice. `covers` limits it to some kinds of line; null covers all. */
export type MoneyCredit = {
  readonly id: string;
  readonly balance: Money;
  readonly covers: readonly string[] | null;
};

export type CreditableLine = { readonly id: string; readonly kind: string; readonly due: Money };

export type CreditUse = {
  readonly creditId: string;
  readonly lineId: string;
  readonly amount: Money;
};

/**
 * Pay lines from credits: each credit in draw order pays the lines it covers, in their order, as far as it goes. What is
 * left of a line is still due; a credit never pays more than it holds.
 */
export function applyCredits(
  lines: readonly CreditableLine[],
  credits: readonly MoneyCredit[],
): { uses: CreditUse[]; due: Map<string, Money> } {
  const due = new Map(lines.map((line) => [line.id, line.due]));
  const uses: CreditUse[] = [];
  for (const credit of credits) {
    let left = credit.balance.minor;
    for (const line of lines) {
      const open = due.get(line.id) ?? line.due;
      if (open.currency !== credit.balance.currency) continue;
      if (credit.covers && !credit.covers.includes(line.kind)) continue;
      const minor = left < open.minor ? left : open.minor;
      if (minor <= 0n) continue;
      uses.push({ creditId: credit.id, lineId: line.id, amount: money(open.currency, minor) });
      due.set(line.id, money(open.currency, open.minor - minor));
      left -= minor;
    }
  }
  return { uses, due };
}

/** Money that comes back after it was paid partly from a balance: each part goes the way it came (balance first). */
export function splitReturn(
  returned: Money,
  paidFromBalance: Money,
): { toBalance: Money; refund: Money } {
  const toBalance = returned.minor < paidFromBalance.minor ? returned.minor : paidFromBalance.minor;
  return {
    toBalance: money(returned.currency, toBalance),
    refund: money(returned.currency, returned.minor - toBalance),
  };
}
