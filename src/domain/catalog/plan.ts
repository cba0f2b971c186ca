import type { Currency } from "../../kit/currency.ts";
import type { Decimal } from "../../kit/decimal.ts";
import type { Instant } from "../../kit/time.ts";
import type { Price } from "./price.ts";

/** How long one billing period of a plan lasts. */
export const cadences = ["week", "month", "quarter", "year"] as const;
export type Cadence = (typeof cadences)[number];

/** Whether a period is paid when it begins or when it is over. */
export type Timing = "in_advance" | "in_arrears";

/** What a part of a period costs. `second` is the house rule; the others reproduce what other contracts say. */
export const prorationUnits = ["second", "day", "day_inclusive", "month_30", "none"] as const;
export type ProrationUnit = (typeof prorationUnits)[number];

export type ProrationPolicy = {
  readonly unit: ProrationUnit;
  /** Whether time that was paid for and will not be used is given back. */
  readonly creditUnused: boolean;
};

/** A fixed amount of a plan. Amounts stand here per currency; where one is missing, the account's price book decides. */
export type Fee = {
  readonly sku: string;
  readonly kind: "recurring" | "one_time";
  readonly amounts: ReadonlyMap<Currency, Decimal>;
  readonly timing: Timing;
  /** Charged once per subscription, or per seat (or other unit) beyond `includedUnits`. */
  readonly per: "subscription" | "unit";
  readonly includedUnits: Decimal;
  /** One-time fees only: charged once in a subscription's life, or once in the life of the account. */
  readonly once: "subscription" | "account";
};

/** A usage SKU as the plan sells it: what is included per period, and what it costs beyond that. */
export type PlanUsage = {
  readonly sku: string;
  /** In units of the meter, per period of the plan; what is left over lapses. */
  readonly included: Decimal;
  /** For meters of level × time: the level that is included at every moment. 10 GB are 7,440 GB-hours in a month of 31 days. */
  readonly includedLevel: Decimal;
  /** Beyond what is included: charge, or refuse. */
  readonly beyond: "charge" | "block";
  /** The plan's own price, one per currency. It goes before the account's price book; where there is none, the book decides. */
  readonly prices: readonly Price[];
};

export const quotaWindows = ["minute", "hour", "day", "month", "none"] as const;

/** A technical ceiling, checked before the action. Says nothing about money. */
export type PlanQuota = {
  readonly key: string;
  readonly limit: Decimal;
  readonly window: (typeof quotaWindows)[number];
  readonly enforcement: "hard" | "soft";
};

/** A plan at one point of its life. Published versions never change; subscriptions keep theirs until they are moved. */
export type PlanVersion = {
  readonly version: number;
  readonly status: "draft" | "published";
  readonly effectiveFrom: Instant;
  readonly cadence: Cadence;
  readonly fees: readonly Fee[];
  readonly usage: readonly PlanUsage[];
  readonly quotas: readonly PlanQuota[];
  readonly features: readonly string[];
  readonly trialDays: number;
  readonly proration: ProrationPolicy;
};

/** A bundle of SKUs. An add-on has the same shape and joins a subscription to a plan instead of standing alone. */
export type Plan = {
  readonly key: string;
  readonly name: string;
  readonly description: string;
  readonly kind: "plan" | "add_on";
  /** An account holds at most one active subscription of a product line. */
  readonly productLine: string;
  /** "Contact us": the plan has no public price, each account gets its own through its price book. */
  readonly priceOnRequest: boolean;
  /** Seen and chosen only by those to whom it is assigned. */
  readonly restricted: boolean;
  /** New accounts get it, when it is sold in their currency. */
  readonly isDefault: boolean;
  readonly versions: readonly PlanVersion[];
};

export type PlanRef = { readonly plan: string; readonly version: number };

export const formatPlanRef = (ref: PlanRef): string => `${ref.plan}@${ref.version}`;

/** The published version that new subscribers get at a moment: the latest one already in effect. */
export function versionInForce(plan: Plan, at: Instant): PlanVersion | undefined {
  return plan.versions
    .filter((version) => version.status === "published" && version.effectiveFrom <= at)
    .toSorted((a, b) => b.effectiveFrom - a.effectiveFrom || b.version - a.version)[0];
}

/** Look up the version a subscription keeps, whatever has been published since. */
export function versionOf(plans: readonly Plan[], ref: PlanRef): PlanVersion | undefined {
  return plans
    .find((plan) => plan.key === ref.plan)
    ?.versions.find((version) => version.version === ref.version);
}
