export * from "./bare-number.ts";
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
export { batchWarnings, type PriceWarning, priceWarnings } from "./price-warnings.ts";
