import type { Author } from "../domain/audit/index.ts";
import type { BillingAccount } from "../domain/accounts/index.ts";
import type { Catalog, Discount, PlanRef } from "../domain/catalog/index.ts";
import { type Fault, Problem } from "../domain/refusals/index.ts";
import {
  type Change,
  type ChangePreview,
  chargesOf,
  formatShare,
  type MoneyEffect,
  moneyEffect,
  previewChange,
  type Start,
  start,
  type Terms,
  type When,
  writeSubscription,
} from "../domain/subscriptions/index.ts";
import { type Decimal, formatDecimal } from "../kit/decimal.ts";
import type { OrganizationId } from "../kit/ids.ts";
import { formatMoney } from "../kit/money.ts";
import { formatInstant, type Instant } from "../kit/time.ts";
import { appendAudit } from "../store/audit.ts";
import { lockHeads } from "../store/account-heads.ts";
import { findAccount, lockAccount } from "../store/accounts.ts";
import { getCatalog } from "../store/catalog.ts";
import type { Tx } from "../store/connect.ts";
import { findOrganization } from "../store/organizations.ts";
import { getPublishedCatalog } from "../store/plans.ts";
import {
  appendChange,
  closeEnded,
  findSubscription,
  insertSubscription,
  lockSubscription,
  type StoredSubscription,
  saveSubscription,
} from "../store/subscriptions.ts";
import { brokenConstraint, transaction } from "../store/transaction.ts";
import type { Env } from "./env.ts";
import { refuseUnlessItFits } from "./fit-in-plan.ts";
import { offeredPlan, termsFor } from "./plan-terms.ts";
import { bookFor } from "./read-offers.ts";

/** What a customer says when subscribing. */
export type SubscribeRequest = {
  readonly account: string;
  readonly plan: string;
  readonly version?: number | undefined;
  readonly startsAt?: Instant | undefined;
  readonly trialDays?: number | undefined;
  readonly anchor?: Start["anchor"] | undefined;
  readonly addOns?: readonly string[] | undefined;
  readonly quantities?: ReadonlyMap<string, Decimal> | undefined;
  readonly discounts?: readonly Discount[] | undefined;
};

/** A subscription with the money its start or change moves: executed, or only shown. */
export type SubscriptionOutcome = {
  readonly stored: StoredSubscription;
  readonly effect: MoneyEffect;
  readonly effectiveAt: Instant;
};

/** A change as a caller writes it: plans and add-ons by key, their versions looked up. */
export type ChangeRequest =
  | Exclude<Change, { kind: "change_plan" | "add_add_on" }>
  | {
      readonly kind: "change_plan";
      readonly plan: string;
      readonly version: number | undefined;
      readonly restartCycle: boolean;
      readonly when: When;
    }
  | { readonly kind: "add_add_on"; readonly addOn: string; readonly when: When };

type Shop = {
  readonly catalog: Catalog;
  readonly terms: Terms;
  readonly book: string;
  readonly lineage: readonly string[];
  readonly account: BillingAccount;
};

/**
 * Subscribe an account to a plan. However many ask at once, the database lets one open subscription of a product line
 * stand: the others are refused.
 */
export async function subscribe(
  env: Env,
  author: Author,
  organizationId: OrganizationId,
  request: SubscribeRequest,
  preview = false,
): Promise<SubscriptionOutcome> {
  const shop = await enterShop(env, organizationId, request.account);
  if (shop.account.status === "archived") throw new Problem("account_archived");
  const now = env.now();
  const started = newSubscription(env, shop, request, now);
  const at = Math.max(now, started.phases[0].startsAt) as Instant;
  const effect = moneyEffect([], chargesOf(started, shop.terms, at), started.currency);
  const stored = { orgId: organizationId, subscription: started, revision: 1, createdAt: now };
  const outcome = { stored, effect, effectiveAt: started.phases[0].startsAt };
  if (preview) return outcome;
  try {
    await transaction(env.store.db, async (tx) => {
      // Held, so that nobody closes it meanwhile.
      const account = await lockAccount(tx, organizationId, started.accountId);
      if (account?.status === "archived") throw new Problem("account_archived");
      await closeEnded(tx, organizationId, started.accountId, now);
      await insertSubscription(tx, stored);
      await record(env, tx, author, "started", { plan: request.plan }, outcome, null);
    });
  } catch (error) {
    if (brokenConstraint(error) === "subscription_once_per_account_and_product_line")
      throw new Problem(
        "subscription_open_already",
        `Account ${shop.account.slug} already has an open subscription of product line ${started.productLine}.`,
      );
    throw error;
  }
  return outcome;
}

