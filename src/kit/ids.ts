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
  statement: "stm",
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
  lateUsage: "lat",
  credit: "crd",
  refund: "rfd",
  debitNote: "dbn",
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
  let start = "";
  // The random tail in two numbers, 25 and 30 bits, because ids are made by the thousand where usage comes in.
  let high = 0;
  let low = 0;
  return (kind) => {
    const ms = Math.max(Math.floor(clock.now() / 1000), lastMs);
    if (ms === lastMs) {
      low += 1;
      if (low === lowLimit) {
        low = 0;
        high += 1;
      }
    } else {
      lastMs = ms;
      start = base32(ms, 9);
      const bits = random.bytes(7);
      // The top bit is left free so that counting up within a millisecond cannot overflow.
      high = (byte(bits, 0) * 65_536 + byte(bits, 1) * 256 + byte(bits, 2)) % 16_777_216;
      low =
        (byte(bits, 3) * 16_777_216 +
          byte(bits, 4) * 65_536 +
          byte(bits, 5) * 256 +
          byte(bits, 6)) %
        lowLimit;
    }
    return `${prefixes[kind]}_${start}${base32(high, 5)}${base32(low, 6)}`;
  };
}

const lowLimit = 2 ** 30;
const byte = (bytes: Uint8Array, index: number): number => bytes[index] ?? 0;

/** Whether a text has the form of an id of this kind. Says nothing about existence. */
export function isId<K extends IdKind>(kind: K, text: string): text is Id<K> {
  return text.startsWith(`${prefixes[kind]}_`) && /^[a-z]{3}_[0-9a-z]{1,40}$/.test(text);
}

function base32(value: number, length: number): string {
  let text = "";
  for (let left = value, i = 0; i < length; i++) {
    text = alphabet.charAt(left % 32) + text;
    left = Math.floor(left / 32);
  }
  return text;
}
