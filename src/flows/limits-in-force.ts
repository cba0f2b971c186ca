import { type Catalog, formatPlanRef, type PlanRef } from "../domain/catalog/index.ts";
import {
  checkQuota,
  type PlanRights,
  type QuotaAnswer,
  rightsOf,
  skusSoldInPlans,
} from "../domain/entitlements/index.ts";
import { type Units, unitsOf } from "../domain/grants/index.ts";
import { bookChain, type Offer, quantityOf } from "../domain/invoicing/index.ts";
import {
  cyclePeriodAt,
  phaseAt,
  startOfSubscription,
  type Subscription,
} from "../domain/subscriptions/index.ts";
import { currency } from "../kit/currency.ts";
import { isZero } from "../kit/decimal.ts";
import { hour, type Instant, type Period, shift } from "../kit/time.ts";
import { getCatalog, type StoredCatalog } from "../store/catalog.ts";
import { accountKeyText } from "../store/invoice-facts.ts";
import { measureWindows } from "../store/invoice-usage.ts";
import { type LimitKey, type LimitRow, listLimits } from "../store/limit-rows.ts";
import { getPublishedCatalog } from "../store/plans.ts";
import type { Env } from "./env.ts";
import { bookFor, offersOfSubscriber, readOffers, readPlanOffers } from "./read-offers.ts";

/** A stored limit with what the plans of the account give. `quota` is staff's where there is one, else the plans'. */
export type LimitInForce = LimitRow & {
  readonly rights: PlanRights;
  readonly hasPlan: boolean;
  readonly known: KnownCatalog;
};

export type KnownCatalog = { readonly stored: StoredCatalog; readonly catalog: Catalog };
const kept = new WeakMap<Env["store"]["pool"], KnownCatalog>();

/** The catalog in memory, when it is as new as what was read: versions only ever grow. */
export function catalogInMemory(
  env: Pick<Env, "store">,
  version: bigint,
): KnownCatalog | undefined {
  const known = kept.get(env.store.pool);
  return known && known.stored.version >= version ? known : undefined;
}

/** The catalog in force. */
export async function catalogOf(env: Pick<Env, "store">): Promise<KnownCatalog> {
  const stored = await getCatalog(env.store);
  const known = kept.get(env.store.pool);
  if (known?.stored === stored) return known;
  const read = { stored, catalog: await getPublishedCatalog(env.store) };
  kept.set(env.store.pool, read);
  return read;
}

/** What is worked out of a catalog once, however many ask. */
type Derived = {
  readonly soldInPlans: ReadonlySet<string>;
  readonly soldInBatches: ReadonlySet<string | null>;
  readonly rights: Map<string, PlanRights>;
  /** By subscriptions, which are the same object for as long as they are the same, then by buyer and meter. */
  readonly offers: WeakMap<LimitRow["subscriptions"], Map<string, ReadonlyMap<string, Offer>>>;
};
const derived = new WeakMap<KnownCatalog, Derived>();

function derivedFrom(known: KnownCatalog): Derived {
  const { catalog } = known;
  const found = derived.get(known) ?? {
    soldInPlans: skusSoldInPlans(catalog),
    soldInBatches: new Set(
      catalog.skus.filter((sku) => sku.kind === "batch").map((sku) => sku.meter),
    ),
    rights: new Map(),
    offers: new WeakMap(),
  };
  derived.set(known, found);
  return found;
}

export const isSoldInPlans = (known: KnownCatalog, sku: string): boolean =>
  derivedFrom(known).soldInPlans.has(sku);

export const isSoldInBatches = (known: KnownCatalog, meter: string): boolean =>
  derivedFrom(known).soldInBatches.has(meter);

function rightsFor(known: KnownCatalog, refs: readonly PlanRef[]): PlanRights {
  const { rights } = derivedFrom(known);
  const name = refs.map(formatPlanRef).join();
  const found = rights.get(name) ?? rightsOf(known.catalog, refs);
  rights.set(name, found);
  return found;
}

const refsAt = (subscriptions: readonly Subscription[], now: Instant): PlanRef[] =>
  subscriptions.flatMap((subscription) => {
    const phase = phaseAt(subscription, now);
    return phase && phase.kind !== "paused" ? [phase.plan, ...phase.addOns] : [];
  });

/**
 * The limits for many questions, from what is stored and from the plans in force, in the order asked. `instead` shows what
 * they would be after a change of one subscription.
 */
export async function limitsInForce(
  env: Env,
  keys: readonly LimitKey[],
  now: Instant,
  instead?: Subscription,
): Promise<(LimitInForce | undefined)[]> {
  const rows = (await listLimits(env.store.db, keys, now)).map(
    (row) => row && (instead ? withSubscription(row, instead) : row),
  );
  return withPlans(rows, await catalogFor(env, rows), now);
}

