import { sql } from "kysely";
import type {
  BindingUsed,
  Cycle,
  Existing,
  InvoicedAccount,
  Segment,
  UsageType,
} from "../domain/invoicing/index.ts";
import type { LateUsagePolicy } from "../domain/catalog/index.ts";
import { currency } from "../kit/currency.ts";
import { add, type Decimal, decimal, zero } from "../kit/decimal.ts";
import { type Instant, instant, type Period } from "../kit/time.ts";
import {
  pricedTermsOf,
  readDecimal,
  readInstant,
  readInstantOrNull,
  writeInstant,
} from "./columns.ts";
import type { Db } from "./connect.ts";
import { livesInTime } from "./organizations.ts";

/** One account, by its two-part key. */
export type AccountKey = { readonly orgId: string; readonly accountId: string };

/** The account as invoicing sees it, and the book it buys from (null: the retail book of its currency). */
export type AccountToInvoice = {
  readonly account: InvoicedAccount;
  readonly priceBook: string | null;
  readonly createdAt: Instant;
};

type AccountRow = {
  org_id: string;
  account_id: string;
  slug: string;
  name: string;
  currency: string;
  time_zone: string;
  price_book: string | null;
  invoice_day: number;
  cycle: Cycle;
  net_days: number;
  early_discount_percent: string | null;
  early_discount_days: number | null;
  late_fee_percent: string | null;
  legal_entity: string;
  finalization_hours: number;
  late_usage: LateUsagePolicy;
  zero_invoices: boolean;
  created_at: string;
};

const accountColumns = sql`a.org_id, a.account_id, a.slug, a.name, a.currency, a.time_zone, a.price_book,
  a.invoice_day, a.cycle, a.net_days, a.early_discount_percent, a.early_discount_days, a.late_fee_percent, a.legal_entity, a.finalization_hours, a.late_usage, a.zero_invoices,
  a.created_at`;

/** The accounts with these keys, in the order of organization and account. */
export async function listAccountsToInvoice(
  db: Db,
  keys: readonly AccountKey[],
): Promise<AccountToInvoice[]> {
  const { rows } = await sql<AccountRow>`
    select ${accountColumns} from billing_account a
    join unnest(${keys.map((k) => k.orgId)}::text[], ${keys.map((k) => k.accountId)}::text[])
      as k (org_id, account_id) using (org_id, account_id)
    order by a.org_id, a.account_id`.execute(db);
  return rows.map(accountOf);
}

/** An account by id or slug. */
export async function findAccountToInvoice(
  db: Db,
  orgId: string,
  idOrSlug: string,
): Promise<AccountToInvoice | undefined> {
  const { rows } = await sql<AccountRow>`
    select ${accountColumns} from billing_account a
    where a.org_id = ${orgId} and (a.account_id = ${idOrSlug} or a.slug = ${idOrSlug})`.execute(db);
  return rows[0] && accountOf(rows[0]);
}

/** A page of the keys of all accounts, or of one organization's, for work that goes through everybody. */
export async function pageAccountKeys(
  db: Db,
  page: {
    orgId?: string | undefined;
    /** Leave out organizations that have a clock of their own. */
    realTimeOnly?: boolean;
    after?: AccountKey | undefined;
    limit: number;
  },
): Promise<AccountKey[]> {
  const { rows } = await sql<{ org_id: string; account_id: string }>`
    select org_id, account_id from billing_account
    where (${page.orgId ?? null}::text is null or org_id = ${page.orgId ?? null})
      and (${page.after?.orgId ?? null}::text is null
           or (org_id, account_id) > (${page.after?.orgId ?? null}, ${page.after?.accountId ?? null}))
      and (not ${page.realTimeOnly ?? false}::boolean or ${livesInTime(sql`billing_account.org_id`, undefined)})
    order by org_id, account_id limit ${page.limit}`.execute(db);
  return rows.map((row) => ({ orgId: row.org_id, accountId: row.account_id }));
}

/** How many accounts there are, for work that shows how far it has come. */
export async function countAccounts(db: Db): Promise<number> {
  const { rows } = await sql<{
    count: string;
  }>`select count(*)::text as count from billing_account`.execute(db);
  return Number(rows[0]?.count ?? 0);
}

const accountOf = (row: AccountRow): AccountToInvoice => ({
  account: {
    orgId: row.org_id,
    accountId: row.account_id,
    slug: row.slug,
    name: row.name,
    currency: currency(row.currency),
    calendar: { timeZone: row.time_zone, invoiceDay: row.invoice_day, cycle: row.cycle },
    netDays: row.net_days,
    pricedTerms: pricedTermsOf(row),
    legalEntity: row.legal_entity,
    finalizationHours: row.finalization_hours,
    lateUsage: row.late_usage,
    zeroInvoices: row.zero_invoices,
  },
  priceBook: row.price_book,
  createdAt: readInstant(row.created_at),
});

