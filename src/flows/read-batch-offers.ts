import { readPrice } from "../domain/catalog/index.ts";
import type { BatchOffer } from "../domain/grants/index.ts";
import { readUnits } from "../domain/grants/index.ts";
import { bookChain, mergeVersions, type PriceVersion } from "../domain/invoicing/index.ts";
import { rate } from "../domain/rating/index.ts";
import { isDecimalText, one } from "../kit/decimal.ts";
import type { Instant } from "../kit/time.ts";
import type { StoredCatalog, StoredPrice, StoredSku } from "../store/catalog.ts";
import { bookFor, readOffers } from "./read-offers.ts";

/** Who buys: what decides the price. */
export type Buyer = { readonly currency: string; readonly priceBook: string | null };

/** A batch SKU as this buyer gets it now; undefined when it is no batch, not published, or has no price for them. */
export function findBatchOffer(
  catalog: StoredCatalog,
  buyer: Buyer,
  skuCode: string,
  now: Instant,
): BatchOffer | undefined {
  const sku = catalog.skus.get(skuCode);
  if (sku?.kind !== "batch" || sku.meterKey === null || sku.status !== "published")
    return undefined;
  const { units, validityDays, unit } = batchTerms(sku);
  if (units === undefined) return undefined;
  const price = priceInForce(catalog, buyer, skuCode, now);
  if (!price || price.currency !== buyer.currency) return undefined;
  const read = readPrice(price.definition);
  if (!("price" in read)) return undefined;
  return {
    sku: sku.code,
    family: sku.meterKey,
    unit,
    units,
    price: rate(read.price, { quantity: one }).amount,
    validityDays,
    overageUnitAmount: overageUnitAmount(catalog, buyer, sku.meterKey, now),
  };
}

/** All batches that a buyer can buy now. */
export const listBatchOffers = (catalog: StoredCatalog, buyer: Buyer, now: Instant): BatchOffer[] =>
  [...catalog.skus.keys()].flatMap((code) => findBatchOffer(catalog, buyer, code, now) ?? []);

/** What one unit beyond the batches costs at first; null without a price. */
function overageUnitAmount(
  catalog: StoredCatalog,
  buyer: Buyer,
  meterKey: string,
  now: Instant,
): BatchOffer["overageUnitAmount"] {
  const offers = readOffers(catalog, bookFor(catalog, buyer.priceBook, buyer.currency));
  const versions = offers.find((offer) => offer.meter.key === meterKey)?.versions ?? [];
  const price = versions.findLast((version) => version.effectiveFrom <= now)?.price;
  return price ? rate(price, { quantity: one }, { complete: false }).unrounded : null;
}

function priceInForce(
  catalog: StoredCatalog,
  buyer: Buyer,
  skuCode: string,
  now: Instant,
): StoredPrice | undefined {
  const chain = bookChain(catalog.books, bookFor(catalog, buyer.priceBook, buyer.currency));
  const prices = chain.map((code) => catalog.prices.get(code)?.get(skuCode) ?? []);
  // Only where each price starts matters here; the documents are read for the one that is in force.
  const merged = mergeVersions(prices as unknown as PriceVersion[][]) as unknown as StoredPrice[];
  return merged.findLast((price) => price.effectiveFrom <= now);
}

function batchTerms(sku: StoredSku) {
  const document = sku.definition as {
    units?: unknown;
    validity_days?: unknown;
    unit?: unknown;
  };
  const days = document.validity_days;
  return {
    units:
      typeof document.units === "string" && isDecimalText(document.units)
        ? readUnits(document.units)
        : undefined,
    validityDays: typeof days === "number" && Number.isInteger(days) && days > 0 ? days : null,
    unit: typeof document.unit === "string" ? document.unit : "units",
  };
}
