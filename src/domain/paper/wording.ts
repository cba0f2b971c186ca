import type { Language } from "./locale.ts";
import type { Paper, UsageType } from "./paper.ts";

/** Every label on a document. */
export type Wording = {
  readonly invoice: string;
  readonly creditNote: string;
  readonly statement: string;
  readonly debitNote: string;
  readonly number: string;
  readonly issued: string;
  readonly due: string;
  readonly period: string;
  readonly billedTo: string;
  readonly statementFor: string;
  readonly from: string;
  readonly vatId: string;
  readonly purchaseOrder: string;
  readonly reference: string;
  readonly corrects: (number: string, on: string) => string;
  readonly item: string;
  readonly quantity: string;
  readonly rate: string;
  readonly amount: string;
  readonly tax: string;
  readonly subtotal: string;
  readonly allowances: string;
  readonly net: string;
  readonly taxOn: (name: string, percent: string, base: string) => string;
  readonly total: string;
  readonly prepaid: string;
  readonly amountDue: string;
  readonly amountCredited: string;
  /** The sum of one account's lines, on a document about several. */
  readonly sectionSum: (name: string) => string;
  /** On a statement: by whom its amount is paid. */
  readonly paidBy: (name: string, invoice: string) => string;
  readonly payTo: string;
  readonly annex: string;
  readonly project: string;
  readonly meter: string;
  readonly day: string;
  readonly page: (n: number, of: number) => string;
  readonly continued: string;
  readonly taxInAccounting: (amount: string, rate: string, on: string) => string;
  readonly reasons: Readonly<Record<string, string>>;
  readonly usageTypes: Readonly<Record<UsageType, string>>;
};

const en: Wording = {
  invoice: "Invoice",
  creditNote: "Credit note",
  statement: "Statement",
  debitNote: "Debit note",
  number: "Number",
  issued: "Issued",
  due: "Due",
  period: "Period",
  billedTo: "Billed to",
  statementFor: "For",
  from: "From",
  vatId: "VAT ID",
  purchaseOrder: "Purchase order",
  reference: "Your reference",
  corrects: (number, on) => `Corrects invoice ${number} of ${on}`,
  item: "Item",
  quantity: "Quantity",
  rate: "Rate",
  amount: "Amount",
  tax: "Tax",
  subtotal: "Subtotal",
  allowances: "Discounts",
  net: "Total without tax",
  taxOn: (name, percent, base) => `${name} ${percent} on ${base}`,
  total: "Total",
  prepaid: "Already paid",
  amountDue: "Amount due",
  amountCredited: "Amount credited",
  sectionSum: (name) => `Subtotal ${name}`,
  paidBy: (name, invoice) => `Paid by ${name}, invoice ${invoice}`,
  payTo: "Pay to",
  annex: "Usage by project, meter and day",
  project: "Project",
  meter: "Meter",
  day: "Day",
  page: (n, of) => `Page ${n} of ${of}`,
  continued: "continued",
  taxInAccounting: (amount, rate, on) =>
    `Tax in accounting currency: ${amount} (rate ${rate} of ${on})`,
  reasons: {},
  usageTypes: {
    usage: "usage",
    prepaid: "prepaid",
    overage: "overage",
    allowance: "included",
    base: "plan",
    one_time: "one-time",
    feature: "feature",
    minimum: "minimum",
    discount: "discount",
    adjustment: "adjustment",
  },
};

const de: Wording = {
  invoice: "Rechnung",
  creditNote: "Gutschrift (Rechnungskorrektur)",
  statement: "Aufstellung",
  debitNote: "Nachbelastung",
  number: "Nummer",
  issued: "Rechnungsdatum",
  due: "Fällig am",
  period: "Leistungszeitraum",
  billedTo: "Rechnungsempfänger",
  statementFor: "Für",
  from: "Von",
  vatId: "USt-IdNr.",
  purchaseOrder: "Bestellnummer",
  reference: "Ihr Zeichen",
  corrects: (number, on) => `Korrigiert Rechnung ${number} vom ${on}`,
  item: "Position",
  quantity: "Menge",
  rate: "Preis",
  amount: "Betrag",
  tax: "Steuer",
  subtotal: "Zwischensumme",
  allowances: "Nachlässe",
  net: "Summe netto",
  taxOn: (name, percent, base) => `${name === "VAT" ? "USt." : name} ${percent} auf ${base}`,
  total: "Gesamtbetrag",
  prepaid: "Bereits bezahlt",
  amountDue: "Zahlbetrag",
  amountCredited: "Gutschriftbetrag",
  sectionSum: (name) => `Summe ${name}`,
  paidBy: (name, invoice) => `Zahlt ${name}, Rechnung ${invoice}`,
  payTo: "Zahlbar an",
  annex: "Verbrauch nach Projekt, Zähler und Tag",
  project: "Projekt",
  meter: "Zähler",
  day: "Tag",
  page: (n, of) => `Seite ${n} von ${of}`,
  continued: "Fortsetzung",
  taxInAccounting: (amount, rate, on) =>
    `Steuer in Buchungswährung: ${amount} (Kurs ${rate} vom ${on})`,
  reasons: {
    "Reverse charge": "Steuerschuldnerschaft des Leistungsempfängers",
    "Exempt from tax": "Steuerbefreit",
    "Export outside the EU": "Ausfuhr, steuerfrei",
    "Intra-community supply": "Innergemeinschaftliche Lieferung, steuerfrei",
    "Not subject to tax": "Nicht steuerbar",
  },
  usageTypes: {
    usage: "Verbrauch",
    prepaid: "Vorauszahlung",
    overage: "Mehrverbrauch",
    allowance: "enthalten",
    base: "Tarif",
    one_time: "einmalig",
    feature: "Funktion",
    minimum: "Mindestbetrag",
    discount: "Nachlass",
    adjustment: "Korrektur",
  },
};

export const wordingOf = (language: Language): Wording => (language === "de" ? de : en);

/** What a document is called. */
export function titleOf(words: Wording, kind: Paper["kind"]): string {
  switch (kind) {
    case "invoice":
      return words.invoice;
    case "credit_note":
      return words.creditNote;
    case "debit_note":
      return words.debitNote;
    case "statement":
      return words.statement;
  }
}

/** How the one is introduced whom it is about. */
export const buyerTitleOf = (words: Wording, kind: Paper["kind"]): string =>
  kind === "statement" ? words.statementFor : words.billedTo;

/** What its last sum is called. */
export const sumTitleOf = (words: Wording, kind: Paper["kind"]): string =>
  kind === "credit_note" ? words.amountCredited : words.amountDue;
