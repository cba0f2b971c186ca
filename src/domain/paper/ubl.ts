import {
  absolute,
  type Decimal,
  decimal,
  divide,
  equal,
  formatDecimal,
  isNegative,
  isZero,
  multiply,
  round,
} from "../../kit/decimal.ts";
import { formatMoney, type Money, negated, toDecimal, toMoney } from "../../kit/money.ts";
import { isTaxed } from "../tax/index.ts";
import type { UblTree } from "./en16931-rules.ts";
import type { Paper, PaperLine, Party } from "./paper.ts";

/** Peppol BIS Billing 3.0, a usage specification of EN 16931. */
const customization = "urn:cen.eu:en16931:2017#compliant#urn:fdc:peppol.eu:2017:poacc:billing:3.0";
const profile = "urn:fdc:peppol.eu:2017:poacc:billing:01:1.0";

/** Why a document cannot be written as EN 16931; empty when it can. */
export function ublObstacles(paper: Paper): string[] {
  if (paper.kind === "statement")
    return [`it is a statement: ${paper.paidBy?.invoice ?? "another invoice"} asks for its money`];
  const obstacles: string[] = [];
  const decimals = formatMoney(paper.totals.due).split(".")[1]?.length ?? 0;
  if (decimals > 2)
    obstacles.push(`${paper.currency} has ${decimals} decimals and EN 16931 allows two (BR-DEC)`);
  if (!hasVat(paper) && !paper.seller.registration)
    obstacles.push("the issuer has no registration number, and no VAT id may be named (BR-CO-26)");
  if (!paper.seller.vatId && hasVat(paper)) obstacles.push("the issuer has no VAT id (BR-S-02)");
  if (!paper.buyer.vatId && paper.taxes.some((tax) => tax.category === "AE"))
    obstacles.push("the buyer has no VAT id (BR-AE-02)");
  if (!paper.buyer.electronicAddress)
    obstacles.push("the buyer has no electronic address (PEPPOL-EN16931-R010)");
  if (!paper.seller.electronicAddress)
    obstacles.push("the issuer has no electronic address (PEPPOL-EN16931-R020)");
  if (!paper.purchaseOrder && !paper.buyerReference)
    obstacles.push("there is neither a purchase order nor a buyer reference (PEPPOL-EN16931-R003)");
  if (!paper.buyer.country) obstacles.push("the buyer has no country (BR-11)");
  if (!paper.seller.country) obstacles.push("the issuer has no country (BR-09)");
  if (paper.lines.length === 0) obstacles.push("there is no line (BR-16)");
  return obstacles;
}

/** Whether VAT has anything to do with the document; where not, no VAT id may be named (BR-O-02). */
const hasVat = (paper: Paper): boolean => !paper.taxes.some((tax) => tax.category === "O");

// UNTDID 1001, as far as EN 16931 has it.
const typeCodes: Readonly<Record<Paper["kind"], string>> = {
  invoice: "380",
  credit_note: "381",
  debit_note: "383",
  // Never asked for: a statement has no electronic form (`ublObstacles`).
  statement: "380",
};

