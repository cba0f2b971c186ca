import type { Currency } from "../../kit/currency.ts";
import type { Place } from "./rate-table.ts";

/** Who issues documents: the provider, or one of its companies. */
export type LegalEntity = {
  readonly code: string;
  readonly name: string;
  readonly street: string;
  readonly city: string;
  readonly postcode: string;
  readonly region: string | null;
  readonly country: string;
  readonly vatId: string | null;
  readonly registration: string | null;
  readonly email: string | null;
  readonly electronicAddress: { readonly scheme: string; readonly address: string } | null;
  readonly bank: {
    readonly iban: string;
    readonly bic: string | null;
    readonly holder: string;
  } | null;
  readonly brand: { readonly name: string; readonly color: string; readonly footer: string };
  /** `none`: not registered for any tax, and every document says so. */
  readonly tax: "none" | "collects";
  /** Whether prices are quoted with tax inside. */
  readonly pricesIncludeTax: boolean;
  readonly rounding: "document" | "line";
  /** Places beside its own country where it is registered and collects. */
  readonly registeredIn: readonly Place[];
  /** The currency in which tax is reported, when documents may be in others. */
  readonly accountingCurrency: Currency | null;
};

/** An installation that nobody has set up yet: it collects no tax, and its documents say why. */
export const unconfiguredEntity: LegalEntity = {
  code: "main",
  name: "Tallyline installation",
  street: "",
  city: "",
  postcode: "",
  region: null,
  country: "",
  vatId: null,
  registration: null,
  email: null,
  electronicAddress: null,
  bank: null,
  brand: { name: "Tallyline", color: "#0b5cad", footer: "" },
  tax: "none",
  pricesIncludeTax: false,
  rounding: "document",
  registeredIn: [],
  accountingCurrency: null,
};
