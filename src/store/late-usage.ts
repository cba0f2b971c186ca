import { sql } from "kysely";
import type { LateRoute, Line } from "../domain/invoicing/index.ts";
import { currency } from "../kit/currency.ts";
import { type Decimal, formatDecimal } from "../kit/decimal.ts";
import { type Money, money } from "../kit/money.ts";
import type { Instant, Period } from "../kit/time.ts";
import { readDecimal, readInstant, writeInstant } from "./columns.ts";
import type { Db, Tx } from "./connect.ts";
import { type AccountKey, accountKeyText, pushTo } from "./invoice-facts.ts";
import { livesInTime } from "./organizations.ts";

export const lateStatuses = ["waiting", "due", "approved", "declined", "settled"] as const;
export type LateStatus = (typeof lateStatuses)[number];

/** Why it does not just go onto the next invoice. */
export type LeftOut = Exclude<LateRoute, "next_invoice">;

/** A difference of a period that was invoiced already, on its own way to a document. */
export type LateUsage = AccountKey & {
  readonly lateId: string;
  readonly cause: string;
  readonly meterKey: string;
  readonly skuCode: string;
  readonly period: Period;
  readonly quantity: Decimal;
  /** Before tax. Below zero: owed less than was billed. */
  readonly amount: Money;
  readonly seq: bigint;
  readonly because: LeftOut;
  readonly status: LateStatus;
  readonly noticedAt: Instant;
  readonly changedAt: Instant;
  readonly decidedBy: string | null;
  readonly reason: string;
  readonly documentId: string | null;
};

type Row = {
  org_id: string;
  late_id: string;
  account_id: string;
  cause: string;
  meter_key: string;
  sku_code: string;
  period_starts_at: string;
  period_ends_at: string;
  currency: string;
  quantity: string;
  amount_minor: bigint;
  seq: bigint;
  because: LeftOut;
  status: LateStatus;
  noticed_at: string;
  changed_at: string;
  decided_by: string | null;
  reason: string;
  document_id: string | null;
};

const lateOf = (row: Row): LateUsage => ({
  orgId: row.org_id,
  lateId: row.late_id,
  accountId: row.account_id,
  cause: row.cause,
  meterKey: row.meter_key,
  skuCode: row.sku_code,
  period: { startsAt: readInstant(row.period_starts_at), endsAt: readInstant(row.period_ends_at) },
  quantity: readDecimal(row.quantity),
  amount: money(currency(row.currency), row.amount_minor),
  seq: row.seq,
  because: row.because,
  status: row.status,
  noticedAt: readInstant(row.noticed_at),
  changedAt: readInstant(row.changed_at),
  decidedBy: row.decided_by,
  reason: row.reason,
  documentId: row.document_id,
});

/** What is open of each account: nearly always nothing. */
export async function loadOpenLate(
  db: Db,
  keys: readonly AccountKey[],
): Promise<Map<string, LateUsage[]>> {
  const { rows } = await sql<Row>`
    select l.* from late_usage l
    join unnest(${keys.map((k) => k.orgId)}::text[], ${keys.map((k) => k.accountId)}::text[])
      as k (org_id, account_id) using (org_id, account_id)
    where l.status <> 'settled' order by l.cause`.execute(db);
  const found = new Map<string, LateUsage[]>();
  for (const row of rows) pushTo(found, accountKeyText(row.org_id, row.account_id), lateOf(row));
  return found;
}

export async function findLate(
  db: Db,
  orgId: string,
  lateId: string,
): Promise<LateUsage | undefined> {
  const { rows } = await sql<Row>`
    select * from late_usage where org_id = ${orgId} and late_id = ${lateId}`.execute(db);
  return rows[0] && lateOf(rows[0]);
}

/** Late usage, oldest first, from a position on. */
export async function pageLate(
  db: Db,
  page: {
    orgId: string;
    accountId?: string | undefined;
    status?: LateStatus | undefined;
    after?: { noticedAt: string; lateId: string } | undefined;
    limit: number;
  },
): Promise<LateUsage[]> {
  const { rows } = await sql<Row>`
    select * from late_usage
    where org_id = ${page.orgId}
      and (${page.accountId ?? null}::text is null or account_id = ${page.accountId ?? null})
      and (${page.status ?? null}::text is null or status = ${page.status ?? null})
      and (${page.after?.noticedAt ?? null}::timestamptz is null
           or (noticed_at, late_id) > (${page.after?.noticedAt ?? null}::timestamptz, ${page.after?.lateId ?? null}))
    order by noticed_at, late_id limit ${page.limit}`.execute(db);
  return rows.map(lateOf);
}

/**
 * Accounts that may have late usage which goes its own way: something came in since their last invoice, and a published meter
 * or the account itself asks for more than the next invoice. Without such a meter or account, none, at next to no cost.
 */
export async function listLateAccounts(
  db: Db,
  page: { orgId?: string | undefined; after?: AccountKey | undefined; limit: number },
): Promise<AccountKey[]> {
  const { rows } = await sql<{ org_id: string; account_id: string }>`
    select a.org_id, a.account_id from billing_account a
    join usage_head h using (org_id, account_id)
    where (a.late_usage <> 'next_invoice'
        or exists (select from meter m where coalesce(m.definition ->> 'late_usage', 'next_invoice') <> 'next_invoice'))
      and ${livesInTime(sql`a.org_id`, page.orgId)}
      and (${page.after?.orgId ?? null}::text is null
           or (a.org_id, a.account_id) > (${page.after?.orgId ?? null}, ${page.after?.accountId ?? null}))
      and h.last_seq > (
        select (i.watermark ->> 'seq')::bigint from invoice i
        where i.org_id = a.org_id and i.account_id = a.account_id and i.kind = 'invoice' and i.status <> 'void'
        order by i.period_starts_at desc, i.sequence desc limit 1)
    order by a.org_id, a.account_id limit ${page.limit}`.execute(db);
  return rows.map((row) => ({ orgId: row.org_id, accountId: row.account_id }));
}

