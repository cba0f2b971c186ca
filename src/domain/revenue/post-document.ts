import { type Currency, currency } from "../../kit/currency.ts";
import { decimalOf } from "../../kit/decimal.ts";
import {
  minus,
  type Money,
  money,
  negated,
  nothing,
  parseMoney,
  plus,
  sumMoney,
} from "../../kit/money.ts";
import { type Instant, instant, lengthOf, type Period } from "../../kit/time.ts";
import type { IssuedContent } from "../invoicing/index.ts";
import {
  type Address,
  address,
  book,
  type LedgerTransaction,
  move,
  moneyAmount,
  type Posting,
} from "../ledger/index.ts";
import { shareUpTo } from "./deferral.ts";
import type { RecognitionPolicy } from "./policy.ts";

/** A line as the books see it: what it charges without tax, and over which time that is earned. */
export type BookedLine = {
  readonly lineNo: number;
  readonly cause: string;
  readonly sku: string;
  readonly net: Money;
  /** Tax that the line's amount includes; nothing where tax is added below. */
  readonly taxInside: Money;
  /** What of `net` is earned when the document's period ends. The rest is deferred. */
  readonly earned: Money;
  readonly period: Period;
  /** `settled`: a purchase and its payment, which were booked when it was bought. */
  readonly kind: "charge" | "concession" | "settled";
};

export type BookedDocument = {
  readonly id: string;
  readonly accountId: string;
  readonly number: string;
  readonly period: Period;
  readonly issuedAt: Instant;
  /** An invoice or a statement: all that is owed for its period, as opposed to a note. */
  readonly isPeriodic: boolean;
  readonly total: Money;
  /** What a consolidated invoice asks for on behalf of accounts whose statements say it. */
  readonly handedOver: Money;
  readonly taxes: readonly { readonly rate: string; readonly tax: Money }[];
  readonly lines: readonly BookedLine[];
};

/** Causes of lines whose books were written by the purchase. */
const isSettled = (cause: string): boolean =>
  cause.startsWith("purchase:") || cause.startsWith("payment:");

/**
 * Read an issued document for the books. What a line charges is earned evenly over the line's own period: usage and one-time
 * charges when the document's period ends, an annual fee in January's share by the end of January.
 */
export function bookedDocument(
  content: IssuedContent,
  issuedAt: Instant,
  policy: RecognitionPolicy,
): BookedDocument {
  const code = currency(content.currency);
  const period = periodOf(content.period);
  const lines = bookedLines(content, policy);
  const taxes = taxesOf(content, code);
  const total = parseMoney(content.total, code);
  const own = sumMoney(code, [...lines.map(({ net }) => net), ...taxes.map(({ tax }) => tax)]);
  return {
    id: content.id,
    accountId: content.account.id,
    number: content.number,
    period,
    issuedAt,
    isPeriodic: content.kind === "invoice" || content.kind === "statement",
    total,
    handedOver: content.sections && content.kind === "invoice" ? minus(total, own) : nothing(code),
    taxes,
    lines,
  };
}

/** The same for the lines alone, of a draft too: what would be earned by the end of its period. */
export function bookedLines(content: Lines, policy: RecognitionPolicy): BookedLine[] {
  const code = currency(content.currency);
  const end = instant(content.period.ends_at);
  return ownLines(content).map((line) => {
    const amount = parseMoney(line.amount, code);
    const taxInside =
      content.prices_include_tax && line.tax ? parseMoney(line.tax.tax, code) : money(code, 0n);
    const net = minus(amount, taxInside);
    const period = periodOf(line.period);
    return {
      lineNo: line.line_no,
      cause: line.cause,
      sku: line.sku,
      net,
      taxInside,
      earned: policy.fees === "straight_line" ? earnedAt(net, period, end) : net,
      period,
      kind: isSettled(line.cause)
        ? "settled"
        : line.basis === "concession"
          ? "concession"
          : "charge",
    };
  });
}

type Lines = Pick<
  IssuedContent,
  "account" | "currency" | "period" | "lines" | "prices_include_tax"
> &
  Partial<Pick<IssuedContent, "kind">>;

/** The lines that are booked with this document: those about other accounts are booked with their statements. */
const ownLines = (content: Lines): IssuedContent["lines"] =>
  content.kind === "credit_note" || content.kind === "debit_note"
    ? content.lines
    : content.lines.filter(({ section }) => (section ?? content.account.id) === content.account.id);

/** What of an amount is earned up to an instant, evenly over a period: nothing before it, all from its end on. */
export function earnedAt(amount: Money, over: Period, at: Instant): Money {
  if (at >= over.endsAt) return amount;
  if (at <= over.startsAt) return money(amount.currency, 0n);
  return money(
    amount.currency,
    shareUpTo(amount, decimalOf(at - over.startsAt), decimalOf(lengthOf(over))),
  );
}

/** A part of a line that is earned later. */
export type RevenueSchedule = {
  readonly lineNo: number;
  readonly sku: string;
  readonly goesTo: "revenue" | "refunds";
  readonly amount: Money;
  readonly earned: Money;
  readonly over: Period;
};

/** What a cause has in the books and on no document, by cause. */
export type Unbilled = ReadonlyMap<string, { readonly sku: string; readonly amount: Money }>;

export type DocumentBooks = {
  /** What was earned by the end of the period and is not in the books yet, and then the document itself. */
  readonly transactions: readonly LedgerTransaction[];
  readonly schedules: readonly RevenueSchedule[];
};

