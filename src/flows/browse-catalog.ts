import {
  type Catalog,
  type CatalogItem,
  itemsOf,
  priceInForce,
  versionInForce,
  writePrice,
} from "../domain/catalog/index.ts";
import { Problem } from "../domain/refusals/index.ts";
import type { OrganizationId } from "../kit/ids.ts";
import { formatInstant } from "../kit/time.ts";
import { getCatalog } from "../store/catalog.ts";
import { findOrganization } from "../store/organizations.ts";
import { getPublishedCatalog } from "../store/plans.ts";
import type { Env } from "./env.ts";
import { getAccount } from "./manage-accounts.ts";
import { isVisible } from "./plan-terms.ts";
import { bookFor } from "./read-offers.ts";

type Document = Record<string, unknown>;

/** What one buyer sees: services with their SKUs, at the prices of the buyer's own book, and the plans on offer. */
export type ShopView = {
  readonly book: string;
  readonly services: {
    key: string | null;
    name: string;
    description: string;
    skus: {
      code: string;
      name: string;
      kind: string;
      document: Document;
      meter: Document | null;
      price: { price: Document; effective_from: string; book: string; found_by: string[] } | null;
    }[];
  }[];
  readonly plans: {
    key: string;
    name: string;
    kind: "plan" | "add_on";
    price_on_request: boolean;
    version: Document;
  }[];
};

/** The catalog as an organization sees it: what is published and not kept for others. An account says which book. */
export async function browseCatalog(
  env: Env,
  organizationId: OrganizationId,
  buyer: { readonly account?: string | undefined; readonly currency?: string | undefined },
): Promise<ShopView> {
  const catalog = await getPublishedCatalog(env.store);
  const lineage = await lineageOf(env, organizationId);
  const account = buyer.account
    ? await getAccount(env.store.db, organizationId, buyer.account)
    : undefined;
  const book = bookFor(
    await getCatalog(env.store),
    account?.priceBook ?? null,
    account?.currency ?? buyer.currency ?? "USD",
  );
  return {
    book,
    services: servicesSeen(env, catalog, book, lineage),
    plans: plansSeen(env, catalog, lineage),
  };
}

/** Restricted SKUs that an organization may neither see nor buy. */
export async function hiddenSkus(env: Env, organizationId: OrganizationId): Promise<Set<string>> {
  const { skus, assignments } = await getPublishedCatalog(env.store);
  const restricted = skus.filter((sku) => sku.restricted);
  if (restricted.length === 0) return new Set();
  const lineage = await lineageOf(env, organizationId);
  return new Set(
    restricted
      .filter((sku) => !isVisible({ assignments }, "sku", sku, lineage))
      .map((sku) => sku.code),
  );
}

/** An organization and everybody above it, by id and by slug. */
async function lineageOf(env: Env, organizationId: OrganizationId): Promise<string[]> {
  const placed = await findOrganization(env.store.db, organizationId);
  return (placed?.lineage ?? []).flatMap((one) => [one.id, one.slug]);
}

function servicesSeen(
  env: Env,
  catalog: Catalog,
  book: string,
  lineage: readonly string[],
): ShopView["services"] {
  const items = itemsOf(catalog);
  const document = (kind: string, name: string): Document => ({
    ...items.find((item) => item.kind === kind && item.name === name)?.document,
  });
  const skus = catalog.skus
    .filter((sku) => sku.status === "published" && isVisible(catalog, "sku", sku, lineage))
    .map((sku) => {
      const found = priceInForce(catalog, book, sku.code, env.now());
      return {
        service: sku.service,
        view: {
          code: sku.code,
          name: sku.name,
          kind: sku.kind,
          document: document("sku", sku.code),
          meter: sku.meter === null ? null : document("meter", sku.meter),
          price: found
            ? {
                price: writePrice(found.entry.price),
                effective_from: formatInstant(found.entry.effectiveFrom),
                book: found.entry.book,
                found_by: [...found.path],
              }
            : null,
        },
      };
    });
  const of = (key: string | null) =>
    skus.filter((sku) => sku.service === key).map((sku) => sku.view);
  const services = catalog.services
    .filter((service) => service.status !== "draft" && service.status !== "retired")
    .map(({ key, name, description }) => ({ key, name, description, skus: of(key) }));
  const others = of(null);
  return others.length === 0
    ? services
    : [...services, { key: null, name: "Other", description: "", skus: others }];
}

function plansSeen(env: Env, catalog: Catalog, lineage: readonly string[]): ShopView["plans"] {
  const items = itemsOf(catalog);
  return catalog.plans
    .filter((plan) => isVisible(catalog, "plan", plan, lineage))
    .flatMap((plan) => {
      const version = versionInForce(plan, env.now());
      if (version === undefined) return [];
      const name = `${plan.key}@${version.version}`;
      const item = items.find((one) => one.kind === "plan_version" && one.name === name);
      return [
        {
          key: plan.key,
          name: plan.name,
          kind: plan.kind,
          price_on_request: plan.priceOnRequest,
          version: { ...item?.document },
        },
      ];
    });
}

/** One kind of thing of the catalog, as documents. */
export async function listCatalogItems(env: Env, kind: string): Promise<CatalogItem[]> {
  const catalog = await getPublishedCatalog(env.store);
  return itemsOf(catalog).filter((item) => item.kind === kind);
}

export async function getCatalogItem(env: Env, kind: string, name: string): Promise<CatalogItem> {
  const item = (await listCatalogItems(env, kind)).find((one) => one.name === name);
  if (!item) throw new Problem("catalog_item_not_found", `There is no ${kind} ${name}.`);
  return item;
}
