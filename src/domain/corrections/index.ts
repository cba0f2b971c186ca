export {
  type CreditDecision,
  type CreditRequest,
  creditedLine,
  decideCredit,
  leftOf,
} from "./credit-note.ts";
export { decideRerate, type RerateDecision } from "./rerate.ts";
export { type DebitRequest, decideDebit } from "./debit-note.ts";
export { type LateNote, lateNotes } from "./late-notes.ts";
