import type { Author } from "../domain/audit/index.ts";
import { Problem } from "../domain/refusals/index.ts";
import { formatInstant, type Instant } from "../kit/time.ts";
import { appendAudit, providerChain } from "../store/audit.ts";
import { listUnbalanced } from "../store/journal.ts";
import {
  holdPostings,
  insertLedgerLock,
  type LedgerLock,
  listLedgerLocks,
} from "../store/ledger-locks.ts";
import { transaction } from "../store/transaction.ts";
import type { Env } from "./env.ts";
import { bringUpToDate } from "./export-books.ts";

/**
 * Close the books up to a moment: everything due is posted first, and the trial balance must be zero. What is found out
 * later about the time before (late usage, corrections) is dated at that moment, in the first open month. Closing to the
 * same moment again answers what is there.
 */
export async function closeBooks(env: Env, author: Author, until: Instant): Promise<LedgerLock> {
  if (until > env.now())
    throw new Problem(
      "books_not_closable",
      `${formatInstant(until)} has not come yet: what happens until then would have no place.`,
    );
  await bringUpToDate(env);
  return transaction(env.store.db, async (tx) => {
    await holdPostings(tx);
    const [last] = await listLedgerLocks(tx);
    if (last?.until === until) return last;
    if (last && last.until > until)
      throw new Problem(
        "books_not_closable",
        `The books are closed up to ${formatInstant(last.until)} already, and are not opened again.`,
      );
    const [left] = await listUnbalanced(tx);
    if (left)
      throw new Problem(
        "books_not_closable",
        `Transaction ${left.transactionId} does not balance: ${left.left} ${left.commodity} are left over. Run tallyline verify.`,
      );
    const lock = {
      until,
      lockedAt: env.now(),
      lockedBy: author.actor.name,
      reason: author.reason ?? "",
    };
    await insertLedgerLock(tx, lock);
    await appendAudit(tx, env.id, providerChain, [
      {
        at: env.now(),
        author,
        action: "books.closed",
        target: { kind: "books", id: formatInstant(until) },
        before: last ? { until: formatInstant(last.until) } : null,
        after: { until: formatInstant(until) },
      },
    ]);
    return lock;
  });
}
