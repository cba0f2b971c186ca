import { formatDecimal } from "../../kit/decimal.ts";
import { formatMoney, isPostable, type Money, sumMoney } from "../../kit/money.ts";
import { dayAt, formatInstant, type Instant, type Period } from "../../kit/time.ts";
import type { Charge } from "./charges.ts";
import { type Cited, differences, type Existing, type Line } from "./difference.ts";
import { periodName } from "./due.ts";
import type { BindingUsed, InvoicedAccount, Offer, PriceVersion } from "./facts.ts";
import type { LateRoute, LeaveOut } from "./late.ts";
import { pipelineVersion } from "./pipeline.ts";
import {
  type AccountingTax,
  accountingTax,
  type ContentParties,
  type ContentTax,
  contentParties,
  type LineTax,
  type Parties,
  taxLines,
} from "./taxed.ts";

/** Up to where the account's usage was looked at: every event with a sequence up to this one, and no other. */
export type Watermark = { readonly seq: bigint };

/** Everything a document follows from. Two drafts from equal facts are equal to the last byte. */
export type DraftFacts = {
  readonly account: InvoicedAccount;
  readonly period: Period;
  /** What should have been charged: for this period, and for each past one that may have changed. */
  readonly expected: readonly Charge[];
  /** What documents have already charged, for the same periods. */
  readonly existing: readonly Existing[];
  readonly offers: readonly Offer[];
  /** The book the account buys from. */
  readonly priceBook: string;
  readonly bindings: readonly BindingUsed[];
  readonly parties: Parties;
  readonly watermark: Watermark;
  /** Differences that are seen and left to another document. Left out: none are. */
  readonly leaveOut?: LeaveOut | undefined;
};

export type Draft = {
  readonly account: InvoicedAccount;
  readonly period: Period;
  readonly lines: readonly Line[];
  readonly subtotal: Money;
  readonly tax: Money;
  readonly total: Money;
  readonly watermark: Watermark;
  /** Differences that go another way than this document. */
  readonly elsewhere: readonly Elsewhere[];
  /** Why it must not be issued: the tax cannot be decided, or an amount is more than can be posted. */
  readonly obstacle: string | null;
  readonly content: DraftContent;
  /** On a consolidated document: what each account whose money it asks for keeps beside it, in the order of the sections. */
  readonly statements?: readonly Draft[];
};

/** A difference that is not on the document although it was seen, and the way by which it goes. */
export type Elsewhere = { readonly line: Line; readonly because: LateRoute };

/** The document in its outward form: strings only, complete by itself. What is stored, hashed and shown. */
export type DraftContent = {
  readonly pipeline_version: number;
  readonly account: {
    readonly id: string;
    readonly slug: string;
    readonly name: string;
    readonly legal_entity: string;
    readonly currency: string;
    readonly time_zone: string;
    readonly invoice_day: number;
    readonly cycle: string;
    readonly net_days: number;
    readonly early_discount?: { readonly percent: string; readonly days: number };
    readonly late_fee?: { readonly percent_per_month: string };
    readonly price_book: string;
  };
  readonly currency: string;
  readonly period: ContentPeriod;
  /** On a statement: who is asked for its money, and by which document. Nothing of it is due from the account itself. */
  readonly paid_by?: {
    readonly organization: string;
    readonly account: string;
    readonly slug: string;
    readonly name: string;
    readonly invoice?: string;
  };
  readonly lines: readonly ContentLine[];
  /** On a consolidated document: its lines summed by the accounts they are about. They sum to the document. */
  readonly sections?: readonly ContentSection[];
  readonly subtotal: string;
  readonly tax: string;
  readonly total: string;
  readonly prices_include_tax: boolean;
  readonly taxes: readonly ContentTax[];
  /** The tax in the issuer's accounting currency, when the document is in another. */
  readonly accounting?: AccountingTax;
  readonly parties: ContentParties;
  readonly prices: readonly ContentPrice[];
  readonly meters: readonly unknown[];
  readonly bindings: readonly { project: string; binding: string; effective_from: string }[];
  readonly watermark: { readonly seq: string };
  /** Differences of older periods that were known and are not on this document. */
  readonly left_out?: readonly ContentLeftOut[];
};

export type ContentLeftOut = {
  readonly cause: string;
  readonly period: ContentPeriod;
  readonly quantity: string;
  readonly amount: string;
  readonly because: LateRoute;
};

export type ContentPeriod = { readonly starts_at: string; readonly ends_at: string };

export type ContentSection = {
  readonly organization: string;
  readonly account: string;
  readonly slug: string;
  readonly name: string;
  /** The number of the account's statement; null for the payer's own section, and on drafts and notes. */
  readonly statement: string | null;
  readonly subtotal: string;
  readonly tax: string;
  readonly total: string;
};

