import { decimal, multiply } from "../../kit/decimal.ts";
import type { Catalog, PlanRef, PlanUsage, PlanVersion, Sku } from "../catalog/index.ts";
import { versionOf } from "../catalog/index.ts";
import { addUnits, compareUnits, type Units, unitsOf, writeUnits } from "../grants/index.ts";
import type { Quota } from "./quota.ts";

/** What the plans and add-ons of an account give at a moment. Derived from their versions, never stored. */
export type PlanRights = {
  /** Named features, and the services that the plans contain. */
  readonly features: ReadonlySet<string>;
  readonly quotas: ReadonlyMap<string, Quota>;
  /** SKUs that may be used: listed by a plan, or of a service that it contains. */
  readonly skus: ReadonlySet<string>;
  /** Included usage beyond which is refused, by SKU. */
  readonly blocked: ReadonlyMap<string, Pick<PlanUsage, "included" | "includedLevel">>;
};

const softShare = decimal("1.05");
const softGraceHours = 24;

/**
 * The rights of plan versions held together. Quotas of one key and window add up, as an add-on of ten seats means; where
 * windows differ, the first stands. Usage is refused beyond what is included only where no version lets it be charged.
 */
export function rightsOf(catalog: Catalog, refs: readonly PlanRef[]): PlanRights {
  const versions = refs.flatMap((ref) => versionOf(catalog.plans, ref) ?? []);
  const listed = new Set(versions.flatMap(skusOf));
  const services = new Set(
    catalog.skus.flatMap((sku) => (listed.has(sku.code) && sku.service ? [sku.service] : [])),
  );
  const skus = catalog.skus.filter(
    (sku) => listed.has(sku.code) || (sku.service !== null && services.has(sku.service)),
  );
  return {
    features: new Set([...versions.flatMap((version) => version.features), ...services]),
    quotas: quotasOf(versions),
    skus: new Set(skus.map((sku) => sku.code)),
    blocked: blockedUsage(versions),
  };
}

const skusOf = (version: PlanVersion): string[] =>
  [...version.fees, ...version.usage].map((part) => part.sku);

function quotasOf(versions: readonly PlanVersion[]): Map<string, Quota> {
  const quotas = new Map<string, Quota>();
  for (const { key, limit, window, enforcement } of versions.flatMap((one) => one.quotas)) {
    const before = quotas.get(key);
    if (before && before.window !== window) continue;
    const sum = addUnits(before?.limit ?? 0, unitsOf(limit));
    quotas.set(key, {
      key,
      limit: sum,
      window,
      enforcement: before?.enforcement ?? enforcement,
      burst: 0,
      softUpTo: unitsOf(multiply(decimal(writeUnits(sum)), softShare)),
      graceHours: softGraceHours,
    });
  }
  return quotas;
}

function blockedUsage(versions: readonly PlanVersion[]): PlanRights["blocked"] {
  const blocked = new Map<string, Pick<PlanUsage, "included" | "includedLevel">>();
  const usages = versions.flatMap((version) => version.usage);
  const charged = new Set(
    usages.filter((usage) => usage.beyond === "charge").map((usage) => usage.sku),
  );
  for (const { sku, included, includedLevel } of usages) {
    if (charged.has(sku)) continue;
    const before = blocked.get(sku);
    blocked.set(sku, {
      included: before ? before.included.plus(included) : included,
      includedLevel: before ? before.includedLevel.plus(includedLevel) : includedLevel,
    });
  }
  return blocked;
}

/** SKUs that somebody gets with a plan: without one, a price in a book does not give them away. */
export function skusSoldInPlans(catalog: Catalog): ReadonlySet<string> {
  const refs = catalog.plans.flatMap((plan) =>
    plan.versions
      .filter((version) => version.status === "published")
      .map((version) => ({ plan: plan.key, version: version.version })),
  );
  return rightsOf(catalog, refs).skus;
}

/** Where a right may come from. */
export type RightFacts = {
  readonly feature: string;
  /** Given or taken by hand: that decides alone. */
  readonly byHand: boolean | null;
  readonly hasQuota: boolean;
  readonly hasGrants: boolean;
  /** The SKU by which its usage has a price. */
  readonly priced: Sku["code"] | null;
  /** Units of it are sold in batches, beside all plans. */
  readonly isSoldInBatches: boolean;
  readonly isSoldInPlans: boolean;
  readonly hasPlan: boolean;
  readonly rights: PlanRights;
};

/**
 * Whether plans, batches or staff give a right at all. Who has a plan has what is in it; what no plan sells is open to
 * those who have none, and what is sold in batches to everybody, at the price beyond them.
 */
export function isEntitled(facts: RightFacts): boolean {
  if (facts.byHand !== null) return facts.byHand;
  if (facts.hasQuota || facts.hasGrants || facts.rights.features.has(facts.feature)) return true;
  if (facts.priced === null) return false;
  if (facts.isSoldInBatches || facts.rights.skus.has(facts.priced)) return true;
  return !facts.hasPlan && !facts.isSoldInPlans;
}

/** What is in use and allowed before and after a change, for one ceiling. Null: no ceiling. */
export type CeilingChange = {
  readonly key: string;
  readonly used: Units;
  readonly before: Units | null;
  readonly after: Units | null;
};

/** What would not fit any more: only what the change itself makes tighter. "60 of 50 users". */
export const exceededBy = (changes: readonly CeilingChange[]): string[] =>
  changes.flatMap(({ key, used, before, after }) =>
    after !== null &&
    compareUnits(used, after) > 0 &&
    (before === null || compareUnits(after, before) < 0)
      ? [`${writeUnits(used)} of ${writeUnits(after)} ${key}`]
      : [],
  );
