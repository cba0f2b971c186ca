import type { Currency } from "../../kit/currency.ts";
import { decimal, formatDecimal } from "../../kit/decimal.ts";
import { formatMoney, type Money, nothing, sumMoney } from "../../kit/money.ts";
import { convert, type FxRate, rateOn } from "../exchange/index.ts";
import { type Day, dayAt, type Instant } from "../../kit/time.ts";
import {
  type LegalEntity,
  type TaxBuyer,
  type TaxFacts,
  type TaxRate,
  taxDocument,
} from "../tax/index.ts";
import type { Line } from "./difference.ts";

/** The one who pays, as named on the document. */
export type Buyer = {
  readonly name: string;
  readonly street: string;
  readonly city: string;
  readonly postcode: string;
  readonly email: string | null;
  readonly purchaseOrder: string | null;
  readonly language: string;
  readonly tax: TaxBuyer;
};

/** Who issues to whom, and the rates there are. */
export type Parties = {
  readonly issuer: LegalEntity;
  readonly buyer: Buyer;
  readonly rates: readonly TaxRate[];
  /** Recorded exchange rates into the issuer's accounting currency, where documents may be in another. */
  readonly exchange?: readonly FxRate[] | undefined;
};

/** The tax in the currency in which the issuer reports it, by which recorded rate and of which day. */
export type AccountingTax = {
  readonly currency: string;
  readonly tax: string;
  readonly rate: string;
  readonly on: Day;
  readonly source: string;
};

export type ContentTax = {
  readonly category: string;
  readonly name: string;
  readonly percent: string;
  readonly taxable: string;
  readonly tax: string;
  readonly reason: string | null;
  readonly reason_code: string | null;
};

/**
 * The parties as the document knew them, in its outward form: with these, and nothing else, its tax is decided again. Member
 * names in snake case, percentages as text.
 */
export type ContentParties = {
  readonly issuer: Readonly<Record<string, unknown>>;
  readonly buyer: Readonly<Record<string, unknown>>;
  readonly rates: readonly Readonly<Record<string, unknown>>[];
  readonly exchange?: readonly Readonly<Record<string, unknown>>[];
};

export type LineTax = { readonly category: string; readonly percent: string; readonly tax: string };

export type Taxed = {
  readonly tax: Money;
  /** Lines and tax together; with prices that include tax, the lines alone. */
  readonly total: Money;
  readonly perLine: readonly LineTax[];
  readonly summary: readonly ContentTax[];
  /** Why the tax cannot be decided; null when it is. */
  readonly obstacle: string | null;
};

/** Tax the lines of a document, each by the rate of the last day of its own period: what was supplied then is taxed as of then. */
export function taxLines(
  code: Currency,
  lines: readonly Line[],
  zone: string,
  parties: Parties,
): Taxed {
  const subtotal = sumMoney(
    code,
    lines.map((line) => line.amount),
  );
  const facts: TaxFacts = {
    entity: parties.issuer,
    buyer: parties.buyer.tax,
    table: parties.rates,
  };
  const toTax = lines.map((line) => ({
    amount: line.amount,
    productClass: "standard",
    suppliedOn: dayAt((line.period.endsAt - 1) as Instant, zone),
  }));
  const taxed = taxDocument(code, facts, toTax);
  if (taxed.kind === "undecided") {
    const sku = lines[taxed.line - 1]?.skuCode ?? "";
    return {
      tax: nothing(code),
      total: subtotal,
      perLine: [],
      summary: [],
      obstacle: `tax on ${sku}: ${taxed.because}`,
    };
  }
  const { result, treatments } = taxed;
  const summary = result.groups.map((group): ContentTax => {
    const like = treatments.find((one) => one.category === group.category);
    return {
      category: group.category,
      name: group.components.map((component) => component.name).join(" + ") || "VAT",
      percent: formatDecimal(group.percent),
      taxable: formatMoney(group.taxable),
      tax: formatMoney(group.tax),
      reason: like?.kind === "untaxed" ? like.reason : null,
      reason_code: like?.kind === "untaxed" ? like.reasonCode : null,
    };
  });
  const perLine = treatments.map((treatment, i) => ({
    category: treatment.category,
    percent:
      treatment.kind === "taxed"
        ? formatDecimal(
            treatment.components.reduce((sum, one) => sum.plus(one.percent), decimal("0")),
          )
        : "0",
    tax: formatMoney(result.lines[i]?.tax ?? nothing(code)),
  }));
  return { tax: result.tax, total: result.gross, perLine, summary, obstacle: null };
}