export type ContentLine = {
  readonly line_no: number;
  /** On a consolidated document: the id of the account that the line is about. */
  readonly section?: string;
  readonly cause: string;
  readonly basis: Line["basis"];
  readonly usage_type: string;
  readonly sku: string;
  readonly description: string;
  readonly meter: string | null;
  readonly unit: string;
  readonly period: ContentPeriod;
  readonly quantity: string;
  readonly unrounded: string;
  readonly amount: string;
  readonly tax: LineTax | null;
  readonly segments: readonly ContentSegment[];
  readonly measured: readonly ContentMeasured[];
  /** On a note about late usage: the events that made the difference, the first few of them by name. */
  readonly cites?: Cited;
};

export type ContentSegment = {
  readonly quantity: string;
  readonly unit_amount: string;
  readonly amount: string;
  readonly dimensions: string;
  readonly price: string | null;
  readonly period: ContentPeriod;
  readonly because: string;
};

export type ContentMeasured = {
  readonly project: string;
  readonly dimensions: string;
  readonly period: ContentPeriod;
  readonly event_count: string;
  readonly quantity: string;
};

export type ContentPrice = {
  readonly id: string;
  readonly version: number;
  readonly book: string;
  readonly sku: string;
  readonly effective_from: string;
  readonly definition: unknown;
};

/** Turn facts into a document: the differences as lines, their sum, and everything needed to check it in ten years. */
export function draft(facts: DraftFacts): Draft {
  const all = differences(facts.expected, facts.existing, facts.account.currency)
    .map((line) => named(line, facts))
    .toSorted(byPeriodThenSku(facts.period));
  const lines: Line[] = [];
  const elsewhere: Elsewhere[] = [];
  for (const line of all) {
    const because = facts.leaveOut?.(line);
    if (because === undefined) lines.push(line);
    else elsewhere.push({ line, because });
  }
  return assemble(facts, lines, elsewhere);
}

function tooLarge(amounts: readonly Money[]): string | null {
  const found = amounts.find((amount) => !isPostable(amount));
  return found ? `${formatMoney(found)} ${found.currency} is more than can be posted` : null;
}

/** A document of lines that were decided elsewhere: the sums, the tax, and what the lines quote. */
export function assemble(
  facts: Omit<DraftFacts, "expected" | "existing" | "leaveOut">,
  lines: readonly Line[],
  elsewhere: readonly Elsewhere[] = [],
): Draft {
  const { account, period, watermark } = facts;
  const subtotal = sumMoney(
    account.currency,
    lines.map((line) => line.amount),
  );
  const taxed = taxLines(account.currency, lines, account.calendar.timeZone, facts.parties);
  const { tax, total } = taxed;
  const suppliedOn = dayAt((period.endsAt - 1) as Instant, account.calendar.timeZone);
  const accounting = accountingTax(facts.parties, tax, suppliedOn);
  return {
    account,
    period,
    lines,
    subtotal,
    tax,
    total,
    watermark,
    elsewhere,
    obstacle:
      taxed.obstacle ??
      (accounting.kind === "missing" ? accounting.because : null) ??
      tooLarge([subtotal, tax, total, ...lines.map((line) => line.amount)]),
    content: {
      pipeline_version: pipelineVersion,
      account: {
        id: account.accountId,
        slug: account.slug,
        name: account.name,
        legal_entity: account.legalEntity,
        currency: account.currency,
        time_zone: account.calendar.timeZone,
        invoice_day: account.calendar.invoiceDay,
        cycle: account.calendar.cycle,
        net_days: account.netDays,
        ...contentTerms(account.pricedTerms),
        price_book: facts.priceBook,
      },
      currency: account.currency,
      period: contentPeriod(period),
      lines: lines.map((line, i) => contentLine(line, i, taxed.perLine[i] ?? null)),
      subtotal: formatMoney(subtotal),
      tax: formatMoney(tax),
      total: formatMoney(total),
      prices_include_tax: facts.parties.issuer.pricesIncludeTax,
      taxes: taxed.summary,
      ...(accounting.kind === "tax" ? { accounting: accounting.tax } : {}),
      parties: contentParties(facts.parties, accounting.kind === "tax" ? [accounting.by] : []),
      prices: pricesUsed(lines, facts.offers),
      meters: metersUsed(lines, facts.offers),
      bindings: inOrder(
        facts.bindings.map((one) => ({
          project: one.projectId,
          binding: one.bindingId,
          effective_from: formatInstant(one.effectiveFrom),
        })),
      ),
      watermark: { seq: watermark.seq.toString() },
      ...(elsewhere.length > 0 ? { left_out: elsewhere.map(contentLeftOut) } : {}),
    },
  };
}

