/**
 * The published order in which usage becomes an amount due. It stands on every document; a change of any step is a new
 * version, and old documents are recomputed by theirs.
 */
export const pipelineVersion = 1;

export const pipeline = [
  "quantity",
  "unit conversion and rounding",
  "allowance",
  "batch",
  "price model",
  "minimum and maximum",
  "discounts",
  "promotional credit",
  "tax",
  "prepaid balance",
  "amount due",
] as const;
