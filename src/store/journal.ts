import { sql } from "kysely";
import {
  type Address,
  type Amount,
  type Balance,
  type LedgerTransaction,
  moneyAmount,
  type Posting,
  unitsAmount,
} from "../domain/ledger/index.ts";
import { currency } from "../kit/currency.ts";
import { money } from "../kit/money.ts";
import type { Instant } from "../kit/time.ts";
import { readDecimal, readInstant, writeDecimal, writeInstant } from "./columns.ts";
import type { Db, Tx } from "./connect.ts";
import { holdMonthsOpen } from "./ledger-locks.ts";

/** Append booked transactions of one organization. A cause that is in the books already is refused (`ledger_transaction_once_per_cause`). */
export const appendTransactions = (
  tx: Tx,
  orgId: string,
  transactions: readonly LedgerTransaction[],
  recordedAt: Instant,
): Promise<void> =>
  appendBooks(
    tx,
    transactions.map((transaction) => ({ orgId, transaction })),
    recordedAt,
  );

/**
 * The same for many organizations at once: a few statements, however many there are. What is dated in a month that was
 * closed goes into the first open one.
 */
export async function appendBooks(
  tx: Tx,
  books: readonly { readonly orgId: string; readonly transaction: LedgerTransaction }[],
  recordedAt: Instant,
): Promise<void> {
  if (books.length === 0) return;
  const made = books.map(({ transaction }) => transaction);
  // In a statement of its own: what it waits for, the next one must see.
  await holdMonthsOpen(tx);
  await sql`
    insert into ledger_transaction (org_id, transaction_id, cause, at, description, policy_version, reverses, recorded_at)
    select t.org_id, t.id, t.cause, greatest(t.at, (select max(locked_until) from ledger_lock)), t.description,
           t.policy_version, t.reverses, ${writeInstant(recordedAt)}::timestamptz
    from unnest(${books.map((b) => b.orgId)}::text[], ${made.map((t) => t.id)}::text[],
                ${made.map((t) => t.cause)}::text[], ${made.map((t) => writeInstant(t.at))}::timestamptz[],
                ${made.map((t) => t.description)}::text[], ${made.map((t) => t.policyVersion)}::integer[],
                ${made.map((t) => t.reverses)}::text[])
         as t (org_id, id, cause, at, description, policy_version, reverses)`.execute(tx);
  const postings = books.flatMap(({ orgId, transaction }) =>
    transaction.postings.map((posting, index) => ({
      orgId,
      id: transaction.id,
      no: index + 1,
      posting,
    })),
  );
  const moneyOf = ({ amount }: Posting) => (amount.kind === "money" ? amount.money : null);
  const unitsOf = ({ amount }: Posting) => (amount.kind === "units" ? amount : null);
  await sql`
    insert into ledger_posting (org_id, transaction_id, posting_no, account, currency, amount_minor, family, units)
    select p.*
    from unnest(${postings.map((p) => p.orgId)}::text[], ${postings.map((p) => p.id)}::text[],
                ${postings.map((p) => p.no)}::smallint[], ${postings.map((p) => p.posting.account)}::text[],
                ${postings.map((p) => moneyOf(p.posting)?.currency ?? null)}::text[],
                ${postings.map((p) => moneyOf(p.posting)?.minor.toString() ?? null)}::bigint[],
                ${postings.map((p) => unitsOf(p.posting)?.family ?? null)}::text[],
                ${postings.map((p) => {
                  const units = unitsOf(p.posting)?.units;
                  return units ? writeDecimal(units) : null;
                })}::numeric[]) as p`.execute(tx);
}

type TransactionRow = {
  org_id: string;
  transaction_id: string;
  cause: string;
  at: string;
  description: string;
  policy_version: number;
  reverses: string | null;
};

type PostingRow = {
  account: string;
  currency: string | null;
  amount_minor: bigint | null;
  family: string | null;
  units: string | null;
};

function amountOf(row: PostingRow): Amount {
  if (row.currency !== null && row.amount_minor !== null)
    return moneyAmount(money(currency(row.currency), row.amount_minor));
  return unitsAmount(row.family ?? "", readDecimal(row.units ?? "0"));
}

