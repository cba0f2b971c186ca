import {
  type AnnexRow,
  type Paper,
  type PaperLine,
  type PaperTax,
  type Party,
} from "../../src/domain/paper/index.ts";
import { calculateTax, exemptionReasons, type TaxCategory } from "../../src/domain/tax/index.ts";
import { currency } from "../../src/kit/currency.ts";
import { type Decimal, decimal, multiply, zero } from "../../src/kit/decimal.ts";
import { minus, type Money, nothing, plus, sumMoney, toMoney } from "../../src/kit/money.ts";
import { addDays, dayOf } from "../../src/kit/time.ts";

/** Papers for looking at and for comparing: made here from a few choices, all sums by the product's own rules. */

const seller: Party = {
  name: "Northwind Metering ApS",
  street: "Vesterbrogade 14",
  city: "København V",
  postcode: "1620",
  region: null,
  country: "DK",
  vatId: "DK13585628",
  registration: "CVR 13585628",
  email: "billing@northwind.example",
  contact: "Billing",
  electronicAddress: { scheme: "0184", address: "DK13585628" },
};

const buyer: Party = {
  name: "Müller & Söhne Großhandel GmbH",
  street: "Lange Straße 7",
  city: "Stuttgart",
  postcode: "70173",
  region: null,
  country: "DE",
  vatId: "DE136695976",
  registration: null,
  email: "ap@mueller.example",
  contact: "Kreditorenbuchhaltung",
  electronicAddress: { scheme: "EM", address: "ap@mueller.example" },
};

export type SampleLine = {
  readonly name: string;
  readonly quantity: string;
  readonly rate: string | null;
  readonly net?: string;
  readonly category?: TaxCategory;
  readonly percent?: string;
  readonly section?: string;
};

export function samplePaper(options: {
  readonly currency?: string;
  readonly language?: "en" | "de";
  readonly kind?: Paper["kind"];
  readonly lines?: readonly SampleLine[];
  readonly annexDays?: number;
  readonly prepaid?: string;
}): Paper {
  const code = currency(options.currency ?? "EUR");
  const sign = options.kind === "credit_note" ? decimal("-1") : decimal("1");
  const given = options.lines ?? [{ name: "SMS, outgoing", quantity: "250", rate: "0.06" }];
  const lines = given.map((line, index): PaperLine => {
    const category = line.category ?? "S";
    const percent = category === "S" ? decimal(line.percent ?? "25") : zero;
    const quantity = decimal(line.quantity);
    const rate = line.rate === null ? null : decimal(line.rate);
    const exact = multiply(rate ? multiply(quantity, rate) : decimal(line.net ?? "0"), sign);
    const half: Decimal = decimal("0.5");
    return {
      no: index + 1,
      sku: `USAGE-${index + 1}`,
      name: line.name,
      usageType: "usage",
      note: null,
      section: line.section ?? null,
      quantity,
      unit: "SMS",
      rate,
      segments: rate
        ? []
        : [0, 1].map((n) => ({
            quantity: multiply(quantity, half),
            rate: decimal("0.0008"),
            amount: multiply(exact, half),
            because: n === 0 ? "up to 10,000" : "10,001 and more",
          })),
      from: dayOf("2025-01-01"),
      to: dayOf("2025-01-31"),
      net: toMoney(exact, code),
      category,
      percent,
    };
  });
  const tax = calculateTax(
    code,
    lines.map((line) => ({
      amount: line.net,
      category: line.category,
      components: line.category === "S" ? [{ name: "VAT", percent: line.percent }] : [],
    })),
  );
  const taxes = tax.groups.map((group): PaperTax => {
    const reason =
      group.category === "S" || group.category === "Z" ? null : exemptionReasons[group.category];
    return {
      category: group.category,
      name: "VAT",
      percent: group.percent,
      taxable: group.taxable,
      tax: group.tax,
      reason: reason?.text ?? null,
      reasonCode: reason?.code ?? null,
    };
  });
  const prepaid = options.prepaid ? toMoney(decimal(options.prepaid), code) : nothing(code);
  return {
    kind: options.kind ?? "invoice",
    language: options.language ?? "en",
    number: "2025-000042",
    issuedOn: dayOf("2025-02-04"),
    dueOn: options.kind === "credit_note" ? null : dayOf("2025-03-06"),
    periodFrom: dayOf("2025-01-01"),
    periodTo: dayOf("2025-01-31"),
    currency: code,
    seller,
    buyer,
    brand: {
      name: "Northwind Metering",
      color: "#0b5cad",
      footer: "Northwind Metering ApS · CVR 13585628 · billing@northwind.example",
    },
    purchaseOrder: "PO-4471",
    buyerReference: null,
    corrects:
      options.kind === "credit_note"
        ? { number: "2025-000040", issuedOn: dayOf("2025-02-01") }
        : null,
    paymentTerms:
      options.kind === "credit_note"
        ? null
        : options.language === "de"
          ? "Zahlbar innerhalb von 30 Tagen ohne Abzug."
          : "Payable within 30 days.",
    payTo:
      options.kind === "credit_note"
        ? null
        : { iban: "DK5000400440116243", bic: "NDEADKKK", holder: "Northwind Metering ApS" },
    lines,
    sections: sectionsOf(
      lines,
      tax.lines.map((line) => line.tax),
    ),
    paidBy: null,
    allowances: [],
    taxes,
    totals: {
      lines: sumMoney(
        code,
        lines.map((line) => line.net),
      ),
      allowances: nothing(code),
      net: tax.net,
      tax: tax.tax,
      gross: tax.gross,
      prepaid,
      due: minus(tax.gross, prepaid),
    },
    accounting: null,
    annex: Array.from(
      { length: options.annexDays ?? 0 },
      (_, i): AnnexRow => ({
        project: i % 2 === 0 ? "web" : "api",
        meter: "sms-sent",
        day: addDays(dayOf("2025-01-01"), i % 31),
        quantity: decimal(String(1000 + i * 7)),
        unit: "SMS",
      }),
    ),
    notes: [],
  };
}

function sectionsOf(lines: readonly PaperLine[], taxes: readonly Money[]): Paper["sections"] {
  const names = [...new Set(lines.flatMap((line) => line.section ?? []))];
  return names.map((name) => {
    const mine = lines
      .map((line, i) => ({ line, tax: taxes[i] }))
      .filter((one) => one.line.section === name);
    const code = (mine[0] as (typeof mine)[0]).line.net.currency;
    const net = sumMoney(
      code,
      mine.map((one) => one.line.net),
    );
    const tax = sumMoney(
      code,
      mine.map((one) => one.tax ?? nothing(code)),
    );
    return { name, net, tax, gross: plus(net, tax) };
  });
}
