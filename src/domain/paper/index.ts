export { asPrinted } from "./as-printed.ts";
export {
  brokenRules,
  keepsRule,
  type RuleId,
  type UblTree,
  type UblValue,
} from "./en16931-rules.ts";
export {
  dayText,
  type Language,
  moneyText,
  percentText,
  quantityText,
  rateText,
} from "./locale.ts";
export {
  type AnnexRow,
  type Brand,
  type Paper,
  type PaperLine,
  type PaperTax,
  type Party,
  type UsageType,
} from "./paper.ts";
export { paperAsCsv } from "./spreadsheet.ts";
export { paperAsUbl, ublObstacles, ublTree } from "./ubl.ts";
export { buyerTitleOf, sumTitleOf, titleOf, type Wording, wordingOf } from "./wording.ts";
export { fileSafe, type Letter, letterFor } from "./letter.ts";
export { paperAsHtml } from "./page.ts";
export { type PaperExtras, paperOf, sectionNames } from "./from-document.ts";
