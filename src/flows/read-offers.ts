import { readMeter, readPrice } from "../domain/catalog/index.ts";
import {
  bookChain,
  mergeVersions,
  type Offer,
  type PriceVersion,
} from "../domain/invoicing/index.ts";
import { assert } from "../kit/assert.ts";
import type { StoredCatalog, StoredPrice } from "../store/catalog.ts";

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

function offersOf(catalog: StoredCatalog, book: string): Offer[] {
  const chain = bookChain(catalog.books, book);
  const offers: Offer[] = [];
  for (const sku of catalog.skus.values()) {
    if (sku.kind !== "usage" || sku.meterKey === null) continue;
    const versions = mergeVersions(
      chain.map((code) => (catalog.prices.get(code)?.get(sku.code) ?? []).map(versionOf)),
    );
    const stored = catalog.meters.get(sku.meterKey);
    if (versions.length === 0 || !stored) continue;
    const { meter } = readMeter(stored.definition);
    assert(meter, `meter ${sku.meterKey} is stored but cannot be read`);
    offers.push({
      skuCode: sku.code,
      skuName: sku.name,
      meter,
      meterDefinition: stored.definition,
      versions,
    });
  }
  return offers;
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
