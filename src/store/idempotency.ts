import { sql } from "kysely";
import type { Instant } from "../kit/time.ts";
import { readInstant, writeInstant } from "./columns.ts";
import type { Db } from "./connect.ts";

/** An answer as it went over the wire. */
export type StoredAnswer = {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
};

export type KeyedRequest = {
  readonly scope: string;
  readonly key: string;
  readonly hash: Buffer;
  /** Names this attempt. */
  readonly claim: string;
};

export type ClaimResult =
  | { readonly kind: "claimed" }
  | { readonly kind: "answered"; readonly answer: StoredAnswer }
  | { readonly kind: "in_flight" }
  | { readonly kind: "mismatch" };

/**
 * Claim a key for this attempt, or learn what became of it. A claim older than the lease belonged to a process that is
 * gone, and is taken over; should its owner still be alive, `saveAnswer` will refuse it.
 */
export async function claimKey(
  db: Db,
  request: KeyedRequest,
  now: Instant,
  leaseMicros: number,
): Promise<ClaimResult> {
  const inserted = await db
    .insertInto("idempotency_key")
    .values({
      scope: request.scope,
      key: request.key,
      request_hash: request.hash,
      claim: request.claim,
      claimed_at: writeInstant(now),
    })
    .onConflict((conflict) => conflict.columns(["scope", "key"]).doNothing())
    .executeTakeFirst();
  if (inserted.numInsertedOrUpdatedRows === 1n) return { kind: "claimed" };

  const row = await db
    .selectFrom("idempotency_key")
    .selectAll()
    .where("scope", "=", request.scope)
    .where("key", "=", request.key)
    .executeTakeFirst();
  // Gone between the two statements: the other attempt failed and let go. The client tries again.
  if (!row) return { kind: "in_flight" };
  if (!row.request_hash.equals(request.hash)) return { kind: "mismatch" };
  if (row.status !== null) {
    return {
      kind: "answered",
      answer: {
        status: row.status,
        headers: JSON.parse(row.headers ?? "{}") as Record<string, string>,
        body: row.response ?? "",
      },
    };
  }
  if (now - readInstant(row.claimed_at) < leaseMicros) return { kind: "in_flight" };
  const taken = await db
    .updateTable("idempotency_key")
    .set({ claim: request.claim, claimed_at: writeInstant(now) })
    .where("scope", "=", request.scope)
    .where("key", "=", request.key)
    .where("claim", "=", row.claim)
    .where("status", "is", null)
    .executeTakeFirst();
  return { kind: taken.numUpdatedRows === 1n ? "claimed" : "in_flight" };
}

/** Store the answer of this attempt. False when the claim has passed to another: then nothing may take effect. */
export async function saveAnswer(
  db: Db,
  request: KeyedRequest,
  answer: StoredAnswer,
): Promise<boolean> {
  const saved = await db
    .updateTable("idempotency_key")
    .set({
      status: answer.status,
      headers: JSON.stringify(answer.headers),
      response: answer.body,
    })
    .where("scope", "=", request.scope)
    .where("key", "=", request.key)
    .where("claim", "=", request.claim)
    .where("status", "is", null)
    .executeTakeFirst();
  return saved.numUpdatedRows === 1n;
}

/** Let go of a key whose attempt had no effect, so that a retry runs. */
export async function releaseKey(db: Db, request: KeyedRequest): Promise<void> {
  await db
    .deleteFrom("idempotency_key")
    .where("scope", "=", request.scope)
    .where("key", "=", request.key)
    .where("claim", "=", request.claim)
    .where("status", "is", null)
    .execute();
}

/** Forget answers older than the promise to keep them. Returns how many. */
export async function forgetAnswers(db: Db, before: Instant): Promise<number> {
  const { numAffectedRows } = await sql`
    delete from idempotency_key where claimed_at < ${writeInstant(before)}::timestamptz`.execute(
    db,
  );
  return Number(numAffectedRows ?? 0n);
}
