import type { Currency } from "../../kit/currency.ts";
import { compare, type Decimal, decimalOf, formatDecimal as number } from "../../kit/decimal.ts";
import type { MatrixCell, Price, Tier } from "./price.ts";

/** A thing to know before publishing that is not wrong in itself. */
export type PriceWarning = {
  readonly code: "volume_bill_falls" | "no_catch_all" | "batch_not_cheaper";
  readonly pointer: string;
  readonly detail: string;
  readonly facts: Readonly<Record<string, string>>;
};

/** What an author should see before publishing a sound price. */
export function priceWarnings(price: Price): PriceWarning[] {
  if (price.model === "volume") return fallingBoundaries(price.tiers, price.currency);
  if (price.model === "matrix" && !price.defaultUnitAmount && !price.cells.some(matchesAll))
    return [
      {
        code: "no_catch_all",
        pointer: "/default_unit_amount",
        detail:
          "usage that matches no cell cannot be priced and will stop its invoice: add a default_unit_amount",
        facts: {},
      },
    ];
  return [];
}

const matchesAll = (cell: MatrixCell) => Object.keys(cell.match).length === 0;

/** Where one more unit makes the whole bill smaller, and by how much. */
function fallingBoundaries(tiers: readonly Tier[], currency: Currency): PriceWarning[] {
  return tiers.flatMap((tier, index) => {
    const next = tiers[index + 1];
    if (!tier.upTo || !next) return [];
    const beyond = tier.upTo.plus(decimalOf(1));
    const [at, after] = [bill(tier, tier.upTo), bill(next, beyond)];
    if (compare(after, at) >= 0) return [];
    return [
      {
        code: "volume_bill_falls" as const,
        pointer: `/tiers/${index}/up_to`,
        detail: `the bill falls at ${number(tier.upTo)}: ${number(tier.upTo)} units cost ${number(at)} ${currency}, ${number(beyond)} units cost ${number(after)} ${currency}`,
        facts: {
          boundary: number(tier.upTo),
          amount_at: number(at),
          beyond: number(beyond),
          amount_beyond: number(after),
          currency,
        },
      },
    ];
  });
}

const bill = (tier: Tier, quantity: Decimal): Decimal => {
  const units = tier.packageSize ? quantity.dividedBy(tier.packageSize).ceil() : quantity;
  return units.times(tier.unitAmount).plus(tier.flatAmount);
};

/** A batch is sold because its units are cheaper than overage: warn (and ask for confirmation) when they are not. */
export function batchWarnings(
  batch: { readonly units: Decimal; readonly amount: Decimal },
  overageUnitAmount: Decimal,
  currency: Currency,
): PriceWarning[] {
  const atOverage = batch.units.times(overageUnitAmount);
  if (compare(batch.amount, atOverage) < 0) return [];
  return [
    {
      code: "batch_not_cheaper",
      pointer: "/amount",
      detail: `a batch of ${number(batch.units)} costs ${number(batch.amount)} ${currency}, the same units as overage ${number(atOverage)} ${currency}: batch units should be cheaper`,
      facts: {
        batch_amount: number(batch.amount),
        overage_amount: number(atOverage),
        units: number(batch.units),
        currency,
      },
    },
  ];
}
