import { type Decimal, zero } from "../../kit/decimal.ts";
import type { Day } from "../../kit/time.ts";
import { exemptionReasons, type TaxCategory } from "./category.ts";
import { type Place, ratesInForce, type TaxRate } from "./rate-table.ts";

export type TaxSeller = {
  readonly country: string;
  readonly vatId: string | null;
  /** Other places where the seller is registered and therefore collects. */
  readonly registeredIn: readonly Place[];
};

export type TaxBuyer = {
  readonly place: Place;
  readonly vatId: string | null;
  /** Whether the id was checked and found valid; the evidence of the check is kept with the account. */
  readonly vatIdValid: boolean;
  /** A certificate that frees this buyer from tax, valid on certain days in certain places. */
  readonly exemption: {
    readonly country: string;
    readonly certificate: string;
    readonly from: Day;
    readonly until: Day | null;
  } | null;
};

export type TaxComponent = { readonly name: string; readonly percent: Decimal };

/** How one line is taxed, with the reason; `undecided` stops the invoice, because silence would mean zero. */
export type TaxTreatment =
  | {
      readonly kind: "taxed";
      readonly category: "S" | "Z";
      readonly components: readonly TaxComponent[];
      readonly because: string;
    }
  | {
      readonly kind: "untaxed";
      readonly category: Exclude<TaxCategory, "S" | "Z">;
      readonly reason: string;
      readonly reasonCode: string;
      readonly because: string;
    }
  | { readonly kind: "undecided"; readonly because: string };

const union = new Set(
  "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK".split(" "),
);

/**
 * Decide the tax on a service. Place of supply of services to businesses is the buyer's country (EU VAT Directive art. 44,
 * reverse charge art. 196); to others in the Union the buyer's country too (art. 58, one-stop shop). Outside a place where
 * the seller is registered the supply is out of scope.
 */
export function decideTax(facts: {
  seller: TaxSeller;
  buyer: TaxBuyer;
  productClass: string;
  on: Day;
  table: readonly TaxRate[];
}): TaxTreatment {
  const { seller, buyer, productClass, on, table } = facts;
  const { country } = buyer.place;
  const { exemption } = buyer;
  if (
    exemption &&
    exemption.country === country &&
    exemption.from <= on &&
    (exemption.until === null || on < exemption.until)
  ) {
    return untaxed("E", `certificate ${exemption.certificate} is valid on ${on}`);
  }

  const crossBorder = country !== seller.country;
  const bothInUnion = union.has(country) && union.has(seller.country);
  if (crossBorder && bothInUnion && buyer.vatId !== null && buyer.vatIdValid) {
    return untaxed("AE", `buyer ${buyer.vatId} in ${country} accounts for the tax`);
  }
  if (crossBorder && !bothInUnion && !collects(seller, buyer.place)) {
    return union.has(seller.country)
      ? untaxed("G", `supplied to ${country}, outside the Union`)
      : untaxed("O", `${seller.country} does not collect tax in ${country}`);
  }

  const rates = ratesInForce(table, buyer.place, productClass, on);
  if (rates.length === 0) {
    const where = buyer.place.region ? `${country}-${buyer.place.region}` : country;
    return {
      kind: "undecided",
      because: `no rate for ${where}, class ${productClass}, on ${on}: add one to the tax table, or a certificate to the account`,
    };
  }
  const components = rates.map(({ name, percent }) => ({ name, percent }));
  const category = components.every(({ percent }) => percent.equals(zero)) ? "Z" : "S";
  return {
    kind: "taxed",
    category,
    components,
    because: `rates of ${country} for ${productClass} on ${on}`,
  };
}

function collects(seller: TaxSeller, place: Place): boolean {
  return seller.registeredIn.some(
    (one) => one.country === place.country && (one.region === null || one.region === place.region),
  );
}

function untaxed(category: Exclude<TaxCategory, "S" | "Z">, because: string): TaxTreatment {
  const { code, text } = exemptionReasons[category];
  return { kind: "untaxed", category, reason: text, reasonCode: code, because };
}
