import { sql } from "kysely";
import type { Currency } from "../kit/currency.ts";
import { type Money, money } from "../kit/money.ts";
import type { Instant, Period } from "../kit/time.ts";
import type { StoredCorrection } from "./catalog.ts";
import { readInstant, readInstantOrNull, writeInstant } from "./columns.ts";
import type { Db, Tx } from "./connect.ts";
import type { AccountKey } from "./invoice-facts.ts";

/** A corrected price with how far it has come. */
export type PriceCorrection = StoredCorrection & {
  readonly status: "open" | "approved" | "rejected";
  readonly reason: string;
  readonly author: string;
  readonly createdAt: Instant;
  readonly decidedBy: string | null;
};

/** What it does to one invoice; before tax, tax, and both together. Below zero: given back. */
export type CorrectionEffect = AccountKey & {
  readonly invoiceId: string;
  readonly subtotal: Money;
  readonly tax: Money;
  readonly total: Money;
  /** The credit or debit note that came of it; null until it is approved. */
  readonly noteId: string | null;
};

export async function insertCorrection(
  tx: Tx,
  one: PriceCorrection,
  effects: readonly CorrectionEffect[],
): Promise<void> {
  await sql`
    insert into price_correction (correction_id, status, book, sku_code, starts_at, ends_at, definition, reason, author, created_at)
    values (${one.correctionId}, ${one.status}, ${one.book}, ${one.skuCode}, ${writeInstant(one.span.startsAt)},
            ${writeInstant(one.span.endsAt)}, ${JSON.stringify(one.definition)}::jsonb, ${one.reason}, ${one.author},
            ${writeInstant(one.createdAt)})`.execute(tx);
  await sql`
    insert into price_correction_effect (correction_id, org_id, invoice_id, account_id, currency, subtotal, tax, total)
    select ${one.correctionId}, * from unnest(
      ${effects.map((effect) => effect.orgId)}::text[], ${effects.map((effect) => effect.invoiceId)}::text[],
      ${effects.map((effect) => effect.accountId)}::text[], ${effects.map((effect) => effect.total.currency)}::text[],
      ${effects.map((effect) => effect.subtotal.minor.toString())}::bigint[],
      ${effects.map((effect) => effect.tax.minor.toString())}::bigint[],
      ${effects.map((effect) => effect.total.minor.toString())}::bigint[])`.execute(tx);
}

export async function findCorrection(db: Db, id: string): Promise<PriceCorrection | undefined> {
  const { rows } = await sql<CorrectionRow>`
    select * from price_correction where correction_id = ${id}`.execute(db);
  return rows[0] && correctionOf(rows[0]);
}

/** The same, held until commit: whoever decides takes turns. */
export async function lockCorrection(tx: Tx, id: string): Promise<PriceCorrection | undefined> {
  const { rows } = await sql<CorrectionRow>`
    select * from price_correction where correction_id = ${id} for update`.execute(tx);
  return rows[0] && correctionOf(rows[0]);
}

/** In the order of organization and invoice. */
export async function listEffects(db: Db, id: string): Promise<CorrectionEffect[]> {
  const { rows } = await sql<EffectRow>`
    select * from price_correction_effect where correction_id = ${id} order by org_id, invoice_id`.execute(
    db,
  );
  return rows.map((row) => {
    const of = (minor: bigint) => money(row.currency, minor);
    return {
      orgId: row.org_id,
      accountId: row.account_id,
      invoiceId: row.invoice_id,
      subtotal: of(row.subtotal),
      tax: of(row.tax),
      total: of(row.total),
      noteId: row.note_id,
    };
  });
}

export async function markCorrectionDecided(
  tx: Tx,
  id: string,
  status: "approved" | "rejected",
  by: string,
  now: Instant,
): Promise<void> {
  await sql`
    update price_correction set status = ${status}, decided_by = ${by}, decided_at = ${writeInstant(now)}
    where correction_id = ${id}`.execute(tx);
}

/** Write down which documents came of a correction. */
export async function saveNotes(
  tx: Tx,
  id: string,
  notes: readonly { readonly orgId: string; readonly invoiceId: string; readonly noteId: string }[],
): Promise<void> {
  await sql`
    update price_correction_effect e set note_id = n.note_id
    from unnest(${notes.map((one) => one.orgId)}::text[], ${notes.map((one) => one.invoiceId)}::text[],
                ${notes.map((one) => one.noteId)}::text[]) as n (org_id, invoice_id, note_id)
    where e.correction_id = ${id} and e.org_id = n.org_id and e.invoice_id = n.invoice_id`.execute(
    tx,
  );
}

/** The invoices in a currency whose periods reach into a span, in the order of organization and id; void ones left out. */
export async function pageInvoicesOver(
  db: Db,
  over: { readonly currency: string; readonly span: Period },
  page: { readonly after: readonly [orgId: string, invoiceId: string]; readonly limit: number },
): Promise<{ orgId: string; invoiceId: string }[]> {
  const [orgId, invoiceId] = page.after;
  const { rows } = await sql<{ org_id: string; invoice_id: string }>`
    select org_id, invoice_id from invoice
    where kind = 'invoice' and status <> 'void' and currency = ${over.currency}
      and period_starts_at < ${writeInstant(over.span.endsAt)} and period_ends_at > ${writeInstant(over.span.startsAt)}
      and (org_id, invoice_id) > (${orgId}, ${invoiceId})
    order by org_id, invoice_id limit ${page.limit}`.execute(db);
  return rows.map((row) => ({ orgId: row.org_id, invoiceId: row.invoice_id }));
}

type EffectRow = {
  org_id: string;
  account_id: string;
  invoice_id: string;
  currency: Currency;
  subtotal: bigint;
  tax: bigint;
  total: bigint;
  note_id: string | null;
};

type CorrectionRow = {
  correction_id: string;
  status: PriceCorrection["status"];
  book: string;
  sku_code: string;
  starts_at: string;
  ends_at: string;
  definition: unknown;
  reason: string;
  author: string;
  created_at: string;
  decided_by: string | null;
  decided_at: string | null;
};

const correctionOf = (row: CorrectionRow): PriceCorrection => ({
  correctionId: row.correction_id,
  status: row.status,
  book: row.book,
  skuCode: row.sku_code,
  span: { startsAt: readInstant(row.starts_at), endsAt: readInstant(row.ends_at) },
  definition: row.definition,
  reason: row.reason,
  author: row.author,
  createdAt: readInstant(row.created_at),
  decidedBy: row.decided_by,
  approvedAt: row.status === "approved" ? readInstantOrNull(row.decided_at) : null,
});
