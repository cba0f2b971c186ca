import {
  consolidate,
  type Draft,
  draft,
  type InvoicedAccount,
  type Parties,
} from "../../src/domain/invoicing/index.ts";
import { unconfiguredEntity } from "../../src/domain/tax/index.ts";
import { currency } from "../../src/kit/currency.ts";
import { decimal, one } from "../../src/kit/decimal.ts";
import { dayOf, formatInstant, instant } from "../../src/kit/time.ts";

/** A payer and the accounts it pays for, each with charges of these amounts, on one document. */

const period = {
  startsAt: instant("2025-01-01T00:00:00Z"),
  endsAt: instant("2025-02-01T00:00:00Z"),
};

/** A buyer in Denmark, taxed at `percent`; untaxed when left out. */
export const danish = (percent?: string, pricesIncludeTax = false): Parties => ({
  issuer: {
    ...unconfiguredEntity,
    country: "DK",
    vatId: "DK13585628",
    tax: percent === undefined ? "none" : "collects",
    pricesIncludeTax,
  },
  rates:
    percent === undefined
      ? []
      : [
          {
            country: "DK",
            region: null,
            productClass: "standard",
            name: "VAT",
            percent: decimal(percent),
            from: dayOf("2020-01-01"),
            until: null,
          },
        ],
  buyer: {
    name: "Globex",
    street: "",
    city: "",
    postcode: "",
    email: null,
    purchaseOrder: null,
    language: "en",
    tax: {
      place: { country: "DK", region: null },
      vatId: null,
      vatIdValid: false,
      exemption: null,
    },
  },
});

const account = (slug: string, code: string): InvoicedAccount => ({
  orgId: "org_1",
  accountId: `acc_${slug}`,
  slug,
  name: slug,
  currency: currency(code),
  calendar: { timeZone: "UTC", invoiceDay: 1, cycle: "month" },
  netDays: 30,
  legalEntity: "main",
  finalizationHours: 72,
  lateUsage: "next_invoice",
  zeroInvoices: false,
});

export function draftOf(
  slug: string,
  amounts: readonly string[],
  parties: Parties,
  code = "USD",
): Draft {
  return draft({
    account: account(slug, code),
    period,
    expected: amounts.map((amount, i) => ({
      cause: `fee:${i}:${formatInstant(period.startsAt)}`,
      usageType: "base",
      skuCode: `FEE-${i}`,
      description: `Fee ${i}`,
      meterKey: null,
      unit: "period",
      period,
      quantity: one,
      unrounded: decimal(amount),
      segments: [
        {
          quantity: one,
          unitAmount: decimal(amount),
          amount: decimal(amount),
          because: "",
          dimensions: "{}",
          priceId: null,
          slice: period,
        },
      ],
      measured: [],
    })),
    existing: [],
    offers: [],
    priceBook: "retail",
    bindings: [],
    parties,
    watermark: { seq: 0n },
  });
}

/** The document of `parent` for its own charges and those of its children, named 1, 2, 3 … */
export const aFamily = (
  own: readonly string[],
  children: readonly (readonly string[])[],
  parties: Parties,
  code = "USD",
): Draft =>
  consolidate(
    draftOf("parent", own, parties, code),
    children.map((amounts, i) => draftOf(`child-${i + 1}`, amounts, parties, code)),
    parties,
  );
