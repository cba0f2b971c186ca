import { sql } from "kysely";
import type { Database, Tx } from "./connect.ts";

// Serialization failure, deadlock: Postgres undid the work and asks us to try again.
const retryable = new Set(["40001", "40P01"]);
const attemptsMax = 5;

/**
 * Run work in one transaction; when Postgres reports a conflict with another one, undo and run it again.
 *
 * Inside an open transaction the work joins it under a savepoint: a flow can be run alone, or as part of a larger unit
 * (an API request that stores its answer with its effect), without knowing which.
 */
export async function transaction<T>(db: Database, work: (tx: Tx) => Promise<T>): Promise<T> {
  if (db.isTransaction) return within(db as Tx, work);
  for (let attempt = 1; ; attempt++) {
    try {
      return await db.transaction().execute(work);
    } catch (error) {
      const code = (error as { code?: string }).code;
      if (attempt >= attemptsMax || code === undefined || !retryable.has(code)) throw error;
    }
  }
}

async function within<T>(tx: Tx, work: (tx: Tx) => Promise<T>): Promise<T> {
  await sql`savepoint within`.execute(tx);
  try {
    const result = await work(tx);
    await sql`release savepoint within`.execute(tx);
    return result;
  } catch (error) {
    const code = (error as { code?: string }).code;
    // A conflict ends the whole transaction: the outermost caller runs everything again.
    if (code === undefined || !retryable.has(code)) {
      await sql`rollback to savepoint within`.execute(tx);
      await sql`release savepoint within`.execute(tx);
    }
    throw error;
  }
}

/** Run reads that must see one moment of the database, however many statements they are. */
export async function snapshot<T>(db: Database, work: (tx: Tx) => Promise<T>): Promise<T> {
  if (db.isTransaction) return work(db as Tx);
  return db
    .transaction()
    .setIsolationLevel("repeatable read")
    .setAccessMode("read only")
    .execute(work);
}

/** The name of the constraint a statement broke, when that is what happened. */
export function brokenConstraint(error: unknown): string | undefined {
  const { code, constraint } = error as { code?: string; constraint?: string };
  return code?.startsWith("23") ? constraint : undefined;
}
