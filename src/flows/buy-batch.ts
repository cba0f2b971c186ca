import type { BillingAccount } from "../domain/accounts/index.ts";
import type { Author } from "../domain/audit/index.ts";
import {
  decideUpgrade,
  grantOfTransfer,
  never,
  previewPurchase,
  priorityDefault,
  type PurchasePreview,
  readUnits,
  subtractUnits,
  writeUnits,
} from "../domain/grants/index.ts";
import { address, book, move, moneyAmount } from "../domain/ledger/index.ts";
import type { ChargeOutcome } from "../domain/payments/index.ts";
import { Problem } from "../domain/refusals/index.ts";
import { recognitionPolicyVersion, valueBetween } from "../domain/revenue/index.ts";
import { add, decimal, decimalOf, formatDecimal, negate } from "../kit/decimal.ts";
import type { AccountId, GrantId } from "../kit/ids.ts";
import { formatMoney } from "../kit/money.ts";
import { formatInstant, type Instant, instant } from "../kit/time.ts";
import { appendAudit } from "../store/audit.ts";
import { headName, lockHeads } from "../store/account-heads.ts";
import { getCatalog } from "../store/catalog.ts";
import type { Tx } from "../store/connect.ts";
import {
  findGrant,
  insertGrant,
  listGrantMovements,
  moveUnits,
  type StoredGrant,
} from "../store/grant-lifecycle.ts";
import { appendTransactions } from "../store/journal.ts";
import {
  findPurchaseByKey,
  insertPurchase,
  listPending,
  lockPurchase,
  markSettled,
  type Purchase,
} from "../store/purchases.ts";
import { transaction } from "../store/transaction.ts";
import { hiddenSkus } from "./browse-catalog.ts";
import type { Env } from "./env.ts";
import { findBatchOffer } from "./read-batch-offers.ts";

export type Order = {
  readonly sku: string;
  readonly count: number;
  readonly settlement: "card" | "invoice";
  readonly kind: "batch" | "auto_top_up";
  /** What the buyer calls this order: sent again, it finds the first one. */
  readonly requestKey: string;
};

/** What buying would cost and give, shown before anybody pays. */
export async function previewBatch(
  env: Env,
  account: BillingAccount,
  sku: string,
  count: number,
): Promise<PurchasePreview> {
  const now = env.now();
  const offer = findBatchOffer(await getCatalog(env.store), account, sku, now);
  if (!offer || (await hiddenSkus(env, account.organizationId)).has(sku))
    throw new Problem(
      "batch_not_sold",
      `There is no batch "${sku}" with a price in ${account.currency} for ${account.slug}.`,
    );
  return previewPurchase(offer, count, now);
}

/**
 * Buy a batch: order, pay, allocate. Exactly once per request key, whatever the retries, lost answers and repeated
 * notifications: the order is recorded before anybody is charged, the charge carries the order's id, and units are
 * allocated in the transaction that settles it.
 */
export async function buyBatch(
  env: Env,
  author: Author,
  account: BillingAccount,
  order: Order,
): Promise<Purchase> {
  const preview = await previewBatch(env, account, order.sku, order.count);
  return place(env, author, account, {
    orgId: account.organizationId,
    id: env.id("purchase"),
    accountId: account.id,
    kind: order.kind,
    sku: order.sku,
    count: order.count,
    pool: preview.offer.family,
    units: preview.units,
    total: preview.total,
    settlement: order.settlement,
    status: "pending",
    paymentReference: null,
    failure: null,
    upgradedGrantId: null,
    detail: {
      unit: preview.offer.unit,
      units: writeUnits(preview.units),
      unitCost: formatDecimal(preview.unitCost),
      expiresAt: preview.expiresAt === never ? null : formatInstant(preview.expiresAt),
      added: writeUnits(preview.units),
    },
    requestKey: order.requestKey,
    createdAt: env.now(),
    settledAt: null,
  });
}