/** The document in the member names of UBL 2.1, prefixes and attributes as the writer wants them ("cbc:ID@schemeID"). */
export function paperAsUbl(paper: Paper): Record<string, unknown> {
  const money = (amount: Money) =>
    formatMoney(paper.kind === "credit_note" ? negated(amount) : amount);
  const currencyOf = (name: string, amount: Money) => ({
    [name]: money(amount),
    [`${name}@currencyID`]: amount.currency,
  });
  const taxTotals = [
    {
      ...currencyOf("cbc:TaxAmount", paper.totals.tax),
      "cac:TaxSubtotal": paper.taxes.map((tax) => ({
        ...currencyOf("cbc:TaxableAmount", tax.taxable),
        ...currencyOf("cbc:TaxAmount", tax.tax),
        "cac:TaxCategory": {
          ...taxCategory(tax.category, tax.percent),
          ...(tax.reasonCode ? { "cbc:TaxExemptionReasonCode": tax.reasonCode } : {}),
          ...(tax.reason ? { "cbc:TaxExemptionReason": tax.reason } : {}),
          "cac:TaxScheme": { "cbc:ID": "VAT" },
        },
      })),
    },
    ...(paper.accounting ? [currencyOf("cbc:TaxAmount", paper.accounting.tax)] : []),
  ];

  return {
    "cbc:CustomizationID": customization,
    "cbc:ProfileID": profile,
    "cbc:ID": paper.number,
    "cbc:IssueDate": paper.issuedOn,
    ...(paper.dueOn && paper.kind !== "credit_note" ? { "cbc:DueDate": paper.dueOn } : {}),
    "cbc:InvoiceTypeCode": typeCodes[paper.kind],
    ...(paper.notes.length > 0 ? { "cbc:Note": [paper.notes.join(" ")] } : {}),
    "cbc:DocumentCurrencyCode": paper.currency,
    ...(paper.accounting ? { "cbc:TaxCurrencyCode": paper.accounting.currency } : {}),
    ...(paper.buyerReference ? { "cbc:BuyerReference": paper.buyerReference } : {}),
    "cac:InvoicePeriod": { "cbc:StartDate": paper.periodFrom, "cbc:EndDate": paper.periodTo },
    ...(paper.purchaseOrder ? { "cac:OrderReference": { "cbc:ID": paper.purchaseOrder } } : {}),
    ...(paper.corrects
      ? {
          "cac:BillingReference": [
            {
              "cac:InvoiceDocumentReference": {
                "cbc:ID": paper.corrects.number,
                "cbc:IssueDate": paper.corrects.issuedOn,
              },
            },
          ],
        }
      : {}),
    "cac:AccountingSupplierParty": { "cac:Party": party(paper.seller, "seller", hasVat(paper)) },
    "cac:AccountingCustomerParty": { "cac:Party": party(paper.buyer, "buyer", hasVat(paper)) },
    ...(paper.payTo
      ? {
          "cac:PaymentMeans": [
            {
              "cbc:PaymentMeansCode": "30",
              "cbc:PaymentID": paper.number,
              "cac:PayeeFinancialAccount": {
                "cbc:ID": paper.payTo.iban,
                "cbc:Name": paper.payTo.holder,
                ...(paper.payTo.bic
                  ? { "cac:FinancialInstitutionBranch": { "cbc:ID": paper.payTo.bic } }
                  : {}),
              },
            },
          ],
        }
      : {}),
    ...(paper.paymentTerms ? { "cac:PaymentTerms": { "cbc:Note": paper.paymentTerms } } : {}),
    ...(paper.allowances.length > 0
      ? {
          "cac:AllowanceCharge": paper.allowances.map((one) => ({
            "cbc:ChargeIndicator": "false",
            "cbc:AllowanceChargeReason": one.reason,
            ...currencyOf("cbc:Amount", one.amount),
            "cac:TaxCategory": {
              ...taxCategory(one.category, one.percent),
              "cac:TaxScheme": { "cbc:ID": "VAT" },
            },
          })),
        }
      : {}),
    "cac:TaxTotal": taxTotals,
    "cac:LegalMonetaryTotal": {
      ...currencyOf("cbc:LineExtensionAmount", paper.totals.lines),
      ...currencyOf("cbc:TaxExclusiveAmount", paper.totals.net),
      ...currencyOf("cbc:TaxInclusiveAmount", paper.totals.gross),
      ...(paper.allowances.length > 0
        ? currencyOf("cbc:AllowanceTotalAmount", paper.totals.allowances)
        : {}),
      ...(paper.totals.prepaid.minor !== 0n
        ? currencyOf("cbc:PrepaidAmount", paper.totals.prepaid)
        : {}),
      ...currencyOf("cbc:PayableAmount", paper.totals.due),
    },
    "cac:InvoiceLine": paper.lines.map((line) => invoiceLine(paper, line)),
  };
}

function invoiceLine(paper: Paper, line: PaperLine): Record<string, unknown> {
  const net = paper.kind === "credit_note" ? negated(line.net) : line.net;
  const { quantity, price, base } = priceOf(net, line);
  return {
    "cbc:ID": String(line.no),
    ...noteOf(line),
    "cbc:InvoicedQuantity": formatDecimal(quantity),
    "cbc:InvoicedQuantity@unitCode": "C62",
    "cbc:LineExtensionAmount": formatMoney(net),
    "cbc:LineExtensionAmount@currencyID": net.currency,
    "cac:InvoicePeriod": {
      "cbc:StartDate": line.from < paper.periodFrom ? paper.periodFrom : line.from,
      "cbc:EndDate": line.to > paper.periodTo ? paper.periodTo : line.to,
    },
    "cac:Item": {
      "cbc:Description": `${line.usageType}, ${line.unit}`,
      "cbc:Name": line.name,
      "cac:SellersItemIdentification": { "cbc:ID": line.sku },
      "cac:ClassifiedTaxCategory": {
        ...taxCategory(line.category, line.percent),
        "cac:TaxScheme": { "cbc:ID": "VAT" },
      },
    },
    "cac:Price": {
      "cbc:PriceAmount": formatMoney(price),
      "cbc:PriceAmount@currencyID": net.currency,
      ...(base
        ? { "cbc:BaseQuantity": formatDecimal(base), "cbc:BaseQuantity@unitCode": "C62" }
        : {}),
    },
  };
}

