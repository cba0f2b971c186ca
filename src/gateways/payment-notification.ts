import { timingSafeEqual } from "node:crypto";
import type { SignedMessage } from "../domain/payments/index.ts";
import { hmacSha256 } from "../kit/hash.ts";

const toleranceSeconds = 5 * 60;

/** The signature of a message as Standard Webhooks has it: HMAC-SHA256 of `id.timestamp.body`, in Base64. */
export const signatureOf = (
  secret: string,
  { id, timestamp, body }: Omit<SignedMessage, "signature">,
): string =>
  `v1,${hmacSha256(Buffer.from(secret), `${id}.${timestamp}.${body}`).toString("base64")}`;

/**
 * Whether a message was signed with the secret, and within five minutes: an older one may be somebody else's copy. Several
 * signatures, separated by spaces, stand there while a secret is changed; one is enough.
 */
export function isGenuine(message: SignedMessage, secret: string, nowSeconds: number): boolean {
  const isRecent = Math.abs(nowSeconds - Number(message.timestamp)) <= toleranceSeconds;
  if (!/^\d{1,12}$/.test(message.timestamp) || !isRecent) return false;
  const expected = Buffer.from(signatureOf(secret, message));
  return message.signature.split(" ").some((one) => {
    const given = Buffer.from(one);
    return given.length === expected.length && timingSafeEqual(given, expected);
  });
}
