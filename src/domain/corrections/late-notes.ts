import type { Elsewhere, Line } from "../invoicing/index.ts";
import { formatInstant, type Period } from "../../kit/time.ts";

/** A note to write about late usage of one invoiced period: what is owed more, or what is owed less; never both on one paper. */
export type LateNote = {
  readonly kind: "debit_note" | "credit_note";
  readonly period: Period;
  readonly lines: readonly Line[];
  /** The other differences of the period that nobody has billed when this note is written. */
  readonly elsewhere: readonly Elsewhere[];
};

/** Sort those differences that are to go out now into notes: by period, oldest first, debits before credits. */
export function lateNotes(
  differences: readonly Elsewhere[],
  goesOut: (one: Elsewhere) => boolean,
): LateNote[] {
  const periods = new Map<string, Elsewhere[]>();
  for (const one of differences) {
    const key = formatInstant(one.line.period.startsAt);
    periods.set(key, [...(periods.get(key) ?? []), one]);
  }
  const notes: LateNote[] = [];
  for (const [, same] of [...periods].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    let left = same;
    for (const kind of ["debit_note", "credit_note"] as const) {
      const own = left.filter((one) => goesOut(one) && kindOf(one.line) === kind);
      const [first] = own;
      if (!first) continue;
      left = left.filter((one) => !own.includes(one));
      notes.push({
        kind,
        period: first.line.period,
        lines: own.map(({ line }) => line),
        elsewhere: left,
      });
    }
  }
  return notes;
}

const kindOf = ({ amount }: Line): LateNote["kind"] =>
  amount.minor < 0n ? "credit_note" : "debit_note";
