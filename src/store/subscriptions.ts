import { type Selectable, sql } from "kysely";
import {
  closedAt,
  readSubscription,
  startOfSubscription,
  type Subscription,
  type SubscriptionDocument,
  writeSubscription,
} from "../domain/subscriptions/index.ts";
import type { Instant } from "../kit/time.ts";
import { readInstant, writeInstant } from "./columns.ts";
import type { Db, Tx } from "./connect.ts";
import { type AccountKey, accountKeyText } from "./invoice-facts.ts";
import type { SubscriptionTable } from "./tables.ts";

export type StoredSubscription = {
  readonly orgId: string;
  readonly subscription: Subscription;
  /** Counts its changes from 1. */
  readonly revision: number;
  readonly createdAt: Instant;
};

/** One entry of a subscription's history. */
export type SubscriptionChange = {
  readonly revision: number;
  readonly kind: string;
  readonly request: unknown;
  readonly timeline: SubscriptionDocument;
  readonly effect: unknown;
  readonly effectiveAt: Instant;
  readonly changedBy: string;
  readonly changedAt: Instant;
};

/** Insert; the unique index refuses a second open subscription of the product line. */
export async function insertSubscription(tx: Tx, stored: StoredSubscription): Promise<void> {
  const { subscription } = stored;
  await tx
    .insertInto("subscription")
    .values({
      org_id: stored.orgId,
      subscription_id: subscription.id,
      account_id: subscription.accountId,
      product_line: subscription.productLine,
      timeline: JSON.stringify(writeSubscription(subscription)),
      revision: stored.revision,
      starts_at: writeInstant(startOfSubscription(subscription)),
      created_at: writeInstant(stored.createdAt),
    })
    .execute();
}

/** Put a new timeline in place of the one that was locked. */
export async function saveSubscription(
  tx: Tx,
  stored: StoredSubscription,
  now: Instant,
): Promise<void> {
  const closed = closedAt(stored.subscription, now);
  await tx
    .updateTable("subscription")
    .set({
      timeline: JSON.stringify(writeSubscription(stored.subscription)),
      revision: stored.revision,
      closed_at: closed === null ? null : writeInstant(closed),
    })
    .where("org_id", "=", stored.orgId)
    .where("subscription_id", "=", stored.subscription.id)
    .execute();
}

export async function appendChange(
  tx: Tx,
  orgId: string,
  subscriptionId: string,
  change: SubscriptionChange,
): Promise<void> {
  await tx
    .insertInto("subscription_change")
    .values({
      org_id: orgId,
      subscription_id: subscriptionId,
      revision: change.revision,
      kind: change.kind,
      request: JSON.stringify(change.request),
      timeline: JSON.stringify(change.timeline),
      effect: JSON.stringify(change.effect),
      effective_at: writeInstant(change.effectiveAt),
      changed_by: change.changedBy,
      changed_at: writeInstant(change.changedAt),
    })
    .execute();
}

export async function findSubscription(
  db: Db,
  orgId: string,
  id: string,
): Promise<StoredSubscription | undefined> {
  const row = await byId(db, orgId, id).executeTakeFirst();
  return row && storedOf(row);
}

/** The same, held until commit. */
export async function lockSubscription(
  tx: Tx,
  orgId: string,
  id: string,
): Promise<StoredSubscription | undefined> {
  const row = await byId(tx, orgId, id).forUpdate().executeTakeFirst();
  return row && storedOf(row);
}

const byId = (db: Db, orgId: string, id: string) =>
  db
    .selectFrom("subscription")
    .selectAll()
    .where("org_id", "=", orgId)
    .where("subscription_id", "=", id);

