import { z } from "@hono/zod-openapi";
import { never } from "../../domain/grants/index.ts";
import { Problem } from "../../domain/refusals/index.ts";
import { buyBatch, previewBatch, upgradeBatch } from "../../flows/buy-batch.ts";
import type { Env } from "../../flows/env.ts";
import { askRefund, correctGrant, giveGrant } from "../../flows/give-grant.ts";
import { getAccount } from "../../flows/manage-accounts.ts";
import { hiddenSkus } from "../../flows/browse-catalog.ts";
import { listBatchOffers } from "../../flows/read-batch-offers.ts";
import { setTopUpRule } from "../../flows/top-up-automatically.ts";
import { transferUnits } from "../../flows/transfer-units.ts";
import { currency } from "../../kit/currency.ts";
import type { OrganizationId } from "../../kit/ids.ts";
import { getCatalog } from "../../store/catalog.ts";
import { findGrant, listBalances, listGrants, listMovements } from "../../store/grant-lifecycle.ts";
import { findOrganization } from "../../store/organizations.ts";
import { listPurchases } from "../../store/purchases.ts";
import { AccountParam } from "../contract/accounts.ts";
import { PageQuery, page, pageOf, positionOf } from "../contract/common.ts";
import {
  BalanceView,
  balanceView,
  CorrectionBody,
  GrantBody,
  GrantView,
  grantView,
  MovementView,
  movementView,
  OfferView,
  offerView,
  PreviewBody,
  PreviewView,
  PurchaseBody,
  PurchaseView,
  previewView,
  purchaseView,
  TopUpBody,
  TransferBody,
  UpgradeBody,
} from "../contract/prepaid.ts";
import { type Endpoint, endpoint } from "../endpoint.ts";

const group = "Batches and credits";
const base = "/v1/organizations/{organization}/accounts/{account}";
const GrantParam = AccountParam.extend({ grant: z.string().min(1).max(80) });
const PoolParam = AccountParam.extend({ pool: z.string().min(1).max(100) });
const Listed = <T extends z.ZodType>(item: T) =>
  z.strictObject({ object: z.literal("list"), data: z.array(item) });

/** The name of an order: the Idempotency-Key, so that a retry finds it; else each request is a new order. */
const requestKeyOf = (env: Env, headers: { get(name: string): string | null }): string =>
  headers.get("idempotency-key") ?? env.id("request");

const offers = endpoint({
  method: "GET",
  path: `${base}/batch-offers`,
  id: "listBatchOffers",
  group,
  summary: "List the batches that an account can buy, at its prices",
  permission: "catalog.read",
  params: AccountParam,
  response: Listed(OfferView),
  problems: ["account_not_found"],
  run: async (env, { organization, params, now }) => {
    const account = await getAccount(env.store.db, organization.id, params.account);
    const hidden = await hiddenSkus(env, organization.id);
    const found = listBatchOffers(await getCatalog(env.store), account, now).filter(
      (offer) => !hidden.has(offer.sku),
    );
    return { object: "list" as const, data: found.map(offerView) };
  },
});

const preview = endpoint({
  method: "POST",
  path: `${base}/purchases/preview`,
  id: "previewPurchase",
  group,
  summary: "See what a purchase costs, when it expires and what comes after it",
  permission: "catalog.read",
  params: AccountParam,
  body: PreviewBody,
  response: PreviewView,
  problems: ["account_not_found", "batch_not_sold"],
  run: async (env, { organization, params, body }) => {
    const account = await getAccount(env.store.db, organization.id, params.account);
    return previewView(await previewBatch(env, account, body.sku, body.count));
  },
});

const payment = [
  "account_not_found",
  "batch_not_sold",
  "card_declined",
  "payment_not_possible",
  "payment_unclear",
  "purchase_not_found",
] as const;

const buy = endpoint({
  method: "POST",
  path: `${base}/purchases`,
  id: "buyBatch",
  group,
  summary: "Buy a batch",
  description:
    "Send an Idempotency-Key: the same key finds the same order, whatever got lost on the way. Units are there when the answer is.",
  permission: "purchases.write",
  params: AccountParam,
  body: PurchaseBody,
  response: PurchaseView,
  success: 201,
  problems: payment,
  atomic: false,
  run: async (env, { organization, params, body, author, headers }) => {
    const account = await getAccount(env.store.db, organization.id, params.account);
    const order = { ...body, kind: "batch" as const, requestKey: requestKeyOf(env, headers) };
    return purchaseView(await buyBatch(env, author, account, order));
  },
});

