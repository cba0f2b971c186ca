import { type Decimal, subtract } from "../../kit/decimal.ts";
import type { MatrixCell } from "../catalog/index.ts";
import { type Draft, usage } from "./segments.ts";
import { along, type Span } from "./span.ts";
import { UnratableError } from "./unratable.ts";

type Matrix = {
  readonly dimensions: readonly string[];
  readonly cells: readonly MatrixCell[];
  readonly defaultUnitAmount: Decimal | null;
};

/** The most specific cell that usage with these dimension values matches; undefined is the catch-all. */
export function cellFor(
  cells: readonly MatrixCell[],
  dimensions: Readonly<Record<string, string>>,
): MatrixCell | undefined {
  return cells
    .filter((cell) => Object.entries(cell.match).every(([key, value]) => dimensions[key] === value))
    .toSorted((a, b) => Object.keys(b.match).length - Object.keys(a.match).length)[0];
}

/** Each unit costs what the cell of its dimension values says; usage that no cell knows goes to the catch-all, once. */
export function rateMatrix(
  price: Matrix,
  dimensions: Readonly<Record<string, string>>,
  span: Span,
): Draft[] {
  const cell = cellFor(price.cells, dimensions);
  const unitAmount = cell?.unitAmount ?? price.defaultUnitAmount;
  if (!unitAmount) throw new UnratableError("/cells", noCell(price, dimensions));
  return along(span.from, span.to, (from, to) => [
    usage(
      subtract(to, from),
      unitAmount,
      cell && Object.keys(cell.match).length > 0
        ? { kind: "cell", match: cell.match }
        : { kind: "catch_all" },
    ),
  ]);
}

function noCell(price: Matrix, dimensions: Readonly<Record<string, string>>): string {
  const values = price.dimensions.map((key) => `${key}=${dimensions[key] ?? "(none)"}`).join(", ");
  return `no cell matches usage with ${values}, and the price has no default_unit_amount`;
}