export type InAccounting =
  | { readonly kind: "none" }
  | { readonly kind: "tax"; readonly tax: AccountingTax; readonly by: FxRate }
  | { readonly kind: "missing"; readonly because: string };

/**
 * The tax once more in the issuer's accounting currency (EN 16931 BR-53), by the rate of the last day of the period: the day
 * the supply ended. Without a recorded rate the document cannot be issued.
 */
export function accountingTax({ issuer, exchange }: Parties, tax: Money, on: Day): InAccounting {
  const { accountingCurrency: target } = issuer;
  if (issuer.tax === "none" || target === null || target === tax.currency) return { kind: "none" };
  const found = rateOn(exchange ?? [], tax.currency, target, on);
  if (found.kind === "missing") return found;
  const { rate, on: ratedOn, source } = found.rate;
  return {
    kind: "tax",
    tax: {
      currency: target,
      tax: formatMoney(convert(tax, found.rate).amount),
      rate: formatDecimal(rate),
      on: ratedOn,
      source,
    },
    by: found.rate,
  };
}

/** Pin what taxed a document: the parties, and only those rates that could have mattered. */
export function contentParties(
  { issuer, buyer, rates }: Parties,
  exchange: readonly FxRate[] = [],
): ContentParties {
  const here = rates.filter(
    (rate) => issuer.tax === "collects" && rate.country === buyer.tax.place.country,
  );
  return {
    issuer: pinned(issuer) as ContentParties["issuer"],
    buyer: pinned(buyer) as ContentParties["buyer"],
    rates: here.map(
      (rate) =>
        renamed({ ...rate, percent: formatDecimal(rate.percent) }, snake) as Record<
          string,
          unknown
        >,
    ),
    ...(exchange.length > 0
      ? { exchange: exchange.map((rate) => ({ ...rate, rate: formatDecimal(rate.rate) })) }
      : {}),
  };
}

// A run drafts each document twice, and thousands of the same issuer.
function pinned(party: LegalEntity | Buyer): unknown {
  const found = pinnedParties.get(party) ?? renamed(party, snake);
  pinnedParties.set(party, found);
  return found;
}

const pinnedParties = new WeakMap<LegalEntity | Buyer, unknown>();

/** The pinned parties again, to tax the same document another time. */
export function partiesOf(content: ContentParties): Parties {
  const rates = renamed(content.rates, camel) as (Omit<TaxRate, "percent"> & { percent: string })[];
  return {
    issuer: renamed(content.issuer, camel) as LegalEntity,
    buyer: renamed(content.buyer, camel) as Buyer,
    rates: rates.map((rate) => ({ ...rate, percent: decimal(rate.percent) })),
    exchange: ((content.exchange ?? []) as (Omit<FxRate, "rate"> & { rate: string })[]).map(
      (rate) => ({ ...rate, rate: decimal(rate.rate) }),
    ),
  };
}

const snake = (name: string): string =>
  name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
const camel = (name: string): string =>
  name.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());

/** The same value with its members called differently, all the way down. */
function renamed(value: unknown, rename: (name: string) => string): unknown {
  if (Array.isArray(value)) return value.map((item) => renamed(item, rename));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [rename(name), renamed(member, rename)]),
  );
}