/** Accounts whose late usage may go onto its own document: what is due was noticed before a moment that each account sets itself. */
export async function listLateDue(
  db: Db,
  of: { orgId?: string | undefined; now: Instant },
): Promise<AccountKey[]> {
  const { rows } = await sql<{ org_id: string; account_id: string }>`
    select distinct l.org_id, l.account_id from late_usage l
    join billing_account a using (org_id, account_id)
    where l.status = 'due' and ${livesInTime(sql`l.org_id`, of.orgId)}
      and l.noticed_at + make_interval(hours => a.finalization_hours) <= ${writeInstant(of.now)}::timestamptz
    order by 1, 2`.execute(db);
  return rows.map((row) => ({ orgId: row.org_id, accountId: row.account_id }));
}

export type Noticed = { readonly lateId: string; readonly line: Line; readonly because: LeftOut };

/**
 * Write down what was seen and left for later. One row stays open for each cause, whoever notices it how often; a figure that
 * changed since somebody decided on it waits to be decided again.
 */
export async function saveNoticed(
  tx: Tx,
  of: AccountKey & { readonly seq: bigint },
  noticed: readonly Noticed[],
  now: Instant,
): Promise<void> {
  if (noticed.length === 0) return;
  const column = <T>(read: (one: Noticed) => T): T[] => noticed.map(read);
  await sql`
    insert into late_usage as l (org_id, late_id, account_id, cause, meter_key, sku_code, period_starts_at, period_ends_at,
      currency, quantity, amount_minor, seq, because, status, noticed_at, changed_at)
    select ${of.orgId}, x.late_id, ${of.accountId}, x.cause, x.meter_key, x.sku_code, x.starts_at, x.ends_at,
      x.currency, x.quantity, x.amount_minor, ${of.seq.toString()}::bigint, x.because,
      case x.because when 'hold' then 'waiting' else 'due' end, ${writeInstant(now)}, ${writeInstant(now)}
    from unnest(${column((o) => o.lateId)}::text[], ${column((o) => o.line.cause)}::text[],
      ${column((o) => o.line.meterKey ?? "")}::text[], ${column((o) => o.line.skuCode)}::text[],
      ${column((o) => writeInstant(o.line.period.startsAt))}::timestamptz[],
      ${column((o) => writeInstant(o.line.period.endsAt))}::timestamptz[],
      ${column((o) => o.line.amount.currency)}::text[], ${column((o) => formatDecimal(o.line.quantity))}::numeric[],
      ${column((o) => o.line.amount.minor.toString())}::bigint[], ${column((o) => o.because)}::text[])
      as x (late_id, cause, meter_key, sku_code, starts_at, ends_at, currency, quantity, amount_minor, because)
    on conflict (org_id, account_id, cause) where status <> 'settled' do update
    set quantity = excluded.quantity, amount_minor = excluded.amount_minor, seq = excluded.seq, because = excluded.because,
        changed_at = excluded.changed_at, status = excluded.status, decided_by = null, reason = ''
    where l.seq <= excluded.seq
      and (l.quantity, l.amount_minor, l.because) is distinct from (excluded.quantity, excluded.amount_minor, excluded.because)`.execute(
    tx,
  );
}

/** Close what a document has billed. */
export async function settleLate(
  tx: Tx,
  of: AccountKey,
  causes: readonly string[],
  documentId: string,
  now: Instant,
): Promise<void> {
  await sql`
    update late_usage set status = 'settled', document_id = ${documentId}, changed_at = ${writeInstant(now)}
    where org_id = ${of.orgId} and account_id = ${of.accountId} and status <> 'settled'
      and cause = any(${[...causes]}::text[])`.execute(tx);
}

/** Close what is no difference any more: later events made up for it. */
export async function closeVanished(
  tx: Tx,
  of: AccountKey & { readonly seq: bigint },
  looked: readonly Period[],
  stillThere: readonly string[],
  now: Instant,
): Promise<void> {
  await sql`
    update late_usage set status = 'settled', changed_at = ${writeInstant(now)}
    where org_id = ${of.orgId} and account_id = ${of.accountId} and status <> 'settled' and seq <= ${of.seq.toString()}::bigint
      and period_starts_at = any(${looked.map((period) => writeInstant(period.startsAt))}::timestamptz[])
      and cause <> all(${[...stillThere]}::text[])`.execute(tx);
}

/** Hold a row until the transaction ends: whoever decides about it takes turns. */
export async function lockLate(
  tx: Tx,
  orgId: string,
  lateId: string,
): Promise<LateUsage | undefined> {
  const { rows } = await sql<Row>`
    select * from late_usage where org_id = ${orgId} and late_id = ${lateId} for update`.execute(
    tx,
  );
  return rows[0] && lateOf(rows[0]);
}

export async function saveLateDecision(
  tx: Tx,
  of: LateUsage,
  decision: { readonly status: LateStatus; readonly by: string; readonly reason: string },
  now: Instant,
): Promise<void> {
  await sql`
    update late_usage set status = ${decision.status}, decided_by = ${decision.by}, reason = ${decision.reason},
      changed_at = ${writeInstant(now)}
    where org_id = ${of.orgId} and late_id = ${of.lateId}`.execute(tx);
}
