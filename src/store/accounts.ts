import { type Selectable, sql } from "kysely";
import type {
  AccountHistory,
  Address,
  BillingAccount,
  ClosingFacts,
  Contact,
  InvoicingFacts,
  TaxId,
} from "../domain/accounts/index.ts";
import { currency } from "../kit/currency.ts";
import { type AccountId, isId, type OrganizationId } from "../kit/ids.ts";
import { money } from "../kit/money.ts";
import type { Instant } from "../kit/time.ts";
import { countActiveBindings } from "./bindings.ts";
import {
  pricedTermsOf,
  readInstant,
  readInstantOrNull,
  writeDecimal,
  writeInstant,
} from "./columns.ts";
import type { Db } from "./connect.ts";
import type { BillingAccountTable } from "./tables.ts";

export async function findAccount(
  db: Db,
  organizationId: OrganizationId,
  reference: string,
): Promise<BillingAccount | undefined> {
  const row = await byReference(db, organizationId, reference).executeTakeFirst();
  return row && accountOf(row);
}

/** The same, held until commit: whoever changes an account, or binds to it, takes turns. */
export async function lockAccount(
  db: Db,
  organizationId: OrganizationId,
  reference: string,
): Promise<BillingAccount | undefined> {
  const row = await byReference(db, organizationId, reference).forNoKeyUpdate().executeTakeFirst();
  return row && accountOf(row);
}

const byReference = (db: Db, organizationId: OrganizationId, reference: string) =>
  db
    .selectFrom("billing_account")
    .selectAll()
    .where("org_id", "=", organizationId)
    .where(isId("account", reference) ? "account_id" : "slug", "=", reference);

export async function listAccounts(
  db: Db,
  organizationId: OrganizationId,
  page: { readonly afterId: string | undefined; readonly limit: number },
): Promise<BillingAccount[]> {
  let query = db.selectFrom("billing_account").selectAll().where("org_id", "=", organizationId);
  if (page.afterId !== undefined) query = query.where("account_id", ">", page.afterId);
  const rows = await query.orderBy("account_id").limit(page.limit).execute();
  return rows.map((row) => accountOf(row));
}

export async function insertAccount(db: Db, account: BillingAccount): Promise<void> {
  await db
    .insertInto("billing_account")
    .values({
      org_id: account.organizationId,
      account_id: account.id,
      slug: account.slug,
      parent_account_id: account.parentId,
      created_at: writeInstant(account.createdAt),
      ...changeable(account),
    })
    .execute();
}

export async function saveAccount(db: Db, account: BillingAccount): Promise<void> {
  await db
    .updateTable("billing_account")
    .set({ parent_account_id: account.parentId, ...changeable(account) })
    .where("org_id", "=", account.organizationId)
    .where("account_id", "=", account.id)
    .execute();
}

function changeable(account: BillingAccount) {
  const { terms } = account;
  return {
    name: account.name,
    currency: account.currency,
    time_zone: account.timeZone,
    price_book: account.priceBook,
    invoice_day: account.invoiceDay,
    cycle: account.cycle,
    status: account.status,
    status_reason: account.statusReason,
    status_at: writeInstant(account.statusAt),
    activated_at: account.activatedAt === null ? null : writeInstant(account.activatedAt),
    cause_cleared_at: account.causeCleared === null ? null : writeInstant(account.causeCleared.at),
    cause_cleared_by: account.causeCleared?.by ?? null,
    ...(terms ? { net_days: terms.netDays } : {}),
    terms_granted_at: terms === null ? null : writeInstant(terms.grantedAt),
    credit_limit_minor: terms?.creditLimit?.minor ?? null,
    agreement_reference: terms?.agreementReference ?? null,
    early_discount_percent: terms?.earlyDiscount ? writeDecimal(terms.earlyDiscount.percent) : null,
    early_discount_days: terms?.earlyDiscount?.days ?? null,
    late_fee_percent: terms?.lateFee ? writeDecimal(terms.lateFee.percentPerMonth) : null,
    legal_name: account.legalName,
    address: account.address === null ? null : JSON.stringify(account.address),
    tax_ids: JSON.stringify(account.taxIds),
    contacts: JSON.stringify(account.contacts),
    ap_email: account.apEmail,
    po_number: account.poNumber,
    language: account.language,
  };
}

export async function deleteAccount(
  db: Db,
  organizationId: OrganizationId,
  id: AccountId,
): Promise<void> {
  await db
    .deleteFrom("billing_account")
    .where("org_id", "=", organizationId)
    .where("account_id", "=", id)
    .execute();
}

export async function getAccountHistory(
  db: Db,
  organizationId: OrganizationId,
  id: AccountId,
): Promise<AccountHistory> {
  const { rows } = await sql<{
    bindings: boolean;
    usage: boolean;
    invoices: boolean;
    payers: boolean;
  }>`
    select
      exists (select from binding where org_id = ${organizationId} and account_id = ${id}) as bindings,
      exists (select from usage_head where org_id = ${organizationId} and account_id = ${id}) as usage,
      exists (select from invoice where org_id = ${organizationId} and account_id = ${id}) as invoices,
      exists (select from account_payer where (org_id = ${organizationId} and account_id = ${id})
        or (payer_org_id = ${organizationId} and payer_account_id = ${id})) as payers`.execute(db);
  const row = rows[0];
  return {
    hasBindings: row?.bindings ?? false,
    hasUsage: row?.usage ?? false,
    hasInvoices: row?.invoices ?? false,
    hasPayers: row?.payers ?? false,
  };
}

