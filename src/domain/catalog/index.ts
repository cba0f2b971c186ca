export * from "./bare-number.ts";
export * from "./catalog.ts";
export * from "./diff.ts";
export * from "./discount.ts";
export * from "./meter.ts";
export * from "./plan.ts";
export * from "./price.ts";
export {
  type PriceReading,
  type PriceSurroundings,
  readPrice,
  writePrice,
} from "./price-document.ts";
export {
  type CatalogFault,
  type CatalogFile,
  type CatalogReading,
  readCatalog,
  readPublishedCatalog,
} from "./read-catalog.ts";
export { type PriceFound, priceInForce } from "./resolve.ts";
export { batchWarnings, type PriceWarning, priceWarnings } from "./price-warnings.ts";
export { type ObjectReader, objectReader } from "./price-reader.ts";
export {
  amendedFile,
  type CatalogItem,
  type ItemKind,
  itemsOf,
  writeCatalog,
} from "./write-catalog.ts";
