import { currency } from "../../kit/currency.ts";
import { decimal, equal } from "../../kit/decimal.ts";
import { minus, type Money, nothing, parseMoney, plus, sumMoney } from "../../kit/money.ts";
import { type Day, dayAt, type Instant, instant } from "../../kit/time.ts";
import { type ContentLine, type IssuedContent, partiesOf } from "../invoicing/index.ts";
import { discountUntil, earlyDiscountOf } from "../accounts/index.ts";
import type { LegalEntity, TaxCategory } from "../tax/index.ts";
import { dayText, type Language, moneyText, numberText, percentText } from "./locale.ts";
import {
  type AnnexRow,
  type Paper,
  type PaperLine,
  type Party,
  type UsageType,
  usageTypes,
} from "./paper.ts";

/** What a document does not carry itself: what was paid before, and the usage it adds up from. */
export type PaperExtras = {
  readonly annex: readonly AnnexRow[];
  readonly prepaid?: Money;
};

/** Put an issued document on paper. Everything comes from its own content, so the paper of ten years ago stays the same. */
export function paperOf(content: IssuedContent, extras: PaperExtras): Paper {
  const code = currency(content.currency);
  const { issuer, buyer } = partiesOf(content.parties);
  const zone = content.account.time_zone;
  const language: Language = buyer.language.startsWith("de") ? "de" : "en";
  const isCredit = content.kind === "credit_note";
  const isStatement = content.kind === "statement";
  const sections = sectionNames(content);
  const lines = content.lines.map((line) => ({
    ...paperLine(line, code, zone, content.prices_include_tax, language),
    section: sections.get(line.section ?? "") ?? null,
  }));
  const tax = parseMoney(content.tax, code);
  const net = minus(parseMoney(content.total, code), tax);
  // Nothing of a statement is due: who pays it is asked for it.
  const prepaid = isStatement
    ? plus(net, tax)
    : content.account_credit
      ? parseMoney(content.account_credit.applied, code)
      : (extras.prepaid ?? nothing(code));

  return {
    kind: content.kind,
    language,
    number: content.number,
    issuedOn: content.issued_on,
    dueOn: isCredit || isStatement ? null : content.due_on,
    periodFrom: dayAt(instant(content.period.starts_at), zone),
    periodTo: lastDay(content.period.ends_at, zone),
    currency: code,
    seller: sellerOf(issuer),
    buyer: {
      name: buyer.name,
      street: buyer.street,
      city: buyer.city,
      postcode: buyer.postcode,
      region: buyer.tax.place.region,
      country: buyer.tax.place.country,
      vatId: buyer.tax.vatId,
      registration: null,
      email: buyer.email,
      contact: null,
      electronicAddress: buyer.email ? { scheme: "EM", address: buyer.email } : null,
    },
    brand: issuer.brand,
    purchaseOrder: buyer.purchaseOrder,
    buyerReference: buyer.purchaseOrder === null ? content.account.slug : null,
    corrects: content.corrects
      ? {
          number: content.corrects.number,
          issuedOn: content.corrects.issued_on ?? content.issued_on,
        }
      : null,
    paymentTerms: isCredit || isStatement ? null : termsText(language, content),
    payTo: isCredit || isStatement || !issuer.bank ? null : issuer.bank,
    lines,
    sections: (content.sections ?? []).map((one) => {
      const gross = parseMoney(one.total, code);
      const sectionTax = parseMoney(one.tax, code);
      return {
        name: sections.get(one.account) ?? one.name,
        net: minus(gross, sectionTax),
        tax: sectionTax,
        gross,
      };
    }),
    paidBy: content.paid_by
      ? { name: content.paid_by.name, invoice: content.paid_by.invoice ?? "" }
      : null,
    allowances: [],
    taxes: content.taxes.map((one) => ({
      category: one.category as TaxCategory,
      name: one.name,
      percent: decimal(one.percent),
      taxable: parseMoney(one.taxable, code),
      tax: parseMoney(one.tax, code),
      reason: one.reason,
      reasonCode: one.reason_code,
    })),
    totals: {
      lines: sumMoney(
        code,
        lines.map((line) => line.net),
      ),
      allowances: nothing(code),
      net,
      tax,
      gross: plus(net, tax),
      prepaid,
      due: minus(plus(net, tax), prepaid),
    },
    accounting: content.accounting
      ? {
          currency: currency(content.accounting.currency),
          tax: parseMoney(content.accounting.tax, currency(content.accounting.currency)),
          rate: decimal(content.accounting.rate),
          on: content.accounting.on,
        }
      : null,
    annex: extras.annex,
    notes: content.reason ? [content.reason] : [],
  };
}

/** Account id to the name of its section: two accounts of the same name are told apart by what they are called in addresses. */
export function sectionNames({ sections = [] }: IssuedContent): Map<string, string> {
  return new Map(
    sections.map((one) => {
      const alike = sections.filter((other) => other.name === one.name);
      return [one.account, alike.length === 1 ? one.name : `${one.name} (${one.slug})`];
    }),
  );
}

