import type { Currency } from "../../kit/currency.ts";
import type { Money } from "../../kit/money.ts";
import type { Day } from "../../kit/time.ts";
import { calculateTax, type TaxResult } from "./calculate.ts";
import type { TaxCategory } from "./category.ts";
import type { LegalEntity } from "./entity.ts";
import type { TaxRate } from "./rate-table.ts";
import { decideTax, type TaxBuyer, type TaxTreatment } from "./treatment.ts";

/** What taxing one document needs: who issues, who buys, and the rates there are. */
export type TaxFacts = {
  readonly entity: LegalEntity;
  readonly buyer: TaxBuyer;
  readonly table: readonly TaxRate[];
};

/** A line before tax: what it comes to, what kind of product it is, and the day of its supply. */
export type LineToTax = {
  readonly amount: Money;
  readonly productClass: string;
  readonly suppliedOn: Day;
};

export type TaxedDocument =
  | {
      readonly kind: "taxed";
      readonly result: TaxResult;
      readonly treatments: readonly Exclude<TaxTreatment, { kind: "undecided" }>[];
    }
  | { readonly kind: "undecided"; readonly line: number; readonly because: string };

const notRegistered = {
  kind: "untaxed",
  category: "O" as Exclude<TaxCategory, "S" | "Z">,
  reason: "Not subject to tax",
  reasonCode: "VATEX-EU-O",
  because: "the issuer is not registered for tax",
} as const;

/** Tax a whole document. A single line that cannot be decided stops it: nothing is ever zero in silence. */
export function taxDocument(
  code: Currency,
  facts: TaxFacts,
  lines: readonly LineToTax[],
): TaxedDocument {
  const treatments: Exclude<TaxTreatment, { kind: "undecided" }>[] = [];
  for (const [index, line] of lines.entries()) {
    const treatment = treat(facts, line);
    if (treatment.kind === "undecided")
      return { kind: "undecided", line: index + 1, because: treatment.because };
    treatments.push(treatment);
  }
  const taxable = lines.map((line, index) => {
    const treatment = treatments[index] as (typeof treatments)[number];
    return {
      amount: line.amount,
      category: treatment.category,
      components: treatment.kind === "taxed" ? treatment.components : [],
    };
  });
  const { pricesIncludeTax, rounding } = facts.entity;
  return {
    kind: "taxed",
    result: calculateTax(code, taxable, { pricesIncludeTax, rounding }),
    treatments,
  };
}

function treat({ entity, buyer, table }: TaxFacts, line: LineToTax): TaxTreatment {
  if (entity.tax === "none") return notRegistered;
  if (buyer.place.country === "")
    return { kind: "undecided", because: "the billing account has no address: add its country" };
  const seller = {
    country: entity.country,
    vatId: entity.vatId,
    registeredIn: entity.registeredIn,
  };
  return decideTax({ seller, buyer, productClass: line.productClass, on: line.suppliedOn, table });
}
