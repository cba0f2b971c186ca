import { isCurrency, minorDigits } from "../../kit/currency.ts";
import {
  absolute,
  add,
  type Decimal,
  decimal,
  divide,
  equal,
  formatDecimal,
  isPositive,
  isZero,
  multiply,
  negate,
  one,
  round,
  subtract,
  sumOf,
  zero,
} from "../../kit/decimal.ts";

/**
 * A UBL document as a tree of names without prefixes; an amount is "12.50@EUR" or "12.50". One child or a list of them.
 */
export type UblTree = { readonly [name: string]: UblValue };
export type UblValue = string | UblTree | readonly UblValue[] | undefined;

export type RuleId =
  | "BR-CO-03"
  | "BR-CO-04"
  | "BR-CO-09"
  | "BR-CO-18"
  | "BR-CO-25"
  | "BR-CO-26"
  // For each of the untaxed categories, and zero: the detail names the rule, as in BR-AE-02.
  | "BR-*-01"
  | "BR-*-02"
  | "BR-*-05"
  | "BR-*-08"
  | "BR-*-09"
  | "BR-Z-10"
  | "BR-O-11"
  | "BR-53"
  | "BR-CO-10"
  | "BR-CO-11"
  | "BR-CO-12"
  | "BR-CO-13"
  | "BR-CO-14"
  | "BR-CO-15"
  | "BR-CO-16"
  | "BR-CO-17"
  | "BR-DEC"
  | "BR-S-08"
  | "BR-S-09"
  | "BR-E-10"
  | "PEPPOL-EN16931-R040"
  | "PEPPOL-EN16931-R046"
  | "PEPPOL-EN16931-R120";

/**
 * `validator` gives the official verdict, tolerances included (CO-17, S-08 and S-09 let a difference below 1.00 pass);
 * `exact` is what we ask of our own documents.
 */
export type Strictness = "validator" | "exact";

const hundred = decimal("100");

/** Two decimals, or fewer where the currency has fewer: tax in yen is whole yen, and the official tolerance allows it. */
function digitsOf(doc: UblTree): number {
  const code = text(doc["DocumentCurrencyCode"]);
  return code && isCurrency(code) ? Math.min(2, minorDigits(code)) : 2;
}

/** The arithmetic rules of EN 16931 (and three of Peppol BIS 3.0) that a document breaks, each in a sentence. */
export function brokenRules(
  document: UblTree,
  strictness: Strictness = "exact",
): { rule: RuleId; detail: string }[] {
  return (Object.keys(rules) as RuleId[]).flatMap((rule) =>
    rules[rule](document, strictness).map((detail) => ({ rule, detail })),
  );
}

/** Whether a document keeps one rule. */
export const keepsRule = (rule: RuleId, document: UblTree, strictness: Strictness): boolean =>
  rules[rule](document, strictness).length === 0;

/** A sentence per violation. */
type Rule = (document: UblTree, strictness: Strictness) => string[];

