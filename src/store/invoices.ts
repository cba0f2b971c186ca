import { sql } from "kysely";
import type { DocumentKind, Issued, IssuedContent, Series } from "../domain/invoicing/index.ts";
import { currency } from "../kit/currency.ts";
import { formatDecimal } from "../kit/decimal.ts";
import { type Money, money } from "../kit/money.ts";
import { formatInstant, type Instant, type Period } from "../kit/time.ts";
import { readInstant, readInstantOrNull, textArray, writeInstant } from "./columns.ts";
import type { Db, Tx } from "./connect.ts";
import { type AccountKey, accountKeyText, type LineDetail } from "./invoice-facts.ts";

export type InvoiceStatus = "draft" | "issued" | "paid" | "past_due" | "uncollectible" | "void";

/** A stored document. `content` is the document itself; the fields beside it are what lists and checks look for. */
export type StoredInvoice = {
  readonly orgId: string;
  readonly invoiceId: string;
  readonly accountId: string;
  readonly kind: DocumentKind;
  readonly status: InvoiceStatus;
  readonly number: string | null;
  readonly sequence: bigint | null;
  readonly period: Period;
  readonly total: Money;
  readonly subtotal: Money;
  readonly tax: Money;
  readonly dueOn: string | null;
  readonly correctsId: string | null;
  readonly reasonCode: string | null;
  readonly reason: string;
  readonly watermarkSeq: bigint | null;
  readonly content: IssuedContent;
  readonly contentHash: string | null;
  readonly issuedAt: Instant | null;
  /** On a statement: organization and account of who pays it, "org_…/acc_…", and the invoice that asks for it. */
  readonly paidBy: string | null;
  readonly statementOf: string | null;
};

/**
 * Hold a series until the transaction ends, so that whoever issues next continues where this one stops, and numbers have
 * no gap even when the transaction is undone. Lock series in the order of their names when more than one is needed.
 */
export async function lockSeries(tx: Tx, series: Series): Promise<bigint> {
  await sql`
    insert into invoice_series (legal_entity, series) values (${series.legalEntity}, ${series.series})
    on conflict do nothing`.execute(tx);
  const { rows } = await sql<{ last_number: bigint }>`
    select last_number from invoice_series
    where legal_entity = ${series.legalEntity} and series = ${series.series} for update`.execute(
    tx,
  );
  return rows[0]?.last_number ?? 0n;
}

/** Say how far a locked series has come. */
export async function saveSeries(tx: Tx, series: Series, lastNumber: bigint): Promise<void> {
  await sql`
    update invoice_series set last_number = ${lastNumber.toString()}::bigint
    where legal_entity = ${series.legalEntity} and series = ${series.series}`.execute(tx);
}

/** Which of these account periods have a periodic invoice that is not void. Keys: account, then start of the period. */
export async function listInvoiced(
  db: Db,
  spans: readonly (AccountKey & { period: Period })[],
): Promise<Map<string, string>> {
  const { rows } = await sql<{
    org_id: string;
    account_id: string;
    period_starts_at: string;
    invoice_id: string;
  }>`
    select i.org_id, i.account_id, i.period_starts_at, i.invoice_id
    from unnest(${spans.map((s) => s.orgId)}::text[], ${spans.map((s) => s.accountId)}::text[],
                ${spans.map((s) => writeInstant(s.period.startsAt))}::timestamptz[])
      as s (org_id, account_id, starts_at)
    join invoice i on i.org_id = s.org_id and i.account_id = s.account_id
      and i.period_starts_at = s.starts_at and i.kind = 'invoice' and i.status <> 'void'`.execute(
    db,
  );
  return new Map(
    rows.map((row) => [
      periodKeyText(row.org_id, row.account_id, readInstant(row.period_starts_at)),
      row.invoice_id,
    ]),
  );
}

export const periodKeyText = (orgId: string, accountId: string, startsAt: Instant): string =>
  `${accountKeyText(orgId, accountId)} ${formatInstant(startsAt)}`;

/**
 * Hold accounts until the transaction ends: whoever puts a document on one of them takes turns. Returns the sequence of
 * each account's last document.
 */