/** Upgrade a batch to a larger one: pay the difference, carry what is unused, get the rest on top (see `decideUpgrade`). */
export async function upgradeBatch(
  env: Env,
  author: Author,
  account: BillingAccount,
  upgrade: { grantId: string; sku: string; settlement: "card" | "invoice"; requestKey: string },
): Promise<Purchase> {
  const known = await findPurchaseByKey(env.store.db, account.organizationId, upgrade.requestKey);
  if (known) return place(env, author, account, known);
  const grant = await findGrant(env.store.db, account.organizationId, upgrade.grantId);
  if (!grant || grant.accountId !== account.id) throw new Problem("grant_not_found");
  const { offer } = await previewBatch(env, account, upgrade.sku, 1);
  const decision = decideUpgrade(grant, offer, env.now());
  if (decision.kind === "refused")
    throw new Problem("batch_not_upgradable", upgradeRefusals[decision.reason]);
  return place(env, author, account, {
    orgId: account.organizationId,
    id: env.id("purchase"),
    accountId: account.id,
    kind: "upgrade",
    sku: upgrade.sku,
    count: 1,
    pool: offer.family,
    units: decision.added,
    total: decision.due,
    settlement: upgrade.settlement,
    status: "pending",
    paymentReference: null,
    failure: null,
    upgradedGrantId: grant.id,
    detail: {
      unit: offer.unit,
      units: writeUnits(decision.added),
      unitCost: formatDecimal(
        decimal(formatMoney(decision.due)).dividedBy(decimal(writeUnits(decision.added))),
      ).slice(0, 20),
      expiresAt: decision.expiresAt === never ? null : formatInstant(decision.expiresAt),
      added: writeUnits(decision.added),
    },
    requestKey: upgrade.requestKey,
    createdAt: env.now(),
    settledAt: null,
  });
}

const upgradeRefusals = {
  not_larger: "The other batch is not larger.",
  batch_ended: "The batch is used up, has expired, or was never bought.",
  other_family: "The other batch is of another family.",
  cheaper: "The larger batch costs less than what was paid: buy it instead.",
} as const;

async function place(
  env: Env,
  author: Author,
  account: BillingAccount,
  asked: Purchase,
): Promise<Purchase> {
  if (asked.settlement === "invoice" ? account.terms === null : !env.payments)
    throw new Problem("payment_not_possible");
  if (account.status === "archived" || account.status === "suspended")
    throw new Problem("payment_not_possible", `The account is ${account.status}.`);
  await insertPurchase(env.store.db, asked);
  const order = await findPurchaseByKey(env.store.db, asked.orgId, asked.requestKey);
  if (!order) throw new Problem("purchase_not_found");
  const settled = order.status !== "pending" ? order : await pay(env, author, order, account.id);
  if (settled.status === "declined")
    throw new Problem("card_declined", `The payment was declined: ${settled.failure}.`, {
      facts: { purchase: settled.id },
    });
  if (settled.status === "pending")
    throw new Problem("payment_unclear", undefined, {
      facts: { purchase: settled.id, retry_after: 2 },
    });
  return settled;
}

async function pay(
  env: Env,
  author: Author,
  order: Purchase,
  accountId: AccountId,
): Promise<Purchase> {
  if (order.settlement === "invoice" || !env.payments)
    return settlePurchase(env, author, order.orgId, order.id, { kind: "succeeded", reference: "" });
  // An order that was tried before may have been charged without us hearing of it.
  const known = await env.payments.find(order.id);
  const outcome =
    known ??
    (await env.payments.charge({
      key: order.id,
      accountId,
      amount: order.total,
      description: `${order.count} × ${order.sku}`,
    }));
  if (outcome.kind === "unknown") return order;
  return settlePurchase(env, author, order.orgId, order.id, outcome);
}

/**
 * Take in what became of a payment: from our own request, from the processor's notification, from asking again. The first
 * one settles; all others change nothing.
 */
export async function settlePurchase(
  env: Env,
  author: Author,
  orgId: string,
  purchaseId: string,
  outcome: ChargeOutcome,
): Promise<Purchase> {
  return transaction(env.store.db, async (tx) => {
    const order = await lockPurchase(tx, orgId, purchaseId);
    if (!order) throw new Problem("purchase_not_found");
    if (order.status !== "pending" || outcome.kind === "unknown") return order;
    const now = env.now();
    const settled: Purchase = {
      ...order,
      ...(outcome.kind === "succeeded"
        ? {
            status: order.settlement === "card" ? "paid" : "invoiced",
            paymentReference: outcome.reference === "" ? null : outcome.reference,
          }
        : { status: "declined", failure: outcome.reason }),
      settledAt: now,
    };
    await markSettled(tx, settled);
    if (settled.status !== "declined") await allocateUnits(env, tx, settled, now);
    await appendAudit(tx, env.id, orgId, [
      {
        at: now,
        author,
        action: `purchase.${settled.status}`,
        target: { kind: "purchase", id: settled.id },
        before: { status: order.status },
        after: {
          status: settled.status,
          sku: settled.sku,
          units: writeUnits(settled.units),
          total: formatMoney(settled.total),
          currency: settled.total.currency,
        },
      },
    ]);
    return settled;
  });
}