const rules: Record<RuleId, Rule> = {
  "BR-CO-03": (doc) =>
    doc["TaxPointDate"] !== undefined &&
    list(doc["InvoicePeriod"])[0]?.["DescriptionCode"] !== undefined
      ? ["a tax point date and a code for it exclude each other"]
      : [],
  "BR-CO-04": (doc) =>
    lines(doc)
      .filter((line) => text(lineTax(line)?.["ID"]) === undefined)
      .map((line) => `line ${text(line["ID"])} has no tax category`),
  "BR-CO-09": (doc) =>
    ["AccountingSupplierParty", "AccountingCustomerParty"]
      .flatMap((role) => vatIds(doc, role))
      .filter((id) => !/^[A-Z]{2}/.test(id))
      .map((id) => `VAT id ${id} does not begin with a country`),
  "BR-CO-18": (doc) => (subtotals(doc).length > 0 ? [] : ["there is no tax breakdown"]),
  "BR-CO-25": (doc) =>
    isPositive(total(doc, "PayableAmount")) &&
    doc["DueDate"] === undefined &&
    list(doc["PaymentTerms"]).every((terms) => terms["Note"] === undefined) &&
    // A credit note is paid to the buyer; Peppol asks nothing of it.
    doc["InvoiceTypeCode"] !== "381"
      ? ["something is due, and neither a day nor terms say when"]
      : [],
  "BR-CO-26": (doc) =>
    vatIds(doc, "AccountingSupplierParty").length > 0 ||
    list(party(doc, "AccountingSupplierParty")["PartyLegalEntity"])[0]?.["CompanyID"] !== undefined
      ? []
      : ["the seller has neither a VAT id nor a registration"],
  "BR-*-01": (doc) =>
    plainCategories.flatMap((id) => {
      const used = usedIn(doc, id);
      const parts = breakdowns(doc, id).length;
      return used === parts > 0 && parts <= 1
        ? []
        : [`BR-${id}-01: category ${id} has ${parts} breakdowns${used ? "" : " and no line"}`];
    }),
  "BR-*-02": (doc) => [
    ...["S", "Z", "E", "AE", "G", "K"]
      .filter((id) => usedIn(doc, id) && vatIds(doc, "AccountingSupplierParty").length === 0)
      .map((id) => `BR-${id}-02: the seller has no VAT id`),
    ...["AE", "K"]
      .filter((id) => usedIn(doc, id) && vatIds(doc, "AccountingCustomerParty").length === 0)
      .map((id) => `BR-${id}-02: the buyer has no VAT id`),
    ...["AccountingSupplierParty", "AccountingCustomerParty"]
      .filter((role) => usedIn(doc, "O") && vatIds(doc, role).length > 0)
      .map((role) => `BR-O-02: ${role} has a VAT id where nothing is subject to VAT`),
  ],
  "BR-*-05": (doc) =>
    [...lines(doc).map(lineTax), ...subtotals(doc).map(category)].flatMap((tax) => {
      const id = text(tax?.["ID"]) ?? "";
      const percent = text(tax?.["Percent"]);
      if (id === "O") return percent === undefined ? [] : ["BR-O-05: a rate where there is no VAT"];
      if (!plainCategories.includes(id)) return [];
      return percent !== undefined && isZero(decimal(percent))
        ? []
        : [`BR-${id}-05: the rate is ${percent ?? "missing"} instead of 0`];
    }),
  "BR-*-08": (doc) =>
    plainCategories.flatMap((id) =>
      breakdowns(doc, id).flatMap((part) =>
        sums(
          amount(part["TaxableAmount"]),
          taxableOf(doc, id, "0"),
          `sum of lines and adjustments in ${id} (BR-${id}-08)`,
          true,
        ),
      ),
    ),
  "BR-*-09": (doc) =>
    plainCategories.flatMap((id) =>
      breakdowns(doc, id)
        .filter((part) => !isZero(amount(part["TaxAmount"])))
        .map((part) => `BR-${id}-09: tax ${text(part["TaxAmount"])} instead of none`),
    ),
  "BR-Z-10": (doc) =>
    breakdowns(doc, "Z")
      .filter(
        (part) =>
          category(part)["TaxExemptionReason"] !== undefined ||
          category(part)["TaxExemptionReasonCode"] !== undefined,
      )
      .map(() => "the zero rate gives a reason as if it were an exemption"),
  "BR-O-11": (doc) =>
    breakdowns(doc, "O").length > 0 && subtotals(doc).length > 1
      ? ["what is not subject to VAT stands beside what is"]
      : [],
  "BR-53": (doc) => {
    const code = text(doc["TaxCurrencyCode"]);
    if (code === undefined) return [];
    return list(doc["TaxTotal"]).some((tax) => currencyOf(tax["TaxAmount"]) === code)
      ? []
      : [`there is no total tax in the accounting currency ${code}`];
  },
  "BR-CO-10": (doc) =>
    sums(
      total(doc, "LineExtensionAmount"),
      sumOf(lines(doc).map((line) => amount(line["LineExtensionAmount"]))),
      "sum of line net amounts",
      lines(doc).length > 0,
    ),
  "BR-CO-11": (doc) =>
    sums(
      total(doc, "AllowanceTotalAmount"),
      adjustments(doc, "false"),
      "sum of document allowances",
      has(doc, "AllowanceTotalAmount"),
    ),
  "BR-CO-12": (doc) =>
    sums(
      total(doc, "ChargeTotalAmount"),
      adjustments(doc, "true"),
      "sum of document charges",
      has(doc, "ChargeTotalAmount"),
    ),
  "BR-CO-13": (doc) =>
    sums(
      total(doc, "TaxExclusiveAmount"),
      add(
        subtract(total(doc, "LineExtensionAmount"), total(doc, "AllowanceTotalAmount")),
        total(doc, "ChargeTotalAmount"),
      ),
      "lines − allowances + charges",
      has(doc, "TaxExclusiveAmount"),
    ),
  "BR-CO-14": (doc) =>
    list(doc["TaxTotal"])
      .filter((tax) => list(tax["TaxSubtotal"]).length > 0)
      .flatMap((tax) =>
        sums(
          amount(tax["TaxAmount"]),
          sumOf(list(tax["TaxSubtotal"]).map((part) => amount(part["TaxAmount"]))),
          "sum of category taxes",
          true,
        ),
      ),
  "BR-CO-15": (doc) => {
    const code = doc["DocumentCurrencyCode"];
    const here = (value: UblValue) => currencyOf(value) === undefined || currencyOf(value) === code;
    const own = list(doc["TaxTotal"]).filter((tax) => here(tax["TaxAmount"]));
    const monetary = list(doc["LegalMonetaryTotal"])[0];
    if (!monetary) return [];
    if (own.length !== 1)
      return [`${own.length} tax totals are in the document currency instead of one`];
    if (!here(monetary["TaxInclusiveAmount"])) return ["the total with tax is in another currency"];
    return sums(
      amount(monetary["TaxInclusiveAmount"]),
      add(amount(monetary["TaxExclusiveAmount"]), amount(own[0]?.["TaxAmount"])),
      "total without tax + tax",
      true,
    );
  },
  "BR-CO-16": (doc) =>
    sums(
      total(doc, "PayableAmount"),
      add(
        subtract(total(doc, "TaxInclusiveAmount"), total(doc, "PrepaidAmount")),
        total(doc, "PayableRoundingAmount"),
      ),
      "total with tax − paid + rounding",
      has(doc, "PayableAmount"),
    ),
  "BR-CO-17": (doc, strictness) =>
    subtotals(doc).flatMap((part) => {
      const percent = decimal(text(category(part)["Percent"]) ?? "0");
      // The official rule takes a rate that rounds to nothing for the zero rate.
      const expected =
        strictness === "validator" && isZero(round(percent, 0))
          ? zero
          : round(divide(multiply(amount(part["TaxableAmount"]), percent), hundred), digitsOf(doc));
      return near(
        amount(part["TaxAmount"]),
        expected,
        strictness === "exact" || isZero(round(percent, 0)) ? zero : one,
        `${text(part["TaxableAmount"])} at ${formatDecimal(percent)} %`,
      );
    }),
  "BR-DEC": (doc) =>
    amountsOf(doc)
      .filter(({ name, plain }) => name !== "PriceAmount" && (plain.split(".")[1]?.length ?? 0) > 2)
      .map(({ name, plain }) => `${name} ${plain} has more than two decimals`),
  "BR-S-08": (doc, strictness) =>
    subtotals(doc)
      .filter((part) => text(category(part)["ID"]) === "S")
      .flatMap((part) =>
        near(
          amount(part["TaxableAmount"]),
          taxableOf(doc, "S", text(category(part)["Percent"]) ?? "0"),
          strictness === "exact" ? zero : one,
          `lines and adjustments in S at ${text(category(part)["Percent"])} %`,
        ),
      ),
  "BR-S-09": (doc, strictness) =>
    subtotals(doc)
      .filter((part) => text(category(part)["ID"]) === "S")
      .flatMap((part) => {
        const percent = decimal(text(category(part)["Percent"]) ?? "0");
        const expected = round(
          divide(multiply(amount(part["TaxableAmount"]), percent), hundred),
          digitsOf(doc),
        );
        return near(
          amount(part["TaxAmount"]),
          expected,
          strictness === "exact" ? zero : one,
          `taxable amount at ${formatDecimal(percent)} %`,
        );
      }),
  "BR-E-10": (doc) =>
    subtotals(doc)
      .filter((part) => ["E", "AE", "K", "G", "O"].includes(text(category(part)["ID"]) ?? ""))
      .filter(
        (part) =>
          !category(part)["TaxExemptionReason"] && !category(part)["TaxExemptionReasonCode"],
      )
      .map((part) => `category ${text(category(part)["ID"])} gives no reason why there is no tax`),
  "PEPPOL-EN16931-R040": (doc) =>
    [
      ...list(doc["AllowanceCharge"]),
      ...lines(doc).flatMap((line) => list(line["AllowanceCharge"])),
    ]
      .filter(
        (one_) => one_["MultiplierFactorNumeric"] !== undefined && one_["BaseAmount"] !== undefined,
      )
      .flatMap((one_) =>
        within(
          amount(one_["Amount"]),
          divide(
            multiply(amount(one_["BaseAmount"]), amount(one_["MultiplierFactorNumeric"])),
            hundred,
          ),
          "base × percentage",
        ),
      ),
  "PEPPOL-EN16931-R046": (doc) =>
    lines(doc).flatMap((line) => {
      const price = list(line["Price"])[0];
      const discount = list(price?.["AllowanceCharge"])[0];
      if (!price || !discount || discount["BaseAmount"] === undefined) return [];
      return sums(
        amount(price["PriceAmount"]),
        subtract(amount(discount["BaseAmount"]), amount(discount["Amount"])),
        "gross price − discount",
        true,
      );
    }),
  "PEPPOL-EN16931-R120": (doc) =>
    lines(doc).flatMap((line) => {
      const price = list(line["Price"])[0];
      if (!price) return [];
      const quantity = amount(line["InvoicedQuantity"] ?? line["CreditedQuantity"]);
      const base = amount(price["BaseQuantity"] ?? "1");
      const extras = sumOf(
        list(line["AllowanceCharge"]).map((one_) =>
          text(one_["ChargeIndicator"]) === "true"
            ? amount(one_["Amount"])
            : negate(amount(one_["Amount"])),
        ),
      );
      const expected = add(divide(multiply(quantity, amount(price["PriceAmount"])), base), extras);
      return within(
        amount(line["LineExtensionAmount"]),
        round(expected, 2),
        `line ${text(line["ID"])}: quantity × price`,
      );
    }),
};

