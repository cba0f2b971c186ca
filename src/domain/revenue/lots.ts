import { add, type Decimal, isPositive, isZero, least, subtract, zero } from "../../kit/decimal.ts";
import { type Money, nothing, plus } from "../../kit/money.ts";
import type { Instant } from "../../kit/time.ts";
import { valueBetween } from "./deferral.ts";

/** Units the provider bought itself, to resell. */
export type SupplyLot = {
  readonly id: string;
  readonly family: string;
  readonly size: Decimal;
  readonly remaining: Decimal;
  readonly cost: Money;
  readonly boughtAt: Instant;
};

export type LotUse = { readonly lotId: string; readonly quantity: Decimal; readonly cost: Money };

/** Which lots a consumption came from and what it cost; `uncovered` units had no lot to come from. */
export type LotConsumption = {
  readonly uses: readonly LotUse[];
  readonly lots: readonly SupplyLot[];
  readonly uncovered: Decimal;
};

/** First in, first out. The cost of a lot is spread so that its uses add up to what was paid for it. */
export function consumeLots(lots: readonly SupplyLot[], quantity: Decimal): LotConsumption {
  const uses: LotUse[] = [];
  let wanted = quantity;
  const after = lots
    .toSorted((a, b) => a.boughtAt - b.boughtAt || (a.id < b.id ? -1 : 1))
    .map((lot) => {
      const taken = least(wanted, lot.remaining);
      if (!isPositive(taken)) return lot;
      const gone = subtract(lot.size, lot.remaining);
      const cost = valueBetween(lot.cost, lot.size, gone, add(gone, taken));
      uses.push({ lotId: lot.id, quantity: taken, cost });
      wanted = subtract(wanted, taken);
      return { ...lot, remaining: subtract(lot.remaining, taken) };
    });
  return { uses, lots: after, uncovered: isZero(wanted) ? zero : wanted };
}

/** Cost of a consumption; undefined when nothing came from a lot, because then there is no currency either. */
export function costOf(consumption: LotConsumption): Money | undefined {
  const [first] = consumption.uses;
  if (!first) return undefined;
  return consumption.uses.reduce(
    (total, use) => plus(total, use.cost),
    nothing(first.cost.currency),
  );
}