/** The catalog by which rows are to be read: none that is older than they are. */
export async function catalogFor(
  env: Pick<Env, "store">,
  rows: readonly (LimitRow | undefined)[],
): Promise<KnownCatalog> {
  const version = rows.find((row) => row !== undefined)?.catalogVersion ?? 0n;
  return catalogInMemory(env, version) ?? catalogOf(env);
}

/** Stored limits with what a catalog makes of them. */
export const withPlans = (
  rows: readonly (LimitRow | undefined)[],
  known: KnownCatalog,
  now: Instant,
): (LimitInForce | undefined)[] =>
  rows.map((row) => row && inForce(row, known, refsAt(row.subscriptions, now)));

const withSubscription = (row: LimitRow, changed: Subscription): LimitRow => ({
  ...row,
  subscriptions: [...row.subscriptions.filter((one) => one.id !== changed.id), changed],
});

function inForce(row: LimitRow, known: KnownCatalog, refs: readonly PlanRef[]): LimitInForce {
  const rights = rightsFor(known, refs);
  const quota = row.quota ?? rights.quotas.get(row.feature) ?? null;
  return { ...row, quota, rights, hasPlan: refs.length > 0, known };
}

/** The prices under which the account is charged for a meter; undefined where neither a plan nor its book has one. */
export function offerFor(row: LimitInForce): Offer | undefined {
  const { offers } = derivedFrom(row.known);
  const bySubscriptions = offers.get(row.subscriptions) ?? new Map();
  offers.set(row.subscriptions, bySubscriptions);
  const buyer = `${row.currency} ${row.priceBook ?? ""}`;
  const found = bySubscriptions.get(buyer) ?? offersTo(row);
  bySubscriptions.set(buyer, found);
  return found.get(row.feature);
}

function offersTo({ known, ...row }: LimitInForce): Map<string, Offer> {
  const { stored } = known;
  const book = bookFor(stored, row.priceBook, row.currency);
  if (bookChain(stored.books, book).length === 0) return new Map();
  const offers = offersOfSubscriber(
    readOffers(stored, book),
    readPlanOffers(stored),
    row.subscriptions,
    currency(row.currency),
  );
  // Of several SKUs on one meter the first is charged.
  return new Map(offers.toReversed().map((offer) => [offer.meter.key, offer]));
}

/** Usage that a plan includes and refuses beyond (`beyond: block`), and how much of it there is. */
export type IncludedUse = {
  readonly limit: Units;
  readonly used: Units;
  readonly resetsAt: Instant | null;
};

/**
 * What is used of what the plan includes: of a level (gigabytes) what it is now, of a flow all of the plan's period. Null:
 * nothing is refused.
 */
export async function includedUse(
  env: Env,
  row: LimitInForce,
  offer: Offer | undefined,
  now: Instant,
): Promise<IncludedUse | null> {
  const usage = offer && row.rights.blocked.get(offer.skuCode);
  if (!usage) return null;
  const isLevel = offer.meter.aggregation === "weighted_sum" && !isZero(usage.includedLevel);
  const period = isLevel ? null : planPeriod(row.subscriptions, now);
  // A level held for one hour is as many unit-hours.
  const slice = period ?? { startsAt: now, endsAt: shift(now, hour) };
  const window = { ...keyOf(row), meter: offer.meter, slice, dimensions: [], untilSeq: null };
  const measured = await measureWindows(env.store.db, [window]);
  const used = quantityOf(measured.get(accountKeyText(row.orgId, row.accountId)) ?? []);
  const limit = isLevel ? usage.includedLevel : usage.included;
  return { limit: unitsOf(limit), used: unitsOf(used), resetsAt: period?.endsAt ?? null };
}

/** Where the account stands in it, for `quantity` more. */
export function includedAnswer(
  row: LimitInForce,
  { limit, used, resetsAt }: IncludedUse,
  quantity: Units,
  now: Instant,
): QuotaAnswer {
  const quota = {
    key: row.feature,
    limit,
    window: "none" as const,
    enforcement: "hard" as const,
    burst: 0,
    softUpTo: null,
    graceHours: 0,
  };
  const use = { used, held: row.held, exceededAt: null };
  const answer = checkQuota(quota, [], use, quantity, now, row.timeZone);
  return { ...answer, resetsAt };
}

const keyOf = (row: LimitRow) => ({ orgId: row.orgId, accountId: row.accountId });

/** The period of the plan that runs now, from the start of the subscription at the earliest. */
function planPeriod(subscriptions: readonly Subscription[], now: Instant): Period | null {
  for (const subscription of subscriptions) {
    const phase = phaseAt(subscription, now);
    if (!phase) continue;
    const { startsAt, endsAt } = cyclePeriodAt(phase.cycle, now);
    const first = startOfSubscription(subscription);
    return { startsAt: Math.max(startsAt, first) as Instant, endsAt };
  }
  return null;
}