function paperLine(
  line: ContentLine,
  code: Paper["currency"],
  zone: string,
  pricesIncludeTax: boolean,
  language: Language,
): PaperLine {
  const amount = parseMoney(line.amount, code);
  const rates = new Set(line.segments.map((segment) => segment.unit_amount));
  const only = line.segments[0];
  // One rate is shown as quantity × rate; several, and fees, are told by their segments.
  const isPlain =
    rates.size === 1 &&
    only !== undefined &&
    equal(decimal(line.quantity).times(decimal(only.unit_amount)), decimal(line.unrounded));
  return {
    no: line.line_no,
    sku: line.sku,
    name: inLanguage(language, line.description),
    usageType: usageTypeOf(line),
    note: null,
    section: null,
    quantity: decimal(line.quantity),
    unit: line.unit,
    rate: isPlain ? decimal(only.unit_amount) : null,
    segments: line.segments.map((segment) => ({
      quantity: decimal(segment.quantity),
      rate: decimal(segment.unit_amount),
      amount: decimal(segment.amount),
      because: tierText(language, segment.because),
    })),
    from: dayAt(instant(line.period.starts_at), zone),
    to: lastDay(line.period.ends_at, zone),
    net: pricesIncludeTax && line.tax ? minus(amount, parseMoney(line.tax.tax, code)) : amount,
    category: (line.tax?.category ?? "O") as TaxCategory,
    percent: decimal(line.tax?.percent ?? "0"),
  };
}

/** What our own words say at the end of a description, in the reader's: of which period, to which invoice. */
const inLanguage = (language: Language, description: string): string =>
  language === "de"
    ? description
        .replace(/: usage of (\S+( to \S+)?)/, ": Verbrauch $1")
        .replace(/: credit on (\S+)$/, ": Gutschrift zu $1")
    : description;

/** "above 0, up to 10000" as the reader says it; an explanation without a tier stays as it is. */
function tierText(language: Language, because: string): string {
  const found = /\(above ([\d.]+)(?:, up to ([\d.]+))?\)$/.exec(because);
  if (!found?.[1]) return because;
  const from = numberText(language, found[1]);
  const to = found[2] === undefined ? undefined : numberText(language, found[2]);
  if (language === "de") {
    if (to === undefined) return `über ${from}`;
    return found[1] === "0" ? `bis ${to}` : `über ${from} bis ${to}`;
  }
  if (to === undefined) return `above ${from}`;
  return found[1] === "0" ? `up to ${to}` : `above ${from}, up to ${to}`;
}

function usageTypeOf(line: ContentLine): UsageType {
  if (line.basis === "restatement" || line.usage_type === "credit") return "adjustment";
  const known = usageTypes.find((one) => one === line.usage_type);
  return known ?? (line.usage_type === "recurring" ? "base" : "usage");
}

function sellerOf(issuer: LegalEntity): Party {
  const {
    name,
    street,
    city,
    postcode,
    region,
    country,
    vatId,
    registration,
    email,
    electronicAddress,
  } = issuer;
  return {
    name,
    street,
    city,
    postcode,
    region,
    country,
    vatId,
    registration,
    email,
    contact: null,
    electronicAddress,
  };
}

// People write periods with their last day, inclusive.
const lastDay = (endsAt: string, zone: string): Day =>
  dayAt((instant(endsAt) - 1) as Instant, zone);

/** The terms in sentences: when it is due, what paying early forgives and until when, what paying late costs. */
function termsText(language: Language, content: IssuedContent): string {
  const { net_days: days, early_discount: early, late_fee: late } = content.account;
  const isGerman = language === "de";
  const sentences = [
    isGerman
      ? `Zahlbar innerhalb von ${days} Tagen${early ? "" : " ohne Abzug"}.`
      : `Payable within ${days} days.`,
  ];
  if (early) {
    const code = currency(content.currency);
    const terms = { percent: decimal(early.percent), days: early.days };
    const total = parseMoney(content.total, code);
    const discount = earlyDiscountOf(total, terms, content.issued_on, content.issued_on);
    const percent = percentText(language, terms.percent);
    const until = dayText(language, discountUntil(content.issued_on, terms));
    const amount = moneyText(language, minus(total, discount));
    sentences.push(
      isGerman
        ? `${percent} Skonto bei Zahlung bis ${until}: ${amount}.`
        : `${percent} discount if paid by ${until}: ${amount}.`,
    );
  }
  if (late) {
    const percent = percentText(language, decimal(late.percent_per_month));
    sentences.push(
      isGerman
        ? `Bei Verzug ${percent} je angefangenem Monat auf den offenen Betrag.`
        : `Late fee ${percent} of what is open for each month begun.`,
    );
  }
  return sentences.join(" ");
}
