import type { OpenGrant } from "./grant.ts";

/**
 * The one draw order, published in docs/batches.md: allowance before anything bought → lower priority number → sooner
 * expiry → lower cost basis → older → smaller id. Sorting by it is total, so replay always draws alike.
 */
export function compareDrawOrder(a: OpenGrant, b: OpenGrant): number {
  return (
    rank(a) - rank(b) ||
    a.priority - b.priority ||
    a.expiresAt - b.expiresAt ||
    a.unitCost.comparedTo(b.unitCost) ||
    a.createdAt - b.createdAt ||
    (a.id < b.id ? -1 : a.id > b.id ? 1 : 0)
  );
}

const rank = (grant: OpenGrant): number => (grant.origin === "allowance" ? 0 : 1);

/** The first step of the order at which two grants differ: why the first is drawn before the second. */
export function whyBefore(first: OpenGrant, second: OpenGrant): string {
  if (rank(first) !== rank(second)) return "an allowance comes before anything bought";
  if (first.priority !== second.priority)
    return `priority ${first.priority} comes before ${second.priority}`;
  if (first.expiresAt !== second.expiresAt) return "it expires sooner";
  if (!first.unitCost.equals(second.unitCost)) return "its units cost less";
  if (first.createdAt !== second.createdAt) return "it is older";
  return "its id sorts first";
}
