import { compareContents, type Mismatch } from "../domain/invoicing/index.ts";
import type { Db } from "../store/connect.ts";
import { type Drafted, draftScopes } from "./draft-invoices.ts";
import { measureWindowsAgain } from "../store/invoice-usage.ts";
import { rateIndependently } from "./rate-independently.ts";

/**
 * Compute drafts a second time, from the raw events and by the independent rating, in the same snapshot, and say where the
 * two disagree: one list per draft, empty when they agree.
 */
export async function checkDrafts(db: Db, drafted: readonly Drafted[]): Promise<Mismatch[][]> {
  const again = await draftScopes(
    db,
    drafted.map((one) => one.scope),
    measureWindowsAgain,
    rateIndependently,
  );
  return drafted.map((one, i) => {
    const other = again[i];
    return other ? compareContents(one.draft.content, other.draft.content) : [];
  });
}
