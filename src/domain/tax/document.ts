import { allocate } from "../../kit/allocate.ts";
import type { Currency } from "../../kit/currency.ts";
import { type Decimal, decimal, divide, multiply } from "../../kit/decimal.ts";
import {
  type Money,
  minus,
  negated,
  nothing,
  sumMoney,
  toDecimal,
  toMoney,
} from "../../kit/money.ts";
import { calculateTax, type TaxableLine, type TaxOptions, type TaxResult } from "./calculate.ts";
import type { TaxCategory } from "./category.ts";

/** An amount off (allowance) or on top (charge) of the whole document, in a category like a line. */
export type DocumentAdjustment = {
  readonly kind: "allowance" | "charge";
  readonly amount: Money;
  readonly reason: string;
  readonly category: TaxCategory;
  readonly components: TaxableLine["components"];
};

/** The sums of a document under their EN 16931 names. */
export type DocumentTotals = {
  /** BT-106: sum of line net amounts. */
  readonly lineTotal: Money;
  /** BT-107. */
  readonly allowances: Money;
  /** BT-108. */
  readonly charges: Money;
  /** BT-109 = BT-106 − BT-107 + BT-108 (BR-CO-13). */
  readonly taxExclusive: Money;
  /** BT-110 (BR-CO-14). */
  readonly tax: Money;
  /** BT-112 = BT-109 + BT-110 (BR-CO-15). */
  readonly taxInclusive: Money;
  readonly withheld: Money;
  /** BT-113: paid before. */
  readonly prepaid: Money;
  /** BT-115 = BT-112 − BT-113 (BR-CO-16), less what is withheld. */
  readonly due: Money;
  readonly summary: TaxResult["groups"];
  readonly lines: TaxResult["lines"];
};

/** Add up a document. Allowances lower the taxable amount of their own category and rate, before tax is rounded. */
export function documentTotals(
  code: Currency,
  lines: readonly TaxableLine[],
  more: {
    adjustments?: readonly DocumentAdjustment[];
    prepaid?: Money;
    /** Taxes the buyer withholds on behalf of the state (Spain's IRPF): they lower what is paid, not the total. */
    withholdings?: readonly { name: string; tax: Money }[];
    options?: TaxOptions;
  } = {},
): DocumentTotals {
  const { adjustments = [], prepaid = nothing(code), withholdings = [], options = {} } = more;
  const signed = adjustments.map((one) => ({
    ...one,
    amount: one.kind === "allowance" ? negated(one.amount) : one.amount,
  }));
  const result = calculateTax(code, [...lines, ...signed], options);

  const of = (kind: DocumentAdjustment["kind"]) =>
    sumMoney(
      code,
      adjustments.filter((one) => one.kind === kind).map((one) => one.amount),
    );
  const withheld = sumMoney(
    code,
    withholdings.map((one) => one.tax),
  );
  const lineTotal = sumMoney(
    code,
    result.lines.slice(0, lines.length).map((line) => line.net),
  );
  return {
    lineTotal,
    allowances: of("allowance"),
    charges: of("charge"),
    taxExclusive: result.net,
    tax: result.tax,
    taxInclusive: result.gross,
    withheld,
    prepaid,
    due: minus(minus(result.gross, withheld), prepaid),
    summary: result.groups,
    lines: result.lines.slice(0, lines.length),
  };
}

/** Spread an amount off over lines in proportion to them, never below zero in sum, so that each keeps its own tax. */
export function spreadDiscount(lines: readonly Money[], discount: Money): Money[] {
  const code = discount.currency;
  const total = sumMoney(code, lines);
  const capped = discount.minor > total.minor ? total : discount;
  if (lines.length === 0 || capped.minor <= 0n) return lines.map(() => nothing(code));
  return allocate(
    capped,
    lines.map((line) => (line.minor > 0n ? toDecimal(line) : toDecimal(nothing(code)))),
  );
}

/** A percentage or a fixed amount off; several apply one after the other, each on what the ones before left. */
export type Discount =
  | { readonly kind: "percent"; readonly percent: Decimal }
  | { readonly kind: "fixed"; readonly amount: Money };

/** The sum of stacked discounts on a subtotal: in the order given, never more than the subtotal. */
export function stackDiscounts(subtotal: Money, discounts: readonly Discount[]): Money {
  let left = subtotal;
  for (const discount of discounts) {
    const off =
      discount.kind === "percent"
        ? toMoney(
            divide(multiply(toDecimal(left), discount.percent), decimal("100")),
            left.currency,
          )
        : discount.amount;
    left = off.minor > left.minor ? nothing(subtotal.currency) : minus(left, off);
  }
  return minus(subtotal, left);
}
