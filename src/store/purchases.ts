import { type Selectable, sql } from "kysely";
import { readUnits, type TopUpRule, type Units, writeUnits } from "../domain/grants/index.ts";
import { currency } from "../kit/currency.ts";
import { type Money, money } from "../kit/money.ts";
import type { Instant } from "../kit/time.ts";
import { readInstant, readInstantOrNull, writeInstant } from "./columns.ts";
import type { Db, Tx } from "./connect.ts";
import { livesInTime } from "./organizations.ts";
import type { PurchaseTable } from "./tables.ts";

/** What is bought, fixed when it was ordered: prices may change before an unclear payment is settled. */
export type PurchaseDetail = {
  readonly unit: string;
  readonly units: string;
  readonly unitCost: string;
  readonly expiresAt: string | null;
  /** Units that are added by an upgrade; all of them for a batch. */
  readonly added: string;
};

export type Purchase = {
  readonly orgId: string;
  readonly id: string;
  readonly accountId: string;
  readonly kind: "batch" | "upgrade" | "auto_top_up";
  readonly sku: string;
  readonly count: number;
  readonly pool: string;
  readonly units: Units;
  readonly total: Money;
  readonly settlement: "card" | "invoice";
  readonly status: "pending" | "paid" | "invoiced" | "declined";
  readonly paymentReference: string | null;
  readonly failure: string | null;
  readonly upgradedGrantId: string | null;
  readonly detail: PurchaseDetail;
  readonly requestKey: string;
  readonly createdAt: Instant;
  readonly settledAt: Instant | null;
};

const purchaseOf = (row: Selectable<PurchaseTable>): Purchase => ({
  orgId: row.org_id,
  id: row.purchase_id,
  accountId: row.account_id,
  kind: row.kind as Purchase["kind"],
  sku: row.sku_code,
  count: row.batch_count,
  pool: row.pool,
  units: readUnits(row.units),
  total: money(currency(row.currency), row.total_minor),
  settlement: row.settlement as Purchase["settlement"],
  status: row.status as Purchase["status"],
  paymentReference: row.payment_reference,
  failure: row.failure,
  upgradedGrantId: row.upgraded_grant_id,
  detail: row.detail as PurchaseDetail,
  requestKey: row.request_key,
  createdAt: readInstant(row.created_at),
  settledAt: readInstantOrNull(row.settled_at),
});

/** Record an order. The same request key again inserts nothing. */
export async function insertPurchase(db: Db, purchase: Purchase): Promise<boolean> {
  const inserted = await db
    .insertInto("purchase")
    .values({
      org_id: purchase.orgId,
      purchase_id: purchase.id,
      account_id: purchase.accountId,
      kind: purchase.kind,
      sku_code: purchase.sku,
      batch_count: purchase.count,
      pool: purchase.pool,
      units: writeUnits(purchase.units),
      currency: purchase.total.currency,
      total_minor: purchase.total.minor,
      settlement: purchase.settlement,
      status: purchase.status,
      payment_reference: purchase.paymentReference,
      failure: purchase.failure,
      upgraded_grant_id: purchase.upgradedGrantId,
      detail: JSON.stringify(purchase.detail),
      request_key: purchase.requestKey,
      created_at: writeInstant(purchase.createdAt),
      settled_at: null,
    })
    .onConflict((conflict) => conflict.columns(["org_id", "request_key"]).doNothing())
    .executeTakeFirst();
  return inserted.numInsertedOrUpdatedRows === 1n;
}

export async function findPurchaseByKey(
  db: Db,
  orgId: string,
  requestKey: string,
): Promise<Purchase | undefined> {
  const row = await db
    .selectFrom("purchase")
    .selectAll()
    .where("org_id", "=", orgId)
    .where("request_key", "=", requestKey)
    .executeTakeFirst();
  return row && purchaseOf(row);
}