/**
 * Give a new account the default plan of every product line that is sold in its currency. Call it with an Env on the
 * transaction that opens the account.
 */
export async function subscribeToDefaults(
  env: Env,
  author: Author,
  account: BillingAccount,
): Promise<void> {
  const catalog = await getPublishedCatalog(env.store);
  for (const { key, isDefault } of catalog.plans) {
    if (!isDefault) continue;
    const shop = await enterShop(env, account.organizationId, account.id);
    const offered = offeredPlan(catalog, key, undefined, {
      currency: account.currency,
      book: shop.book,
      lineage: shop.lineage,
      at: env.now(),
    });
    if ("refused" in offered) continue;
    await subscribe(env, author, account.organizationId, { account: account.id, plan: key });
  }
}

/** Change a subscription, or show what the change would do: the same decision, with or without the save. */
export async function changeSubscription(
  env: Env,
  author: Author,
  organizationId: OrganizationId,
  id: string,
  request: ChangeRequest,
  preview = false,
): Promise<SubscriptionOutcome> {
  return transaction(env.store.db, async (tx) => {
    const find = preview ? findSubscription : lockSubscription;
    const stored = await find(tx, organizationId, id);
    if (!stored) throw new Problem("subscription_not_found");
    const { accountId } = stored.subscription;
    if (!preview)
      await lockHeads(tx, [{ orgId: organizationId, accountId }], { changesGrants: false });
    const now = env.now();
    const shop = await enterShop(env, organizationId, accountId);
    const wanted = changeOf(shop, stored, request, now);
    const decision = previewChange(stored.subscription, wanted, shop.terms, now);
    if (decision.kind === "refused")
      throw new Problem("subscription_change_refused", `Refused: ${decision.detail}.`, {
        facts: { reason: decision.reason },
      });
    await refuseUnlessItFits(
      { ...env, store: { ...env.store, db: tx } },
      { orgId: organizationId, accountId },
      decision.subscription,
      Math.max(now, decision.effectiveAt) as Instant,
    );
    const outcome = outcomeOf(stored, decision);
    if (preview) return outcome;
    await saveSubscription(tx, outcome.stored, now);
    await record(env, tx, author, decision.event, request, outcome, stored);
    return outcome;
  });
}

const outcomeOf = (stored: StoredSubscription, decision: ChangePreview): SubscriptionOutcome => ({
  stored: { ...stored, subscription: decision.subscription, revision: stored.revision + 1 },
  effect: decision.effect,
  effectiveAt: decision.effectiveAt,
});

async function enterShop(
  env: Env,
  organizationId: OrganizationId,
  reference: string,
): Promise<Shop> {
  const account = await findAccount(env.store.db, organizationId, reference);
  if (!account)
    throw new Problem("account_not_found", `There is no billing account "${reference}".`);
  const placed = await findOrganization(env.store.db, organizationId);
  const catalog = await getPublishedCatalog(env.store);
  const book = bookFor(await getCatalog(env.store), account.priceBook, account.currency);
  const lineage = (placed?.lineage ?? []).flatMap((one) => [one.id, one.slug]);
  return { catalog, terms: termsFor(catalog, book), book, lineage, account };
}

