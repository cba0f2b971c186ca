import type { Database, Tx } from "./connect.ts";

// Serialization failure, deadlock: Postgres undid the work and asks us to try again.
const retryable = new Set(["40001", "40P01"]);
const attemptsMax = 5;

/** Run work in one transaction; when Postgres reports a conflict with another one, undo and run it again. */
export async function transaction<T>(db: Database, work: (tx: Tx) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await db.transaction().execute(work);
    } catch (error) {
      const code = (error as { code?: string }).code;
      if (attempt >= attemptsMax || code === undefined || !retryable.has(code)) throw error;
    }
  }
}

/** The name of the constraint a statement broke, when that is what happened. */
export function brokenConstraint(error: unknown): string | undefined {
  const { code, constraint } = error as { code?: string; constraint?: string };
  return code?.startsWith("23") ? constraint : undefined;
}