/** A purchase by its id alone: all that a payment processor knows of it. */
export async function findPurchaseById(db: Db, id: string): Promise<Purchase | undefined> {
  const row = await db
    .selectFrom("purchase")
    .selectAll()
    .where("purchase_id", "=", id)
    .executeTakeFirst();
  return row && purchaseOf(row);
}

/** The same, held until commit: whoever settles it takes turns. */
export async function lockPurchase(
  tx: Tx,
  orgId: string,
  id: string,
): Promise<Purchase | undefined> {
  const row = await tx
    .selectFrom("purchase")
    .selectAll()
    .where("org_id", "=", orgId)
    .where("purchase_id", "=", id)
    .forUpdate()
    .executeTakeFirst();
  return row && purchaseOf(row);
}

export async function markSettled(tx: Tx, purchase: Purchase): Promise<void> {
  await tx
    .updateTable("purchase")
    .set({
      status: purchase.status,
      payment_reference: purchase.paymentReference,
      failure: purchase.failure,
      settled_at: purchase.settledAt === null ? null : writeInstant(purchase.settledAt),
    })
    .where("org_id", "=", purchase.orgId)
    .where("purchase_id", "=", purchase.id)
    .execute();
}

/** Purchases of an account, newest first. */
export async function listPurchases(
  db: Db,
  filter: { orgId: string; accountId: string; beforeId?: string | undefined; limit: number },
): Promise<Purchase[]> {
  let query = db
    .selectFrom("purchase")
    .selectAll()
    .where("org_id", "=", filter.orgId)
    .where("account_id", "=", filter.accountId);
  if (filter.beforeId) query = query.where("purchase_id", "<", filter.beforeId);
  const rows = await query.orderBy("purchase_id", "desc").limit(filter.limit).execute();
  return rows.map(purchaseOf);
}

/** Orders whose payment nobody has heard of yet. */
export async function listPending(
  db: Db,
  before: Instant,
  of: { orgId?: string | undefined; limit: number },
): Promise<Purchase[]> {
  const rows = await db
    .selectFrom("purchase")
    .selectAll()
    .where("status", "=", "pending")
    .where("created_at", "<=", writeInstant(before))
    .where(livesInTime(sql`purchase.org_id`, of.orgId))
    .orderBy("created_at")
    .limit(of.limit)
    .execute();
  return rows.map(purchaseOf);
}

/** What was bought in spans of time, for what goes onto invoices. */
export async function listSettledPurchases(
  db: Db,
  spans: readonly { orgId: string; accountId: string; startsAt: Instant; endsAt: Instant }[],
): Promise<(Purchase & { readonly span: number })[]> {
  const { rows } = await sql<Selectable<PurchaseTable> & { span: number }>`
    select p.*, s.no::integer - 1 as span
    from unnest(${spans.map((s) => s.orgId)}::text[], ${spans.map((s) => s.accountId)}::text[],
                ${spans.map((s) => writeInstant(s.startsAt))}::timestamptz[],
                ${spans.map((s) => writeInstant(s.endsAt))}::timestamptz[])
         with ordinality as s (org_id, account_id, starts_at, ends_at, no)
    join purchase p on p.org_id = s.org_id and p.account_id = s.account_id
     and p.settled_at >= s.starts_at and p.settled_at < s.ends_at and p.status in ('paid', 'invoiced')
    order by s.no, p.purchase_id`.execute(db);
  return rows.map((row) => ({ ...purchaseOf(row), span: row.span }));
}

export type StoredTopUpRule = TopUpRule & {
  readonly orgId: string;
  readonly accountId: string;
  readonly pool: string;
  readonly failuresInARow: number;
  readonly lastFailureAt: Instant | null;
  readonly lastNotice: { readonly reason: string; readonly because: string } | null;
};

