import type { UblTree, UblValue } from "../../src/domain/paper/index.ts";

/**
 * The order of elements in UBL 2.1 (OASIS, UBL-Invoice-2.1.xsd, UBL-CreditNote-2.1.xsd and the common aggregates), as far as an
 * invoice of ours may have them. A schema refuses what is out of order, or stands where it does not belong.
 */
const sequences: Readonly<Record<string, string>> = {
  Invoice:
    "UBLVersionID CustomizationID ProfileID ProfileExecutionID ID CopyIndicator UUID IssueDate IssueTime DueDate InvoiceTypeCode Note TaxPointDate DocumentCurrencyCode TaxCurrencyCode PricingCurrencyCode PaymentCurrencyCode PaymentAlternativeCurrencyCode AccountingCostCode AccountingCost LineCountNumeric BuyerReference InvoicePeriod OrderReference BillingReference DespatchDocumentReference ReceiptDocumentReference StatementDocumentReference OriginatorDocumentReference ContractDocumentReference AdditionalDocumentReference ProjectReference Signature AccountingSupplierParty AccountingCustomerParty PayeeParty BuyerCustomerParty SellerSupplierParty TaxRepresentativeParty Delivery DeliveryTerms PaymentMeans PaymentTerms PrepaidPayment AllowanceCharge TaxExchangeRate PricingExchangeRate PaymentExchangeRate PaymentAlternativeExchangeRate TaxTotal WithholdingTaxTotal LegalMonetaryTotal InvoiceLine",
  CreditNote:
    "UBLVersionID CustomizationID ProfileID ProfileExecutionID ID CopyIndicator UUID IssueDate IssueTime TaxPointDate CreditNoteTypeCode Note DocumentCurrencyCode TaxCurrencyCode PricingCurrencyCode PaymentCurrencyCode PaymentAlternativeCurrencyCode AccountingCostCode AccountingCost LineCountNumeric BuyerReference InvoicePeriod DiscrepancyResponse OrderReference BillingReference DespatchDocumentReference ReceiptDocumentReference ContractDocumentReference AdditionalDocumentReference StatementDocumentReference OriginatorDocumentReference Signature AccountingSupplierParty AccountingCustomerParty PayeeParty BuyerCustomerParty SellerSupplierParty TaxRepresentativeParty Delivery DeliveryTerms PaymentMeans PaymentTerms TaxExchangeRate PricingExchangeRate PaymentExchangeRate PaymentAlternativeExchangeRate AllowanceCharge TaxTotal LegalMonetaryTotal CreditNoteLine",
  InvoicePeriod: "StartDate StartTime EndDate EndTime DurationMeasure DescriptionCode Description",
  OrderReference: "ID SalesOrderID CopyIndicator UUID IssueDate",
  BillingReference:
    "InvoiceDocumentReference SelfBilledInvoiceDocumentReference CreditNoteDocumentReference",
  InvoiceDocumentReference: "ID CopyIndicator UUID IssueDate",
  AccountingSupplierParty:
    "CustomerAssignedAccountID AdditionalAccountID DataSendingCapability Party",
  AccountingCustomerParty:
    "CustomerAssignedAccountID SupplierAssignedAccountID AdditionalAccountID Party",
  Party:
    "MarkCareIndicator MarkAttentionIndicator WebsiteURI LogoReferenceID EndpointID IndustryClassificationCode PartyIdentification PartyName Language PostalAddress PhysicalLocation PartyTaxScheme PartyLegalEntity Contact",
  PartyName: "Name",
  PostalAddress:
    "ID AddressTypeCode AddressFormatCode Postbox Floor Room StreetName AdditionalStreetName BlockName BuildingName BuildingNumber InhouseMail Department MarkAttention MarkCare PlotIdentification CitySubdivisionName CityName PostalZone CountrySubentity CountrySubentityCode Region District TimezoneOffset AddressLine Country",
  Country: "IdentificationCode Name",
  PartyTaxScheme:
    "RegistrationName CompanyID TaxLevelCode ExemptionReasonCode ExemptionReason RegistrationAddress TaxScheme",
  TaxScheme: "ID Name TaxTypeCode CurrencyCode",
  PartyLegalEntity: "RegistrationName CompanyID RegistrationDate",
  Contact: "ID Name Telephone Telefax ElectronicMail Note",
  PaymentMeans:
    "ID PaymentMeansCode PaymentDueDate PaymentChannelCode InstructionID InstructionNote PaymentID CardAccount PayerFinancialAccount PayeeFinancialAccount CreditAccount PaymentMandate",
  PayeeFinancialAccount:
    "ID Name AliasName AccountTypeCode AccountFormatCode CurrencyCode PaymentNote FinancialInstitutionBranch",
  FinancialInstitutionBranch: "ID Name",
  PaymentTerms: "ID PaymentMeansID PrepaidPaymentReferenceID Note",
  AllowanceCharge:
    "ID ChargeIndicator AllowanceChargeReasonCode AllowanceChargeReason MultiplierFactorNumeric PrepaidIndicator SequenceNumeric Amount BaseAmount AccountingCostCode AccountingCost PerUnitAmount TaxCategory",
  TaxTotal: "TaxAmount RoundingAmount TaxEvidenceIndicator TaxIncludedIndicator TaxSubtotal",
  TaxSubtotal:
    "TaxableAmount TaxAmount CalculationSequenceNumeric TransactionCurrencyTaxAmount Percent BaseUnitMeasure PerUnitAmount TierRange TierRatePercent TaxCategory",
  TaxCategory:
    "ID Name Percent BaseUnitMeasure PerUnitAmount TaxExemptionReasonCode TaxExemptionReason TierRange TierRatePercent TaxScheme",
  ClassifiedTaxCategory:
    "ID Name Percent BaseUnitMeasure PerUnitAmount TaxExemptionReasonCode TaxExemptionReason TierRange TierRatePercent TaxScheme",
  LegalMonetaryTotal:
    "LineExtensionAmount TaxExclusiveAmount TaxInclusiveAmount AllowanceTotalAmount ChargeTotalAmount PrepaidAmount PayableRoundingAmount PayableAmount",
  InvoiceLine:
    "ID UUID Note InvoicedQuantity LineExtensionAmount TaxPointDate AccountingCostCode AccountingCost PaymentPurposeCode FreeOfChargeIndicator InvoicePeriod OrderLineReference DespatchLineReference ReceiptLineReference BillingReference DocumentReference PricingReference OriginatorParty Delivery PaymentTerms AllowanceCharge TaxTotal WithholdingTaxTotal Item Price",
  CreditNoteLine:
    "ID UUID Note CreditedQuantity LineExtensionAmount TaxPointDate AccountingCostCode AccountingCost PaymentPurposeCode FreeOfChargeIndicator InvoicePeriod OrderLineReference DiscrepancyResponse DespatchLineReference ReceiptLineReference BillingReference DocumentReference PricingReference OriginatorParty Delivery PaymentTerms TaxTotal AllowanceCharge Item Price",
  Item: "Description PackQuantity PackSizeNumeric CatalogueIndicator Name HazardousRiskIndicator AdditionalInformation Keyword BrandName ModelName BuyersItemIdentification SellersItemIdentification ManufacturersItemIdentification StandardItemIdentification CatalogueItemIdentification OriginCountry CommodityClassification ClassifiedTaxCategory AdditionalItemProperty",
  SellersItemIdentification: "ID ExtendedID",
  Price:
    "PriceAmount BaseQuantity PriceChangeReason PriceTypeCode PriceType OrderableUnitFactorRate ValidityPeriod PriceList AllowanceCharge",
};