/** A page of the books in the order of their time: of one organization, or of all. */
export async function listTransactions(
  db: Db,
  filter: {
    orgId?: string | undefined;
    from?: Instant | undefined;
    until?: Instant | undefined;
    after?: { at: Instant; id: string } | undefined;
    limit: number;
  },
): Promise<LedgerTransaction[]> {
  const { rows } = await sql<TransactionRow>`
    select org_id, transaction_id, cause, at, description, policy_version, reverses from ledger_transaction
    where (${filter.orgId ?? null}::text is null or org_id = ${filter.orgId ?? null})
      and (${at(filter.from)}::timestamptz is null or at >= ${at(filter.from)}::timestamptz)
      and (${at(filter.until)}::timestamptz is null or at < ${at(filter.until)}::timestamptz)
      and (${at(filter.after?.at)}::timestamptz is null
           or (at, transaction_id) > (${at(filter.after?.at)}::timestamptz, ${filter.after?.id ?? null}))
    order by at, transaction_id limit ${filter.limit}`.execute(db);
  return withPostings(db, rows);
}

/** The transaction that a cause made, when it made one. */
export async function findTransactionByCause(
  db: Db,
  orgId: string,
  cause: string,
): Promise<LedgerTransaction | undefined> {
  const { rows } = await sql<TransactionRow>`
    select org_id, transaction_id, cause, at, description, policy_version, reverses from ledger_transaction
    where org_id = ${orgId} and cause = ${cause}`.execute(db);
  return (await withPostings(db, rows))[0];
}

async function withPostings(db: Db, rows: readonly TransactionRow[]): Promise<LedgerTransaction[]> {
  if (rows.length === 0) return [];
  const postings = await sql<PostingRow & { org_id: string; transaction_id: string }>`
    select p.org_id, p.transaction_id, p.account, p.currency, p.amount_minor, p.family, p.units from ledger_posting p
    join unnest(${rows.map((r) => r.org_id)}::text[], ${rows.map((r) => r.transaction_id)}::text[])
      as t (org_id, transaction_id) using (org_id, transaction_id)
    order by p.transaction_id, p.posting_no`.execute(db);
  const byTransaction = new Map<string, Posting[]>();
  for (const row of postings.rows) {
    const name = `${row.org_id} ${row.transaction_id}`;
    const list = byTransaction.get(name) ?? [];
    list.push({ account: row.account as Address, amount: amountOf(row) });
    byTransaction.set(name, list);
  }
  return rows.map((row) => ({
    id: row.transaction_id,
    cause: row.cause,
    at: readInstant(row.at),
    description: row.description,
    policyVersion: row.policy_version,
    reverses: row.reverses,
    postings: byTransaction.get(`${row.org_id} ${row.transaction_id}`) ?? [],
  }));
}

const at = (instant: Instant | undefined): string | null =>
  instant === undefined ? null : writeInstant(instant);

/** Balances of the accounts of one organization, or of all, from everything dated up to and including an instant. */
export async function listLedgerBalances(
  db: Db,
  filter: { orgId?: string | undefined; asOf?: Instant | undefined },
): Promise<Balance[]> {
  const { rows } = await sql<{
    account: string;
    kind: Amount["kind"];
    commodity: string;
    number: string;
  }>`
    select p.account, case when p.currency is null then 'units' else 'money' end as kind,
           coalesce(p.currency, p.family) as commodity, sum(coalesce(p.amount_minor::numeric, p.units)) as number
    from ledger_posting p join ledger_transaction t using (org_id, transaction_id)
    where (${filter.orgId ?? null}::text is null or p.org_id = ${filter.orgId ?? null})
      and (${at(filter.asOf)}::timestamptz is null or t.at <= ${at(filter.asOf)}::timestamptz)
    group by 1, 2, 3 having sum(coalesce(p.amount_minor::numeric, p.units)) <> 0
    order by 1, 2, 3`.execute(db);
  return rows.map((row) => ({
    account: row.account as Address,
    kind: row.kind,
    commodity: row.commodity,
    number: readDecimal(row.number),
  }));
}

/** Transactions whose postings do not sum to zero, which the books must never hold. */
export async function listUnbalanced(
  db: Db,
  orgId?: string,
): Promise<{ orgId: string; transactionId: string; commodity: string; left: string }[]> {
  const { rows } = await sql<{
    org_id: string;
    transaction_id: string;
    commodity: string;
    left_over: string;
  }>`
    select org_id, transaction_id, coalesce(currency, family) as commodity,
           sum(coalesce(amount_minor::numeric, units))::text as left_over
    from ledger_posting where (${orgId ?? null}::text is null or org_id = ${orgId ?? null})
    group by org_id, transaction_id, currency, family
    having sum(coalesce(amount_minor::numeric, units)) <> 0 order by 1, 2`.execute(db);
  return rows.map((row) => ({
    orgId: row.org_id,
    transactionId: row.transaction_id,
    commodity: row.commodity,
    left: row.left_over,
  }));
}
