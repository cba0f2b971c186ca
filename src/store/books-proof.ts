import { type RawBuilder, sql } from "kysely";
import { readUnits, type Units } from "../domain/grants/index.ts";
import { currency } from "../kit/currency.ts";
import { type Money, money, negated, parseMoney } from "../kit/money.ts";
import type { Db } from "./connect.ts";

/** An amount that documents, payments and grants say an account of the books must hold. Credits are below zero. */
export type Owed = { readonly of: string; readonly amount: Money };

type SumRow = { of: string; currency: string; minor: string };

const owedOf = (rows: readonly SumRow[]): Owed[] =>
  rows.map((row) => ({ of: row.of, amount: money(currency(row.currency), BigInt(row.minor)) }));

// What was given up, and the credit notes about it, is no receivable any more; a debit note is a debt of its own.
const standing = sql`
  select i.*, coalesce(c.status, i.status) = 'uncollectible' as given_up from invoice i
  left join invoice c on c.org_id = i.org_id and c.invoice_id = i.corrects_id and i.kind = 'credit_note'
  where i.number is not null`;

/** A line of a consolidated invoice that is about another account is booked with that account's statement; a note with itself. */
const bookedHere = (section: RawBuilder<unknown>) =>
  sql`(i.kind <> 'invoice' or ${section} is null or ${section} = i.account_id)`;

/** By account: issued, less what was paid, forgiven and taken from credit; what became credit is not given back again. A payment of a document that became void is the payer's. */
export async function sumReceivables(db: Db, orgId: string): Promise<Owed[]> {
  const { rows } = await sql<SumRow>`
    select account_id as of, currency, sum(minor)::text as minor from (
      select account_id, currency, total_minor as minor from (${standing}) i
      where i.org_id = ${orgId} and i.status <> 'void' and i.kind <> 'statement' and not i.given_up
      union all
      select p.account_id, p.currency, -(p.applied_minor + p.discount_minor) from payment p
      join (${standing}) i on i.org_id = p.org_id and i.invoice_id = p.invoice_id
      where p.org_id = ${orgId} and not i.given_up
      union all
      select e.account_id, e.currency, e.amount_minor from account_credit e
      join (${standing}) i on i.org_id = e.org_id and i.invoice_id = e.source_id
      where e.org_id = ${orgId} and not i.given_up and e.cause in ('document', 'void', 'applied')) s
    group by 1, 2`.execute(db);
  return owedOf(rows);
}

/** By rate: the tax of all documents that stand, as a debt to the state. */
export async function sumTaxes(db: Db, orgId: string): Promise<Owed[]> {
  const { rows } = await sql<{ country: string; percent: string; currency: string; tax: string }>`
    select coalesce(i.content->'parties'->'buyer'->'tax'->'place'->>'country', '') as country,
           l->'tax'->>'percent' as percent, i.currency, sum((l->'tax'->>'tax')::numeric)::text as tax
    from invoice i, json_array_elements(i.content->'lines') l
    where i.org_id = ${orgId} and i.number is not null and i.status <> 'void' and l->'tax'->>'tax' is not null
      and ${bookedHere(sql`l->>'section'`)}
    group by 1, 2, 3`.execute(db);
  return rows.map((row) => ({
    of: row.country === "" ? row.percent : `${row.country}-${row.percent}`,
    amount: negated(parseMoney(row.tax, currency(row.currency))),
  }));
}

/** By account: what is earned or bought and on no standing document yet. */
export async function sumUnbilled(db: Db, orgId: string): Promise<Owed[]> {
  const { rows } = await sql<SumRow>`
    select account_id as of, currency, sum(minor)::text as minor from (
      select account_id, currency, amount_minor as minor from unbilled_charge where org_id = ${orgId}
      union all
      select account_id, currency, total_minor from purchase where org_id = ${orgId} and status = 'invoiced'
      union all
      select i.account_id, i.currency, -l.amount_minor from invoice i
      join invoice_line l on l.org_id = i.org_id and l.invoice_id = i.invoice_id
      where i.org_id = ${orgId} and i.number is not null and i.status <> 'void'
        and (l.cause like 'purchase:%' or l.cause like 'payment:%') and ${bookedHere(sql`l.section`)}) s
    group by 1, 2`.execute(db);
  return owedOf(rows);
}

/**
 * By SKU: what was sold of it since ever, as income: lines that stand, without tax; what waits to be billed; batches as they
 * were bought; and what transfers carried in and out. Recognised, deferred and refunded together must be this.
 */
