import type { DocumentKind, Draft, Line } from "../invoicing/index.ts";

/** What a corrected price makes of one invoice: a document of its own, nothing, or a reason why it cannot be told. */
export type RerateDecision =
  | { readonly kind: "document"; readonly documentKind: DocumentKind }
  | { readonly kind: "nothing" }
  | { readonly kind: "obstacle"; readonly because: string };

/**
 * Decide by the difference that a period shows once its usage is priced anew. Only the corrected SKU may differ: anything
 * else is not about the price, and belongs on the next invoice before this can be told apart from it. Money back is a credit
 * note, money owed a debit note; differences that round to nothing make no document.
 */
export function decideRerate(
  draft: Draft,
  contradictions: readonly string[],
  skuCode: string,
): RerateDecision {
  const [because] = contradictions;
  if (because !== undefined) return { kind: "obstacle", because };
  const foreign = draft.lines.find((line: Line) => line.skuCode !== skuCode);
  if (foreign !== undefined)
    return {
      kind: "obstacle",
      because: `${foreign.skuCode} differs from what was billed too: that comes onto the next invoice first`,
    };
  const { minor } = draft.subtotal;
  if (minor === 0n) return { kind: "nothing" };
  return { kind: "document", documentKind: minor < 0n ? "credit_note" : "debit_note" };
}
