import { type Catalog, formatPlanRef, type PlanRef, versionOf } from "../domain/catalog/index.ts";
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
import { type LimitKey, type LimitRow, listLimits } from "../store/limits.ts";
import { getPublishedCatalog } from "../store/plans.ts";
import type { Env } from "./env.ts";
import { bookFor, offersOfSubscriber, readOffers, readPlanOffers } from "./read-offers.ts";

/** A stored limit with what the plans of the account give. `quota` is staff's where there is one, else the plans'. */
export type LimitInForce = LimitRow & {
  readonly rights: PlanRights;
  readonly hasPlan: boolean;
};

type Known = { readonly at: number; readonly stored: StoredCatalog; readonly catalog: Catalog };
const known = new WeakMap<Env["store"]["pool"], Known>();
/** A new price counts within this time. Which plan an account has is always read fresh, and plan versions never change. */
const catalogAgeMs = 1_000;

export async function catalogOf(env: Env, refs: readonly PlanRef[] = []): Promise<Known> {
  const kept = known.get(env.store.pool);
  const isFresh = kept && performance.now() - kept.at < catalogAgeMs;
  if (isFresh && refs.every((ref) => versionOf(kept.catalog.plans, ref))) return kept;
  const stored = await getCatalog(env.store);
  const catalog = await getPublishedCatalog(env.store);
  const read = { at: performance.now(), stored, catalog };
  known.set(env.store.pool, read);
  return read;
}

type RightsByPlans = {
  readonly soldInPlans: ReadonlySet<string>;
  readonly by: Map<string, PlanRights>;
};
const derived = new WeakMap<Catalog, RightsByPlans>();

function derivedFrom(catalog: Catalog): RightsByPlans {
  const found = derived.get(catalog) ?? { soldInPlans: skusSoldInPlans(catalog), by: new Map() };
  derived.set(catalog, found);
  return found;
}

export const isSoldInPlans = (catalog: Catalog, sku: string): boolean =>
  derivedFrom(catalog).soldInPlans.has(sku);

function rightsFor(catalog: Catalog, refs: readonly PlanRef[]): PlanRights {
  const { by } = derivedFrom(catalog);
  const name = refs.map(formatPlanRef).join();
  const rights = by.get(name) ?? rightsOf(catalog, refs);
  by.set(name, rights);
  return rights;
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
  const refs = rows.map((row) => refsAt(row?.subscriptions ?? [], now));
  const { catalog } = await catalogOf(env, refs.flat());
  return rows.map((row, index) => row && inForce(row, catalog, refs[index] ?? []));
}

const withSubscription = (row: LimitRow, changed: Subscription): LimitRow => ({
  ...row,
  subscriptions: [...row.subscriptions.filter((one) => one.id !== changed.id), changed],
});

function inForce(row: LimitRow, catalog: Catalog, refs: readonly PlanRef[]): LimitInForce {
  const rights = rightsFor(catalog, refs);
  const quota = row.quota ?? rights.quotas.get(row.feature) ?? null;
  return { ...row, quota, rights, hasPlan: refs.length > 0 };
}

/** The prices under which the account is charged for a meter; undefined where neither a plan nor its book has one. */
export function offerFor(catalog: StoredCatalog, row: LimitRow): Offer | undefined {
  const book = bookFor(catalog, row.priceBook, row.currency);
  if (bookChain(catalog.books, book).length === 0) return undefined;
  return offersOfSubscriber(
    readOffers(catalog, book),
    readPlanOffers(catalog),
    row.subscriptions,
    currency(row.currency),
  ).find((offer) => offer.meter.key === row.feature);
}

/**
 * Where the account stands in usage that its plan includes and refuses beyond (`beyond: block`), for `quantity` more: of a
 * level (gigabytes) against what it is now, of a flow against all of the plan's period. Null: nothing is refused.
 */
export async function includedAnswer(
  env: Env,
  row: LimitInForce,
  offer: Offer | undefined,
  quantity: Units,
  now: Instant,
): Promise<QuotaAnswer | null> {
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
  const quota = {
    key: row.feature,
    limit: unitsOf(limit),
    window: "none" as const,
    enforcement: "hard" as const,
    burst: 0,
    softUpTo: null,
    graceHours: 0,
  };
  const use = { used: unitsOf(used), held: row.held, exceededAt: null };
  const answer = checkQuota(quota, [], use, quantity, now, row.timeZone);
  return { ...answer, resetsAt: period?.endsAt ?? null };
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