function sums(given: Decimal, expected: Decimal, what: string, applies: boolean): string[] {
  return !applies || equal(given, expected)
    ? []
    : [`${formatDecimal(given)} stands where the ${what} is ${formatDecimal(expected)}`];
}

/** Differs by less than the tolerance (zero: not at all). */
function near(given: Decimal, expected: Decimal, tolerance: Decimal, what: string): string[] {
  const off = absolute(subtract(given, expected));
  return isZero(off) || off.lessThan(tolerance)
    ? []
    : [`${formatDecimal(given)} stands where ${what} is ${formatDecimal(expected)}`];
}

/** Differs by at most 0.02, Peppol's tolerance. */
function within(given: Decimal, expected: Decimal, what: string): string[] {
  return absolute(subtract(given, expected)).lessThanOrEqualTo("0.02")
    ? []
    : [`${formatDecimal(given)} stands where ${what} is ${formatDecimal(expected)}`];
}

function taxableOf(doc: UblTree, id: string, percent: string): Decimal {
  const same = (tax: UblTree | undefined) =>
    tax !== undefined &&
    text(tax["ID"]) === id &&
    equal(decimal(text(tax["Percent"]) ?? "0"), decimal(percent));
  const fromLines = lines(doc)
    .filter((line) => same(list(list(line["Item"])[0]?.["ClassifiedTaxCategory"])[0]))
    .map((line) => amount(line["LineExtensionAmount"]));
  const fromAdjustments = list(doc["AllowanceCharge"])
    .filter((one_) => same(list(one_["TaxCategory"])[0]))
    .map((one_) =>
      text(one_["ChargeIndicator"]) === "true"
        ? amount(one_["Amount"])
        : negate(amount(one_["Amount"])),
    );
  return sumOf([...fromLines, ...fromAdjustments]);
}

