import {
  type Catalog,
  type Plan,
  type PlanRef,
  type PlanVersion,
  priceInForce,
  versionInForce,
  versionOf,
} from "../domain/catalog/index.ts";
import type { Terms } from "../domain/subscriptions/index.ts";
import type { Currency } from "../kit/currency.ts";
import type { Instant } from "../kit/time.ts";

/**
 * What the rules of subscriptions ask of the catalog, for a buyer from one book: the version a subscription keeps, and what
 * a fee costs. An amount that stands in the plan is pinned with its version; where none stands, the book decides.
 */
export function termsFor(catalog: Catalog, book: string): Terms {
  const skus = new Map(catalog.skus.map((sku) => [sku.code, sku]));
  return {
    version: (ref) => versionOf(catalog.plans, ref),
    amount(fee, currency, at) {
      const own = fee.amounts.get(currency);
      if (own !== undefined) return own;
      const price = priceInForce(catalog, book, fee.sku, at)?.entry.price;
      if (price?.currency !== currency) return undefined;
      if (price.model === "flat_fee") return price.amount;
      return price.model === "per_unit" ? price.unitAmount : undefined;
    },
    sku(code) {
      const sku = skus.get(code);
      return sku ?? { code, labels: { class: "", family: "", variant: "", payPlan: "" } };
    },
  };
}

export type Offered = {
  readonly plan: Plan;
  readonly version: PlanVersion;
  readonly ref: PlanRef;
};

/** The version of a plan that a new subscriber gets, or why there is none for this account. */
export function offeredPlan(
  catalog: Catalog,
  key: string,
  version: number | undefined,
  buyer: {
    readonly currency: Currency;
    readonly book: string;
    readonly lineage: readonly string[];
    readonly at: Instant;
  },
): Offered | { readonly refused: string } {
  const plan = catalog.plans.find((one) => one.key === key);
  if (plan === undefined || !isVisible(catalog, "plan", plan, buyer.lineage))
    return { refused: `there is no plan ${key}` };
  const found =
    version === undefined
      ? versionInForce(plan, buyer.at)
      : plan.versions.find((one) => one.version === version && one.status === "published");
  if (found === undefined)
    return {
      refused: `plan ${key} has no published version${version ? ` ${version}` : ""} at that time`,
    };
  const terms = termsFor(catalog, buyer.book);
  const unpriced = found.fees.find(
    (fee) => terms.amount(fee, buyer.currency, buyer.at) === undefined,
  );
  if (unpriced !== undefined)
    return {
      refused: plan.priceOnRequest
        ? `plan ${key} has its price on request: give the account a price book that prices ${unpriced.sku} in ${buyer.currency}`
        : `plan ${key} is not sold in ${buyer.currency}: ${unpriced.sku} has no amount in it`,
    };
  return { plan, version: found, ref: { plan: key, version: found.version } };
}

/** Whether an organization (its ids and slugs, and those of everybody above it) may see and buy something. */
export function isVisible(
  catalog: Pick<Catalog, "assignments">,
  kind: "sku" | "plan",
  thing: { readonly restricted: boolean; readonly code?: string; readonly key?: string },
  lineage: readonly string[],
): boolean {
  if (!thing.restricted) return true;
  const key = thing.code ?? thing.key;
  return catalog.assignments.some(
    (one) => one.kind === kind && one.key === key && lineage.includes(one.organization),
  );
}
