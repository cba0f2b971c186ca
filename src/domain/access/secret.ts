const alphabet = "0123456789abcdefghjkmnpqrstvwxyz";
const secretPrefix = "tl_";

/** The secret of an API key from 256 random bits: a prefix that scanners can look for, then 52 letters and digits. */
export function secretFrom(bytes: Uint8Array): string {
  let value = 0n;
  for (const byte of bytes) value = (value << 8n) | BigInt(byte);
  let text = "";
  for (let i = 0; i < 52; i++) {
    text = alphabet[Number(value & 31n)] + text;
    value >>= 5n;
  }
  return secretPrefix + text;
}

/** Whether a text could be one of our secrets, so that nothing else is ever looked up. */
export function isSecret(text: string): boolean {
  return text.length === secretPrefix.length + 52 && /^tl_[0-9a-z]+$/.test(text);
}