export async function lockDocuments(
  tx: Tx,
  keys: readonly AccountKey[],
): Promise<Map<string, bigint>> {
  await sql`
    select from billing_account a
    join unnest(${keys.map((k) => k.orgId)}::text[], ${keys.map((k) => k.accountId)}::text[])
      as k (org_id, account_id) using (org_id, account_id)
    order by a.org_id, a.account_id for no key update of a`.execute(tx);
  const { rows } = await sql<{ org_id: string; account_id: string; sequence: bigint }>`
    select i.org_id, i.account_id, max(i.sequence) as sequence from invoice i
    join unnest(${keys.map((k) => k.orgId)}::text[], ${keys.map((k) => k.accountId)}::text[])
      as k (org_id, account_id) using (org_id, account_id)
    where i.sequence is not null group by 1, 2`.execute(tx);
  return new Map(rows.map((row) => [accountKeyText(row.org_id, row.account_id), row.sequence]));
}

export type ToInsert = {
  readonly issued: Issued;
  readonly sequence: bigint;
  readonly correctsId?: string;
  readonly reasonCode?: string;
  readonly createdBy: string;
  readonly statementOf?: string;
};

/** Store issued documents with their lines: two statements, however many there are. */
export async function insertIssued(tx: Tx, documents: readonly ToInsert[]): Promise<void> {
  if (documents.length === 0) return;
  const of = (value: (one: ToInsert) => string | null): string => textArray(documents.map(value));
  await sql`
    insert into invoice (org_id, invoice_id, account_id, kind, status, legal_entity, number, sequence, currency,
      period_starts_at, period_ends_at, subtotal_minor, tax_minor, total_minor, due_on, pipeline_version,
      watermark, content, content_hash, created_at, issued_at, corrects_id, reason_code, reason, created_by, late_fee_percent,
      paid_by, statement_of)
    select x.org_id, x.invoice_id, x.account_id, x.kind, 'issued', x.legal_entity, x.number, x.sequence, x.currency,
      x.period_starts_at, x.period_ends_at, x.subtotal_minor, x.tax_minor, x.total_minor, x.due_on, x.pipeline_version,
      x.watermark::jsonb, x.content::json, decode(x.content_hash, 'hex'), x.issued_at, x.issued_at, x.corrects_id,
      x.reason_code, x.reason, x.created_by, x.late_fee_percent, x.paid_by, x.statement_of
    from unnest(
      ${of(({ issued }) => issued.draft.account.orgId)}::text[],
      ${of(({ issued }) => issued.invoiceId)}::text[],
      ${of(({ issued }) => issued.draft.account.accountId)}::text[],
      ${of(({ issued }) => issued.kind)}::text[],
      ${of(({ issued }) => issued.series.legalEntity)}::text[],
      ${of(({ issued }) => issued.number)}::text[],
      ${of(({ sequence }) => sequence.toString())}::bigint[],
      ${of(({ issued }) => issued.draft.account.currency)}::text[],
      ${of(({ issued }) => writeInstant(issued.draft.period.startsAt))}::timestamptz[],
      ${of(({ issued }) => writeInstant(issued.draft.period.endsAt))}::timestamptz[],
      ${of(({ issued }) => issued.draft.subtotal.minor.toString())}::bigint[],
      ${of(({ issued }) => issued.draft.tax.minor.toString())}::bigint[],
      ${of(({ issued }) => issued.draft.total.minor.toString())}::bigint[],
      ${of(({ issued }) => issued.dueOn)}::date[],
      ${of(({ issued }) => issued.content.pipeline_version.toString())}::integer[],
      ${of(({ issued }) => JSON.stringify(issued.content.watermark))}::text[],
      ${of(({ issued }) => issued.contentText)}::text[],
      ${of(({ issued }) => issued.contentHash.toString("hex"))}::text[],
      ${of(({ issued }) => writeInstant(issued.issuedAt))}::timestamptz[],
      ${of(({ correctsId }) => correctsId ?? null)}::text[],
      ${of(({ reasonCode }) => reasonCode ?? null)}::text[],
      ${of(({ issued }) => issued.content.reason ?? "")}::text[],
      ${of(({ createdBy }) => createdBy)}::text[],
      ${of(({ issued }) => lateFeePercentOf(issued))}::numeric[],
      ${of(({ issued }) => paidByOf(issued))}::text[],
      ${of(({ statementOf }) => statementOf ?? null)}::text[]
    ) as x (org_id, invoice_id, account_id, kind, legal_entity, number, sequence, currency, period_starts_at,
      period_ends_at, subtotal_minor, tax_minor, total_minor, due_on, pipeline_version, watermark, content, content_hash,
      issued_at, corrects_id, reason_code, reason, created_by, late_fee_percent, paid_by, statement_of)`.execute(
    tx,
  );
  await insertLines(tx, documents);
}

