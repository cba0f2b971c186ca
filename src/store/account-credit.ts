import { sql } from "kysely";
import { currency } from "../kit/currency.ts";
import { type Money, money } from "../kit/money.ts";
import type { Instant } from "../kit/time.ts";
import { readInstant, writeInstant } from "./columns.ts";
import type { Db, Tx } from "./connect.ts";
import { type AccountKey, accountKeyText } from "./invoice-facts.ts";

export const creditCauses = [
  "payment",
  "document",
  "void",
  "applied",
  "refund",
  "refund_failed",
] as const;
export type CreditCause = (typeof creditCauses)[number];

/** Money of an account that arose (above zero) or was used (below). */
export type CreditEntry = AccountKey & {
  readonly entryId: string;
  readonly amount: Money;
  readonly cause: CreditCause;
  readonly sourceId: string;
  readonly at: Instant;
};

export async function insertCredits(tx: Tx, entries: readonly CreditEntry[]): Promise<void> {
  if (entries.length === 0) return;
  await tx
    .insertInto("account_credit")
    .values(
      entries.map((entry) => ({
        org_id: entry.orgId,
        entry_id: entry.entryId,
        account_id: entry.accountId,
        currency: entry.amount.currency,
        amount_minor: entry.amount.minor,
        cause: entry.cause,
        source_id: entry.sourceId,
        at: writeInstant(entry.at),
      })),
    )
    .execute();
}

/** The credit of each account that has any: nearly none has. Minor units of the account's one currency. */
export async function loadCredits(
  db: Db,
  keys: readonly AccountKey[],
): Promise<Map<string, bigint>> {
  const { rows } = await sql<{ org_id: string; account_id: string; minor: string }>`
    select c.org_id, c.account_id, sum(c.amount_minor)::text as minor from account_credit c
    join (select distinct * from unnest(${keys.map((k) => k.orgId)}::text[], ${keys.map((k) => k.accountId)}::text[])
      as k (org_id, account_id)) k using (org_id, account_id)
    group by 1, 2 having sum(c.amount_minor) <> 0`.execute(db);
  return new Map(
    rows.map((row) => [accountKeyText(row.org_id, row.account_id), BigInt(row.minor)]),
  );
}

/** What of a document was settled from credit. */
export async function appliedMinor(db: Db, orgId: string, invoiceId: string): Promise<bigint> {
  const { rows } = await sql<{ minor: string }>`
    select coalesce(-sum(amount_minor), 0)::text as minor from account_credit
    where org_id = ${orgId} and source_id = ${invoiceId} and cause = 'applied'`.execute(db);
  return BigInt(rows[0]?.minor ?? 0);
}

/** What arose from a document: a note on something paid, an invoice below zero. */
export async function arisenMinor(db: Db, orgId: string, invoiceId: string): Promise<bigint> {
  const { rows } = await sql<{ minor: string }>`
    select coalesce(sum(amount_minor), 0)::text as minor from account_credit
    where org_id = ${orgId} and source_id = ${invoiceId} and cause = 'document'`.execute(db);
  return BigInt(rows[0]?.minor ?? 0);
}

/** A document's total without all that was paid, forgiven, credited and taken from credit. Below zero: more than was owed. */
export async function loadUnsettled(db: Db, orgId: string, invoiceId: string): Promise<bigint> {
  const { rows } = await sql<{ minor: string }>`
    select (i.total_minor
      - coalesce((select sum(p.applied_minor + p.discount_minor) from payment p
                  where p.org_id = i.org_id and p.invoice_id = i.invoice_id), 0)
      + coalesce((select sum(n.total_minor) from invoice n
                  where n.org_id = i.org_id and n.corrects_id = i.invoice_id and n.kind = 'credit_note' and n.status <> 'void'), 0)
      + coalesce((select sum(c.amount_minor) from account_credit c
                  where c.org_id = i.org_id and c.source_id = i.invoice_id and c.cause = 'applied'), 0))::text as minor
    from invoice i where i.org_id = ${orgId} and i.invoice_id = ${invoiceId}`.execute(db);
  return BigInt(rows[0]?.minor ?? 0);
}

/** The entries of an account, oldest first, from a position on. */
export async function pageCredits(
  db: Db,
  page: AccountKey & {
    after?: { at: string; entryId: string } | undefined;
    limit: number;
  },
): Promise<CreditEntry[]> {
  const { rows } = await sql<{
    org_id: string;
    account_id: string;
    entry_id: string;
    currency: string;
    amount_minor: bigint;
    cause: CreditCause;
    source_id: string;
    at: string;
  }>`
    select * from account_credit
    where org_id = ${page.orgId} and account_id = ${page.accountId}
      and (${page.after?.at ?? null}::timestamptz is null
           or (at, entry_id) > (${page.after?.at ?? null}::timestamptz, ${page.after?.entryId ?? null}))
    order by at, entry_id limit ${page.limit}`.execute(db);
  return rows.map((row) => ({
    orgId: row.org_id,
    accountId: row.account_id,
    entryId: row.entry_id,
    amount: money(currency(row.currency), row.amount_minor),
    cause: row.cause,
    sourceId: row.source_id,
    at: readInstant(row.at),
  }));
}
