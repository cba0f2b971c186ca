/**
 * The chart of accounts. An address is `root:kind:owner…`; the root says how the account is summed up, the kind what it
 * means, the rest whose it is. Money and units use the same addresses and the same rule: every transaction sums to zero
 * per currency and per family of units.
 */
const roots = ["assets", "liabilities", "equity", "income", "expenses"] as const;
export type Root = (typeof roots)[number];

/** Every kind of account there is, with its root and what the parts after the kind stand for. */
const chart = {
  receivable: { root: "assets", of: ["account"] },
  unbilled: { root: "assets", of: ["account"] },
  cash: { root: "assets", of: ["gateway"] },
  stock: { root: "assets", of: ["family"] },
  credit: { root: "liabilities", of: ["account"] },
  deposits: { root: "liabilities", of: ["account"] },
  deferred: { root: "liabilities", of: ["sku"] },
  tax: { root: "liabilities", of: ["rate"] },
  partner: { root: "liabilities", of: ["account"] },
  supplier: { root: "liabilities", of: ["supplier"] },
  units: { root: "liabilities", of: ["account", "family"] },
  revenue: { root: "income", of: ["sku"] },
  breakage: { root: "income", of: ["sku"] },
  commission: { root: "income", of: ["account"] },
  discounts: { root: "expenses", of: ["sku"] },
  refunds: { root: "expenses", of: ["sku"] },
  "bad-debt": { root: "expenses", of: ["account"] },
  rounding: { root: "expenses", of: ["currency"] },
  cogs: { root: "expenses", of: ["sku"] },
  "units-issued": { root: "equity", of: ["family"] },
  "units-consumed": { root: "equity", of: ["family"] },
  "units-expired": { root: "equity", of: ["family"] },
  // What one account handed to another: each side's books balance by themselves, and the two cancel out.
  moved: { root: "equity", of: ["family"] },
  "units-corrected": { root: "equity", of: ["family"] },
} as const satisfies Record<string, { readonly root: Root; readonly of: readonly string[] }>;

export type LedgerKind = keyof typeof chart;
declare const addressBrand: unique symbol;
/** `assets:receivable:acc_1`: only ever made by `address`. */
export type Address = string & { readonly [addressBrand]: never };

const part = /^[A-Za-z0-9][A-Za-z0-9._/-]*$/;

/** The address of an account of the chart. Throws on a kind that is not in it and on parts that would not read back. */
export function address(kind: LedgerKind, ...owner: readonly string[]): Address {
  const entry = chart[kind];
  if (owner.length !== entry.of.length || !owner.every((text) => part.test(text)))
    throw new RangeError(`${kind} needs ${entry.of.join(" and ")}, got "${owner.join('", "')}"`);
  return [entry.root, kind, ...owner].join(":") as Address;
}
