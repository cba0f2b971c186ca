import type { Currency } from "../../kit/currency.ts";
import type { Decimal } from "../../kit/decimal.ts";
import type { Instant } from "../../kit/time.ts";
import type { SkuLabels } from "./discount.ts";
import type { Meter } from "./meter.ts";
import type { Plan } from "./plan.ts";
import type { Price } from "./price.ts";

/** Forward only: what is deprecated still bills, what is retired is history. */
export const lifecycle = ["draft", "published", "deprecated", "retired"] as const;
export type LifecycleStatus = (typeof lifecycle)[number];

/** Something people can browse for: a family of meters, SKUs and prices. */
export type Service = {
  readonly key: string;
  readonly name: string;
  readonly description: string;
  readonly status: LifecycleStatus;
};

export const skuKinds = ["usage", "batch", "recurring", "one_time", "feature", "credit"] as const;
export type SkuKind = (typeof skuKinds)[number];

/** What a batch gives: so many units of its meter, for so many days. */
export type Batch = { readonly units: Decimal; readonly validityDays: number };

/** One thing that is sold: the identity of an invoice line. */
export type Sku = {
  readonly code: string;
  readonly name: string;
  readonly service: string | null;
  readonly kind: SkuKind;
  readonly status: LifecycleStatus;
  readonly labels: SkuLabels;
  /** What is measured (usage) or drawn from (batch). */
  readonly meter: string | null;
  readonly batch: Batch | null;
  /** What one is called on paper: "SMS", "per 1,000 tokens". */
  readonly unit: string | null;
  /** Seen and bought only by those to whom it is assigned. */
  readonly restricted: boolean;
};

/** Prices of one currency. What a book does not price, its parent does. */
export type PriceBook = {
  readonly code: string;
  readonly name: string;
  readonly currency: Currency;
  readonly parent: string | null;
};

/** A price in a book, from a moment until the next one of the same book and SKU begins. */
export type BookPrice = {
  readonly book: string;
  readonly sku: string;
  readonly effectiveFrom: Instant;
  readonly price: Price;
  /** Warnings that the author has seen and wants all the same. */
  readonly confirms: readonly string[];
};

/** Makes a restricted SKU or plan visible to one organization and everybody below it. */
export type Assignment = {
  readonly kind: "sku" | "plan";
  readonly key: string;
  readonly organization: string;
};

/** Where alerts fire unless somebody chose otherwise, in per cent. */
export type AlertDefaults = Readonly<Record<AlertSubject, readonly number[]>>;
export const alertSubjects = ["batch", "budget", "quota", "credit_limit"] as const;
export type AlertSubject = (typeof alertSubjects)[number];
export const standardAlerts: AlertDefaults = {
  batch: [80, 100],
  budget: [50, 75, 90, 100],
  quota: [80, 90, 95, 100],
  credit_limit: [80, 100],
};

/** The whole catalog as one value. */
export type Catalog = {
  readonly services: readonly Service[];
  readonly meters: readonly Meter[];
  readonly skus: readonly Sku[];
  readonly books: readonly PriceBook[];
  readonly prices: readonly BookPrice[];
  readonly plans: readonly Plan[];
  readonly assignments: readonly Assignment[];
  readonly alerts: AlertDefaults;
};

export const emptyCatalog: Catalog = {
  services: [],
  meters: [],
  skus: [],
  books: [],
  prices: [],
  plans: [],
  assignments: [],
  alerts: standardAlerts,
};
