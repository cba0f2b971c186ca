import { type RawBuilder, sql } from "kysely";
import type { Address, Amount, Balance } from "../domain/ledger/index.ts";
import { currency } from "../kit/currency.ts";
import { type Money, money } from "../kit/money.ts";
import type { Instant } from "../kit/time.ts";
import { readDecimal, writeInstant } from "./columns.ts";
import type { Db } from "./connect.ts";

/** A span of time of the books, half open, of one organization or of all. */
export type BooksSpan = {
  readonly orgId?: string | undefined;
  readonly from: Instant;
  readonly until: Instant;
};

/** What stood on an account, what was added and taken, and what stands: `opening + debits + credits = closing`. */
export type RollForward = {
  readonly account: Address;
  readonly opening: Balance;
  /** Above zero. */
  readonly debits: Balance;
  /** Below zero. */
  readonly credits: Balance;
  readonly closing: Balance;
};

const number = sql`coalesce(p.amount_minor::numeric, p.units)`;
const ofOrganization = (orgId: string | undefined): RawBuilder<unknown> =>
  sql`(${orgId ?? null}::text is null or p.org_id = ${orgId ?? null})`;

/** Every account that held or moved anything in a span; `kind` narrows it to one kind of the chart ("deferred"). */
export async function listRollForward(
  db: Db,
  { orgId, from, until, kind }: BooksSpan & { readonly kind?: string | undefined },
): Promise<RollForward[]> {
  const start = sql`${writeInstant(from)}::timestamptz`;
  const { rows } = await sql<{
    account: string;
    kind: Amount["kind"];
    commodity: string;
    opening: string;
    debits: string;
    credits: string;
    closing: string;
  }>`
    select p.account, case when p.currency is null then 'units' else 'money' end as kind,
           coalesce(p.currency, p.family) as commodity,
           coalesce(sum(${number}) filter (where t.at < ${start}), 0) as opening,
           coalesce(sum(${number}) filter (where t.at >= ${start} and ${number} > 0), 0) as debits,
           coalesce(sum(${number}) filter (where t.at >= ${start} and ${number} < 0), 0) as credits,
           sum(${number}) as closing
    from ledger_posting p join ledger_transaction t using (org_id, transaction_id)
    where t.at < ${writeInstant(until)}::timestamptz and ${ofOrganization(orgId)}
      and (${kind ?? null}::text is null or split_part(p.account, ':', 2) = ${kind ?? null})
    group by 1, 2, 3
    having sum(${number}) <> 0 or bool_or(t.at >= ${start})
    order by 1, 2, 3`.execute(db);
  return rows.map((row) => {
    const account = row.account as Address;
    const of = (text: string): Balance => ({
      account,
      kind: row.kind,
      commodity: row.commodity,
      number: readDecimal(text),
    });
    return {
      account,
      opening: of(row.opening),
      debits: of(row.debits),
      credits: of(row.credits),
      closing: of(row.closing),
    };
  });
}

/** What one pool of units brought in and cost in a span of time. `margin` is revenue less cost. */
export type Margin = {
  readonly pool: string;
  readonly revenue: Money;
  readonly cost: Money;
  readonly margin: Money;
};

/**
 * Revenue and cost of goods sold by what was used, from the books alone: revenue and breakage less discounts and refunds of
 * every SKU of a meter, against the cost of that meter's units. SKUs without a meter stand under their own code.
 */
export async function listMargins(db: Db, { orgId, from, until }: BooksSpan): Promise<Margin[]> {
  const { rows } = await sql<{ pool: string; currency: string; revenue: string; cost: string }>`
    select coalesce(s.meter_key, split_part(p.account, ':', 3)) as pool, p.currency,
           coalesce(-sum(p.amount_minor) filter (where split_part(p.account, ':', 2) <> 'cogs'), 0)::text as revenue,
           coalesce(sum(p.amount_minor) filter (where split_part(p.account, ':', 2) = 'cogs'), 0)::text as cost
    from ledger_posting p join ledger_transaction t using (org_id, transaction_id)
    left join sku s on s.code = split_part(p.account, ':', 3)
    where split_part(p.account, ':', 2) in ('revenue', 'breakage', 'discounts', 'refunds', 'cogs')
      and p.currency is not null and ${ofOrganization(orgId)}
      and t.at >= ${writeInstant(from)}::timestamptz and t.at < ${writeInstant(until)}::timestamptz
    group by 1, 2 order by 1, 2`.execute(db);
  return rows.map((row) => {
    const of = (minor: bigint): Money => money(currency(row.currency), minor);
    const [revenue, cost] = [BigInt(row.revenue), BigInt(row.cost)];
    return { pool: row.pool, revenue: of(revenue), cost: of(cost), margin: of(revenue - cost) };
  });
}