export const inOrder = (bindings: DraftContent["bindings"]): DraftContent["bindings"] =>
  bindings.toSorted((a, b) =>
    compareText(a.project + a.effective_from, b.project + b.effective_from),
  );

/** Whether there is anything to put on paper. */
export const isEmpty = (document: Draft): boolean => document.lines.length === 0;

// A line about an earlier period says so, in the words people look for: "usage of 2025-01".
function named(line: Line, facts: Pick<DraftFacts, "account" | "period">): Line {
  if (line.period.startsAt >= facts.period.startsAt) return line;
  const when = periodName(facts.account.calendar, line.period);
  const label = `: usage of ${when}`;
  return line.description.endsWith(label)
    ? line
    : { ...line, description: `${line.description}${label}` };
}

const byPeriodThenSku = (current: Period) => (a: Line, b: Line) =>
  Number(a.period.startsAt < current.startsAt) - Number(b.period.startsAt < current.startsAt) ||
  a.period.startsAt - b.period.startsAt ||
  compareText(a.cause, b.cause);

const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

function contentLine(line: Line, index: number, tax: LineTax | null): ContentLine {
  return {
    line_no: index + 1,
    ...(line.section === undefined ? {} : { section: line.section }),
    cause: line.cause,
    basis: line.basis,
    usage_type: line.usageType,
    sku: line.skuCode,
    description: line.description,
    meter: line.meterKey,
    unit: line.unit,
    period: contentPeriod(line.period),
    quantity: formatDecimal(line.quantity),
    unrounded: formatDecimal(line.unrounded),
    amount: formatMoney(line.amount),
    tax,
    segments: line.segments.map((segment) => ({
      quantity: formatDecimal(segment.quantity),
      unit_amount: formatDecimal(segment.unitAmount),
      amount: formatDecimal(segment.amount),
      dimensions: segment.dimensions,
      price: segment.priceId,
      period: contentPeriod(segment.slice),
      because: segment.because,
    })),
    measured: line.measured
      .map((part) => ({
        project: part.projectId,
        dimensions: part.dimensions,
        period: contentPeriod(part.slice),
        event_count: part.eventCount.toString(),
        quantity: formatDecimal(part.quantity),
      }))
      .toSorted((a, b) => compareText(measuredKey(a), measuredKey(b))),
    ...(line.cites ? { cites: line.cites } : {}),
  };
}

const contentLeftOut = ({ line, because }: Elsewhere): ContentLeftOut => ({
  cause: line.cause,
  period: contentPeriod(line.period),
  quantity: formatDecimal(line.quantity),
  amount: formatMoney(line.amount),
  because,
});

const measuredKey = (part: ContentMeasured): string =>
  `${part.period.starts_at}|${part.project}|${part.dimensions}`;

const contentPeriod = (span: Period): ContentPeriod => ({
  starts_at: formatInstant(span.startsAt),
  ends_at: formatInstant(span.endsAt),
});

function pricesUsed(lines: readonly Line[], offers: readonly Offer[]): ContentPrice[] {
  const used = new Set(lines.flatMap((line) => line.segments.map((segment) => segment.priceId)));
  const versions = offers
    .flatMap((offer) => offer.versions)
    .filter((version) => used.has(version.priceId));
  // A price that gave way to a plan's and came back after it is quoted once.
  return [
    ...new Map(versions.map((version) => [version.priceId, contentPrice(version)])).values(),
  ].toSorted((a, b) => compareText(a.id, b.id));
}

const contentPrice = (version: PriceVersion): ContentPrice => ({
  id: version.priceId,
  version: version.version,
  book: version.book,
  sku: version.skuCode,
  effective_from: formatInstant(version.publishedFrom ?? version.effectiveFrom),
  definition: version.definition,
});

const contentTerms = (
  terms: InvoicedAccount["pricedTerms"],
): Pick<DraftContent["account"], "early_discount" | "late_fee"> => ({
  ...(terms?.earlyDiscount
    ? {
        early_discount: {
          percent: formatDecimal(terms.earlyDiscount.percent),
          days: terms.earlyDiscount.days,
        },
      }
    : {}),
  ...(terms?.lateFee
    ? { late_fee: { percent_per_month: formatDecimal(terms.lateFee.percentPerMonth) } }
    : {}),
});

function metersUsed(lines: readonly Line[], offers: readonly Offer[]): unknown[] {
  const used = new Set(lines.map((line) => line.meterKey));
  const meters = new Map(offers.map((offer) => [offer.meter.key, offer.meterDefinition]));
  return [...meters]
    .filter(([key]) => used.has(key))
    .toSorted(([a], [b]) => compareText(a, b))
    .map(([, definition]) => definition);
}
