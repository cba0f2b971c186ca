import { allocate } from "../../kit/allocate.ts";
import type { Currency } from "../../kit/currency.ts";
import { decimalOf, negate, one } from "../../kit/decimal.ts";
import {
  formatMoney,
  minus,
  type Money,
  money,
  negated,
  parseMoney,
  toDecimal,
} from "../../kit/money.ts";
import { instant } from "../../kit/time.ts";
import type { ContentLine, IssuedContent, Line } from "../invoicing/index.ts";

/** What of a document is to be credited: all that is left, an amount spread over its lines, or single lines. */
export type CreditRequest =
  | { readonly kind: "all" }
  | { readonly kind: "amount"; readonly amount: Money }
  /** On a consolidated document: all that is left of one account's section. */
  | { readonly kind: "section"; readonly account: string }
  | {
      readonly kind: "lines";
      /** Amount null: all that is left of the line. */
      readonly lines: readonly { readonly lineNo: number; readonly amount: Money | null }[];
    };

export type CreditDecision =
  | { readonly kind: "credit"; readonly lines: readonly Line[] }
  | { readonly kind: "no_such_line"; readonly lineNo: number }
  | { readonly kind: "no_such_section" }
  | { readonly kind: "too_large"; readonly lineNo: number | null; readonly left: Money };

/**
 * Decide the lines of a credit note: what they give back, before tax, each below the line it corrects. `credited` says what
 * earlier notes gave back, by line number: the two together never exceed what the line charged.
 */
export function decideCredit(
  content: IssuedContent,
  credited: ReadonlyMap<number, Money>,
  request: CreditRequest,
): CreditDecision {
  const code = content.currency as Currency;
  const left = content.lines.map((line) =>
    leftOf(parseMoney(line.amount, code), credited.get(line.line_no) ?? money(code, 0n)),
  );
  switch (request.kind) {
    case "all":
      return creditOf(content, left);
    case "amount": {
      const total = left.reduce((sum, one) => money(code, sum.minor + one.minor), money(code, 0n));
      if (request.amount.minor > total.minor)
        return { kind: "too_large", lineNo: null, left: total };
      // By what is left of each line, largest remainder: the parts sum to the amount and none exceeds its line.
      return creditOf(
        content,
        allocate(
          request.amount,
          left.map((one) => decimalOf(one.minor)),
        ),
      );
    }
    case "section": {
      const section = content.sections?.find((one) =>
        [one.account, one.slug].includes(request.account),
      );
      if (!section) return { kind: "no_such_section" };
      return creditOf(
        content,
        left.map((one, i) =>
          content.lines[i]?.section === section.account ? one : money(code, 0n),
        ),
      );
    }
    case "lines": {
      const amounts = content.lines.map(() => money(code, 0n));
      for (const { lineNo, amount } of request.lines) {
        const index = content.lines.findIndex((line) => line.line_no === lineNo);
        const available = left[index];
        if (!available) return { kind: "no_such_line", lineNo };
        const sum = money(code, (amounts[index] as Money).minor + (amount ?? available).minor);
        if (sum.minor > available.minor) return { kind: "too_large", lineNo, left: available };
        amounts[index] = sum;
      }
      return creditOf(content, amounts);
    }
  }
}

/** What of a charge can still be given back: never more than was charged, never less than nothing. */
export function leftOf(charged: Money, credited: Money): Money {
  const left = minus(charged, credited);
  return left.minor < 0n ? money(charged.currency, 0n) : left;
}

function creditOf(content: IssuedContent, amounts: readonly Money[]): CreditDecision {
  const lines = content.lines.flatMap((line, i) => {
    const amount = amounts[i];
    return amount && amount.minor !== 0n ? [creditLine(content, line, amount)] : [];
  });
  return { kind: "credit", lines };
}

/** The cause by which later notes find what was already given back of a line. */
const creditCause = (invoiceId: string, lineNo: number): string => `credit:${invoiceId}:${lineNo}`;

/** The line number that a credit cause is about, when it is one of this document. */
export function creditedLine(cause: string, invoiceId: string): number | undefined {
  const prefix = `credit:${invoiceId}:`;
  return cause.startsWith(prefix) ? Number(cause.slice(prefix.length)) : undefined;
}

function creditLine(content: IssuedContent, line: ContentLine, amount: Money): Line {
  const exact = toDecimal(amount);
  const period = {
    startsAt: instant(line.period.starts_at),
    endsAt: instant(line.period.ends_at),
  };
  const because = `credit of ${formatMoney(amount)} on line ${line.line_no} of ${content.number}`;
  return {
    cause: creditCause(content.id, line.line_no),
    basis: "concession",
    usageType: "credit",
    skuCode: line.sku,
    description: `${line.description}: credit on ${content.number}`,
    meterKey: null,
    unit: "credit",
    period,
    quantity: negate(one),
    unrounded: negate(exact),
    amount: negated(amount),
    segments: [
      {
        quantity: negate(one),
        unitAmount: exact,
        amount: negate(exact),
        because,
        dimensions: "{}",
        priceId: null,
        slice: period,
      },
    ],
    measured: [],
    ...(line.section === undefined ? {} : { section: line.section }),
  };
}
