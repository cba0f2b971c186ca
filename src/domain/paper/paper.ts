import type { Currency } from "../../kit/currency.ts";
import type { Decimal } from "../../kit/decimal.ts";
import type { Money } from "../../kit/money.ts";
import type { Day } from "../../kit/time.ts";
import type { TaxCategory } from "../tax/index.ts";

/** Someone named on a document: the issuer, or the one who pays. */
export type Party = {
  readonly name: string;
  readonly street: string;
  readonly city: string;
  readonly postcode: string;
  readonly region: string | null;
  readonly country: string;
  readonly vatId: string | null;
  readonly registration: string | null;
  readonly email: string | null;
  readonly contact: string | null;
  /** Where electronic documents are sent: scheme of the EAS list ("0088", "EM") and the address in it. */
  readonly electronicAddress: { readonly scheme: string; readonly address: string } | null;
};

/** How the issuer looks: a partner's customers see the partner's name and colour, not the provider's. */
export type Brand = {
  readonly name: string;
  /** "#1f6feb" */
  readonly color: string;
  readonly footer: string;
};

export const usageTypes = [
  "usage",
  "prepaid",
  "overage",
  "allowance",
  "base",
  "one_time",
  "feature",
  "minimum",
  "discount",
  "adjustment",
] as const;
export type UsageType = (typeof usageTypes)[number];

export type PaperLine = {
  readonly no: number;
  readonly sku: string;
  readonly name: string;
  readonly usageType: UsageType;
  /** What a person needs beside the name: "usage of 2025-01", "paid 2025-01-10", the tier. */
  readonly note: string | null;
  /** The child account whose section this line belongs to; null on an ordinary invoice. */
  readonly section: string | null;
  readonly quantity: Decimal;
  readonly unit: string;
  /** Null when several rates make up the amount: the segments below tell them. */
  readonly rate: Decimal | null;
  readonly segments: readonly {
    readonly quantity: Decimal;
    readonly rate: Decimal;
    readonly amount: Decimal;
    readonly because: string;
  }[];
  readonly from: Day;
  /** The last day, inclusive: how people write periods. */
  readonly to: Day;
  readonly net: Money;
  readonly category: TaxCategory;
  readonly percent: Decimal;
};

export type PaperTax = {
  readonly category: TaxCategory;
  readonly name: string;
  readonly percent: Decimal;
  readonly taxable: Money;
  readonly tax: Money;
  readonly reason: string | null;
  readonly reasonCode: string | null;
};

/** Usage per project, meter and day: what the lines add up from. */
export type AnnexRow = {
  readonly project: string;
  readonly meter: string;
  readonly day: Day;
  readonly quantity: Decimal;
  readonly unit: string;
};

/**
 * One document, neutral of its form: PDF, HTML, CSV and UBL are renderings of the same value, so they cannot disagree.
 * All sums are given, none is worked out again by a renderer.
 */
export type Paper = {
  readonly kind: "invoice" | "credit_note" | "debit_note" | "statement";
  readonly language: "en" | "de";
  readonly number: string;
  readonly issuedOn: Day;
  readonly dueOn: Day | null;
  readonly periodFrom: Day;
  readonly periodTo: Day;
  readonly currency: Currency;
  readonly seller: Party;
  readonly buyer: Party;
  readonly brand: Brand;
  readonly purchaseOrder: string | null;
  readonly buyerReference: string | null;
  /** The document that a credit note corrects. */
  readonly corrects: { readonly number: string; readonly issuedOn: Day } | null;
  readonly paymentTerms: string | null;
  readonly payTo: {
    readonly iban: string;
    readonly bic: string | null;
    readonly holder: string;
  } | null;
  readonly lines: readonly PaperLine[];
  /** The accounts that a consolidated document is about, with what their lines come to. Empty on an ordinary one. */
  readonly sections: readonly {
    readonly name: string;
    /** Before tax, as the lines are. */
    readonly net: Money;
    readonly tax: Money;
    readonly gross: Money;
  }[];
  /** On a statement: who is asked for it, and by which invoice. */
  readonly paidBy: { readonly name: string; readonly invoice: string } | null;
  readonly allowances: readonly {
    readonly reason: string;
    readonly amount: Money;
    readonly category: TaxCategory;
    readonly percent: Decimal;
  }[];
  readonly taxes: readonly PaperTax[];
  readonly totals: {
    readonly lines: Money;
    readonly allowances: Money;
    readonly net: Money;
    readonly tax: Money;
    readonly gross: Money;
    readonly prepaid: Money;
    readonly due: Money;
  };
  /** The tax in the seller's accounting currency, with the rate and its day, when the document's currency is another. */
  readonly accounting: {
    readonly currency: Currency;
    readonly tax: Money;
    readonly rate: Decimal;
    readonly on: Day;
  } | null;
  readonly annex: readonly AnnexRow[];
  readonly notes: readonly string[];
};