function newSubscription(env: Env, shop: Shop, request: SubscribeRequest, now: Instant) {
  const { account } = shop;
  const startsAt = request.startsAt ?? now;
  const offered = offer(shop, request.plan, request.version, startsAt);
  if (offered.plan.kind !== "plan")
    throw new Problem("plan_not_sold", `${request.plan} is an add-on: subscribe to a plan first.`);
  return start({
    id: env.id("subscription"),
    accountId: account.id,
    productLine: offered.plan.productLine,
    plan: offered.ref,
    cadence: offered.version.cadence,
    currency: account.currency,
    zone: account.timeZone,
    startsAt,
    trialDays: request.trialDays ?? offered.version.trialDays,
    anchor: request.anchor ?? { kind: "billing_day", day: account.invoiceDay },
    addOns: (request.addOns ?? []).map((key) => addOn(shop, key, startsAt)),
    quantities: request.quantities ?? new Map(),
    discounts: request.discounts ?? [],
  });
}

function offer(shop: Shop, key: string, version: number | undefined, at: Instant) {
  const offered = offeredPlan(shop.catalog, key, version, {
    currency: shop.account.currency,
    book: shop.book,
    lineage: shop.lineage,
    at,
  });
  if ("refused" in offered) throw new Problem("plan_not_sold", `Refused: ${offered.refused}.`);
  return offered;
}

function addOn(shop: Shop, key: string, at: Instant): PlanRef {
  const offered = offer(shop, key, undefined, at);
  if (offered.plan.kind === "add_on") return offered.ref;
  const faults: Fault[] = [{ pointer: "/add_ons", detail: `${key} is a plan` }];
  throw new Problem("plan_not_sold", `${key} is a plan, not an add-on.`, { faults });
}

function changeOf(
  shop: Shop,
  stored: StoredSubscription,
  request: ChangeRequest,
  now: Instant,
): Change {
  const at = "when" in request && request.when.kind === "at" ? request.when.at : now;
  if (request.kind === "add_add_on")
    return { kind: "add_add_on", addOn: addOn(shop, request.addOn, at), when: request.when };
  if (request.kind !== "change_plan") return request;
  const offered = offer(shop, request.plan, request.version, at);
  if (offered.plan.productLine !== stored.subscription.productLine)
    throw new Problem(
      "plan_not_sold",
      `${request.plan} belongs to product line ${offered.plan.productLine}: start a subscription of its own.`,
    );
  return {
    kind: "change_plan",
    plan: offered.ref,
    cadence: offered.version.cadence,
    restartCycle: request.restartCycle,
    when: request.when,
  };
}

async function record(
  env: Env,
  tx: Tx,
  author: Author,
  kind: string,
  request: object,
  outcome: SubscriptionOutcome,
  before: StoredSubscription | null,
): Promise<void> {
  const { stored, effect, effectiveAt } = outcome;
  const now = env.now();
  const timeline = writeSubscription(stored.subscription);
  await appendChange(tx, stored.orgId, stored.subscription.id, {
    revision: stored.revision,
    kind,
    request: plainRequest(request),
    timeline,
    effect: writeEffect(effect),
    effectiveAt,
    changedBy: author.actor.id,
    changedAt: now,
  });
  await appendAudit(tx, env.id, stored.orgId, [
    {
      at: now,
      author,
      action: `subscription.${kind}`,
      target: { kind: "subscription", id: stored.subscription.id },
      before: before && writeSubscription(before.subscription),
      after: timeline,
    },
  ]);
}

// Requests hold instants and decimals; what is kept of them is for people.
const plainRequest = (request: object): unknown =>
  JSON.parse(
    JSON.stringify(request, (key, value: unknown) =>
      (key === "at" || key === "until") && typeof value === "number"
        ? formatInstant(value as Instant)
        : value,
    ),
  );

/** The money of a change as a plain document: each cause, each side, the sum. */
export const writeEffect = (effect: MoneyEffect) => ({
  lines: effect.lines.map(({ charge, amount }) => ({
    cause: charge.cause,
    sku: charge.sku,
    plan: `${charge.plan.plan}@${charge.plan.version}`,
    amount: formatMoney(amount),
    segments: charge.segments.map((segment) => ({
      starts_at: formatInstant(segment.period.startsAt),
      ends_at: formatInstant(segment.period.endsAt),
      quantity: formatDecimal(segment.quantity),
      unit_amount: formatDecimal(segment.unitAmount),
      share: formatShare(segment.share),
    })),
  })),
  credit: formatMoney(effect.credit),
  charge: formatMoney(effect.charge),
  net: formatMoney(effect.net),
});