/** What a schema has exactly one of, or none: everything else here may be repeated. */
const repeatable = new Set([
  "Note",
  "BillingReference",
  "PaymentMeans",
  "PaymentTerms",
  "AllowanceCharge",
  "TaxTotal",
  "TaxSubtotal",
  "InvoiceLine",
  "CreditNoteLine",
  "PartyName",
  "PartyTaxScheme",
  "PartyLegalEntity",
  "InvoicePeriod",
  "Description",
  "ClassifiedTaxCategory",
  "PaymentID",
]);

type Element = {
  readonly name: string;
  readonly attributes: string;
  readonly children: Element[];
  text: string;
};

/** A small reader for XML without comments inside, as the writer makes it. */
function readXml(xml: string): Element {
  const root: Element = { name: "", attributes: "", children: [], text: "" };
  const open: Element[] = [root];
  for (const [, closing, name = "", attributes = "", selfClosing, text] of xml.matchAll(
    /<(?:\?[^>]*\?|(\/?)([\w:]+)([^>]*?)(\/?))>|([^<]+)/g,
  )) {
    const top = open.at(-1) as Element;
    if (text !== undefined) top.text += text;
    else if (closing) open.pop();
    else if (name) {
      const element = { name: name.replace(/^.*:/, ""), attributes, children: [], text: "" };
      top.children.push(element);
      if (!selfClosing) open.push(element);
    }
  }
  return root.children[0] as Element;
}

/** Where a document leaves the order of UBL 2.1: out of place, unknown there, repeated, or empty. */
export function disorder(xml: string): string[] {
  const faults: string[] = [];
  const visit = (element: Element, path: string) => {
    const order = sequences[element.name]?.split(" ");
    if (element.children.length === 0) {
      if (element.text.trim() === "") faults.push(`${path} is empty`);
      return;
    }
    if (!order) {
      faults.push(`${path} has children and is not known to have any`);
      return;
    }
    let at = 0;
    let before = "";
    for (const child of element.children) {
      const place = order.indexOf(child.name);
      if (place < 0) faults.push(`${path} has no ${child.name}`);
      else if (place < at) faults.push(`${path}: ${child.name} stands after ${order[at]}`);
      if (child.name === before && !repeatable.has(child.name))
        faults.push(`${path}: ${child.name} twice`);
      before = child.name;
      at = Math.max(at, place);
      visit(child, `${path}/${child.name}`);
    }
  };
  const root = readXml(xml);
  visit(root, root.name);
  return faults;
}

/** The written document as the tree that the rules read: a credit note under the names of an invoice. */
export function treeOf(xml: string): UblTree {
  const renamed: Readonly<Record<string, string>> = {
    CreditNoteTypeCode: "InvoiceTypeCode",
    CreditNoteLine: "InvoiceLine",
    CreditedQuantity: "InvoicedQuantity",
  };
  const valueOf = (element: Element): UblValue => {
    if (element.children.length > 0) return bundle(element);
    const code = /currencyID="([A-Z]{3})"/.exec(element.attributes)?.[1];
    return code ? `${element.text}@${code}` : element.text;
  };
  const bundle = (element: Element): UblTree => {
    const tree: Record<string, UblValue> = {};
    for (const child of element.children) {
      const name = renamed[child.name] ?? child.name;
      const value = valueOf(child);
      const there = tree[name];
      if (there === undefined) tree[name] = value;
      else tree[name] = [...(Array.isArray(there) ? there : [there]), value] as UblValue;
    }
    return tree;
  };
  return bundle(readXml(xml));
}
