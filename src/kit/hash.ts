import { createHash, createHmac, hash } from "node:crypto";

/** SHA-256 of a text (UTF-8) or bytes. */
export function sha256(content: string | Uint8Array): Buffer {
  return createHash("sha256").update(content).digest();
}

export function sha256Hex(content: string | Uint8Array): string {
  return hash("sha256", content, "hex");
}

/** HMAC-SHA-256 of a text under a secret: what is stored in place of things that must not be readable. */
export function hmacSha256(secret: Uint8Array, content: string): Buffer {
  return createHmac("sha256", secret).update(content).digest();
}
