import { minus, type Money } from "../../kit/money.ts";
import { endOf, type Instant, type Period } from "../../kit/time.ts";
import { address, book, type LedgerTransaction, move, moneyAmount } from "../ledger/index.ts";
import { earnedAt, type RevenueSchedule, transactionId } from "./post-document.ts";

/** A schedule as it stands: how much of it has been earned, and up to when. */
export type RunningSchedule = RevenueSchedule & {
  readonly invoiceId: string;
  readonly accountId: string;
  readonly timeZone: string;
  readonly earnedUntil: Instant;
  readonly policyVersion: number;
};

/** The end of the month that an instant lies in, or of the schedule: when its next part is earned. Null after the end. */
export const nextEarning = (
  schedule: { readonly over: Period; readonly timeZone: string },
  after: Instant,
): Instant | null =>
  after >= schedule.over.endsAt
    ? null
    : (Math.min(endOf("month", after, schedule.timeZone), schedule.over.endsAt) as Instant);

/**
 * Earn what has come due by an instant: one transaction for each month that has ended, dated at its last moment. The parts
 * are differences of one function of time, so they add up to the line exactly.
 *
 * $2,400.00 for 2025: 203.84 for January's 31 days, 184.11 for February's 28, and after 365 days 2,400.00.
 */
export function earn(
  schedule: RunningSchedule,
  until: Instant,
): { readonly transactions: LedgerTransaction[]; readonly after: RunningSchedule } {
  const transactions: LedgerTransaction[] = [];
  let { earned, earnedUntil } = schedule;
  for (let at = nextEarning(schedule, earnedUntil); at !== null && at <= until; ) {
    const now = earnedAt(schedule.amount, schedule.over, at);
    transactions.push(earning(schedule, minus(now, earned), at));
    [earned, earnedUntil] = [now, at];
    at = nextEarning(schedule, at);
  }
  return {
    transactions: transactions.filter((one) => one.postings.length > 0),
    after: { ...schedule, earned, earnedUntil },
  };
}

function earning(schedule: RunningSchedule, part: Money, at: Instant): LedgerTransaction {
  const { invoiceId, lineNo, sku, goesTo, policyVersion } = schedule;
  return book({
    id: transactionId(invoiceId, `l${lineNo}t${at / 1_000_000}`),
    cause: `earned:${invoiceId}:${lineNo}:${at}`,
    at: (at - 1) as Instant,
    description: `earned of ${sku}`,
    policyVersion,
    reverses: null,
    postings: move(address(goesTo, sku), address("deferred", sku), moneyAmount(part)),
  });
}

/** Take back what was earned of a document that became void: the rest of its deferral goes with the document's reversal. */
export function unearn(
  schedule: RunningSchedule,
  earnedOnPaper: Money,
  at: Instant,
): LedgerTransaction {
  const { invoiceId, lineNo, sku, goesTo, policyVersion, earned } = schedule;
  return book({
    id: transactionId(invoiceId, `l${lineNo}v`),
    cause: `unearned:${invoiceId}:${lineNo}`,
    at,
    description: `no longer earned of ${sku}: the document is void`,
    policyVersion,
    reverses: null,
    postings: move(
      address("deferred", sku),
      address(goesTo, sku),
      moneyAmount(minus(earned, earnedOnPaper)),
    ),
  });
}
