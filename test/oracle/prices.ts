import { decimal, formatDecimal } from "../../src/kit/decimal.ts";
import { formatMoney } from "../../src/kit/money.ts";
import { type Price, readPrice } from "../../src/domain/catalog/index.ts";
import { type Rated, rate, type Usage } from "../../src/domain/rating/index.ts";

/** A price as our own documents write it, read by our own reader. Cases without a currency are in dollars. */
export function priceOf(document: Readonly<Record<string, unknown>>): Price {
  const read = readPrice({ currency: "USD", ...document });
  if ("faults" in read) throw new Error(JSON.stringify(read.faults));
  return read.price;
}

/** The many names under which other products write a tier. */
export type ForeignTier = {
  readonly up_to?: string | number | null;
  readonly unit?: string;
  readonly unit_amount?: string;
  readonly flat?: string;
  readonly flat_amount?: string;
  readonly rate_percent?: string;
};

export const tiersOf = (
  tiers: readonly ForeignTier[],
  more: Readonly<Record<string, unknown>> = {},
) =>
  tiers.map((tier) => ({
    up_to: tier.up_to ?? null,
    unit_amount: tier.unit_amount ?? tier.unit ?? "0",
    flat_amount: tier.flat_amount ?? tier.flat ?? "0",
    ...more,
  }));

export const of = (quantity: string | number, more: Partial<Usage> = {}): Usage => ({
  quantity: decimal(String(quantity)),
  ...more,
});

export const rated = (
  document: Readonly<Record<string, unknown>>,
  usage: Usage | readonly Usage[],
): Rated => rate(priceOf(document), usage);

/** The exact amount as we write it, so that "5", "5.00" and "5E0" are the same. */
export function same(text: string): string {
  const [digits = "", exponent = "0"] = text.split(/[eE]/);
  return formatDecimal(decimal(digits).times(`1e${exponent}`));
}

export const exactly = (what: Rated): string => formatDecimal(what.unrounded);
export const billed = (what: Rated): string => formatMoney(what.amount);
/** What segments of one kind add up to. */
export const ofKind = (what: Rated, ...kinds: readonly string[]): string =>
  formatDecimal(
    what.segments
      .filter((segment) => kinds.includes(segment.because.kind))
      .reduce((sum, segment) => sum.plus(segment.amount), decimal("0")),
  );