export async function getInvoicingFacts(
  db: Db,
  organizationId: OrganizationId,
  id: AccountId,
): Promise<InvoicingFacts> {
  const { rows } = await sql<{ all: bigint; late: bigint; newest: string | null }>`
    select count(*) as all, count(*) filter (where status = 'past_due') as late, max(issued_at) as newest
    from invoice
    where org_id = ${organizationId} and account_id = ${id} and status not in ('draft', 'void')
      and kind <> 'statement'`.execute(db);
  const row = rows[0];
  return {
    invoiceCount: Number(row?.all ?? 0n),
    pastDueCount: Number(row?.late ?? 0n),
    since: readInstantOrNull(row?.newest ?? null),
  };
}

/** What stands in the way of closing an account. */
export async function getClosingFacts(
  db: Db,
  organizationId: OrganizationId,
  id: AccountId,
  now: Instant,
): Promise<ClosingFacts> {
  const { rows } = await sql<{ open: bigint; children: bigint; usage: boolean }>`
    select
      (select count(*) from invoice
        where org_id = ${organizationId} and account_id = ${id} and status in ('draft', 'issued', 'past_due')
          and kind <> 'statement') as open,
      (select count(*) from billing_account
        where org_id = ${organizationId} and parent_account_id = ${id} and status <> 'archived')
      + (select count(*) from account_payer p
        join billing_account c on c.org_id = p.org_id and c.account_id = p.account_id and c.status <> 'archived'
        where p.payer_org_id = ${organizationId} and p.payer_account_id = ${id} and not exists (
          select from account_payer later where later.org_id = p.org_id and later.account_id = p.account_id
            and later.effective_from > p.effective_from and later.effective_from <= ${writeInstant(now)})
      ) as children,
      exists (
        select from usage_event
        where org_id = ${organizationId} and account_id = ${id} and time >= coalesce(
          (select max(period_ends_at) from invoice
            where org_id = ${organizationId} and account_id = ${id} and kind in ('invoice', 'statement') and status not in ('draft', 'void')),
          '-infinity')
      ) as usage`.execute(db);
  const row = rows[0];
  return {
    activeBindings: await countActiveBindings(db, organizationId, id, now),
    openInvoices: Number(row?.open ?? 0n),
    children: Number(row?.children ?? 0n),
    hasUninvoicedUsage: row?.usage ?? false,
  };
}

/** An account and everybody who pays for it, itself first. */
export async function listAccountLineage(
  db: Db,
  organizationId: OrganizationId,
  id: AccountId,
): Promise<BillingAccount[]> {
  const { rows } = await sql<Row>`
    with recursive up as (
      select a.*, 0 as distance from billing_account a where a.org_id = ${organizationId} and a.account_id = ${id}
      union all
      select p.*, up.distance + 1 from billing_account p
        join up on p.org_id = up.org_id and p.account_id = up.parent_account_id where up.distance < 20
    )
    select * from up order by distance`.execute(db);
  return rows.map(accountOf);
}

/** How many levels of accounts hang below one. */
export async function getAccountHeight(
  db: Db,
  organizationId: OrganizationId,
  id: AccountId,
): Promise<number> {
  const { rows } = await sql<{ height: number }>`
    with recursive down as (
      select account_id, 0 as distance from billing_account where org_id = ${organizationId} and account_id = ${id}
      union all
      select c.account_id, down.distance + 1 from billing_account c
        join down on c.parent_account_id = down.account_id where c.org_id = ${organizationId} and down.distance < 20
    )
    select max(distance) as height from down`.execute(db);
  return rows[0]?.height ?? 0;
}

/** The currency of a price book; undefined when there is no such book. */
export async function findBookCurrency(db: Db, code: string): Promise<string | undefined> {
  const row = await db
    .selectFrom("price_book")
    .select("currency")
    .where("code", "=", code)
    .executeTakeFirst();
  return row?.currency;
}

type Row = Selectable<BillingAccountTable>;

function accountOf(row: Row): BillingAccount {
  const code = currency(row.currency);
  const createdAt = readInstant(row.created_at);
  const grantedAt = readInstantOrNull(row.terms_granted_at);
  const clearedAt = readInstantOrNull(row.cause_cleared_at);
  return {
    id: row.account_id as AccountId,
    organizationId: row.org_id as OrganizationId,
    slug: row.slug,
    name: row.name,
    currency: code,
    timeZone: row.time_zone,
    priceBook: row.price_book,
    invoiceDay: row.invoice_day,
    cycle: row.cycle,
    terms:
      grantedAt === null
        ? null
        : {
            netDays: row.net_days,
            creditLimit:
              row.credit_limit_minor === null ? null : money(code, row.credit_limit_minor),
            agreementReference: row.agreement_reference,
            ...pricedTermsOf(row),
            grantedAt,
          },
    parentId: row.parent_account_id as AccountId | null,
    status: row.status,
    statusReason: row.status_reason,
    statusAt: readInstantOrNull(row.status_at) ?? createdAt,
    activatedAt: readInstantOrNull(row.activated_at) ?? (row.status_at === null ? createdAt : null),
    causeCleared:
      clearedAt === null ? null : { at: clearedAt, by: row.cause_cleared_by ?? "unknown" },
    legalName: row.legal_name,
    address: row.address as Address | null,
    taxIds: row.tax_ids as TaxId[],
    contacts: row.contacts as Contact[],
    apEmail: row.ap_email,
    poNumber: row.po_number,
    language: row.language,
    createdAt,
  };
}
