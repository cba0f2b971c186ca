import { sql } from "kysely";
import type { Instant } from "../kit/time.ts";
import { readInstant, writeInstant } from "./columns.ts";
import type { Db, Tx } from "./connect.ts";

/** Up to when the books are closed, and who closed them. */
export type LedgerLock = {
  readonly until: Instant;
  readonly lockedAt: Instant;
  readonly lockedBy: string;
  readonly reason: string;
};

// The one name under which those who date postings and those who close months take turns.
const turns = sql`hashtextextended('ledger lock', 0)`;

/** Whoever posts holds this until commit, so that no month is closed between the look at the lock and the posting. */
export async function holdMonthsOpen(tx: Tx): Promise<void> {
  await sql`select pg_advisory_xact_lock_shared(${turns})`.execute(tx);
}

/** Wait for everybody who is posting, and keep others from it until commit. */
export async function holdPostings(tx: Tx): Promise<void> {
  await sql`select pg_advisory_xact_lock(${turns})`.execute(tx);
}

/** Closings, the latest first. */
export async function listLedgerLocks(db: Db): Promise<LedgerLock[]> {
  const { rows } = await sql<{
    locked_until: string;
    locked_at: string;
    locked_by: string;
    reason: string;
  }>`select locked_until, locked_at, locked_by, reason from ledger_lock order by locked_until desc`.execute(
    db,
  );
  return rows.map((row) => ({
    until: readInstant(row.locked_until),
    lockedAt: readInstant(row.locked_at),
    lockedBy: row.locked_by,
    reason: row.reason,
  }));
}

export async function insertLedgerLock(tx: Tx, lock: LedgerLock): Promise<void> {
  await sql`insert into ledger_lock (locked_until, locked_at, locked_by, reason)
            values (${writeInstant(lock.until)}, ${writeInstant(lock.lockedAt)}, ${lock.lockedBy}, ${lock.reason})`.execute(
    tx,
  );
}