export async function saveTopUpRule(tx: Tx, rule: StoredTopUpRule): Promise<void> {
  const values = {
    sku_code: rule.sku,
    enabled: rule.enabled,
    trigger_at: writeUnits(rule.triggerAtOrBelow),
    per_month_max: rule.purchasesPerMonthMax,
    failures_in_row: rule.failuresInARow,
    last_failure_at: rule.lastFailureAt === null ? null : writeInstant(rule.lastFailureAt),
    last_notice: rule.lastNotice === null ? null : JSON.stringify(rule.lastNotice),
  };
  await tx
    .insertInto("top_up_rule")
    .values({ org_id: rule.orgId, account_id: rule.accountId, pool: rule.pool, ...values })
    .onConflict((conflict) =>
      conflict.columns(["org_id", "account_id", "pool"]).doUpdateSet(values),
    )
    .execute();
}

/** Note how an attempt went. What the rule says, its owner alone changes, who may have done so meanwhile. */
export async function noteTopUpOutcome(
  db: Db,
  of: { orgId: string; accountId: string; pool: string },
  outcome: Pick<StoredTopUpRule, "failuresInARow" | "lastFailureAt" | "lastNotice">,
): Promise<void> {
  await db
    .updateTable("top_up_rule")
    .set({
      failures_in_row: outcome.failuresInARow,
      last_failure_at: outcome.lastFailureAt === null ? null : writeInstant(outcome.lastFailureAt),
      last_notice: outcome.lastNotice === null ? null : JSON.stringify(outcome.lastNotice),
    })
    .where("org_id", "=", of.orgId)
    .where("account_id", "=", of.accountId)
    .where("pool", "=", of.pool)
    .execute();
}

/** Top-up rules of one organization or account, or of everybody in real time. */
export async function listTopUpRules(
  db: Db,
  of: { orgId?: string; accountId?: string; enabledOnly?: boolean },
): Promise<StoredTopUpRule[]> {
  let query = db.selectFrom("top_up_rule").selectAll();
  query = query.where(livesInTime(sql`top_up_rule.org_id`, of.orgId));
  if (of.accountId !== undefined) query = query.where("account_id", "=", of.accountId);
  if (of.enabledOnly) query = query.where("enabled", "=", true);
  const rows = await query.orderBy("org_id").orderBy("account_id").orderBy("pool").execute();
  return rows.map((row) => ({
    orgId: row.org_id,
    accountId: row.account_id,
    pool: row.pool,
    sku: row.sku_code,
    enabled: row.enabled,
    triggerAtOrBelow: readUnits(row.trigger_at),
    purchasesPerMonthMax: row.per_month_max,
    failuresInARow: row.failures_in_row,
    lastFailureAt: readInstantOrNull(row.last_failure_at),
    lastNotice: row.last_notice as StoredTopUpRule["lastNotice"],
  }));
}

export async function countAutoTopUps(
  db: Db,
  of: { orgId: string; accountId: string; pool: string; since: Instant },
): Promise<number> {
  const { count } = await db
    .selectFrom("purchase")
    .select((select) => select.fn.countAll<bigint>().as("count"))
    .where("org_id", "=", of.orgId)
    .where("account_id", "=", of.accountId)
    .where("pool", "=", of.pool)
    .where("kind", "=", "auto_top_up")
    .where("status", "in", ["paid", "invoiced"])
    .where("created_at", ">=", writeInstant(of.since))
    .executeTakeFirstOrThrow();
  return Number(count);
}

/** The request key of an automatic purchase whose payment is not clear yet: to be asked about before another is made. */
export async function findOpenAutoTopUp(
  db: Db,
  of: { orgId: string; accountId: string; pool: string },
): Promise<string | undefined> {
  const row = await db
    .selectFrom("purchase")
    .select("request_key")
    .where("org_id", "=", of.orgId)
    .where("account_id", "=", of.accountId)
    .where("pool", "=", of.pool)
    .where("kind", "=", "auto_top_up")
    .where("status", "=", "pending")
    .orderBy("created_at")
    .orderBy("purchase_id")
    .limit(1)
    .executeTakeFirst();
  return row?.request_key;
}
