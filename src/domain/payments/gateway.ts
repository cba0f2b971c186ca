import type { Money } from "../../kit/money.ts";

/**
 * What a card processor can be asked. `unknown` is an answer too: we asked and never heard, so the money may have moved.
 * Asking again with the same key never charges twice.
 */
export type PaymentGateway = {
  readonly name: string;
  charge(request: ChargeRequest): Promise<ChargeOutcome>;
  /** Send money back to the account's payer, once per key. */
  refund(request: ChargeRequest): Promise<ChargeOutcome>;
  /** What became of an earlier request with this key; undefined when the processor never got it. */
  find(key: string): Promise<ChargeOutcome | undefined>;
  /** What a notification says; undefined when the processor did not sign it, or it is old. For processors that send some. */
  readNotification?(
    message: SignedMessage,
    nowSeconds: number,
  ): { readonly key: string; readonly outcome: ChargeOutcome } | undefined;
};

/** A notification as it came: the three headers of Standard Webhooks, and the text that was signed. */
export type SignedMessage = {
  readonly id: string;
  /** Seconds since 1970. */
  readonly timestamp: string;
  readonly signature: string;
  readonly body: string;
};

export type ChargeRequest = {
  readonly key: string;
  readonly accountId: string;
  readonly amount: Money;
  readonly description: string;
};

export type ChargeOutcome =
  | { readonly kind: "succeeded"; readonly reference: string }
  | { readonly kind: "declined"; readonly reason: string }
  | { readonly kind: "unknown" };
