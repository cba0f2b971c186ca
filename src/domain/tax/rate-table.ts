import type { Decimal } from "../../kit/decimal.ts";
import type { Day } from "../../kit/time.ts";

/** One rate of one place for one class of product, in force from a day until the day before another. */
export type TaxRate = {
  readonly country: string;
  /** State or province (ISO 3166-2 part after the dash), null for the whole country. */
  readonly region: string | null;
  /** Which products: "standard" unless the SKU names another class, such as "reduced" or "ebook". */
  readonly productClass: string;
  /** What it is called on the document: VAT, GST, PST, sales tax. Several names in one place add up. */
  readonly name: string;
  readonly percent: Decimal;
  readonly from: Day;
  /** The first day on which it is no longer in force; null while it is. */
  readonly until: Day | null;
};

export type Place = { readonly country: string; readonly region: string | null };

/**
 * The rates in force at a place on a day for a class of product: those of the country and those of its region. A class
 * without rates of its own in that place falls back to "standard". Empty when the table knows nothing: the caller must then
 * refuse, never charge zero in silence.
 */
export function ratesInForce(
  table: readonly TaxRate[],
  place: Place,
  productClass: string,
  on: Day,
): TaxRate[] {
  const here = table.filter(
    (rate) =>
      rate.country === place.country &&
      (rate.region === null || rate.region === place.region) &&
      rate.from <= on &&
      (rate.until === null || on < rate.until),
  );
  const own = here.filter((rate) => rate.productClass === productClass);
  return own.length > 0 ? own : here.filter((rate) => rate.productClass === "standard");
}

/** Two rates of the same place, class and name may not be in force on the same day. Returns the pairs that are. */
export function overlappingRates(table: readonly TaxRate[]): [TaxRate, TaxRate][] {
  const pairs: [TaxRate, TaxRate][] = [];
  const key = (rate: TaxRate) =>
    [rate.country, rate.region ?? "", rate.productClass, rate.name].join("/");
  const sorted = table.toSorted((a, b) =>
    key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : a.from < b.from ? -1 : 1,
  );
  for (const [index, rate] of sorted.entries()) {
    const next = sorted[index + 1];
    if (next && key(rate) === key(next) && (rate.until === null || next.from < rate.until))
      pairs.push([rate, next]);
  }
  return pairs;
}
