import { sql } from "kysely";
import { currency } from "../kit/currency.ts";
import { type Money, money } from "../kit/money.ts";
import { type Day, dayOf, type Instant } from "../kit/time.ts";
import { readDecimal, readInstant, readInstantOrNull, writeInstant } from "./columns.ts";
import type { Decimal } from "../kit/decimal.ts";
import type { Db, Tx } from "./connect.ts";
import type { AccountKey } from "./invoice-facts.ts";

/** A payment of an invoice, and what became of its money. */
export type Payment = {
  readonly orgId: string;
  readonly paymentId: string;
  readonly invoiceId: string;
  readonly accountId: string;
  readonly amount: Money;
  readonly applied: Money;
  /** Forgiven for paying early. */
  readonly discount: Money;
  /** Too much: the payer's. */
  readonly excess: Money;
  readonly receivedOn: Day;
  /** How the bank or the payer names it; once per invoice. */
  readonly reference: string;
  readonly recordedAt: Instant;
  readonly recordedBy: string;
};

export async function insertPayment(tx: Tx, payment: Payment): Promise<void> {
  await tx
    .insertInto("payment")
    .values({
      org_id: payment.orgId,
      payment_id: payment.paymentId,
      invoice_id: payment.invoiceId,
      account_id: payment.accountId,
      currency: payment.amount.currency,
      amount_minor: payment.amount.minor,
      applied_minor: payment.applied.minor,
      discount_minor: payment.discount.minor,
      excess_minor: payment.excess.minor,
      received_on: payment.receivedOn,
      reference: payment.reference,
      recorded_at: writeInstant(payment.recordedAt),
      recorded_by: payment.recordedBy,
    })
    .execute();
}

/** The payments of an invoice, in the order in which they were recorded. */
export async function listPayments(db: Db, orgId: string, invoiceId: string): Promise<Payment[]> {
  const rows = await db
    .selectFrom("payment")
    .selectAll()
    .where("org_id", "=", orgId)
    .where("invoice_id", "=", invoiceId)
    .orderBy("recorded_at")
    .orderBy("payment_id")
    .execute();
  return rows.map((row) => {
    const code = currency(row.currency);
    return {
      orgId: row.org_id,
      paymentId: row.payment_id,
      invoiceId: row.invoice_id,
      accountId: row.account_id,
      amount: money(code, row.amount_minor),
      applied: money(code, row.applied_minor),
      discount: money(code, row.discount_minor),
      excess: money(code, row.excess_minor),
      receivedOn: dayOf(row.received_on),
      reference: row.reference,
      recordedAt: readInstant(row.recorded_at),
      recordedBy: row.recorded_by,
    };
  });
}

/** An invoice whose terms ask for a late fee, with all that ever settled some of it, and when. */
export type FeeBearing = AccountKey & {
  readonly invoiceId: string;
  readonly number: string;
  readonly total: Money;
  readonly dueOn: Day;
  readonly timeZone: string;
  readonly percentPerMonth: Decimal;
  readonly settled: readonly { readonly at: Instant; readonly amount: Money }[];
  /** What was under dispute, and for how long; null: it still is. */
  readonly withheld: readonly {
    readonly from: Instant;
    readonly until: Instant | null;
    readonly amount: Money;
  }[];
  /** When it was voided or given up: from then on nothing more is owed for being late. */
  readonly endedAt: Instant | null;
};

/** The fee-bearing invoices of accounts that may be late before a moment: one query, and next to nothing without any. */
export async function listFeeBearing(
  db: Db,
  spans: readonly (AccountKey & { readonly before: Instant })[],
): Promise<FeeBearing[]> {
  const { rows } = await sql<{
    org_id: string;
    account_id: string;
    invoice_id: string;
    number: string;
    currency: string;
    total_minor: bigint;
    due_on: string;
    time_zone: string;
    percent: string;
    settled: { at: string; minor: string }[];
    withheld: { from: string; until: string | null; minor: string }[];
    ended_at: string | null;
  }>`
    select i.org_id, i.account_id, i.invoice_id, i.number, i.currency, i.total_minor, i.due_on, b.time_zone, i.late_fee_percent as percent,
      coalesce((
        select json_agg(json_build_object('at', s.at, 'minor', s.minor::text))
        from (select p.recorded_at as at, p.applied_minor + p.discount_minor as minor from payment p
              where p.org_id = i.org_id and p.invoice_id = i.invoice_id
              union all
              select c.at, -c.amount_minor from account_credit c
              where c.org_id = i.org_id and c.source_id = i.invoice_id and c.cause = 'applied'
              union all
              select n.issued_at, -n.total_minor from invoice n
              where n.org_id = i.org_id and n.corrects_id = i.invoice_id and n.kind = 'credit_note' and n.status <> 'void') s), '[]') as settled,
      coalesce((
        select json_agg(json_build_object('from', d.opened_at, 'until', d.decided_at, 'minor', d.withheld_minor::text))
        from dispute d where d.org_id = i.org_id and d.invoice_id = i.invoice_id), '[]') as withheld,
      (select min(a.at) from audit_entry a
       where a.org_id = i.org_id and a.target_kind = 'invoice' and a.target_id = i.invoice_id
         and a.action in ('invoice.voided', 'invoice.written_off')) as ended_at
    from (select org_id, account_id, max(before) as before
          from unnest(${spans.map((s) => s.orgId)}::text[], ${spans.map((s) => s.accountId)}::text[],
                      ${spans.map((s) => writeInstant(s.before))}::timestamptz[]) as s (org_id, account_id, before)
          group by org_id, account_id) s
    join invoice i on i.org_id = s.org_id and i.account_id = s.account_id
    join billing_account b on b.org_id = i.org_id and b.account_id = i.account_id
    where i.late_fee_percent is not null and i.total_minor > 0 and i.due_on <= s.before::date + 1
    order by i.org_id, i.invoice_id`.execute(db);
  return rows.map((row) => {
    const code = currency(row.currency);
    return {
      orgId: row.org_id,
      accountId: row.account_id,
      invoiceId: row.invoice_id,
      number: row.number,
      total: money(code, row.total_minor),
      dueOn: dayOf(row.due_on),
      timeZone: row.time_zone,
      percentPerMonth: readDecimal(row.percent),
      settled: row.settled.map((one) => ({
        at: readInstant(one.at),
        amount: money(code, BigInt(one.minor)),
      })),
      withheld: row.withheld.map((one) => ({
        from: readInstant(one.from),
        until: readInstantOrNull(one.until),
        amount: money(code, BigInt(one.minor)),
      })),
      endedAt: readInstantOrNull(row.ended_at),
    };
  });
}