async function allocateUnits(env: Env, tx: Tx, order: Purchase, now: Instant): Promise<void> {
  const key = { orgId: order.orgId, accountId: order.accountId };
  const heads = await lockHeads(tx, [key]);
  const afterSeq = heads.get(headName(key)) ?? 0;
  const expiresAt = order.detail.expiresAt === null ? never : instant(order.detail.expiresAt);
  const bought: StoredGrant = {
    orgId: order.orgId,
    id: env.id("grant"),
    accountId: order.accountId as AccountId,
    denomination: { kind: "units", family: order.pool },
    sku: order.sku,
    origin: "purchase",
    priority: priorityDefault,
    validFrom: now,
    expiresAt,
    unitCost: decimal(order.detail.unitCost),
    createdAt: now,
    size: readUnits(order.detail.added),
    remaining: readUnits(order.detail.added),
    drawn: 0,
    expired: 0,
    transferredOut: 0,
    corrected: 0,
    paid: order.total,
    parent: null,
    parentOrgId: null,
    purchaseId: order.id,
    afterSeq,
  };
  await insertGrant(
    tx,
    bought,
    env.id,
    order.kind === "batch" ? "bought" : order.kind.replaceAll("_", " "),
  );
  if (order.upgradedGrantId) await carryOver(env, tx, order, { now, afterSeq, expiresAt });
  const from =
    order.settlement === "card"
      ? address("cash", env.payments?.name ?? "card")
      : address("unbilled", order.accountId);
  await appendTransactions(
    tx,
    order.orgId,
    [
      book({
        id: `txn_${order.id.slice(4)}`,
        cause: `purchase:${order.id}`,
        at: now,
        description: `${order.count} × ${order.sku}`,
        policyVersion: recognitionPolicyVersion,
        reverses: null,
        postings: move(address("deferred", order.sku), from, moneyAmount(order.total)),
      }),
    ],
    now,
  );
}

/** Move what is unused of the smaller batch into a grant of its own that ends when the larger one does. */
async function carryOver(
  env: Env,
  tx: Tx,
  order: Purchase,
  at: { now: Instant; afterSeq: number; expiresAt: Instant },
): Promise<void> {
  const old = await findGrant(tx, order.orgId, order.upgradedGrantId ?? "");
  if (!old || writeUnits(old.remaining) === "0") return;
  const value = await valueLeaving(tx, old, writeUnits(old.remaining));
  const carried = grantOfTransfer(
    { source: old, quantity: old.remaining },
    {
      id: env.id("grant") as GrantId,
      accountId: old.accountId,
      at: at.now,
      afterSeq: at.afterSeq,
      value,
      expiresAt: at.expiresAt,
    },
  );
  await moveUnits(tx, env.id, {
    grant: old,
    kind: "transferred_out",
    quantity: subtractUnits(0, old.remaining),
    at: at.now,
    afterSeq: at.afterSeq,
    relatedGrantId: carried.id,
    reason: "carried into the larger batch",
  });
  const stored = { ...carried, orgId: old.orgId, parentOrgId: old.orgId, purchaseId: null };
  await insertGrant(tx, stored, env.id, "carried from the smaller batch");
}

/** What a number of units that leave a grant now are worth: the next step of its cumulative value. */
export async function valueLeaving(tx: Tx, grant: StoredGrant, quantity: string) {
  if (!grant.paid) return null;
  const movements = await listGrantMovements(tx, grant);
  const gone = movements
    .filter((movement) => movement.kind !== "funded")
    .reduce(
      (sum, movement) => add(sum, negate(decimal(writeUnits(movement.quantity)))),
      decimalOf(0),
    );
  return valueBetween(
    grant.paid,
    decimal(writeUnits(grant.size)),
    gone,
    add(gone, decimal(quantity)),
  );
}

/** Ask the processor about orders it has not answered for, and settle those it knows. Run now and then. */
export async function settlePendingPurchases(
  env: Env,
  author: Author,
  of: { readonly orgId?: string } = {},
): Promise<number> {
  const pending = await listPending(env.store.db, env.now(), { ...of, limit: 200 });
  let settled = 0;
  for (const order of pending) {
    const outcome = await env.payments?.find(order.id);
    if (!outcome || outcome.kind === "unknown") continue;
    await settlePurchase(env, author, order.orgId, order.id, outcome);
    settled += 1;
  }
  return settled;
}
