import { contains, type Instant, type Period } from "../../kit/time.ts";
import { edgesOf } from "./charges.ts";
import type { Offer, PriceVersion } from "./facts.ts";

/** A usage price that a version of a plan carries itself. */
export type PlanPrice = Omit<PriceVersion, "effectiveFrom" | "endsAt"> & {
  readonly origin: string;
  readonly publishedFrom: Instant;
};

/** The time in which an account has such a price. */
export type PlanSpan = { readonly price: PlanPrice; readonly span: Period };

/**
 * The offers of a book as a subscriber meets them: while a plan is held its own price goes before the book's, before and
 * after it the book decides. Of plans held at the same time the first span wins. `bare` is the offer of a SKU that the book
 * does not price, without any version.
 */
export function withPlanPrices(
  offers: readonly Offer[],
  spans: readonly PlanSpan[],
  bare: (skuCode: string) => Offer | undefined,
): readonly Offer[] {
  if (spans.length === 0) return offers;
  const bySku = new Map<string, PlanSpan[]>();
  for (const one of spans)
    bySku.set(one.price.skuCode, [...(bySku.get(one.price.skuCode) ?? []), one]);
  const known = new Set(offers.map((offer) => offer.skuCode));
  const more = [...bySku.keys()].flatMap((code) => (known.has(code) ? [] : (bare(code) ?? [])));
  return [...offers, ...more].map((offer) => {
    const own = bySku.get(offer.skuCode);
    return own === undefined ? offer : { ...offer, versions: overlaid(offer.versions, own) };
  });
}

/** The prices of one book, where others should have held for a time: the first of those that are about a moment wins. */
export function withCorrections(
  book: readonly PriceVersion[],
  spans: readonly PlanSpan[],
): readonly PriceVersion[] {
  return spans.length === 0 || book.length === 0 ? book : overlaid(book, spans);
}

/** One price per moment: cut wherever any begins or ends, then joined again where the same one goes on. */
function overlaid(book: readonly PriceVersion[], spans: readonly PlanSpan[]): PriceVersion[] {
  const edges = new Set([
    ...edgesOf(book),
    ...spans.flatMap(({ span }) => [span.startsAt, span.endsAt]),
  ]);
  const versions: PriceVersion[] = [];
  let isOpen = false;
  for (const at of [...edges].toSorted((a, b) => a - b)) {
    const price = spans.find(({ span }) => contains(span, at))?.price ?? bookPriceAt(book, at);
    const last = versions.at(-1);
    if (isOpen && last?.priceId === price?.priceId) continue;
    if (price === undefined) {
      if (isOpen && last !== undefined) versions[versions.length - 1] = { ...last, endsAt: at };
      isOpen = false;
    } else {
      versions.push(takingHold(price, at));
      isOpen = true;
    }
  }
  return versions;
}

const bookPriceAt = (book: readonly PriceVersion[], at: Instant): PriceVersion | undefined =>
  book.findLast((version) => version.effectiveFrom <= at);

const takingHold = (price: PlanPrice | PriceVersion, at: Instant): PriceVersion => ({
  ...price,
  effectiveFrom: at,
  publishedFrom: price.publishedFrom ?? ("effectiveFrom" in price ? price.effectiveFrom : at),
});