export const accountKeyText = (orgId: string, accountId: string): string => `${orgId}/${accountId}`;

/** The last sequence of each account: everything up to it is what this snapshot sees. */
export async function loadHeads(db: Db, keys: readonly AccountKey[]): Promise<Map<string, bigint>> {
  const { rows } = await sql<{ org_id: string; account_id: string; last_seq: bigint }>`
    select h.org_id, h.account_id, h.last_seq from usage_head h
    join unnest(${keys.map((k) => k.orgId)}::text[], ${keys.map((k) => k.accountId)}::text[])
      as k (org_id, account_id) using (org_id, account_id)`.execute(db);
  return new Map(rows.map((row) => [accountKeyText(row.org_id, row.account_id), row.last_seq]));
}

/** The bindings by which an account paid for projects at some time in a period. */
export async function loadBindings(
  db: Db,
  spans: readonly (AccountKey & { period: Period })[],
): Promise<Map<string, BindingUsed[]>> {
  const { rows } = await sql<{
    org_id: string;
    account_id: string;
    binding_id: string;
    project_id: string;
    effective_from: string;
  }>`
    select b.org_id, b.account_id, b.binding_id, b.project_id, b.effective_from
    from unnest(${spans.map((s) => s.orgId)}::text[], ${spans.map((s) => s.accountId)}::text[],
                ${spans.map((s) => writeInstant(s.period.startsAt))}::timestamptz[],
                ${spans.map((s) => writeInstant(s.period.endsAt))}::timestamptz[])
      as s (org_id, account_id, starts_at, ends_at)
    join binding b on b.org_id = s.org_id and b.account_id = s.account_id
      and b.effective_from < s.ends_at
    where not exists (
      select from binding later
      where later.org_id = b.org_id and later.project_id = b.project_id
        and later.effective_from > b.effective_from and later.effective_from <= s.starts_at)
    `.execute(db);
  const found = new Map<string, BindingUsed[]>();
  for (const row of rows)
    pushTo(found, accountKeyText(row.org_id, row.account_id), {
      bindingId: row.binding_id,
      projectId: row.project_id,
      effectiveFrom: readInstant(row.effective_from),
    });
  return found;
}

/** How far an account's documents have come. */
export type Billed = {
  /**
   * Every event up to this sequence has been looked at by a document, for every closed period. It is the watermark of the
   * last period's document: an older period's document that was made anew later looked at nothing after that period.
   */
  readonly seq: bigint;
  /** How many documents there are: a new one is the next. */
  readonly sequence: bigint;
  /** Where the last period with an invoice ends: earlier periods are closed. Null: no periodic invoice yet. */
  readonly invoicedUntil: Instant | null;
  /** Starts of periods whose invoice was voided and not replaced: they wait for one of their own. */
  readonly voidStarts: ReadonlySet<Instant>;
  /** Starts of periods whose invoice stands. */
  readonly invoicedStarts: ReadonlySet<Instant>;
};

export const nothingBilled: Billed = {
  seq: 0n,
  sequence: 0n,
  invoicedUntil: null,
  voidStarts: new Set(),
  invoicedStarts: new Set(),
};

/** An account, and who is asked for its money: null for itself, else organization and account of the payer. */
export type PaidKey = AccountKey & { readonly paidBy: string | null };

export const paidKeyText = (key: PaidKey): string =>
  `${accountKeyText(key.orgId, key.accountId)} ${key.paidBy ?? ""}`;

// The document of an account's period: an invoice of its own, or a statement on the invoice of who pays.
const isPeriodic = sql`i.kind in ('invoice', 'statement') and i.paid_by is not distinct from k.paid_by`;

