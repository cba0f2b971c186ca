import { sql } from "kysely";
import type { Unbilled } from "../domain/revenue/index.ts";
import { currency } from "../kit/currency.ts";
import { type Money, money } from "../kit/money.ts";
import type { Instant } from "../kit/time.ts";
import { readInstant, writeInstant } from "./columns.ts";
import type { Db, Tx } from "./connect.ts";
import { type AccountKey, accountKeyText } from "./invoice-facts.ts";

/** Revenue in the books that no document has billed yet, and the period it was accrued in. */
export type UnbilledCharge = AccountKey & {
  readonly cause: string;
  readonly periodStartsAt: Instant;
  readonly sku: string;
  readonly amount: Money;
};

/** What accounts have unbilled, by account. */
export async function listUnbilled(
  db: Db,
  keys: readonly AccountKey[],
): Promise<Map<string, UnbilledCharge[]>> {
  const { rows } = await sql<{
    org_id: string;
    account_id: string;
    cause: string;
    period_starts_at: string;
    sku_code: string;
    currency: string;
    amount_minor: bigint;
  }>`
    select u.* from unbilled_charge u
    join (select distinct * from unnest(${keys.map((k) => k.orgId)}::text[], ${keys.map((k) => k.accountId)}::text[])
            as k (org_id, account_id)) k using (org_id, account_id)
    order by u.org_id, u.account_id, u.cause`.execute(db);
  const found = new Map<string, UnbilledCharge[]>();
  for (const row of rows) {
    const key = accountKeyText(row.org_id, row.account_id);
    const list = found.get(key) ?? [];
    found.set(key, list);
    list.push({
      orgId: row.org_id,
      accountId: row.account_id,
      cause: row.cause,
      periodStartsAt: readInstant(row.period_starts_at),
      sku: row.sku_code,
      amount: money(currency(row.currency), row.amount_minor),
    });
  }
  return found;
}

/** As the rule of documents wants it: by cause. */
export const unbilledByCause = (charges: readonly UnbilledCharge[]): Unbilled =>
  new Map(charges.map(({ cause, sku, amount }) => [cause, { sku, amount }]));

/** What documents have moved on, or were taken back. */
export async function deleteUnbilled(
  tx: Tx,
  charges: readonly (AccountKey & { readonly cause: string })[],
): Promise<void> {
  if (charges.length === 0) return;
  await sql`
    delete from unbilled_charge u
    using unnest(${charges.map((c) => c.orgId)}::text[], ${charges.map((c) => c.accountId)}::text[],
                 ${charges.map((c) => c.cause)}::text[]) as c (org_id, account_id, cause)
    where u.org_id = c.org_id and u.account_id = c.account_id and u.cause = c.cause`.execute(tx);
}

/** Set what stands unbilled under causes. Nothing is no row. */
export async function saveUnbilled(tx: Tx, charges: readonly UnbilledCharge[]): Promise<void> {
  await deleteUnbilled(
    tx,
    charges.filter(({ amount }) => amount.minor === 0n),
  );
  const standing = charges.filter(({ amount }) => amount.minor !== 0n);
  if (standing.length === 0) return;
  await sql`
    insert into unbilled_charge (org_id, account_id, cause, period_starts_at, sku_code, currency, amount_minor)
    select * from unnest(${standing.map((c) => c.orgId)}::text[], ${standing.map((c) => c.accountId)}::text[],
      ${standing.map((c) => c.cause)}::text[], ${standing.map((c) => writeInstant(c.periodStartsAt))}::timestamptz[],
      ${standing.map((c) => c.sku)}::text[], ${standing.map((c) => c.amount.currency)}::text[],
      ${standing.map((c) => c.amount.minor.toString())}::bigint[])
    on conflict (org_id, account_id, cause) do update
      set amount_minor = excluded.amount_minor, period_starts_at = excluded.period_starts_at`.execute(
    tx,
  );
}

/** Up to which event periods were accrued; those that never were are missing. */
export async function listAccrued(
  db: Db,
  periods: readonly (AccountKey & { readonly startsAt: Instant })[],
): Promise<Map<string, bigint>> {
  const { rows } = await sql<{
    org_id: string;
    account_id: string;
    period_starts_at: string;
    seq: bigint;
  }>`
    select a.* from accrued_period a
    join unnest(${periods.map((p) => p.orgId)}::text[], ${periods.map((p) => p.accountId)}::text[],
                ${periods.map((p) => writeInstant(p.startsAt))}::timestamptz[]) as p (org_id, account_id, starts_at)
      on a.org_id = p.org_id and a.account_id = p.account_id and a.period_starts_at = p.starts_at`.execute(
    db,
  );
  return new Map(
    rows.map((row) => [
      accruedName(row.org_id, row.account_id, readInstant(row.period_starts_at)),
      row.seq,
    ]),
  );
}

export const accruedName = (orgId: string, accountId: string, startsAt: Instant): string =>
  `${accountKeyText(orgId, accountId)} ${startsAt}`;

export async function saveAccrued(
  tx: Tx,
  period: AccountKey & { readonly startsAt: Instant; readonly seq: bigint },
): Promise<void> {
  await sql`
    insert into accrued_period (org_id, account_id, period_starts_at, seq)
    values (${period.orgId}, ${period.accountId}, ${writeInstant(period.startsAt)}, ${period.seq.toString()}::bigint)
    on conflict (org_id, account_id, period_starts_at) do update set seq = excluded.seq`.execute(
    tx,
  );
}
