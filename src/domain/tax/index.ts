export {
  calculateTax,
  type TaxableLine,
  type TaxGroup,
  type TaxOptions,
  type TaxResult,
  type TaxRounding,
} from "./calculate.ts";
export { exemptionReasons, isTaxed, type TaxCategory } from "./category.ts";
export {
  type Discount,
  type DocumentAdjustment,
  type DocumentTotals,
  documentTotals,
  spreadDiscount,
  stackDiscounts,
} from "./document.ts";
export { overlappingRates, type Place, type TaxRate } from "./rate-table.ts";
export {
  decideTax,
  type TaxBuyer,
  type TaxComponent,
  type TaxSeller,
  type TaxTreatment,
} from "./treatment.ts";
export { type LineToTax, type TaxedDocument, type TaxFacts, taxDocument } from "./document-tax.ts";
export { type LegalEntity, unconfiguredEntity } from "./entity.ts";
