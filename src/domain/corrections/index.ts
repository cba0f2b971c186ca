export {
  type CreditDecision,
  type CreditRequest,
  creditedLine,
  decideCredit,
  leftOf,
} from "./credit-note.ts";
export { decideRerate, type RerateDecision } from "./rerate.ts";
