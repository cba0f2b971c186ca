import { sumUnits, type Units } from "../grants/index.ts";
import type { Measurement } from "./match.ts";

/** An event that another one wants to correct, and what has been taken back from it so far. */
export type Original = {
  readonly accountId: string;
  readonly projectId: string;
  readonly type: string;
  readonly isCorrection: boolean;
  readonly measurements: readonly Measurement[];
  readonly corrections: readonly (readonly Measurement[])[];
};

/** What is left of an event for a meter: the original and every correction of it, never below zero. */
export function netOf(
  original: Original,
  more: readonly (readonly Measurement[])[],
  meterKey: string,
): Units {
  const all = [original.measurements, ...original.corrections, ...more]
    .flat()
    .filter(({ meter }) => meter.key === meterKey);
  return sumUnits(all.map(({ quantity }) => quantity));
}
