/**
 * Tax categories by their EN 16931 codes (UNCL 5305): S standard or reduced rate, Z zero rated, E exempt, AE reverse charge,
 * K intra-community supply of goods, G export, O outside the scope of tax.
 */
const taxCategories = ["S", "Z", "E", "AE", "K", "G", "O"] as const;
export type TaxCategory = (typeof taxCategories)[number];

/** Only S carries a rate above zero; every other category means that no tax is due, each for its own reason. */
export const isTaxed = (category: TaxCategory): boolean => category === "S";

/** Why no tax was charged: printed on the document and required by EN 16931 for these categories (BR-E-10, BR-AE-10 …). */
export const exemptionReasons: Readonly<
  Record<Exclude<TaxCategory, "S" | "Z">, { readonly code: string; readonly text: string }>
> = {
  E: { code: "VATEX-EU-132", text: "Exempt from tax" },
  AE: { code: "VATEX-EU-AE", text: "Reverse charge" },
  K: { code: "VATEX-EU-IC", text: "Intra-community supply" },
  G: { code: "VATEX-EU-G", text: "Export outside the EU" },
  O: { code: "VATEX-EU-O", text: "Not subject to tax" },
};
