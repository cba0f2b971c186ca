import { type Currency, currency } from "../../kit/currency.ts";
import { decimal, formatDecimal } from "../../kit/decimal.ts";
import { formatInstant, type Instant, instant } from "../../kit/time.ts";
import type { Cadence, Discount, PlanRef } from "../catalog/index.ts";
import type { Anchor } from "./cycle.ts";
import type { Phase, PhaseKind, Subscription } from "./subscription.ts";

/** A timeline as a plain document: what is stored, audited and shown. `readSubscription` reads it back. */
export type SubscriptionDocument = {
  readonly account_id: string;
  readonly product_line: string;
  readonly currency: string;
  readonly time_zone: string;
  readonly ends_at: string | null;
  readonly phases: readonly PhaseDocument[];
};

export type PhaseDocument = {
  readonly starts_at: string;
  readonly kind: PhaseKind;
  readonly plan: PlanRef;
  readonly cadence: Cadence;
  readonly anchor: { readonly at: string } | { readonly month: string; readonly day: number };
  readonly add_ons: readonly PlanRef[];
  readonly quantities: Readonly<Record<string, string>>;
  readonly discounts: readonly DiscountDocument[];
};

type DiscountDocument = {
  readonly selects: Discount["selects"];
  readonly percent?: string;
  readonly amount?: string;
};

export const writeSubscription = (subscription: Subscription): SubscriptionDocument => ({
  account_id: subscription.accountId,
  product_line: subscription.productLine,
  currency: subscription.currency,
  time_zone: subscription.zone,
  ends_at: subscription.endsAt === null ? null : formatInstant(subscription.endsAt),
  phases: subscription.phases.map(writePhase),
});

const writePhase = (phase: Phase): PhaseDocument => ({
  starts_at: formatInstant(phase.startsAt),
  kind: phase.kind,
  plan: phase.plan,
  cadence: phase.cycle.cadence,
  anchor: writeAnchor(phase.cycle.anchor),
  add_ons: phase.addOns,
  quantities: Object.fromEntries(
    [...phase.quantities].map(([sku, quantity]) => [sku, formatDecimal(quantity)]),
  ),
  discounts: phase.discounts.map((discount) => ({
    selects: discount.selects,
    ...(discount.kind === "percent"
      ? { percent: formatDecimal(discount.percent) }
      : { amount: formatDecimal(discount.amount) }),
  })),
});

const writeAnchor = (anchor: Anchor): PhaseDocument["anchor"] =>
  anchor.kind === "moment"
    ? { at: formatInstant(anchor.at) }
    : { month: anchor.month, day: anchor.day };

export function readSubscription(id: string, document: SubscriptionDocument): Subscription {
  const zone = document.time_zone;
  const [first, ...rest] = document.phases.map((phase) => readPhase(phase, zone));
  if (first === undefined) throw new RangeError(`subscription ${id} is stored without phases`);
  return {
    id,
    accountId: document.account_id,
    productLine: document.product_line,
    currency: currency(document.currency) as Currency,
    zone,
    phases: [first, ...rest],
    endsAt: document.ends_at === null ? null : instant(document.ends_at),
  };
}

const readPhase = (phase: PhaseDocument, zone: string): Phase => ({
  startsAt: instant(phase.starts_at),
  kind: phase.kind,
  plan: phase.plan,
  cycle: { cadence: phase.cadence, anchor: readAnchor(phase.anchor), zone },
  addOns: phase.add_ons,
  quantities: new Map(
    Object.entries(phase.quantities).map(([sku, quantity]) => [sku, decimal(quantity)]),
  ),
  discounts: phase.discounts.map(readDiscount),
});

const readAnchor = (anchor: PhaseDocument["anchor"]): Anchor =>
  "at" in anchor
    ? { kind: "moment", at: instant(anchor.at) }
    : { kind: "billing_day", month: anchor.month, day: anchor.day };

const readDiscount = ({ selects, percent, amount }: DiscountDocument): Discount =>
  percent === undefined
    ? { kind: "fixed", amount: decimal(amount ?? "0"), selects }
    : { kind: "percent", percent: decimal(percent), selects };

/** When a subscription is over for good, so that its place may be taken by another one; null while it can come back. */
export const closedAt = (subscription: Subscription, now: Instant): Instant | null =>
  subscription.endsAt !== null && subscription.endsAt <= now ? subscription.endsAt : null;
