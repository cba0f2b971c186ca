import { formatPlanRef, readMeter, readPrice } from "../domain/catalog/index.ts";
import {
  bookChain,
  mergeVersions,
  type Offer,
  type PlanPrice,
  type PlanSpan,
  type PriceVersion,
  withCorrections,
  withPlanPrices,
} from "../domain/invoicing/index.ts";
import { heldPlans, type Subscription } from "../domain/subscriptions/index.ts";
import { assert } from "../kit/assert.ts";
import type { Currency } from "../kit/currency.ts";
import type { StoredCatalog, StoredPlanVersion, StoredPrice, StoredSku } from "../store/catalog.ts";

const known = new WeakMap<StoredCatalog, Map<string, Offer[]>>();

/** The usage SKUs that buyers of a book are charged for, read once per catalog. */
export function readOffers(catalog: StoredCatalog, book: string): readonly Offer[] {
  const books = known.get(catalog) ?? new Map<string, Offer[]>();
  known.set(catalog, books);
  const found = books.get(book);
  if (found) return found;
  const offers = offersOf(catalog, book);
  books.set(book, offers);
  return offers;
}

/** The book an account buys from: its own, or the retail book of its currency. */
export function bookFor(catalog: StoredCatalog, own: string | null, currency: string): string {
  if (own !== null) return own;
  const named = `retail-${currency.toLowerCase()}`;
  if (catalog.books.has(named)) return named;
  const only = [...catalog.books.values()].filter(
    (book) => book.currency === currency && book.parent === null,
  );
  return only.length === 1 && only[0] ? only[0].code : named;
}

/** The usage prices that plans carry themselves, and the offers they belong to. */
export type PlanOffers = {
  /** By plan version, "professional@2"; empty when the book decides about everything. */
  readonly prices: ReadonlyMap<string, readonly PlanPrice[]>;
  /** The offer of a usage SKU without any price. */
  readonly bare: (skuCode: string) => Offer | undefined;
};

const knownPlans = new WeakMap<StoredCatalog, PlanOffers>();

/** The usage prices of plans, read once per catalog. */
export function readPlanOffers(catalog: StoredCatalog): PlanOffers {
  const found = knownPlans.get(catalog) ?? {
    prices: new Map(
      catalog.pricedPlans.map((one) => [
        formatPlanRef({ plan: one.plan, version: one.version }),
        planPricesOf(one),
      ]),
    ),
    bare: (code: string) => offerOf(catalog, catalog.skus.get(code), []),
  };
  knownPlans.set(catalog, found);
  return found;
}

/** The offers of an account that held these subscriptions, oldest first: its plans' own prices go before the book's. */
export function offersOfSubscriber(
  offers: readonly Offer[],
  plans: PlanOffers,
  subscriptions: readonly Subscription[],
  currency: Currency,
): readonly Offer[] {
  if (plans.prices.size === 0 || subscriptions.length === 0) return offers;
  const spans = heldPlans(subscriptions).flatMap(({ ref, span }) =>
    (plans.prices.get(formatPlanRef(ref)) ?? [])
      .filter((price) => price.price.currency === currency)
      .map((price) => ({ price, span })),
  );
  return withPlanPrices(offers, spans, plans.bare);
}

type UsageDocument = { readonly sku: string; readonly prices?: readonly unknown[] };

// The id is that of the place where it stands: a published version never changes.
function planPricesOf(stored: StoredPlanVersion): PlanPrice[] {
  const plan = formatPlanRef(stored);
  const { usage = [] } = stored.definition as { usage?: readonly UsageDocument[] };
  return usage.flatMap(({ sku, prices = [] }) =>
    prices.map((definition): PlanPrice => {
      const read = readPrice(definition);
      assert("price" in read, `a price of plan ${plan} is stored but cannot be read`);
      return {
        priceId: `plan:${plan}:${sku}:${read.price.currency}`,
        version: stored.version,
        book: `plan:${stored.plan}`,
        skuCode: sku,
        price: read.price,
        definition,
        publishedFrom: stored.effectiveFrom,
        origin: `plan ${plan}`,
      };
    }),
  );
}

function offersOf(catalog: StoredCatalog, book: string): Offer[] {
  const chain = bookChain(catalog.books, book);
  return [...catalog.skus.values()].flatMap((sku) => {
    const versions = mergeVersions(
      chain.map((code) =>
        withCorrections(
          (catalog.prices.get(code)?.get(sku.code) ?? []).map(versionOf),
          correctionsOf(catalog, code, sku.code),
        ),
      ),
    );
    return versions.length === 0 ? [] : (offerOf(catalog, sku, versions) ?? []);
  });
}

/** A usage SKU with its meter; undefined for everything else that is sold. */
function offerOf(
  catalog: StoredCatalog,
  sku: StoredSku | undefined,
  versions: readonly PriceVersion[],
): Offer | undefined {
  if (sku?.kind !== "usage" || sku.meterKey === null) return undefined;
  const stored = catalog.meters.get(sku.meterKey);
  if (!stored) return undefined;
  const { meter } = readMeter(stored.definition);
  assert(meter, `meter ${sku.meterKey} is stored but cannot be read`);
  return {
    skuCode: sku.code,
    skuName: sku.name,
    meter,
    meterDefinition: stored.definition,
    versions,
  };
}

function correctionsOf(catalog: StoredCatalog, book: string, skuCode: string): PlanSpan[] {
  return catalog.corrections
    .filter((one) => one.book === book && one.skuCode === skuCode)
    .map(({ correctionId, definition, span }) => {
      const read = readPrice(definition);
      assert("price" in read, `corrected price ${correctionId} is stored but cannot be read`);
      const price = {
        priceId: correctionId,
        version: 1,
        book,
        skuCode,
        price: read.price,
        definition,
        publishedFrom: span.startsAt,
        origin: `correction ${correctionId}`,
      };
      return { price, span };
    });
}

function versionOf(stored: StoredPrice): PriceVersion {
  const read = readPrice(stored.definition);
  assert("price" in read, `price ${stored.priceId} is stored but cannot be read`);
  return {
    priceId: stored.priceId,
    version: stored.version,
    book: stored.book,
    skuCode: stored.skuCode,
    effectiveFrom: stored.effectiveFrom,
    price: read.price,
    definition: stored.definition,
  };
}