const upgrade = endpoint({
  method: "POST",
  path: `${base}/grants/{grant}/upgrade`,
  id: "upgradeBatch",
  group,
  summary: "Upgrade a batch to a larger one for the difference in price",
  permission: "purchases.write",
  params: GrantParam,
  body: UpgradeBody,
  response: PurchaseView,
  success: 201,
  problems: [...payment, "batch_not_upgradable", "grant_not_found"],
  atomic: false,
  run: async (env, { organization, params, body, author, headers }) => {
    const account = await getAccount(env.store.db, organization.id, params.account);
    return purchaseView(
      await upgradeBatch(env, author, account, {
        ...body,
        grantId: params.grant,
        requestKey: requestKeyOf(env, headers),
      }),
    );
  },
});

const refund = endpoint({
  method: "POST",
  path: `${base}/grants/{grant}/refund`,
  id: "refundBatch",
  group,
  summary: "Ask for the price of a batch back",
  description: "By the house rule the answer is no, and says why: batches are use it or lose it.",
  permission: "purchases.write",
  params: GrantParam,
  response: null,
  problems: ["account_not_found", "grant_not_found", "refund_refused"],
  run: async (env, { organization, params }) => {
    const account = await getAccount(env.store.db, organization.id, params.account);
    await askRefund(env, account, params.grant);
    return null;
  },
});

const purchases = endpoint({
  method: "GET",
  path: `${base}/purchases`,
  id: "listPurchases",
  group,
  summary: "List purchases, newest first",
  permission: "grants.read",
  params: AccountParam,
  query: PageQuery,
  response: pageOf(PurchaseView),
  problems: ["account_not_found"],
  run: async (env, { organization, params, query }) => {
    const account = await getAccount(env.store.db, organization.id, params.account);
    const found = await listPurchases(env.store.db, {
      orgId: organization.id,
      accountId: account.id,
      beforeId: positionOf(query.cursor, 1)?.[0]?.toString(),
      limit: query.limit + 1,
    });
    return page(found, query.limit, purchaseView, (one) => [one.id]);
  },
});

const balances = endpoint({
  method: "GET",
  path: `${base}/balances`,
  id: "listBalances",
  group,
  summary: "See what can be used now, per pool",
  description: "True the moment an event is acknowledged, for every reader.",
  permission: "grants.read",
  params: AccountParam,
  response: Listed(BalanceView),
  problems: ["account_not_found"],
  run: async (env, { organization, params, now }) => {
    const account = await getAccount(env.store.db, organization.id, params.account);
    const found = await listBalances(env.store.db, {
      orgId: organization.id,
      accountId: account.id,
      now,
    });
    return { object: "list" as const, data: found.map(balanceView) };
  },
});

const grants = endpoint({
  method: "GET",
  path: `${base}/grants`,
  id: "listGrants",
  group,
  summary: "List batches and credits, oldest first",
  permission: "grants.read",
  params: AccountParam,
  query: PageQuery,
  response: pageOf(GrantView),
  problems: ["account_not_found"],
  run: async (env, { organization, params, query, now }) => {
    const account = await getAccount(env.store.db, organization.id, params.account);
    const found = await listGrants(env.store.db, {
      orgId: organization.id,
      accountId: account.id,
      afterId: positionOf(query.cursor, 1)?.[0]?.toString(),
      limit: query.limit + 1,
    });
    return page(
      found,
      query.limit,
      (grant) => grantView(grant, now),
      (grant) => [grant.id],
    );
  },
});

const movements = endpoint({
  method: "GET",
  path: `${base}/movements`,
  id: "listGrantMovements",
  group,
  summary: "List everything that happened to batches and credits, newest first",
  permission: "grants.read",
  params: AccountParam,
  query: PageQuery.extend({ grant: z.string().max(80).optional() }),
  response: pageOf(MovementView),
  problems: ["account_not_found"],
  run: async (env, { organization, params, query }) => {
    const account = await getAccount(env.store.db, organization.id, params.account);
    const found = await listMovements(env.store.db, {
      orgId: organization.id,
      accountId: account.id,
      grantId: query.grant,
      beforeId: positionOf(query.cursor, 1)?.[0]?.toString(),
      limit: query.limit + 1,
    });
    return page(found, query.limit, movementView, (one) => [one.id]);
  },
});

const give = endpoint({
  method: "POST",
  path: `${base}/grants`,
  id: "giveGrant",
  group,
  summary: "Give units or money without a sale",
  permission: "grants.write",
  params: AccountParam,
  body: GrantBody,
  response: GrantView,
  success: 201,
  problems: ["account_not_found"],
  run: async (env, { organization, params, body, author, now }) => {
    const account = await getAccount(env.store.db, organization.id, params.account);
    const denomination =
      body.pool === undefined
        ? { kind: "money" as const, currency: currency(body.currency ?? account.currency) }
        : { kind: "units" as const, family: body.pool };
    const grant = await giveGrant(env, author, account, {
      denomination,
      sku: null,
      origin: body.origin,
      quantity: body.quantity,
      priority: body.priority,
      validFrom: body.valid_from ?? now,
      expiresAt: body.expires_at ?? never,
    });
    return grantView(grant, now);
  },
});