/**
 * The books of an issued document. First what was earned comes up to what the document says (usually it was accrued when the
 * period ended, and nothing is left to do): unbilled against revenue, dated at the end of the period. Then the document moves
 * it to the receivable, with the tax, and defers what is not earned yet. So issuing changes no revenue.
 *
 * `unbilled` holds what is accrued for the causes on the document, and for causes of the same period that turn out not to be
 * on it: those are taken back. A `receivable` other than the account's is where a written-off debt stands.
 */
export function postDocument(
  document: BookedDocument,
  unbilled: Unbilled,
  policy: RecognitionPolicy,
  receivable: Address = address("receivable", document.accountId),
): DocumentBooks {
  const { lines, total, accountId, isPeriodic, issuedAt } = document;
  const waiting = address("unbilled", accountId);
  const code = total.currency;

  const accrued = new Map(unbilled);
  const lacking: Posting[] = [];
  const charged: Posting[] = [];
  const schedules: RevenueSchedule[] = [];
  for (const line of lines) {
    if (line.kind === "settled") {
      const amount = plus(line.net, line.taxInside);
      charged.push(...move(waiting, receivable, moneyAmount(amount)));
      continue;
    }
    const goesTo = line.kind === "concession" ? "refunds" : "revenue";
    const before = accrued.get(line.cause)?.amount ?? nothing(code);
    accrued.delete(line.cause);
    lacking.push(
      ...move(address(goesTo, line.sku), waiting, moneyAmount(minus(line.earned, before))),
    );
    const later = minus(line.net, line.earned);
    charged.push(
      ...move(waiting, receivable, moneyAmount(line.earned)),
      ...move(address("deferred", line.sku), receivable, moneyAmount(later)),
    );
    if (later.minor === 0n) continue;
    const { lineNo, sku, net, earned, period } = line;
    schedules.push({ lineNo, sku, goesTo, amount: net, earned, over: period });
  }
  for (const { sku, amount } of accrued.values())
    lacking.push(...move(address("revenue", sku), waiting, moneyAmount(negated(amount))));
  charged.push(
    ...taxPostings(document, receivable),
    ...move(statements, receivable, moneyAmount(document.handedOver)),
  );

  const common = { policyVersion: policy.version, reverses: null };
  const isAccrued = isPeriodic && policy.usage === "accrued";
  const earlier = book({
    ...common,
    id: transactionId(document.id, "e"),
    cause: `earned:${document.id}`,
    at: isAccrued ? lastInstantOf(document.period, issuedAt) : issuedAt,
    description: `earned on ${document.number}`,
    postings: summed(lacking),
  });
  const paper = book({
    ...common,
    id: transactionId(document.id, "d"),
    cause: documentCause(document.id),
    at: issuedAt,
    description: document.number,
    postings: summed(charged),
  });
  return {
    transactions: [earlier, paper].filter((one) => one.postings.length > 0),
    schedules,
  };
}

/** Between the books of an account and of the one that pays for it: every statement puts in what an invoice takes out. */
export const statements: Address = address("moved", "statements");

export const documentCause = (documentId: string): string => `document:${documentId}`;

/** A transaction that follows from one thing has its id from it: worked out again, it is the same. */
export const transactionId = (id: string, role: string): string => `txn_${id.slice(4)}${role}`;

/** The last moment of a period, or the moment of the posting where that comes first. */
export const lastInstantOf = (period: Period, at: Instant): Instant =>
  Math.min(period.endsAt - 1, at) as Instant;

/** Tax is owed to the state of the rate. Inside a line's amount it has been taken off the line; else it comes on top. */
function taxPostings(document: BookedDocument, receivable: Address): Posting[] {
  const { taxes, lines, total } = document;
  const code = total.currency;
  const postings = taxes.flatMap(({ rate, tax }) =>
    move(address("tax", rate), receivable, moneyAmount(tax)),
  );
  // A purchase was deferred for all that was paid: the tax inside it was never revenue.
  for (const { kind, sku, taxInside } of lines)
    if (kind === "settled")
      postings.push(...move(receivable, address("revenue", sku), moneyAmount(taxInside)));
  // Tax is rounded per rate and shared out to the lines; should that ever leave something over, it is seen here.
  const nets = lines.map((line) => line.net);
  const all = sumMoney(code, [document.handedOver, ...nets, ...taxes.map(({ tax }) => tax)]);
  postings.push(...move(address("rounding", code), receivable, moneyAmount(minus(total, all))));
  return postings;
}

/** One posting per account and currency, in the order in which they come up. */
export function summed(postings: readonly Posting[]): Posting[] {
  const sums = new Map<string, { account: Address; amount: Money }>();
  for (const { account, amount } of postings) {
    if (amount.kind !== "money") throw new RangeError("documents are booked in money");
    const key = `${account} ${amount.money.currency}`;
    const before = sums.get(key)?.amount;
    sums.set(key, { account, amount: before ? plus(before, amount.money) : amount.money });
  }
  return [...sums.values()].map(({ account, amount }) => ({
    account,
    amount: moneyAmount(amount),
  }));
}

function taxesOf(content: IssuedContent, code: Currency): { rate: string; tax: Money }[] {
  const buyer = content.parties.buyer as { tax?: { place?: { country?: string } } };
  const country = buyer.tax?.place?.country ?? "";
  const byRate = new Map<string, Money>();
  for (const { tax } of ownLines(content)) {
    if (!tax) continue;
    const rate = country === "" ? tax.percent : `${country}-${tax.percent}`;
    byRate.set(rate, plus(byRate.get(rate) ?? nothing(code), parseMoney(tax.tax, code)));
  }
  return [...byRate].map(([rate, tax]) => ({ rate, tax }));
}

const periodOf = (text: { readonly starts_at: string; readonly ends_at: string }): Period => ({
  startsAt: instant(text.starts_at),
  endsAt: instant(text.ends_at),
});