export async function sumSales(db: Db, orgId: string): Promise<Owed[]> {
  const { rows } = await sql<{ of: string; currency: string; amount: string }>`
    select of, currency, sum(amount)::text as amount from (
      select c->>'sku' as of, i.currency,
             case when c->>'cause' like 'purchase:%' or c->>'cause' like 'payment:%' then 0
                  else (c->>'amount')::numeric end
             - case when (i.content->>'prices_include_tax')::boolean then coalesce((c->'tax'->>'tax')::numeric, 0) else 0 end
             as amount
      from invoice i, json_array_elements(i.content->'lines') c
      where i.org_id = ${orgId} and i.number is not null and i.status <> 'void'
        and ${bookedHere(sql`c->>'section'`)}) s
    group by 1, 2`.execute(db);
  const exact = rows.map((row) => ({
    of: row.of,
    amount: negated(parseMoney(row.amount, currency(row.currency))),
  }));
  const whole = await sql<SumRow>`
    select of, currency, sum(-minor)::text as minor from (
      select sku_code as of, currency, amount_minor as minor from unbilled_charge where org_id = ${orgId}
      union all
      select sku_code, currency, total_minor from purchase where org_id = ${orgId} and status in ('paid', 'invoiced')
      union all
      select coalesce(g.sku_code, g.pool), g.currency, g.paid_minor from account_grant g
      join grant_movement m on m.org_id = g.org_id and m.account_id = g.account_id and m.grant_id = g.grant_id and m.kind = 'funded' and m.posted_in is not null
      where g.org_id = ${orgId} and g.origin = 'transfer' and g.paid_minor is not null
      union all
      select coalesce(g.sku_code, g.pool), t.currency, -t.paid_minor from grant_movement m
      join account_grant g on g.org_id = m.org_id and g.grant_id = m.grant_id
      join account_grant t on t.grant_id = m.related_grant_id
      where m.org_id = ${orgId} and m.kind = 'transferred_out' and m.posted_in is not null and t.paid_minor is not null) s
    group by 1, 2`.execute(db);
  return [...exact, ...owedOf(whole.rows)];
}

/** A grant that was paid for: units of it that have left by movements which the books know. */
export type PaidGrant = {
  readonly sku: string;
  readonly paid: Money;
  readonly size: Units;
  readonly gone: Units;
};

export async function listPaidGrants(db: Db, orgId: string): Promise<PaidGrant[]> {
  const { rows } = await sql<{
    sku: string;
    currency: string;
    paid: bigint;
    size: string;
    gone: string;
  }>`
    select coalesce(g.sku_code, g.pool) as sku, g.currency, g.paid_minor as paid, g.size,
           coalesce(-sum(m.quantity) filter (where m.kind <> 'funded'), 0) as gone
    from account_grant g
    join grant_movement m on m.org_id = g.org_id and m.account_id = g.account_id and m.grant_id = g.grant_id
      and (m.posted_in is not null or (m.kind = 'funded' and g.origin = 'purchase'))
    where g.org_id = ${orgId} and g.paid_minor is not null and g.denomination = 'units'
    group by g.org_id, g.grant_id, 1, 2, 3, 4`.execute(db);
  return rows.map((row) => ({
    sku: row.sku,
    paid: money(currency(row.currency), row.paid),
    size: readUnits(row.size),
    gone: readUnits(row.gone),
  }));
}

/** What came in: through the bank by payments, through gateways by purchases. And what was forgiven, or too much. */
export async function sumCash(
  db: Db,
  orgId: string,
): Promise<{ bank: Owed[]; excess: Owed[]; forgiven: Owed[] }> {
  const payments = await sql<{ of: string; currency: string; amount: string; discount: string }>`
    select account_id as of, currency, sum(amount_minor)::text as amount, sum(discount_minor)::text as discount
    from payment where org_id = ${orgId} group by 1, 2`.execute(db);
  const refunds = await sql<SumRow>`
    select 'bank' as of, currency, sum(-amount_minor)::text as minor
    from refund where org_id = ${orgId} and via = 'bank' group by 1, 2`.execute(db);
  const credits = await sql<SumRow>`
    select account_id as of, currency, sum(-amount_minor)::text as minor
    from account_credit where org_id = ${orgId} group by 1, 2`.execute(db);
  const amount = (code: string, minor: string) => money(currency(code), BigInt(minor));
  return {
    bank: [
      ...payments.rows.map((row) => ({ of: "bank", amount: amount(row.currency, row.amount) })),
      ...owedOf(refunds.rows),
    ],
    excess: owedOf(credits.rows),
    forgiven: payments.rows.map((row) => ({
      of: "EARLY-PAYMENT",
      amount: amount(row.currency, row.discount),
    })),
  };
}

/** Documents that the books do not know: there must be none. */
export async function listUnbooked(
  db: Db,
  orgId: string,
): Promise<{ number: string; total: Money }[]> {
  const { rows } = await sql<{ number: string; currency: string; total_minor: bigint }>`
    select i.number, i.currency, i.total_minor from invoice i
    where i.org_id = ${orgId} and i.number is not null and i.total_minor <> 0
      and not exists (select from ledger_transaction t
                      where t.org_id = i.org_id and t.cause = 'document:' || i.invoice_id)
    order by i.issued_at, i.number`.execute(db);
  return rows.map((row) => ({
    number: row.number,
    total: money(currency(row.currency), row.total_minor),
  }));
}
