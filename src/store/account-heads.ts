import { sql } from "kysely";
import type { Tx } from "./connect.ts";

export type HeadKey = { readonly orgId: string; readonly accountId: string };
export const headName = (key: HeadKey): string => `${key.orgId}\n${key.accountId}`;

/** Every account once, in the order in which everybody locks them. */
export const inLockOrder = (keys: readonly HeadKey[]): HeadKey[] =>
  [...new Map(keys.map((key) => [headName(key), key])).entries()]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([, key]) => key);

/**
 * Lock the usage heads of accounts, in order, and count their versions up: whoever changes what usage draws from does
 * this first, in a statement of its own, so that ingest and everybody else take turns. Who only wants to take turns leaves
 * the version as it is, and what ingest remembers stays good. Answers how many events each account has; accounts that are not
 * there have no head and leave none behind.
 */
export async function lockHeads(
  tx: Tx,
  keys: readonly HeadKey[],
  options: { readonly changesGrants: boolean } = { changesGrants: true },
): Promise<Map<string, number>> {
  const sorted = inLockOrder(keys);
  const orgs = sorted.map((key) => key.orgId);
  const accounts = sorted.map((key) => key.accountId);
  await sql`insert into usage_head (org_id, account_id, chain)
            select k.*, decode(repeat('00', 16), 'hex')
            from unnest(${orgs}::text[], ${accounts}::text[]) as k (org_id, account_id)
            where exists (select from billing_account a where a.org_id = k.org_id and a.account_id = k.account_id)
            on conflict do nothing`.execute(tx);
  await sql`select 1 from usage_head h join unnest(${orgs}::text[], ${accounts}::text[]) as k (org_id, account_id)
              using (org_id, account_id) order by h.org_id collate "C", h.account_id collate "C" for update of h`.execute(
    tx,
  );
  const { rows } = await sql<{ org_id: string; account_id: string; last_seq: bigint }>`
    update usage_head h set version = h.version + ${options.changesGrants ? 1 : 0}
    from unnest(${orgs}::text[], ${accounts}::text[]) as k (org_id, account_id)
    where h.org_id = k.org_id and h.account_id = k.account_id
    returning h.org_id, h.account_id, h.last_seq`.execute(tx);
  return new Map(
    rows.map((row) => [
      headName({ orgId: row.org_id, accountId: row.account_id }),
      Number(row.last_seq),
    ]),
  );
}
