import type { Instant } from "../../kit/time.ts";
import type { PriceVersion } from "./facts.ts";

/** A book and the one it falls back to, most specific first. */
export function bookChain(
  books: ReadonlyMap<string, { readonly parent: string | null }>,
  code: string,
): string[] {
  const chain: string[] = [];
  for (let at: string | null = code; at !== null && !chain.includes(at); ) {
    chain.push(at);
    at = books.get(at)?.parent ?? null;
  }
  return chain;
}

/**
 * The prices of one SKU as a buyer from the first book meets them: from the moment that book has a price of its own, that
 * one; before it, the price of the next book.
 */
export function mergeVersions(perBook: readonly (readonly PriceVersion[])[]): PriceVersion[] {
  let until = Number.POSITIVE_INFINITY as Instant;
  const merged: PriceVersion[] = [];
  for (const versions of perBook) {
    const before = versions.filter((version) => version.effectiveFrom < until);
    merged.unshift(...before);
    until = before[0]?.effectiveFrom ?? until;
  }
  return merged;
}
