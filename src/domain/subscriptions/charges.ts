import { assert } from "../../kit/assert.ts";
import type { Currency } from "../../kit/currency.ts";
import {
  type Decimal,
  decimalOf,
  divide,
  greatest,
  least,
  multiply,
  one,
  round,
  subtract,
  sumOf,
  zero,
} from "../../kit/decimal.ts";
import { type Money, minus, nothing, toMoney } from "../../kit/money.ts";
import { formatInstant, type Instant, type Period } from "../../kit/time.ts";
import {
  discountFor,
  type Fee,
  formatPlanRef,
  type PlanRef,
  type PlanVersion,
  type SelectableSku,
} from "../catalog/index.ts";
import { cyclePeriodsOver } from "./cycle.ts";
import { portion, type Share, shareOf, wholeShare } from "./proration.ts";
import { type Phase, spansOf, type Subscription } from "./subscription.ts";

/** What the rules ask of the catalog: the versions a subscription keeps, and what a fee costs at a moment. */
export type Terms = {
  readonly version: (ref: PlanRef) => PlanVersion | undefined;
  readonly amount: (fee: Fee, currency: Currency, at: Instant) => Decimal | undefined;
  readonly sku: (code: string) => SelectableSku;
};

/** One stretch of one charge: so many units at so much for this share of the period. */
export type Segment = {
  readonly period: Period;
  readonly quantity: Decimal;
  readonly unitAmount: Decimal;
  readonly share: Share;
  /** Before discount, exact. */
  readonly listAmount: Decimal;
  readonly discount: Decimal;
  /** List less discount: exact, not rounded. */
  readonly amount: Decimal;
};

/**
 * What one component of a subscription costs for one period. `cause` names it for ever: the engine computes what should
 * have been charged under a cause, subtracts what was, and bills the difference.
 */
export type Charge = {
  readonly cause: string;
  readonly subscriptionId: string;
  readonly plan: PlanRef;
  readonly sku: string;
  readonly kind: Fee["kind"];
  readonly timing: Fee["timing"];
  /** The whole billing period of which the segments are parts; for one-time fees the moment they fall due, empty. */
  readonly period: Period;
  readonly dueAt: Instant;
  readonly currency: Currency;
  readonly segments: readonly Segment[];
  readonly amount: Decimal;
};

/**
 * Everything a subscription should have been charged up to a moment: periods in advance once they have begun, periods in
 * arrears once they are over. A function of the timeline alone, so that asking twice gives the same answer.
 */
export function chargesOf(subscription: Subscription, terms: Terms, upTo: Instant): Charge[] {
  const byCause = new Map<string, Charge>();
  for (const part of partsOf(subscription, terms, upTo)) {
    const charge = chargeFrom(subscription, terms, part);
    if (charge === undefined || charge.dueAt > upTo) continue;
    const known = byCause.get(charge.cause);
    byCause.set(charge.cause, known === undefined ? charge : merge(known, charge));
  }
  return [...byCause.values()];
}

/** Money per cause: rounded once per charge. */
export const chargedByCause = (charges: readonly Charge[]): Map<string, Money> =>
  new Map(charges.map((charge) => [charge.cause, toMoney(charge.amount, charge.currency)]));

/** Expected minus existing, cause by cause: what is still to be billed (or credited, below zero). Zeros are left out. */
export function difference(
  expected: ReadonlyMap<string, Money>,
  existing: ReadonlyMap<string, Money>,
): Map<string, Money> {
  const causes = new Set([...expected.keys(), ...existing.keys()]);
  const entries = [...causes].map((cause): [string, Money] => {
    const known = expected.get(cause) ?? existing.get(cause);
    assert(known !== undefined, `no amount under ${cause}`);
    const none = nothing(known.currency);
    return [cause, minus(expected.get(cause) ?? none, existing.get(cause) ?? none)];
  });
  return new Map(entries.filter(([, amount]) => amount.minor !== 0n));
}

/** One fee of one phase in one billing period, cut to the time the phase has in it. */
type Part = {
  readonly phase: Phase;
  readonly plan: PlanRef;
  readonly version: PlanVersion;
  readonly fee: Fee;
  readonly whole: Period;
  readonly slice: Period;
};

