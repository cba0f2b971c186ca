import { type ExportFormat, exportBooks, type LedgerTransaction } from "../domain/ledger/index.ts";
import type { Instant } from "../kit/time.ts";
import { listTransactions } from "../store/journal.ts";
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

/** Post what is not in the books yet: movements of grants, and the cost of what was used. */
export async function bringUpToDate(env: Env): Promise<void> {
  await postBooks(env);
  await postSupplyCost(env);
}