/** The standard has no sections: the account that a line is about is said in its note (BT-127). */
function noteOf({ section, note }: PaperLine): Record<string, unknown> {
  const text = [section, note].filter((part) => part !== null).join(": ");
  return text === "" ? {} : { "cbc:Note": text };
}

/**
 * Quantity, price and base quantity with quantity × price ÷ base = net. The writer takes prices of two decimals only, so a
 * rate of 0.0015 becomes 1.50 per 1,000; where several tiers make up the amount, the base is the quantity itself and the
 * price the whole net. Prices may not be negative (BR-27): the quantity carries the sign.
 */
function priceOf(
  net: Money,
  line: PaperLine,
): { quantity: Decimal; price: Money; base: Decimal | null } {
  const size = net.minor < 0n ? negated(net) : net;
  const sign = net.minor < 0n ? decimal("-1") : decimal("1");
  const count = absolute(line.quantity);
  if (isZero(count)) return { quantity: sign, price: size, base: null };
  if (line.rate && !isNegative(line.rate)) {
    for (let power = 0; power <= 9; power++) {
      const base = decimal(`1${"0".repeat(power)}`);
      const price = multiply(line.rate, base);
      const exact = toDecimal(toMoney(price, net.currency));
      if (!equal(exact, price)) continue;
      if (!equal(round(divide(multiply(count, price), base), 2), round(toDecimal(size), 2))) break;
      return {
        quantity: multiply(count, sign),
        price: toMoney(price, net.currency),
        base: power === 0 ? null : base,
      };
    }
  }
  return { quantity: multiply(count, sign), price: size, base: count };
}

function taxCategory(category: PaperLine["category"], percent: Decimal): Record<string, unknown> {
  if (category === "O") return { "cbc:ID": "O" };
  return { "cbc:ID": category, "cbc:Percent": isTaxed(category) ? formatDecimal(percent) : "0" };
}

function party(one: Party, role: "seller" | "buyer", withTaxId: boolean): Record<string, unknown> {
  const taxScheme = { "cbc:CompanyID": one.vatId, "cac:TaxScheme": { "cbc:ID": "VAT" } };
  return {
    ...(one.electronicAddress
      ? {
          "cbc:EndpointID": one.electronicAddress.address,
          "cbc:EndpointID@schemeID": one.electronicAddress.scheme,
        }
      : {}),
    "cac:PartyName": { "cbc:Name": one.name },
    "cac:PostalAddress": {
      ...(one.street ? { "cbc:StreetName": one.street } : {}),
      ...(one.city ? { "cbc:CityName": one.city } : {}),
      ...(one.postcode ? { "cbc:PostalZone": one.postcode } : {}),
      ...(one.region ? { "cbc:CountrySubentity": one.region } : {}),
      "cac:Country": { "cbc:IdentificationCode": one.country },
    },
    // The writer takes a list of registrations from a seller and one from a buyer.
    ...(one.vatId && withTaxId
      ? { "cac:PartyTaxScheme": role === "seller" ? [taxScheme] : taxScheme }
      : {}),
    "cac:PartyLegalEntity": {
      "cbc:RegistrationName": one.name,
      ...(one.registration ? { "cbc:CompanyID": one.registration } : {}),
    },
    ...(one.contact || one.email
      ? {
          "cac:Contact": {
            ...(one.contact ? { "cbc:Name": one.contact } : {}),
            ...(one.email ? { "cbc:ElectronicMail": one.email } : {}),
          },
        }
      : {}),
  };
}

/** The same document as the tree that `brokenRules` reads: prefixes dropped, currencies joined to their amounts. */
export function ublTree(value: Record<string, unknown>): UblTree {
  const tree: Record<string, UblTree[string]> = {};
  for (const [name, child] of Object.entries(value)) {
    if (name.includes("@")) continue;
    const bare = name.replace(/^c[ab]c:/, "");
    const code = value[`${name}@currencyID`];
    tree[bare] =
      typeof child === "string"
        ? typeof code === "string"
          ? `${child}@${code}`
          : child
        : Array.isArray(child)
          ? child.map((item) =>
              typeof item === "string" ? item : ublTree(item as Record<string, unknown>),
            )
          : ublTree(child as Record<string, unknown>);
  }
  return tree;
}
