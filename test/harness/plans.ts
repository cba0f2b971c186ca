import {
  type Cadence,
  type Fee,
  type PlanRef,
  type PlanVersion,
  type ProrationPolicy,
  type SelectableSku,
  versionOf,
} from "../../src/domain/catalog/index.ts";
import {
  start,
  type Start,
  type Subscription,
  type Terms,
} from "../../src/domain/subscriptions/index.ts";
import { currency } from "../../src/kit/currency.ts";
import { decimal, one, zero } from "../../src/kit/decimal.ts";
import { instant } from "../../src/kit/time.ts";

export const usd = currency("USD");

/** A fee in dollars, monthly in advance unless said otherwise. */
export const aFee = (sku: string, amount: string, rest: Partial<Fee> = {}): Fee => ({
  sku,
  kind: "recurring",
  amounts: new Map([[usd, decimal(amount)]]),
  timing: "in_advance",
  per: "subscription",
  includedUnits: zero,
  once: "subscription",
  ...rest,
});

type Sketch = {
  readonly cadence?: Cadence;
  readonly proration?: Partial<ProrationPolicy>;
  readonly trialDays?: number;
};

/** Terms in which each plan is version 1 of its fees: `someTerms({ basic: [aFee("BASIC", "50")] })`. */
export function someTerms(plans: Record<string, readonly Fee[]>, sketch: Sketch = {}): Terms {
  const all = Object.entries(plans).map(([key, fees]) => ({
    key,
    name: key,
    description: "",
    kind: "plan" as const,
    productLine: "platform",
    priceOnRequest: false,
    restricted: false,
    isDefault: false,
    versions: [aVersion(fees, sketch)],
  }));
  return {
    version: (ref) => versionOf(all, ref),
    amount: (fee, code) => fee.amounts.get(code),
    sku: aSku,
  };
}

export const aVersion = (fees: readonly Fee[], sketch: Sketch = {}): PlanVersion => ({
  version: 1,
  status: "published",
  effectiveFrom: instant("1970-01-01T00:00:00Z"),
  cadence: sketch.cadence ?? "month",
  fees,
  usage: [],
  quotas: [],
  features: [],
  trialDays: sketch.trialDays ?? 0,
  proration: { unit: "second", creditUnused: true, ...sketch.proration },
});

export const aSku = (code: string): SelectableSku => ({
  code,
  labels: { class: "PLAN", family: code, variant: "", payPlan: "MONTHLY" },
});

export const v1 = (plan: string): PlanRef => ({ plan, version: 1 });

/** A subscription to version 1 of a plan, from a day on, billed on the first of the month. */
export const aSubscription = (
  plan: string,
  from: string,
  rest: Partial<Start> = {},
): Subscription =>
  start({
    id: "sub_1",
    accountId: "acc_1",
    productLine: "platform",
    plan: v1(plan),
    cadence: "month",
    currency: usd,
    zone: "UTC",
    startsAt: on(from),
    trialDays: 0,
    anchor: { kind: "billing_day", day: 1 },
    addOns: [],
    quantities: new Map(),
    discounts: [],
    ...rest,
  });

/** Midnight UTC of a date, or the instant as written. */
export const on = (date: string) => instant(date.includes("T") ? date : `${date}T00:00:00Z`);
export const seats = (count: string) => new Map([["SEAT", decimal(count)]]);
export { one };
