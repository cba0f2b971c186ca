export { openOf, type Settlement, settle } from "./settle.ts";
export type { ChargeOutcome, ChargeRequest, PaymentGateway, SignedMessage } from "./gateway.ts";
export { creditArisen, creditTaken } from "./account-credit.ts";
