import { canonicalJson } from "../../kit/canonical-json.ts";
import type { ContentLine, DraftContent } from "./draft.ts";

/** One place where two computations of the same document disagree. */
export type Mismatch = {
  /** In people's words: "line 2, USAGE-SMS-OVERAGE, amount". */
  readonly where: string;
  readonly stored: string;
  readonly recomputed: string;
};

const fields = ["quantity", "unrounded", "amount", "basis"] as const;

/** Compare two computations of a document, line by line, by what each line is for. Empty: they agree. */
export function compareContents(
  stored: Pick<DraftContent, "lines" | "subtotal" | "tax" | "total">,
  recomputed: Pick<DraftContent, "lines" | "subtotal" | "tax" | "total">,
): Mismatch[] {
  const others = new Map(recomputed.lines.map((line) => [keyOf(line), line]));
  const found: Mismatch[] = [];
  for (const line of stored.lines) {
    const other = others.get(keyOf(line));
    others.delete(keyOf(line));
    if (!other) {
      found.push({ where: nameOf(line), stored: line.amount, recomputed: "no such line" });
      continue;
    }
    found.push(...compareLines(line, other));
  }
  for (const line of others.values())
    found.push({ where: nameOf(line), stored: "no such line", recomputed: line.amount });
  for (const field of ["subtotal", "tax", "total"] as const)
    if (stored[field] !== recomputed[field])
      found.push({ where: field, stored: stored[field], recomputed: recomputed[field] });
  return found;
}

function compareLines(line: ContentLine, other: ContentLine): Mismatch[] {
  const found = fields
    .filter((field) => line[field] !== other[field])
    .map((field) => ({
      where: `${nameOf(line)}, ${field}`,
      stored: line[field],
      recomputed: other[field],
    }));
  // Equal sums of different parts are still a difference: some tier or price version was used wrongly.
  if (found.length === 0 && !haveEqualParts(line, other) && partsOf(line) !== partsOf(other))
    found.push({
      where: `${nameOf(line)}, segments`,
      stored: partsOf(line),
      recomputed: partsOf(other),
    });
  return found;
}

// Nearly always the parts are equal one by one; only then need nobody sort them.
const haveEqualParts = (line: ContentLine, other: ContentLine): boolean =>
  line.segments.length === other.segments.length &&
  line.segments.every((part, i) => {
    const same = other.segments[i];
    return (
      part.quantity === same?.quantity &&
      part.unit_amount === same.unit_amount &&
      part.amount === same.amount &&
      part.price === same.price
    );
  });

// What the independent path must reproduce of a line's segments: how much at which rate under which price.
const partsOf = (line: ContentLine): string =>
  canonicalJson(
    line.segments
      .map(({ quantity, unit_amount, amount, price }) => ({ quantity, unit_amount, amount, price }))
      .map((part) => canonicalJson(part))
      .toSorted(),
  );

// Two accounts on one document owe under the same cause.
const keyOf = (line: ContentLine): string => `${line.section ?? ""} ${line.cause}`;

const nameOf = (line: ContentLine): string => `line ${line.line_no}, ${line.sku}`;
