import type { Clock } from "./clock.ts";
import type { Random } from "./random.ts";

/** Every kind of id there is, with its prefix: ids explain themselves in logs and cannot be mixed up in code. */
export const prefixes = {
  organization: "org",
  project: "prj",
  account: "acc",
  binding: "bnd",
  meter: "mtr",
  sku: "sku",
  price: "prc",
  priceBook: "pbk",
  plan: "pln",
  subscription: "sub",
  invoice: "inv",
  creditNote: "crn",
  grant: "grt",
  movement: "mov",
  reservation: "rsv",
  transaction: "txn",
  payment: "pay",
  purchase: "pur",
  dispute: "dsp",
  run: "run",
  apiKey: "key",
  quarantine: "qrn",
  audit: "aud",
  request: "req",
  message: "msg",
  lot: "lot",
  taxRate: "txr",
  quota: "quo",
  change: "chg",
  override: "ovr",
  file: "fil",
} as const;

export type IdKind = keyof typeof prefixes;
export type Id<K extends IdKind> = `${(typeof prefixes)[K]}_${string}`;
export type MakeId = <K extends IdKind>(kind: K) => Id<K>;

export type OrganizationId = Id<"organization">;
export type ProjectId = Id<"project">;
export type AccountId = Id<"account">;
export type BindingId = Id<"binding">;
export type MeterId = Id<"meter">;
export type SkuId = Id<"sku">;
export type PriceId = Id<"price">;
export type InvoiceId = Id<"invoice">;
export type GrantId = Id<"grant">;

// Crockford's alphabet in lower case: sorts like the number it writes, and has no letters that look like digits.
const alphabet = "0123456789abcdefghjkmnpqrstvwxyz";

/**
 * Make ids of 20 characters after the prefix: 9 of milliseconds (45 bits, until the year 3084), 11 of randomness
 * (55 bits). Ids made later sort later, which keeps index pages warm; within a millisecond a counter keeps the order.
 */
export function idMaker(clock: Clock, random: Random): MakeId {
  let lastMs = -1;
  let tail = 0n;
  return (kind) => {
    const ms = Math.max(Math.floor(clock.now() / 1000), lastMs);
    if (ms === lastMs) {
      tail += 1n;
    } else {
      lastMs = ms;
      // 54 random bits, the top one left free so that counting up within a millisecond cannot overflow.
      tail = bigintOf(random.bytes(7)) & ((1n << 54n) - 1n);
    }
    return `${prefixes[kind]}_${base32(BigInt(ms), 9)}${base32(tail, 11)}`;
  };
}

/** Whether a text has the form of an id of this kind. Says nothing about existence. */
export function isId<K extends IdKind>(kind: K, text: string): text is Id<K> {
  return text.startsWith(`${prefixes[kind]}_`) && /^[a-z]{3}_[0-9a-z]{1,40}$/.test(text);
}

function bigintOf(bytes: Uint8Array): bigint {
  let value = 0n;
  for (const byte of bytes) value = (value << 8n) | BigInt(byte);
  return value;
}

function base32(value: bigint, length: number): string {
  let text = "";
  for (let i = 0; i < length; i++) {
    text = alphabet[Number(value & 31n)] + text;
    value >>= 5n;
  }
  return text;
}