/** Every category in which no tax is due. */
const plainCategories: readonly string[] = ["Z", "E", "AE", "G", "K", "O"];

const lineTax = (line: UblTree): UblTree | undefined =>
  list(list(line["Item"])[0]?.["ClassifiedTaxCategory"])[0];
const usedIn = (doc: UblTree, id: string): boolean =>
  lines(doc).some((line) => text(lineTax(line)?.["ID"]) === id) ||
  list(doc["AllowanceCharge"]).some((one_) => text(list(one_["TaxCategory"])[0]?.["ID"]) === id);
const breakdowns = (doc: UblTree, id: string) =>
  subtotals(doc).filter((part) => text(category(part)["ID"]) === id);
const party = (doc: UblTree, role: string): UblTree => list(list(doc[role])[0]?.["Party"])[0] ?? {};
const vatIds = (doc: UblTree, role: string): string[] =>
  list(party(doc, role)["PartyTaxScheme"])
    .filter((scheme) => text(list(scheme["TaxScheme"])[0]?.["ID"]) === "VAT")
    .flatMap((scheme) => text(scheme["CompanyID"]) ?? []);

const list = (value: UblValue): readonly UblTree[] =>
  value === undefined ? [] : ((Array.isArray(value) ? value : [value]) as UblTree[]);
