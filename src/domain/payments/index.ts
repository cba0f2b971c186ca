export type { ChargeOutcome, ChargeRequest, PaymentGateway } from "./gateway.ts";
