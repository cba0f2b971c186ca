import {
  type PricedUsage,
  type Rate,
  ratePrimary,
  type Segment,
} from "../domain/invoicing/index.ts";
import { type Proof, type ProofSlice, type ProofUsage, recompute } from "../domain/proof/index.ts";
import { type Decimal, formatDecimal, longDecimal, one, sumOf } from "../kit/decimal.ts";
import { toDecimal, money, toMoney } from "../kit/money.ts";
import { currency } from "../kit/currency.ts";

/**
 * The rating that checks invoices: the amount comes from `domain/proof`, which reckons with fractions from the published
 * documents and shares nothing with `domain/rating`. Where both agree, the segments stand; where they do not, one segment
 * with the independent amount takes their place, and the comparison shows it.
 */
export const rateIndependently: Rate = (slices) => {
  const segments = ratePrimary(slices);
  const [first] = slices;
  if (!first) return segments;
  const proof = recompute(slices.map(proofSlice));
  const claimed = sumOf(segments.map((segment) => segment.amount));
  const code = currency(proof.currency);
  const agrees =
    proof.unrounded === undefined
      ? toMoney(claimed, code).minor === proof.minor
      : proof.unrounded === formatDecimal(claimed);
  if (agrees) return segments;
  return [proven(first, amountOf(proof))];
};

/** The second reckoning alone, as one segment: what usage comes to, whatever the primary rating says. */
export const rateByProof: Rate = (slices) => {
  const [first] = slices;
  return first ? [proven(first, amountOf(recompute(slices.map(proofSlice))))] : [];
};

function amountOf({ unrounded, currency: code, minor }: Proof): Decimal {
  return unrounded === undefined ? toDecimal(money(currency(code), minor)) : longDecimal(unrounded);
}

const proven = (first: PricedUsage, amount: Decimal): Segment => ({
  quantity: one,
  unitAmount: amount,
  amount,
  because: "the independent reckoning",
  dimensions: "{}",
  priceId: first.version.priceId,
  slice: first.slice,
});

const proofSlice = (one: PricedUsage): ProofSlice => ({
  document: one.version.definition,
  usage: proofUsage(one),
  hoursInMonth: formatDecimal(one.hoursInMonth),
  ...(one.splitsByDimension ? { covered: formatDecimal(one.covered) } : {}),
});

function proofUsage(priced: PricedUsage): ProofUsage[] {
  if (!priced.splitsByDimension)
    return [{ quantity: formatDecimal(priced.quantity), events: priced.eventCount.toString() }];
  return priced.byDimensions.map(
    (part): ProofUsage => ({
      quantity: formatDecimal(part.quantity),
      events: part.eventCount.toString(),
      dimensions: JSON.parse(part.dimensions) as Record<string, string>,
    }),
  );
}
