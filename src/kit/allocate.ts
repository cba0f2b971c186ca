import {
  type Decimal,
  decimalOf,
  divide,
  isNegative,
  isZero,
  multiply,
  round,
  subtract,
  sumOf,
  toBigInt,
} from "./decimal.ts";
import type { Money } from "./money.ts";

/**
 * Split money by weights so that the parts equal the whole: the largest-remainder method (Hamilton). Each part is the
 * exact share rounded towards zero; the minor units that are left go one each to the largest remainders, ties to the
 * earlier part. All weights zero means equal weights.
 */
export function allocate(total: Money, weights: readonly Decimal[]): Money[] {
  if (weights.length === 0) throw new RangeError("nothing to allocate to: no weights");
  if (weights.some(isNegative)) throw new RangeError("a weight is below zero");
  const given = sumOf(weights);
  const used = isZero(given) ? weights.map(() => decimalOf(1)) : weights;
  const whole = isZero(given) ? decimalOf(weights.length) : given;
  const sign = total.minor < 0n ? -1n : 1n;
  const size = decimalOf(total.minor * sign);

  const shares = used.map((weight, index) => {
    const exact = divide(multiply(size, weight), whole);
    const floor = round(exact, 0, "floor");
    return { index, minor: toBigInt(floor), remainder: subtract(exact, floor) };
  });
  let left = total.minor * sign - shares.reduce((sum, share) => sum + share.minor, 0n);
  const order = shares.toSorted((a, b) => b.remainder.comparedTo(a.remainder) || a.index - b.index);
  for (const share of order) {
    if (left <= 0n) break;
    share.minor += 1n;
    left -= 1n;
  }
  return shares.map((share) => ({ currency: total.currency, minor: share.minor * sign }));
}
