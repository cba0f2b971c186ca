export {
  type CreditDecision,
  type CreditRequest,
  creditCause,
  creditedLine,
  decideCredit,
  leftOf,
} from "./credit-note.ts";