const text = (value: UblValue): string | undefined =>
  typeof value === "string" ? value : undefined;
const lines = (doc: UblTree) => [...list(doc["InvoiceLine"]), ...list(doc["CreditNoteLine"])];
const subtotals = (doc: UblTree) =>
  list(doc["TaxTotal"]).flatMap((tax) => list(tax["TaxSubtotal"]));
const category = (part: UblTree): UblTree => list(part["TaxCategory"])[0] ?? {};
const has = (doc: UblTree, name: string) =>
  list(doc["LegalMonetaryTotal"])[0]?.[name] !== undefined;
const total = (doc: UblTree, name: string) => amount(list(doc["LegalMonetaryTotal"])[0]?.[name]);
const adjustments = (doc: UblTree, indicator: string) =>
  sumOf(
    list(doc["AllowanceCharge"])
      .filter((one_) => text(one_["ChargeIndicator"]) === indicator)
      .map((one_) => amount(one_["Amount"])),
  );
const currencyOf = (value: UblValue) =>
  typeof value === "string" ? value.split("@")[1] : undefined;

function amount(value: UblValue): Decimal {
  if (typeof value !== "string") return zero;
  const plain = value.split("@")[0] as string;
  return decimal(plain.startsWith(".") ? `0${plain}` : plain.replace(/^(-?)\./, "$10."));
}

function amountsOf(value: UblValue, name = ""): { name: string; plain: string }[] {
  if (value === undefined) return [];
  if (typeof value === "string")
    return name.endsWith("Amount") ? [{ name, plain: value.split("@")[0] as string }] : [];
  if (Array.isArray(value)) return value.flatMap((item: UblValue) => amountsOf(item, name));
  return Object.entries(value as UblTree).flatMap(([key, child]) => amountsOf(child, key));
}
