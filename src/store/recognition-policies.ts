import { sql } from "kysely";
import type { RecognitionPolicy } from "../domain/revenue/index.ts";
import type { Instant } from "../kit/time.ts";
import { readInstant, writeInstant } from "./columns.ts";
import type { Db, Tx } from "./connect.ts";

/** The versions of the recognition rule, oldest first. */
export async function listRecognitionPolicies(db: Db): Promise<RecognitionPolicy[]> {
  const rows = await db.selectFrom("recognition_policy").selectAll().orderBy("version").execute();
  return rows.map((row) => ({
    version: row.version,
    effectiveFrom:
      row.effective_from === "-infinity"
        ? (Number.NEGATIVE_INFINITY as Instant)
        : readInstant(row.effective_from),
    fees: row.fees as RecognitionPolicy["fees"],
    usage: row.usage as RecognitionPolicy["usage"],
  }));
}

/** Add the next version. Whoever adds takes turns, so that versions have no gap and no two have one beginning. */
export async function insertRecognitionPolicy(
  tx: Tx,
  policy: RecognitionPolicy,
  by: { readonly who: string; readonly reason: string; readonly at: Instant },
): Promise<void> {
  await tx
    .insertInto("recognition_policy")
    .values({
      version: policy.version,
      effective_from: writeInstant(policy.effectiveFrom),
      fees: policy.fees,
      usage: policy.usage,
      reason: by.reason,
      created_by: by.who,
      created_at: writeInstant(by.at),
    })
    .execute();
}

/** Take turns until commit with everybody who adds a version. */
export async function lockRecognitionPolicies(tx: Tx): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtextextended('recognition policy', 0))`.execute(tx);
}
