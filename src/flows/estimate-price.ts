import { type Price, readPrice } from "../domain/catalog/index.ts";
import { type Rated, rate, readUsage, UnratableError, type Usage } from "../domain/rating/index.ts";
import { type Fault, Problem } from "../domain/refusals/index.ts";

/** What usage would cost under a price document. Touches nothing: the same reading and rating as everywhere else. */
export function estimatePrice(
  document: unknown,
  rows: unknown,
): { readonly price: Price; readonly usage: readonly Usage[]; readonly rated: Rated } {
  const read = readPrice(document);
  if ("faults" in read) throw priceProblem(read.faults);
  const taken = readUsage(rows);
  if ("faults" in taken)
    throw new Problem("usage_not_ratable", firstOf(taken.faults), { faults: taken.faults });
  try {
    return { price: read.price, usage: taken.usage, rated: rate(read.price, taken.usage) };
  } catch (error) {
    if (!(error instanceof UnratableError)) throw error;
    const faults = [{ pointer: error.pointer, detail: error.message }];
    throw new Problem("usage_not_ratable", error.message, { faults });
  }
}

/** The refusal of an unsound price: says the first thing that is wrong and lists all of them. */
const priceProblem = (faults: readonly Fault[]): Problem =>
  new Problem("price_not_valid", firstOf(faults), { faults });

const firstOf = (faults: readonly Fault[]) => faults[0]?.detail ?? "";
