import { formatInstant, type Instant } from "../../kit/time.ts";
import type { BookPrice, Catalog } from "./catalog.ts";

/** The price that holds, and how it was found: one sentence for each book that was asked. */
export type PriceFound = { readonly entry: BookPrice; readonly path: readonly string[] };

/**
 * The price of a SKU for a buyer from a book at a moment: the latest one in effect in that book, else in its parent, and so
 * on up. Undefined when no book on the way has one.
 */
export function priceInForce(
  catalog: Pick<Catalog, "books" | "prices">,
  book: string,
  sku: string,
  at: Instant,
): PriceFound | undefined {
  const path: string[] = [];
  const asked = new Set<string>();
  for (let code: string | null = book; code !== null && !asked.has(code); ) {
    asked.add(code);
    const here = catalog.prices.filter((entry) => entry.book === code && entry.sku === sku);
    const entry = here
      .filter((one) => one.effectiveFrom <= at)
      .toSorted((a, b) => b.effectiveFrom - a.effectiveFrom)[0];
    if (entry !== undefined) {
      path.push(`${code}: ${sku} since ${formatInstant(entry.effectiveFrom)}`);
      return { entry, path };
    }
    path.push(here.length > 0 ? `${code}: ${sku} only later` : `${code}: no price for ${sku}`);
    code = catalog.books.find((one) => one.code === code)?.parent ?? null;
  }
  return undefined;
}
