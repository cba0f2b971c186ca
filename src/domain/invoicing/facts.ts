import type { Currency } from "../../kit/currency.ts";
import type { Decimal } from "../../kit/decimal.ts";
import type { Instant, Period } from "../../kit/time.ts";
import type { PricedTerms } from "../accounts/index.ts";
import type { LateUsagePolicy, Meter, Price } from "../catalog/index.ts";
import type { BillingCalendar } from "./due.ts";

/** The account as it stands on the paper. */
export type InvoicedAccount = {
  readonly orgId: string;
  readonly accountId: string;
  readonly slug: string;
  readonly name: string;
  readonly currency: Currency;
  readonly calendar: BillingCalendar;
  readonly netDays: number;
  /** What paying early or late is worth under the terms; left out where they do not say. */
  readonly pricedTerms?: PricedTerms | undefined;
  readonly legalEntity: string;
  /** Hours after a period's end in which late events still change its draft. */
  readonly finalizationHours: number;
  /** What becomes of usage that arrives after that, where its meter does not say. */
  readonly lateUsage: LateUsagePolicy;
  /** Whether a period without any charge is put on paper all the same. */
  readonly zeroInvoices: boolean;
};

/** One published price, from when it holds until the next one of its book and SKU does. */
export type PriceVersion = {
  readonly priceId: string;
  readonly version: number;
  readonly book: string;
  readonly skuCode: string;
  readonly effectiveFrom: Instant;
  readonly price: Price;
  /** The document as it was published: what the paper quotes and a verification compares. */
  readonly definition: unknown;
  /** Where nothing else takes over, the end of its time: a plan's price ends with the plan. */
  readonly endsAt?: Instant;
  /** Since when it is published, where that is not when it takes hold for this buyer: they came to the plan later. */
  readonly publishedFrom?: Instant;
  /** What brings it when it is not the book: "plan professional@2", "correction chg_…". */
  readonly origin?: string;
};

/** A usage SKU that an account buys, with its prices oldest first. */
export type Offer = {
  readonly skuCode: string;
  readonly skuName: string;
  readonly meter: Meter;
  readonly meterDefinition: unknown;
  readonly versions: readonly PriceVersion[];
};

/**
 * Usage of one meter in one slice of time, for one project and one set of dimension values. For meters whose usage does not
 * add up over projects (`max`, `unique`, …) it is the account's, and `projectId` is empty.
 */
export type Measured = {
  readonly meterKey: string;
  readonly projectId: string;
  /** Canonical JSON of the dimension values, "{}" when there are none. */
  readonly dimensions: string;
  readonly slice: Period;
  readonly eventCount: bigint;
  readonly quantity: Decimal;
};

/** A charge that another room has already worked out: a plan's fee, a batch that was bought, a true-up. */
export type FixedCharge = {
  readonly cause: string;
  readonly usageType: UsageType;
  readonly skuCode: string;
  readonly description: string;
  readonly quantity: Decimal;
  readonly unit: string;
  readonly unitAmount: Decimal;
  readonly amount: Decimal;
  readonly period: Period;
  readonly because: string;
};

export type UsageType =
  | "usage"
  | "overage"
  | "prepaid"
  | "allowance"
  | "base"
  | "one_time"
  | "adjustment"
  | "credit";

/** Units of a SKU in a period that allowances and batches have paid for: they are not priced again. */
export type Coverage = {
  readonly skuCode: string;
  readonly slice: Period;
  readonly quantity: Decimal;
};

/** Which account paid for a project, for the part of the period in which it did. */
export type BindingUsed = {
  readonly bindingId: string;
  readonly projectId: string;
  readonly effectiveFrom: Instant;
};

/**
 * A period of an account, or the part of one for which somebody else than before, or after, is asked for its money. A part is
 * priced as a period of its own; only months are those of the whole.
 */
export type BilledPeriod = Period & { readonly partOf?: Period | undefined };

/** Everything the charges of one account and one period follow from. */
export type ChargeFacts = {
  readonly account: InvoicedAccount;
  readonly period: BilledPeriod;
  readonly offers: readonly Offer[];
  readonly measured: readonly Measured[];
  readonly fixed: readonly FixedCharge[];
  readonly covered: readonly Coverage[];
  readonly bindings: readonly BindingUsed[];
};
