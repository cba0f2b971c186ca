import type { Currency } from "../../kit/currency.ts";
import { one } from "../../kit/decimal.ts";
import { formatMoney, type Money, toDecimal } from "../../kit/money.ts";
import { instant } from "../../kit/time.ts";
import type { IssuedContent, Line } from "../invoicing/index.ts";

/** What is owed more on a line of an issued document, by agreement and not by usage. Above zero, before tax. */
export type DebitRequest = readonly {
  readonly lineNo: number;
  readonly amount: Money;
  /** What it is for, as the payer will read it. */
  readonly description: string;
}[];

export type DebitDecision =
  | { readonly kind: "debit"; readonly lines: readonly Line[] }
  | { readonly kind: "no_such_line"; readonly lineNo: number };

/**
 * Decide the lines of a debit note: each for the SKU and the period of the line it adds to, and so taxed alike. It is agreed,
 * not measured: the usage stays charged as it was, and no later document takes it off again.
 */
export function decideDebit(content: IssuedContent, request: DebitRequest): DebitDecision {
  const lines: Line[] = [];
  for (const [i, { lineNo, amount, description }] of request.entries()) {
    const line = content.lines.find((other) => other.line_no === lineNo);
    if (!line) return { kind: "no_such_line", lineNo };
    const exact = toDecimal(amount);
    const period = {
      startsAt: instant(line.period.starts_at),
      endsAt: instant(line.period.ends_at),
    };
    lines.push({
      cause: `debit:${content.id}:${lineNo}:${i + 1}`,
      basis: "agreed",
      usageType: "adjustment",
      skuCode: line.sku,
      description,
      meterKey: null,
      unit: "debit",
      period,
      quantity: one,
      unrounded: exact,
      amount,
      segments: [
        {
          quantity: one,
          unitAmount: exact,
          amount: exact,
          because: `${formatMoney(amount)} ${content.currency as Currency} more on line ${lineNo} of ${content.number}`,
          dimensions: "{}",
          priceId: null,
          slice: period,
        },
      ],
      measured: [],
      ...(line.section === undefined ? {} : { section: line.section }),
    });
  }
  return { kind: "debit", lines };
}
