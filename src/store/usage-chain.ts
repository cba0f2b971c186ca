import { sql } from "kysely";
import {
  type ChainFault,
  type ChainWalk,
  firstLink,
  startOfChain,
  walkChain,
} from "../domain/usage/index.ts";
import { readInstant } from "./columns.ts";
import type { Db } from "./connect.ts";

/** Whose events to prove: all of an organization, or one account's. */
export type ProofScope = { readonly orgId: string; readonly accountId?: string };

type StoredRow = {
  account_id: string;
  seq: bigint;
  project_id: string;
  type: string;
  source: string;
  id: string;
  subject: string;
  time: string;
  received_at: string;
  corrects: string | null;
  data: string;
  link: string;
};

const pageSize = 5_000;

/**
 * Walk every account's events in their order and compute each link anew: gaps, changed events, and a tip that is not the
 * one its head holds. Empty when all is well.
 */
export async function verifyUsage(db: Db, scope: ProofScope): Promise<ChainFault[]> {
  const heads = await sql<{ account_id: string; last_seq: bigint; link: string }>`
    select account_id, last_seq, encode(chain, 'hex') as link from usage_head
    where org_id = ${scope.orgId} and (${scope.accountId ?? null}::text is null or account_id = ${scope.accountId ?? null})
    order by account_id`.execute(db);
  const faults: ChainFault[] = [];
  for (const head of heads.rows) {
    const walk = startOfChain();
    await walkAccount(db, scope.orgId, head.account_id, walk, faults);
    if (
      walk.lastSeq === head.last_seq &&
      walk.link === (walk.lastSeq === 0n ? firstLink : head.link)
    )
      continue;
    const detail = `the account's head stands at event ${head.last_seq}, its stored events end at ${walk.lastSeq}`;
    if (walk.lastSeq !== head.last_seq || !faults.some((f) => f.accountId === head.account_id))
      faults.push({
        orgId: scope.orgId,
        accountId: head.account_id,
        seq: head.last_seq,
        source: "",
        id: "",
        detail,
      });
  }
  return faults;
}

async function walkAccount(
  db: Db,
  orgId: string,
  accountId: string,
  walk: ChainWalk,
  faults: ChainFault[],
): Promise<void> {
  // Sorted once by the database; read page by page, so that an account of any size fits in memory.
  for (let after = 0n; ; ) {
    const { rows } = await sql<StoredRow>`
      select account_id, seq, project_id, type, source, id, subject, time, received_at,
             replace(corrects::text, '-', '') as corrects, data::text as data, encode(chain, 'hex') as link
      from usage_event where org_id = ${orgId} and account_id = ${accountId} and seq > ${after.toString()}::bigint
      order by seq limit ${pageSize}`.execute(db);
    for (const row of rows) {
      const event = {
        orgId,
        accountId,
        seq: row.seq,
        projectId: row.project_id,
        type: row.type,
        source: row.source,
        id: row.id,
        subject: row.subject,
        time: readInstant(row.time),
        receivedAt: readInstant(row.received_at),
        corrects: row.corrects,
        dataText: row.data,
      };
      const fault = walkChain(walk, event, row.link);
      if (fault) faults.push(fault);
    }
    const last = rows.at(-1);
    if (last === undefined || rows.length < pageSize) return;
    after = last.seq;
  }
}
