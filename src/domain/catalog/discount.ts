import type { Decimal } from "../../kit/decimal.ts";

/** The taxonomy of a SKU, for people, reports and selectors. */
export type SkuLabels = {
  readonly class: string;
  readonly family: string;
  readonly variant: string;
  readonly payPlan: string;
};

/** Which SKUs something is about. Members that are missing match everything; `sku` is the most specific. */
export type SkuSelector = Partial<SkuLabels> & { readonly sku?: string };

/** A reduction agreed with an account: per cent of the price, or a fixed amount per period over everything it selects. */
export type Discount = { readonly selects: SkuSelector } & (
  | { readonly kind: "percent"; readonly percent: Decimal }
  | { readonly kind: "fixed"; readonly amount: Decimal }
);

export type SelectableSku = { readonly code: string; readonly labels: SkuLabels };

const labelKeys = ["class", "family", "variant", "payPlan"] as const;

function selects(selector: SkuSelector, sku: SelectableSku): boolean {
  if (selector.sku !== undefined && selector.sku !== sku.code) return false;
  return labelKeys.every((key) => selector[key] === undefined || selector[key] === sku.labels[key]);
}

/** How narrow a selector is: a named SKU beats any number of labels, more labels beat fewer. */
const specificity = (selector: SkuSelector): number =>
  (selector.sku === undefined ? 0 : 10) +
  labelKeys.filter((key) => selector[key] !== undefined).length;

/** A SKU gets one discount at most: the most specific that selects it, the earlier of two equals. */
export function discountFor(
  discounts: readonly Discount[],
  sku: SelectableSku,
): Discount | undefined {
  return discounts
    .filter((discount) => selects(discount.selects, sku))
    .toSorted((a, b) => specificity(b.selects) - specificity(a.selects))[0];
}