export async function listSubscriptions(
  db: Db,
  orgId: string,
  filter: { readonly accountId?: string | undefined },
  page: { readonly afterId: string | undefined; readonly limit: number },
): Promise<StoredSubscription[]> {
  let query = db.selectFrom("subscription").selectAll().where("org_id", "=", orgId);
  if (filter.accountId !== undefined) query = query.where("account_id", "=", filter.accountId);
  if (page.afterId !== undefined) query = query.where("subscription_id", ">", page.afterId);
  return (await query.orderBy("subscription_id").limit(page.limit).execute()).map(storedOf);
}

/** Free the place of a subscription that has ended by itself, so that another may be started. */
export async function closeEnded(
  tx: Tx,
  orgId: string,
  accountId: string,
  now: Instant,
): Promise<void> {
  await sql`
    update subscription set closed_at = (timeline ->> 'ends_at')::timestamptz
    where org_id = ${orgId} and account_id = ${accountId} and closed_at is null
      and (timeline ->> 'ends_at')::timestamptz <= ${writeInstant(now)}`.execute(tx);
}

export async function listSubscriptionChanges(
  db: Db,
  orgId: string,
  id: string,
): Promise<SubscriptionChange[]> {
  const rows = await db
    .selectFrom("subscription_change")
    .selectAll()
    .where("org_id", "=", orgId)
    .where("subscription_id", "=", id)
    .orderBy("revision")
    .execute();
  return rows.map((row) => ({
    revision: row.revision,
    kind: row.kind,
    request: row.request,
    timeline: row.timeline as SubscriptionDocument,
    effect: row.effect,
    effectiveAt: readInstant(row.effective_at),
    changedBy: row.changed_by,
    changedAt: readInstant(row.changed_at),
  }));
}

const storedOf = (row: Selectable<SubscriptionTable>): StoredSubscription => ({
  orgId: row.org_id,
  subscription: readSubscription(row.subscription_id, row.timeline as SubscriptionDocument),
  revision: row.revision,
  createdAt: readInstant(row.created_at),
});

/** A timeline, and since when it was known to be so. */
export type KnownTimeline = {
  readonly id: string;
  readonly knownAt: Instant;
  readonly timeline: SubscriptionDocument;
};

/** Every timeline that the subscriptions of many accounts ever had: by account, then subscription, oldest first. */
export async function loadSubscriptionHistory(
  db: Db,
  keys: readonly AccountKey[],
): Promise<Map<string, Map<string, KnownTimeline[]>>> {
  const accounts = new Map(keys.map((key) => [accountKeyText(key.orgId, key.accountId), key]));
  const { rows } = await sql<{
    org_id: string;
    account_id: string;
    subscription_id: string;
    changed_at: string;
    timeline: SubscriptionDocument;
  }>`
    select s.org_id, s.account_id, c.subscription_id, c.changed_at, c.timeline
    from unnest(${[...accounts.values()].map((key) => key.orgId)}::text[],
                ${[...accounts.values()].map((key) => key.accountId)}::text[]) as k (org_id, account_id)
    join subscription s using (org_id, account_id)
    join subscription_change c using (org_id, subscription_id)
    order by s.org_id, s.account_id, s.starts_at, s.subscription_id, c.revision`.execute(db);
  const found = new Map<string, Map<string, KnownTimeline[]>>();
  for (const row of rows) {
    const account = accountKeyText(row.org_id, row.account_id);
    const bySubscription = found.get(account) ?? new Map<string, KnownTimeline[]>();
    found.set(account, bySubscription);
    const timelines = bySubscription.get(row.subscription_id) ?? [];
    bySubscription.set(row.subscription_id, timelines);
    timelines.push({
      id: row.subscription_id,
      knownAt: readInstant(row.changed_at),
      timeline: row.timeline,
    });
  }
  return found;
}

/** An account's subscriptions as they were known before a moment, oldest first. */
export const knownBefore = (
  histories: Iterable<readonly KnownTimeline[]>,
  at: Instant,
): Subscription[] =>
  [...histories].flatMap((history) => {
    const known = history.findLast((one) => one.knownAt < at);
    return known === undefined ? [] : [readSubscription(known.id, known.timeline)];
  });