const paidByOf = ({ content: { paid_by: payer } }: Issued): string | null =>
  payer ? accountKeyText(payer.organization, payer.account) : null;

const lateFeePercentOf = ({ kind, content }: Issued): string | null =>
  kind !== "credit_note" ? (content.account.late_fee?.percent_per_month ?? null) : null;

async function insertLines(tx: Tx, documents: readonly ToInsert[]): Promise<void> {
  const lines = documents.flatMap(({ issued }) =>
    issued.draft.lines.map((line, index) => ({ issued, line, index })),
  );
  if (lines.length === 0) return;
  const of = (value: (one: (typeof lines)[number]) => string | null): string =>
    textArray(lines.map(value));
  await sql`
    insert into invoice_line (org_id, invoice_id, line_no, cause, sku_code, quantity, unrounded, amount_minor,
      starts_at, ends_at, detail, basis, section)
    select x.org_id, x.invoice_id, x.line_no, x.cause, x.sku_code, x.quantity, x.unrounded, x.amount_minor,
      x.starts_at, x.ends_at, x.detail::jsonb, x.basis, x.section
    from unnest(
      ${of(({ issued }) => issued.draft.account.orgId)}::text[],
      ${of(({ issued }) => issued.invoiceId)}::text[],
      ${of(({ index }) => String(index + 1))}::integer[],
      ${of(({ line }) => line.cause)}::text[],
      ${of(({ line }) => line.skuCode)}::text[],
      ${of(({ line }) => formatDecimal(line.quantity))}::numeric[],
      ${of(({ line }) => formatDecimal(line.unrounded))}::numeric[],
      ${of(({ line }) => line.amount.minor.toString())}::bigint[],
      ${of(({ line }) => writeInstant(line.period.startsAt))}::timestamptz[],
      ${of(({ line }) => writeInstant(line.period.endsAt))}::timestamptz[],
      ${of(({ issued, line, index }) => JSON.stringify(detailOf(issued, line, index)))}::text[],
      ${of(({ line }) => line.basis)}::text[],
      ${of(({ issued, line }) => sectionOf(issued, line))}::text[]
    ) as x (org_id, invoice_id, line_no, cause, sku_code, quantity, unrounded, amount_minor, starts_at, ends_at,
      detail, basis, section)`.execute(tx);
}

// Null for the lines of the account that the document is of.
const sectionOf = (issued: Issued, { section }: Issued["draft"]["lines"][number]): string | null =>
  section === undefined || section === issued.draft.account.accountId ? null : section;

const detailOf = (
  issued: Issued,
  line: Issued["draft"]["lines"][number],
  index: number,
): LineDetail => ({
  usage_type: line.usageType,
  description: line.description,
  meter: line.meterKey,
  unit: line.unit,
  segments: issued.content.lines[index]?.segments ?? [],
});

type InvoiceRow = {
  org_id: string;
  invoice_id: string;
  account_id: string;
  kind: DocumentKind;
  status: InvoiceStatus;
  number: string | null;
  sequence: bigint | null;
  currency: string;
  period_starts_at: string;
  period_ends_at: string;
  subtotal_minor: bigint;
  tax_minor: bigint;
  total_minor: bigint;
  due_on: string | null;
  watermark: { seq?: string };
  content: IssuedContent;
  content_hash: Buffer | null;
  issued_at: string | null;
  corrects_id: string | null;
  reason_code: string | null;
  reason: string;
  paid_by: string | null;
  statement_of: string | null;
};

const invoiceOf = (row: InvoiceRow): StoredInvoice => {
  const code = currency(row.currency);
  return {
    orgId: row.org_id,
    invoiceId: row.invoice_id,
    accountId: row.account_id,
    kind: row.kind,
    status: row.status,
    number: row.number,
    sequence: row.sequence,
    period: {
      startsAt: readInstant(row.period_starts_at),
      endsAt: readInstant(row.period_ends_at),
    },
    subtotal: money(code, row.subtotal_minor),
    tax: money(code, row.tax_minor),
    total: money(code, row.total_minor),
    dueOn: row.due_on,
    correctsId: row.corrects_id,
    reasonCode: row.reason_code,
    reason: row.reason,
    watermarkSeq: row.watermark.seq === undefined ? null : BigInt(row.watermark.seq),
    content: row.content,
    contentHash: row.content_hash?.toString("hex") ?? null,
    issuedAt: readInstantOrNull(row.issued_at),
    paidBy: row.paid_by,
    statementOf: row.statement_of,
  };
};