const correct = endpoint({
  method: "POST",
  path: `${base}/grants/{grant}/corrections`,
  id: "correctGrant",
  group,
  summary: "Take unused units back, with a reason",
  permission: "grants.write",
  params: GrantParam,
  body: CorrectionBody,
  response: GrantView,
  problems: ["account_not_found", "grant_not_found", "not_enough_units"],
  run: async (env, { organization, params, body, author, now }) => {
    const account = await getAccount(env.store.db, organization.id, params.account);
    return grantView(await correctGrant(env, author, account, params.grant, body.take_back), now);
  },
});

/** The other side of a transfer: in the same organization, or in one that stands directly below it. */
async function otherAccount(
  env: Env,
  ownId: OrganizationId,
  body: { organization: string; account: string },
) {
  if (body.organization === "current") return getAccount(env.store.db, ownId, body.account);
  const placed = await findOrganization(env.store.db, body.organization);
  const isOwn = placed?.organization.id === ownId || placed?.organization.parentId === ownId;
  if (!placed || !isOwn) throw new Problem("organization_not_found");
  return getAccount(env.store.db, placed.organization.id, body.account);
}

const moveProblems = ["account_not_found", "not_enough_units", "transfer_not_allowed"] as const;

const transfer = endpoint({
  method: "POST",
  path: `${base}/transfers`,
  id: "transferUnits",
  group,
  summary: "Pass units on to another account of one's own or of a customer below",
  description: "Keeps expiry and cost. Fails whole when there is not enough.",
  permission: "grants.transfer",
  params: AccountParam,
  body: TransferBody,
  response: Listed(GrantView),
  success: 201,
  problems: moveProblems,
  run: async (env, { organization, params, body, author, now }) => {
    const from = await getAccount(env.store.db, organization.id, params.account);
    const to = await otherAccount(env, organization.id, body);
    const made = await transferUnits(env, author, { from, to, ...body });
    return { object: "list" as const, data: made.map((grant) => grantView(grant, now)) };
  },
});

const reclaim = endpoint({
  method: "POST",
  path: `${base}/reclaims`,
  id: "reclaimUnits",
  group,
  summary: "Take back units that were passed on and not used",
  permission: "grants.transfer",
  params: AccountParam,
  body: TransferBody,
  response: Listed(GrantView),
  success: 201,
  problems: moveProblems,
  run: async (env, { organization, params, body, author, now }) => {
    const to = await getAccount(env.store.db, organization.id, params.account);
    const from = await otherAccount(env, organization.id, body);
    const made = await transferUnits(env, author, { from, to, ...body });
    return { object: "list" as const, data: made.map((grant) => grantView(grant, now)) };
  },
});

const topUp = endpoint({
  method: "PUT",
  path: `${base}/top-up-rules/{pool}`,
  id: "setTopUpRule",
  group,
  summary: "Buy again automatically when units run low",
  permission: "purchases.write",
  params: PoolParam,
  body: TopUpBody,
  response: null,
  problems: ["account_not_found", "batch_not_sold"],
  run: async (env, { organization, params, body, author }) => {
    const account = await getAccount(env.store.db, organization.id, params.account);
    await previewBatch(env, account, body.sku, 1);
    await setTopUpRule(env, author, account, {
      pool: params.pool,
      sku: body.sku,
      enabled: body.enabled,
      triggerAtOrBelow: body.trigger_at_or_below,
      purchasesPerMonthMax: body.purchases_per_month_max,
    });
    return null;
  },
});

const oneGrant = endpoint({
  method: "GET",
  path: `${base}/grants/{grant}`,
  id: "getGrant",
  group,
  summary: "See one batch or credit",
  permission: "grants.read",
  params: GrantParam,
  response: GrantView,
  problems: ["account_not_found", "grant_not_found"],
  run: async (env, { organization, params, now }) => {
    const account = await getAccount(env.store.db, organization.id, params.account);
    const grant = await findGrant(env.store.db, organization.id, params.grant);
    if (!grant || grant.accountId !== account.id) throw new Problem("grant_not_found");
    return grantView(grant, now);
  },
});

export const prepaidRoutes: readonly Endpoint[] = [
  offers,
  preview,
  buy,
  purchases,
  balances,
  grants,
  oneGrant,
  movements,
  upgrade,
  refund,
  transfer,
  reclaim,
  topUp,
  give,
  correct,
];
