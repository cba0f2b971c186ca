import { absolute, negate } from "../../kit/decimal.ts";
import { negated } from "../../kit/money.ts";
import type { Paper } from "./paper.ts";

/**
 * The document as people read it. A credit note gives back: on paper its amounts are what is given, without a minus, because
 * "amount credited −10.00" would take.
 */
export function asPrinted(paper: Paper): Paper {
  if (paper.kind !== "credit_note") return paper;
  const { totals } = paper;
  return {
    ...paper,
    lines: paper.lines.map((line) => ({
      ...line,
      quantity: absolute(line.quantity),
      net: negated(line.net),
      segments: line.segments.map((part) => ({
        ...part,
        quantity: absolute(part.quantity),
        amount: negate(part.amount),
      })),
    })),
    sections: paper.sections.map((one) => ({
      ...one,
      net: negated(one.net),
      tax: negated(one.tax),
      gross: negated(one.gross),
    })),
    allowances: paper.allowances.map((one) => ({ ...one, amount: negated(one.amount) })),
    taxes: paper.taxes.map((tax) => ({
      ...tax,
      taxable: negated(tax.taxable),
      tax: negated(tax.tax),
    })),
    totals: {
      lines: negated(totals.lines),
      allowances: negated(totals.allowances),
      net: negated(totals.net),
      tax: negated(totals.tax),
      gross: negated(totals.gross),
      prepaid: negated(totals.prepaid),
      due: negated(totals.due),
    },
    accounting: paper.accounting && { ...paper.accounting, tax: negated(paper.accounting.tax) },
  };
}