function* partsOf(subscription: Subscription, terms: Terms, upTo: Instant): Generator<Part> {
  const charged = new Set<string>();
  for (const { phase, span } of spansOf(subscription)) {
    if (phase.kind !== "active" || span.startsAt > upTo) continue;
    const bundles = [phase.plan, ...phase.addOns].map((plan) => {
      const version = terms.version(plan);
      assert(version !== undefined, `the catalog lost ${formatPlanRef(plan)}`);
      return { plan, version };
    });
    for (const { plan, version } of bundles) {
      for (const fee of version.fees.filter(({ kind }) => kind === "one_time")) {
        const once = `${plan.plan}/${fee.sku}`;
        if (charged.has(once)) continue;
        charged.add(once);
        const moment = { startsAt: span.startsAt, endsAt: span.startsAt };
        yield { phase, plan, version, fee, whole: moment, slice: moment };
      }
    }
    // One period beyond the moment asked for is never due, and the first one may be.
    const reach = Math.min(span.endsAt, upTo + 1) as Instant;
    for (const whole of cyclePeriodsOver(phase.cycle, { ...span, endsAt: reach })) {
      const slice = {
        startsAt: Math.max(span.startsAt, whole.startsAt) as Instant,
        endsAt: Math.min(span.endsAt, whole.endsAt) as Instant,
      };
      for (const { plan, version } of bundles)
        for (const fee of version.fees.filter(({ kind }) => kind === "recurring"))
          yield { phase, plan, version, fee, whole, slice };
    }
  }
}

function chargeFrom(subscription: Subscription, terms: Terms, part: Part): Charge | undefined {
  const { phase, plan, version, fee, whole, slice } = part;
  const { currency } = subscription;
  const unitAmount = terms.amount(fee, currency, slice.startsAt);
  assert(
    unitAmount !== undefined,
    `${fee.sku} of ${formatPlanRef(plan)} has no price in ${currency}`,
  );
  const quantity = billableQuantity(fee, phase);
  const share =
    fee.kind === "one_time"
      ? wholeShare
      : shareOf(
          version.proration.unit,
          version.proration.creditUnused || fee.timing === "in_arrears"
            ? slice
            : { startsAt: slice.startsAt, endsAt: whole.endsAt },
          whole,
          phase.cycle.zone,
        );
  const full = multiply(unitAmount, quantity);
  const listAmount = portion(full, share);
  const discount = portion(discountOn(fee, phase, terms, currency, slice.startsAt), share);
  const amount = subtract(listAmount, discount);
  return {
    cause: causeOf(subscription, plan, fee, whole),
    subscriptionId: subscription.id,
    plan,
    sku: fee.sku,
    kind: fee.kind,
    timing: fee.timing,
    period: whole,
    dueAt:
      fee.timing === "in_advance"
        ? slice.startsAt
        : (Math.min(whole.endsAt, subscription.endsAt ?? whole.endsAt) as Instant),
    currency,
    segments: [{ period: slice, quantity, unitAmount, share, listAmount, discount, amount }],
    amount,
  };
}

function causeOf(subscription: Subscription, plan: PlanRef, fee: Fee, whole: Period): string {
  if (fee.kind === "one_time")
    return fee.once === "account"
      ? `account/${subscription.accountId}/${fee.sku}/once`
      : `subscription/${subscription.id}/${plan.plan}/${fee.sku}/once`;
  return `subscription/${subscription.id}/${formatPlanRef(plan)}/${fee.sku}/${formatInstant(whole.startsAt)}`;
}

/** Stretches of the same component in the same period stand on one charge: it is rounded once. */
const merge = (a: Charge, b: Charge): Charge => {
  const segments = [...a.segments, ...b.segments];
  return {
    ...a,
    dueAt: Math.min(a.dueAt, b.dueAt) as Instant,
    segments,
    // Thirds that should meet again at a whole differ in the hundredth digit; no true amount comes that near to a tie.
    amount: round(sumOf(segments.map((segment) => segment.amount)), 60),
  };
};

/** Units beyond those that are included; one for a fee per subscription. */
function billableQuantity(fee: Fee, phase: Pick<Phase, "quantities">): Decimal {
  if (fee.per === "subscription") return one;
  return greatest(zero, subtract(phase.quantities.get(fee.sku) ?? zero, fee.includedUnits));
}

/** The reduction of a fee for a whole period. A fixed amount is shared by everything it selects, in proportion. */
function discountOn(
  fee: Fee,
  phase: Phase,
  terms: Terms,
  currency: Currency,
  at: Instant,
): Decimal {
  const full = (other: Fee) =>
    multiply(terms.amount(other, currency, at) ?? zero, billableQuantity(other, phase));
  const discount = discountFor(phase.discounts, terms.sku(fee.sku));
  if (discount === undefined || fee.kind === "one_time") return zero;
  if (discount.kind === "percent")
    return divide(multiply(full(fee), discount.percent), decimalOf(100));
  const sharers = [phase.plan, ...phase.addOns]
    .flatMap((plan) => terms.version(plan)?.fees ?? [])
    .filter(({ kind }) => kind === "recurring")
    .filter((other) => discountFor(phase.discounts, terms.sku(other.sku)) === discount);
  const base = sumOf(sharers.map(full));
  if (base.isZero()) return zero;
  return divide(multiply(least(discount.amount, base), full(fee)), base);
}
