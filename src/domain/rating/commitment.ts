import {
  add,
  type Decimal,
  greatest,
  least,
  multiply,
  subtract,
  sumOf,
  zero,
} from "../../kit/decimal.ts";

/** What is committed for each window (a minute, an hour, a day), and what happens above and below it. */
export type WindowTerms = {
  readonly committed: Decimal | null;
  /** What usage beyond the commitment costs, as a multiple of its price. */
  readonly overageFactor: Decimal;
  /** Whether a window that stays below is charged up to the commitment. */
  readonly trueUp: boolean;
};

/** What one window is charged: the three parts add up to `charge`. */
export type RatedWindow = {
  readonly utilized: Decimal;
  readonly overage: Decimal;
  readonly trueUp: Decimal;
  readonly charge: Decimal;
};

/** Hold one window's cost against its commitment. Windows never help each other: a quiet one does not pay for a loud one. */
export function rateWindow(terms: WindowTerms, cost: Decimal): RatedWindow {
  const { committed } = terms;
  if (!committed) return { utilized: cost, overage: zero, trueUp: zero, charge: cost };
  const utilized = least(cost, committed);
  const overage = multiply(greatest(subtract(cost, committed), zero), terms.overageFactor);
  const trueUp = terms.trueUp ? greatest(subtract(committed, cost), zero) : zero;
  return { utilized, overage, trueUp, charge: add(add(utilized, overage), trueUp) };
}

/** The sum of many windows, part by part. */
export const sumWindows = (windows: readonly RatedWindow[]): RatedWindow => ({
  utilized: sumOf(windows.map((one) => one.utilized)),
  overage: sumOf(windows.map((one) => one.overage)),
  trueUp: sumOf(windows.map((one) => one.trueUp)),
  charge: sumOf(windows.map((one) => one.charge)),
});

/** Terms for a part of the day: from `startsAt`, before `endsAt`, both "09:00" in local time. */
export type DayTerms<T> = { readonly startsAt: string; readonly endsAt: string; readonly terms: T };

/** The terms for a window that begins at a local time of day; `otherwise` where no part of the day holds it. */
export const termsAt = <T>(parts: readonly DayTerms<T>[], at: string, otherwise: T): T =>
  parts.find((part) => at >= part.startsAt && at < part.endsAt)?.terms ?? otherwise;