/** How far the documents of each account have come that the same payer is asked for. Absent: there is no document at all. */
export async function loadBilled(db: Db, keys: readonly PaidKey[]): Promise<Map<string, Billed>> {
  const { rows } = await sql<{
    org_id: string;
    account_id: string;
    paid_by: string | null;
    seq: bigint | null;
    sequence: bigint | null;
    invoiced_until: string | null;
    void_starts: string[] | null;
    starts: string[] | null;
  }>`
    select i.org_id, i.account_id, k.paid_by, max(i.sequence) as sequence,
           (array_agg((i.watermark ->> 'seq')::bigint order by i.period_starts_at desc, i.sequence desc)
             filter (where i.status <> 'void' and ${isPeriodic}))[1] as seq,
           max(i.period_ends_at) filter (where i.status <> 'void' and ${isPeriodic}) as invoiced_until,
           array_agg(i.period_starts_at::text) filter (where i.status = 'void' and ${isPeriodic}) as void_starts,
           array_agg(i.period_starts_at::text) filter (where i.status <> 'void' and ${isPeriodic}) as starts
    from invoice i
    join unnest(${keys.map((k) => k.orgId)}::text[], ${keys.map((k) => k.accountId)}::text[], ${keys.map((k) => k.paidBy)}::text[])
      as k (org_id, account_id, paid_by) on k.org_id = i.org_id and k.account_id = i.account_id
    group by i.org_id, i.account_id, k.paid_by`.execute(db);
  return new Map(
    rows.map((row) => [
      paidKeyText({ orgId: row.org_id, accountId: row.account_id, paidBy: row.paid_by }),
      {
        seq: row.seq ?? 0n,
        sequence: row.sequence ?? 0n,
        invoicedUntil: readInstantOrNull(row.invoiced_until),
        voidStarts: new Set(
          (row.void_starts ?? [])
            .filter((start) => !(row.starts ?? []).includes(start))
            .map(readInstant),
        ),
        invoicedStarts: new Set((row.starts ?? []).map(readInstant)),
      },
    ]),
  );
}

/**
 * The older periods that documents made void had restated, by a moment in each: what those lines charged is owed again, on
 * whatever document comes next. Nearly every account has none.
 */
export async function loadVoidRestatements(
  db: Db,
  keys: readonly AccountKey[],
): Promise<Map<string, Instant[]>> {
  const { rows } = await sql<{ org_id: string; account_id: string; starts_at: string }>`
    select distinct i.org_id, i.account_id, l.starts_at from invoice i
    join unnest(${keys.map((k) => k.orgId)}::text[], ${keys.map((k) => k.accountId)}::text[])
      as k (org_id, account_id) using (org_id, account_id)
    join invoice_line l on l.org_id = i.org_id and l.invoice_id = i.invoice_id
      and (l.starts_at < i.period_starts_at or i.kind not in ('invoice', 'statement'))
      and l.basis in ('charge', 'restatement') and l.section is null
    where i.status = 'void'`.execute(db);
  const found = new Map<string, Instant[]>();
  for (const row of rows)
    pushTo(found, accountKeyText(row.org_id, row.account_id), readInstant(row.starts_at));
  return found;
}

/**
 * The times of events that came in after `since` was looked at and happened before `before`: late usage, as days, so that
 * the periods it touches can be worked out. Counting first: nearly every account has none, and then no history is read.
 */
export async function loadLateDays(
  db: Db,
  spans: readonly (AccountKey & { since: bigint; until: bigint; before: Instant })[],
): Promise<Map<string, Instant[]>> {
  const found = new Map<string, Instant[]>();
  if (spans.length === 0) return found;
  const { rows } = await sql<{ org_id: string; account_id: string; at: string }>`
    with span as (
      select * from unnest(
        ${spans.map((s) => s.orgId)}::text[], ${spans.map((s) => s.accountId)}::text[],
        ${spans.map((s) => s.since.toString())}::bigint[], ${spans.map((s) => s.until.toString())}::bigint[],
        ${spans.map((s) => writeInstant(s.before))}::timestamptz[])
        as s (org_id, account_id, since, until, before)
    ), late as (
      select span.* from span
      where span.until - span.since > (
        select count(*) from usage_event e
        where e.org_id = span.org_id and e.account_id = span.account_id
          and e.time >= span.before and e.seq > span.since and e.seq <= span.until)
    )
    select distinct late.org_id, late.account_id, date_trunc('hour', e.time) as at
    from late join usage_event e on e.org_id = late.org_id and e.account_id = late.account_id
      and e.time < late.before and e.seq > late.since and e.seq <= late.until`.execute(db);
  for (const row of rows)
    pushTo(found, accountKeyText(row.org_id, row.account_id), readInstant(row.at));
  return found;
}

type ExistingRow = {
  org_id: string;
  account_id: string;
  cause: string;
  sku_code: string;
  quantity: string;
  unrounded: string;
  amount_minor: bigint;
  starts_at: string;
  ends_at: string;
  detail: LineDetail;
};

/** The part of a line that only later differences need. */
export type LineDetail = {
  readonly usage_type: UsageType;
  readonly description: string;
  readonly meter: string | null;
  readonly unit: string;
  readonly segments: readonly {
    readonly quantity: string;
    readonly unit_amount: string;
    readonly amount: string;
    readonly dimensions: string;
    readonly price: string | null;
    readonly period: { readonly starts_at: string; readonly ends_at: string };
    readonly because: string;
  }[];
};

