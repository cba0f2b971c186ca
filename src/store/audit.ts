import { sql } from "kysely";
import { type Actor, type Change, chainStart, type Entry, linkOf } from "../domain/audit/index.ts";
import { canonicalJson } from "../kit/canonical-json.ts";
import type { MakeId } from "../kit/ids.ts";
import { readInstant, writeInstant } from "./columns.ts";
import type { Db, Tx } from "./connect.ts";

/** The chain of what belongs to no organization: catalog, settings, provider keys. */
export const providerChain = "provider";

/**
 * Append changes to an organization's chain, in the transaction that makes them. Holds the chain's head until commit:
 * call it last, so that long work is not done under the lock.
 */
export async function appendAudit(
  tx: Tx,
  makeId: MakeId,
  chainId: string,
  changes: readonly Change[],
): Promise<void> {
  if (changes.length === 0) return;
  await sql`insert into audit_head (org_id, seq, chain) values (${chainId}, 0, ${chainStart})
            on conflict (org_id) do nothing`.execute(tx);
  const head = await tx
    .selectFrom("audit_head")
    .select(["seq", "chain"])
    .where("org_id", "=", chainId)
    .forUpdate()
    .executeTakeFirstOrThrow();
  let seq = Number(head.seq);
  let chain = head.chain;
  const rows = changes.map((change) => {
    seq += 1;
    // What is hashed is what comes back from the column, so the values pass through JSON once.
    const placed = { ...change, before: plain(change.before), after: plain(change.after) };
    const entry = { ...placed, id: makeId("audit"), seq };
    chain = linkOf(chain, entry);
    return {
      org_id: chainId,
      seq: BigInt(seq),
      entry_id: entry.id,
      at: writeInstant(entry.at),
      actor_kind: entry.author.actor.kind,
      actor_id: entry.author.actor.id,
      actor_name: entry.author.actor.name,
      action: entry.action,
      target_kind: entry.target.kind,
      target_id: entry.target.id,
      before: jsonText(entry.before),
      after: jsonText(entry.after),
      reason: entry.author.reason,
      request_id: entry.author.requestId,
      chain,
    };
  });
  await tx.insertInto("audit_entry").values(rows).execute();
  await tx
    .updateTable("audit_head")
    .set({ seq: BigInt(seq), chain })
    .where("org_id", "=", chainId)
    .execute();
}

const plain = (value: unknown): unknown =>
  value === undefined || value === null ? null : JSON.parse(canonicalJson(value));
const jsonText = (value: unknown): string | null => (value === null ? null : canonicalJson(value));

export type AuditFilter = {
  readonly targetKind?: string | undefined;
  readonly targetId?: string | undefined;
  readonly action?: string | undefined;
};

/** Entries newest first, before a sequence number. */
export async function listAudit(
  db: Db,
  chainId: string,
  filter: AuditFilter,
  page: { readonly beforeSeq: number | undefined; readonly limit: number },
): Promise<Entry[]> {
  let query = db.selectFrom("audit_entry").selectAll().where("org_id", "=", chainId);
  if (filter.targetKind) query = query.where("target_kind", "=", filter.targetKind);
  if (filter.targetId) query = query.where("target_id", "=", filter.targetId);
  if (filter.action) query = query.where("action", "=", filter.action);
  if (page.beforeSeq !== undefined) query = query.where("seq", "<", BigInt(page.beforeSeq));
  const rows = await query.orderBy("seq", "desc").limit(page.limit).execute();
  return rows.map(entryOf);
}

/** Entries in the order they were written, after a sequence number: what verification walks over. */
export async function walkAudit(
  db: Db,
  chainId: string,
  afterSeq: number,
  limit: number,
): Promise<Entry[]> {
  const rows = await db
    .selectFrom("audit_entry")
    .selectAll()
    .where("org_id", "=", chainId)
    .where("seq", ">", BigInt(afterSeq))
    .orderBy("seq")
    .limit(limit)
    .execute();
  return rows.map(entryOf);
}

export async function findAuditHead(
  db: Db,
  chainId: string,
): Promise<{ seq: number; chain: Buffer }> {
  const row = await db
    .selectFrom("audit_head")
    .select(["seq", "chain"])
    .where("org_id", "=", chainId)
    .executeTakeFirst();
  return row ? { seq: Number(row.seq), chain: row.chain } : { seq: 0, chain: chainStart };
}

type Row = {
  seq: bigint;
  entry_id: string;
  at: string;
  actor_kind: string;
  actor_id: string;
  actor_name: string;
  action: string;
  target_kind: string;
  target_id: string;
  before: unknown;
  after: unknown;
  reason: string | null;
  request_id: string | null;
  chain: Buffer;
};

function entryOf(row: Row): Entry {
  return {
    id: row.entry_id,
    seq: Number(row.seq),
    at: readInstant(row.at),
    author: {
      actor: { kind: row.actor_kind as Actor["kind"], id: row.actor_id, name: row.actor_name },
      requestId: row.request_id,
      reason: row.reason,
    },
    action: row.action,
    target: { kind: row.target_kind, id: row.target_id },
    before: row.before,
    after: row.after,
    chain: row.chain,
  };
}
