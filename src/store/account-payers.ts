import { sql } from "kysely";
import {
  type AccountRef,
  type Payable,
  type PayerBook,
  payerBook,
  type PayerChange,
} from "../domain/accounts/index.ts";
import type { Instant } from "../kit/time.ts";
import { readInstant, readInstantOrNull, writeInstant } from "./columns.ts";
import type { Db, Tx } from "./connect.ts";
import { type AccountKey, accountKeyText } from "./invoice-facts.ts";

/** A change as it was recorded. */
export type RecordedPayer = PayerChange & {
  readonly reason: string;
  readonly createdBy: string;
  readonly createdAt: Instant;
};

/** The two ids of an account again. */
export function accountKeyOf(ref: AccountRef): AccountKey {
  const [orgId = "", accountId = ""] = ref.split("/");
  return { orgId, accountId };
}

type Row = {
  org_id: string;
  account_id: string;
  version: number;
  effective_from: string;
  payer_org_id: string | null;
  payer_account_id: string | null;
  reason: string;
  created_by: string;
  created_at: string;
};

const recordedOf = (row: Row): RecordedPayer => ({
  account: accountKeyText(row.org_id, row.account_id),
  version: row.version,
  effectiveFrom: readInstant(row.effective_from),
  payer:
    row.payer_org_id === null || row.payer_account_id === null
      ? null
      : accountKeyText(row.payer_org_id, row.payer_account_id),
  reason: row.reason,
  createdBy: row.created_by,
  createdAt: readInstant(row.created_at),
});

const columns = (refs: readonly AccountRef[]) => {
  const keys = refs.map(accountKeyOf);
  return sql`unnest(${keys.map((k) => k.orgId)}::text[], ${keys.map((k) => k.accountId)}::text[])`;
};

/**
 * Everything said about who pays for these accounts, for those they pay for, and for those who pay for them, however many
 * levels up and down. Two queries for accounts that have to do with nobody, which is nearly all.
 */
export async function loadPayerBook(db: Db, keys: readonly AccountKey[]): Promise<PayerBook> {
  const changes = new Map<string, PayerChange>();
  const put = (rows: readonly Row[]): PayerChange[] => {
    const read = rows.map(recordedOf);
    for (const one of read) changes.set(`${one.account} ${one.version}`, one);
    return read;
  };
  const below = new Set(keys.map((key) => accountKeyText(key.orgId, key.accountId)));
  for (let next = [...below]; next.length > 0; ) {
    const { rows } = await sql<Row>`
      select p.* from ${columns(next)} as k (org_id, account_id)
      join account_payer p on p.payer_org_id = k.org_id and p.payer_account_id = k.account_id`.execute(
      db,
    );
    const found = put(rows).map((one) => one.account);
    next = [...new Set(found)].filter((one) => !below.has(one));
    for (const one of next) below.add(one);
  }
  const above = new Set(below);
  for (let next = [...below]; next.length > 0; ) {
    const { rows } = await sql<Row>`
      select p.* from ${columns(next)} as k (org_id, account_id)
      join account_payer p using (org_id, account_id)`.execute(db);
    const found = put(rows).flatMap((one) => one.payer ?? []);
    next = [...new Set(found)].filter((one) => !above.has(one));
    for (const one of next) above.add(one);
  }
  return payerBook([...changes.values()]);
}

/** What was recorded about who pays for one account, in the order in which it was said. */
export async function listPayers(db: Db, key: AccountKey): Promise<RecordedPayer[]> {
  const { rows } = await sql<Row>`
    select * from account_payer where org_id = ${key.orgId} and account_id = ${key.accountId}
    order by version`.execute(db);
  return rows.map(recordedOf);
}

export async function insertPayer(tx: Tx, change: RecordedPayer): Promise<void> {
  const { orgId, accountId } = accountKeyOf(change.account);
  const payer = change.payer === null ? null : accountKeyOf(change.payer);
  await sql`
    insert into account_payer (org_id, account_id, version, effective_from, payer_org_id, payer_account_id, reason, created_by, created_at)
    values (${orgId}, ${accountId}, ${change.version}, ${writeInstant(change.effectiveFrom)}, ${payer?.orgId ?? null},
      ${payer?.accountId ?? null}, ${change.reason}, ${change.createdBy}, ${writeInstant(change.createdAt)})`.execute(
    tx,
  );
}

/** Where the last period of an account with a document ends, whoever paid it. */
export async function findBilledUntil(db: Db, key: AccountKey): Promise<Instant | null> {
  const { rows } = await sql<{ until: string | null }>`
    select max(period_ends_at) as until from invoice
    where org_id = ${key.orgId} and account_id = ${key.accountId}
      and kind in ('invoice', 'statement') and status <> 'void'`.execute(db);
  return readInstantOrNull(rows[0]?.until ?? null);
}

/** What of an account decides whether it may stand on another's invoice; undefined when there is no such account. */
export async function findPayable(
  db: Db,
  orgId: string,
  idOrSlug: string,
): Promise<Payable | undefined> {
  const { rows } = await sql<{
    account_id: string;
    currency: string;
    status: string;
    time_zone: string;
    invoice_day: number;
    cycle: string;
    legal_entity: string;
  }>`
    select * from billing_account
    where org_id = ${orgId} and (account_id = ${idOrSlug} or slug = ${idOrSlug})`.execute(db);
  const row = rows[0];
  return (
    row && {
      ref: accountKeyText(orgId, row.account_id),
      currency: row.currency,
      status: row.status,
      timeZone: row.time_zone,
      invoiceDay: row.invoice_day,
      cycle: row.cycle,
      legalEntity: row.legal_entity,
    }
  );
}

/** The names of accounts and of their organizations, as people write them: "acme/acme-usd". */
export async function namesOfAccounts(
  db: Db,
  refs: readonly AccountRef[],
): Promise<Map<AccountRef, string>> {
  const { rows } = await sql<{ org_id: string; account_id: string; name: string }>`
    select a.org_id, a.account_id, o.slug || '/' || a.slug as name
    from ${columns(refs)} as k (org_id, account_id)
    join billing_account a using (org_id, account_id) join organization o using (org_id)`.execute(
    db,
  );
  return new Map(rows.map((row) => [accountKeyText(row.org_id, row.account_id), row.name]));
}
