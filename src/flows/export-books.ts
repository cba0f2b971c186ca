import { type ExportFormat, exportBooks, type LedgerTransaction } from "../domain/ledger/index.ts";
import type { Instant } from "../kit/time.ts";
import { listTransactions } from "../store/journal.ts";
import { accrueUsage } from "./accrue-usage.ts";
import { atEveryTime } from "./at-every-time.ts";
import { earnRevenue } from "./earn-revenue.ts";
import type { Env } from "./env.ts";
import { postSupplyCost } from "./keep-supply.ts";
import { postBooks } from "./post-books.ts";

/** The books of one organization, or of the whole installation, as text for an accounting program. */
export async function exportLedger(
  env: Env,
  of: { orgId?: string | undefined; from?: Instant | undefined; until?: Instant | undefined },
  format: ExportFormat,
): Promise<string> {
  await bringUpToDate(env);
  const all: LedgerTransaction[] = [];
  for (let after: { at: Instant; id: string } | undefined; ; ) {
    const page = await listTransactions(env.store.db, { ...of, after, limit: 5_000 });
    all.push(...page);
    const last = page.at(-1);
    if (!last || page.length < 5_000) return exportBooks(all, format);
    after = { at: last.at, id: last.id };
  }
}

/**
 * Post what has come due and is not in the books yet: movements of grants, closed periods without an invoice, fees by the
 * month, and the cost of what was used. Documents and payments are there already.
 */
export async function bringUpToDate(env: Env): Promise<void> {
  await atEveryTime(env, async (own, of) => {
    await accrueUsage(own, of);
    await earnRevenue(own, of);
  });
  await postBooks(env);
  await postSupplyCost(env);
}