/**
 * What documents that are not void have charged, per cause, for the periods asked for. With `below`, what existed when the
 * document of that sequence was made: nothing that came after it, and also what was made void only later.
 */
export async function loadExisting(
  db: Db,
  spans: readonly (AccountKey & { period: Period; below?: bigint | undefined })[],
): Promise<Map<string, Existing[]>> {
  const found = new Map<string, Existing[]>();
  if (spans.length === 0) return found;
  const { rows } = await sql<ExistingRow>`
    select i.org_id, i.account_id, l.cause, l.sku_code, l.quantity, l.unrounded, l.amount_minor,
           l.starts_at, l.ends_at, l.detail
    from unnest(${spans.map((s) => s.orgId)}::text[], ${spans.map((s) => s.accountId)}::text[],
                ${spans.map((s) => writeInstant(s.period.startsAt))}::timestamptz[],
                ${spans.map((s) => writeInstant(s.period.endsAt))}::timestamptz[],
                ${spans.map((s) => s.below?.toString() ?? null)}::bigint[])
      as s (org_id, account_id, starts_at, ends_at, below)
    join invoice i on i.org_id = s.org_id and i.account_id = s.account_id
      and (i.status <> 'void' or s.below <= i.voided_after) and (s.below is null or i.sequence < s.below)
    join invoice_line l on l.org_id = i.org_id and l.invoice_id = i.invoice_id
      and l.starts_at >= s.starts_at and l.starts_at < s.ends_at and l.basis in ('charge', 'restatement') and l.section is null
    order by i.sequence, l.line_no`.execute(db);
  const byCause = new Map<string, ExistingRow[]>();
  for (const row of rows)
    pushTo(byCause, `${accountKeyText(row.org_id, row.account_id)} ${row.cause}`, row);
  for (const same of byCause.values()) {
    const first = same[0] as ExistingRow;
    pushTo(found, accountKeyText(first.org_id, first.account_id), existingOf(same));
  }
  return found;
}

function existingOf(rows: readonly ExistingRow[]): Existing {
  const first = rows[0] as ExistingRow;
  return {
    cause: first.cause,
    usageType: first.detail.usage_type,
    skuCode: first.sku_code,
    description: first.detail.description,
    meterKey: first.detail.meter,
    unit: first.detail.unit,
    period: { startsAt: readInstant(first.starts_at), endsAt: readInstant(first.ends_at) },
    quantity: rows.reduce<Decimal>((sum, row) => add(sum, readDecimal(row.quantity)), zero),
    unrounded: rows.reduce<Decimal>((sum, row) => add(sum, readDecimal(row.unrounded)), zero),
    amountMinor: rows.reduce((sum, row) => sum + row.amount_minor, 0n),
    segments: rows.flatMap((row) => row.detail.segments.map(segmentOf)),
  };
}

const segmentOf = (segment: LineDetail["segments"][number]): Segment => ({
  quantity: decimal(segment.quantity),
  unitAmount: decimal(segment.unit_amount),
  amount: decimal(segment.amount),
  dimensions: segment.dimensions,
  priceId: segment.price,
  slice: {
    startsAt: instant(segment.period.starts_at),
    endsAt: instant(segment.period.ends_at),
  },
  because: segment.because,
});

export function pushTo<T>(map: Map<string, T[]>, key: string, value: T): void {
  const list = map.get(key);
  if (list) list.push(value);
  else map.set(key, [value]);
}

/**
 * Up to which event the last document before this one that billed a cause had looked: what came after it is what a restating
 * line of this one is made of. A cause that nobody billed before has been looked at by nobody.
 */
export async function loadSeenBefore(
  db: Db,
  of: AccountKey & { readonly sequence: bigint | null },
  cause: string,
): Promise<bigint> {
  const sequence = (of.sequence ?? 0n).toString();
  const { rows } = await sql<{ seq: bigint | null }>`
    select (i.watermark ->> 'seq')::bigint as seq from invoice i
    where i.org_id = ${of.orgId} and i.account_id = ${of.accountId}
      and (i.status <> 'void' or ${sequence}::bigint <= i.voided_after) and i.sequence < ${sequence}::bigint
      and exists (
        select from invoice_line l
        where l.org_id = i.org_id and l.invoice_id = i.invoice_id and l.cause = ${cause} and l.basis in ('charge', 'restatement'))
    order by i.sequence desc limit 1`.execute(db);
  return rows[0]?.seq ?? 0n;
}