/** A document by id or number. */
export async function findInvoice(
  db: Db,
  orgId: string,
  idOrNumber: string,
): Promise<StoredInvoice | undefined> {
  const { rows } = await sql<InvoiceRow>`
    select * from invoice where org_id = ${orgId}
      and (invoice_id = ${idOrNumber} or number = ${idOrNumber})`.execute(db);
  return rows[0] && invoiceOf(rows[0]);
}

/** Hold a document until the transaction ends: whoever credits, voids or writes it off takes turns. */
export async function lockInvoice(
  tx: Tx,
  orgId: string,
  idOrNumber: string,
): Promise<StoredInvoice | undefined> {
  const { rows } = await sql<InvoiceRow>`
    select * from invoice where org_id = ${orgId}
      and (invoice_id = ${idOrNumber} or number = ${idOrNumber}) for update`.execute(tx);
  return rows[0] && invoiceOf(rows[0]);
}

/** The statements whose money an invoice asks for, whatever organization they belong to, in the order of their numbers. */
export async function listStatements(db: Db, invoiceId: string): Promise<StoredInvoice[]> {
  const { rows } = await sql<InvoiceRow>`
    select * from invoice where statement_of = ${invoiceId} order by length(number), number`.execute(
    db,
  );
  return rows.map(invoiceOf);
}

/** Documents, newest first, from a position on. */
export async function pageInvoices(
  db: Db,
  page: {
    orgId: string;
    accountId?: string | undefined;
    after?: { issuedAt: string; invoiceId: string } | undefined;
    limit: number;
  },
): Promise<StoredInvoice[]> {
  const { rows } = await sql<InvoiceRow>`
    select * from invoice
    where org_id = ${page.orgId}
      and (${page.accountId ?? null}::text is null or account_id = ${page.accountId ?? null})
      and (${page.after?.issuedAt ?? null}::timestamptz is null
           or (issued_at, invoice_id) < (${page.after?.issuedAt ?? null}::timestamptz, ${page.after?.invoiceId ?? null}))
    order by issued_at desc, invoice_id desc limit ${page.limit}`.execute(db);
  return rows.map(invoiceOf);
}

/** The notes that correct a document, oldest first. */
export async function listCorrections(
  db: Db,
  orgId: string,
  invoiceId: string,
): Promise<StoredInvoice[]> {
  const { rows } = await sql<InvoiceRow>`
    select * from invoice where org_id = ${orgId} and corrects_id = ${invoiceId} order by sequence`.execute(
    db,
  );
  return rows.map(invoiceOf);
}

/** The stored lines of documents: what verification compares with the content and with the events. */
export type StoredLine = {
  readonly orgId: string;
  readonly invoiceId: string;
  readonly lineNo: number;
  readonly cause: string;
  readonly basis: string;
  readonly quantity: string;
  readonly unrounded: string;
  readonly amountMinor: bigint;
};

export async function listLines(
  db: Db,
  keys: readonly { orgId: string; invoiceId: string }[],
): Promise<StoredLine[]> {
  const { rows } = await sql<{
    org_id: string;
    invoice_id: string;
    line_no: number;
    cause: string;
    basis: string;
    quantity: string;
    unrounded: string;
    amount_minor: bigint;
  }>`
    select l.org_id, l.invoice_id, l.line_no, l.cause, l.basis, l.quantity, l.unrounded, l.amount_minor
    from invoice_line l
    join unnest(${keys.map((k) => k.orgId)}::text[], ${keys.map((k) => k.invoiceId)}::text[])
      as k (org_id, invoice_id) using (org_id, invoice_id)
    order by l.org_id, l.invoice_id, l.line_no`.execute(db);
  return rows.map((row) => ({
    orgId: row.org_id,
    invoiceId: row.invoice_id,
    lineNo: row.line_no,
    cause: row.cause,
    basis: row.basis,
    quantity: row.quantity,
    unrounded: row.unrounded,
    amountMinor: row.amount_minor,
  }));
}

/**
 * Move a document to another state. Its content stays what it was. A document that becomes void
 * keeps the sequence of the account's last document then: those up to it were made while it still counted.
 */
export async function markInvoice(
  tx: Tx,
  orgId: string,
  invoiceId: string,
  status: InvoiceStatus,
  voidedAfter: bigint | null = null,
): Promise<void> {
  await sql`
    update invoice set status = ${status},
      voided_after = ${voidedAfter?.toString() ?? null}::bigint
    where org_id = ${orgId} and invoice_id = ${invoiceId}`.execute(tx);
}
