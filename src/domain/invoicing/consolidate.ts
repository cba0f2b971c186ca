import type { Currency } from "../../kit/currency.ts";
import { formatMoney, parseMoney, plus, sumMoney } from "../../kit/money.ts";
import { assemble, type ContentLine, type ContentSection, type Draft, inOrder } from "./draft.ts";
import type { ContentTax, LineTax, Parties } from "./taxed.ts";

/** Whom a section is about. */
export type SectionOf = Pick<ContentSection, "organization" | "account" | "slug" | "name">;

/**
 * One document for several accounts that the same one pays for: a section for each with something on it, the payer's own
 * first. Tax is decided once, for the whole, by who buys, which is the payer; each section carries the tax of its lines, so the
 * sections sum to the document exactly. Beside it each of the others keeps a statement: its section, under its own key.
 */
export function consolidate(own: Draft, parts: readonly Draft[], parties: Parties): Draft {
  const billed = parts.filter((part) => part.lines.length > 0);
  if (billed.length === 0) return own;
  const all = own.lines.length > 0 ? [own, ...billed] : billed;
  const whole = assemble(
    {
      account: own.account,
      period: own.period,
      offers: [],
      priceBook: own.content.account.price_book,
      parties,
      bindings: [],
      watermark: own.watermark,
    },
    all.flatMap((one) => one.lines.map((line) => ({ ...line, section: one.account.accountId }))),
  );
  const quoted = {
    ...whole,
    content: {
      ...whole.content,
      prices: once(all.flatMap((one) => one.content.prices)),
      meters: once(all.flatMap((one) => one.content.meters)),
      bindings: inOrder(all.flatMap((one) => one.content.bindings)),
    },
  };
  const inSections = withSections(quoted, all.map(sectionOf));
  return { ...inSections, statements: billed.map((part) => statement(inSections, part)) };
}

const sectionOf = ({ account }: Draft): SectionOf => ({
  organization: account.orgId,
  account: account.accountId,
  slug: account.slug,
  name: account.name,
});

/** Sum the lines of a document by the accounts they are about. Of those named, only such as have a line are listed. */
export function withSections(document: Draft, accounts: readonly SectionOf[]): Draft {
  const { content } = document;
  const code = content.currency as Currency;
  const sections = accounts.flatMap(({ organization, account, slug, name }): ContentSection[] => {
    const lines = content.lines.filter((line) => line.section === account);
    if (lines.length === 0) return [];
    const subtotal = sumMoney(
      code,
      lines.map((line) => parseMoney(line.amount, code)),
    );
    const tax = sumMoney(
      code,
      lines.map((line) => parseMoney(line.tax?.tax ?? "0", code)),
    );
    const sums = {
      subtotal: formatMoney(subtotal),
      tax: formatMoney(tax),
      total: formatMoney(content.prices_include_tax ? subtotal : plus(subtotal, tax)),
    };
    return [{ organization, account, slug, name, statement: null, ...sums }];
  });
  return { ...document, content: { ...content, sections } };
}

/**
 * A section as a document of the account it is about: the same lines with the same tax, to be paid by another. It names the
 * account and shows it the brand that it knows; its tax follows from the payer's document.
 */
function statement(whole: Draft, part: Draft): Draft {
  const code = part.account.currency;
  const { accountId } = part.account;
  const lines = whole.content.lines.filter((line) => line.section === accountId);
  const section = whole.content.sections?.find((one) => one.account === accountId);
  const sums = {
    subtotal: section?.subtotal ?? "0",
    tax: section?.tax ?? "0",
    total: section?.total ?? "0",
  };
  const { account: payer } = whole;
  // The tax is reported once, in the payer's document: also its value in another currency.
  const { accounting: _, ...content } = part.content;
  return {
    ...part,
    subtotal: parseMoney(sums.subtotal, code),
    tax: parseMoney(sums.tax, code),
    total: parseMoney(sums.total, code),
    obstacle: null,
    content: {
      ...content,
      ...sums,
      lines: part.content.lines.map((line, i) => ({ ...line, tax: lines[i]?.tax ?? null })),
      taxes: taxesOf(whole, lines),
      paid_by: {
        organization: payer.orgId,
        account: payer.accountId,
        slug: payer.slug,
        name: payer.name,
      },
    },
  };
}

/** The document's taxes, as far as these lines go. */
function taxesOf({ content }: Draft, lines: readonly ContentLine[]): ContentTax[] {
  const code = content.currency as Currency;
  return content.taxes.flatMap((tax) => {
    const under = lines.flatMap(({ tax: own, amount }) =>
      own && isUnder(own, tax)
        ? [{ amount: parseMoney(amount, code), tax: parseMoney(own.tax, code) }]
        : [],
    );
    if (under.length === 0) return [];
    const sum = sumMoney(
      code,
      under.map((one) => one.tax),
    );
    const amount = sumMoney(
      code,
      under.map((one) => one.amount),
    );
    const taxable = content.prices_include_tax
      ? { ...amount, minor: amount.minor - sum.minor }
      : amount;
    return [{ ...tax, taxable: formatMoney(taxable), tax: formatMoney(sum) }];
  });
}

const isUnder = (line: LineTax, tax: ContentTax): boolean =>
  line.category === tax.category && line.percent === tax.percent;

/** Without repetitions: two accounts that buy from the same book quote the same prices and meters. */
function once<T>(values: readonly T[]): T[] {
  const seen = new Map(values.map((value) => [nameOf(value), value]));
  return [...seen].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, value]) => value);
}

const nameOf = (value: unknown): string => {
  const { id, key } = value as { id?: string; key?: string };
  return id ?? key ?? "";
};
