import {
  compare,
  type Decimal,
  decimal,
  decimalOf,
  greatest,
  isPositive,
  isZero,
  least,
  multiply,
  one,
  subtract,
  sumOf,
  zero,
} from "../../kit/decimal.ts";
import type { Price } from "../catalog/index.ts";
import { openingFlat } from "./graduated.ts";
import { counted, type Draft, usage } from "./segments.ts";
import { along, type Span } from "./span.ts";
import { isEntered, overlap, withBounds } from "./tiers.ts";
import { UnratableError } from "./unratable.ts";

export type Percentage = Price & { readonly model: "percentage" };

/** The events of a slice: how many came before it in the period, how many it has, and their amounts where known. */
export type EventSpan = {
  readonly before: Decimal;
  readonly count: Decimal | null;
  readonly amounts: readonly Decimal[] | null;
};

const hundredth = decimal("0.01");

/** Whether the price looks at the amount of every single event, not only at their number and sum. */
export const looksAtEvents = (price: Percentage): boolean =>
  price.perEventMinimum !== null ||
  price.perEventMaximum !== null ||
  price.freeEventsCover === "whole_event";

/** A share of an amount of money, by tiers of the amount if there are any, and a fixed amount for every paid event. */
export function ratePercentage(price: Percentage, span: Span, events: EventSpan): Draft[] {
  const tiers = withBounds(price.tiers);
  const only = tiers.length === 1;
  const shares = along(span.from, span.to, (from, to) =>
    tiers.flatMap(({ tier, bounds }) => {
      const part = overlap(bounds, from, to);
      if (!part) return [];
      const flatDue =
        !isZero(tier.flatAmount) &&
        isEntered(bounds, from, to) &&
        !(bounds.index === 0 && price.flatAtZero);
      const flat = flatDue
        ? [counted(one, tier.flatAmount, zero, { kind: "tier_flat", tier: bounds }, bounds)]
        : [];
      const within = only ? null : bounds;
      const because = { kind: "percentage", rate: tier.rate, tier: within } as const;
      return [...flat, usage(part.units, multiply(tier.rate, hundredth), because, within)];
    }),
  );
  return [...openingFlat(price, span), ...shares, ...fixedAmounts(price, events)];
}

function fixedAmounts(price: Percentage, events: EventSpan): Draft[] {
  if (isZero(price.fixedAmount)) return [];
  if (events.count === null)
    throw new UnratableError(
      "/fixed_amount",
      "the price has a fixed amount per event: say how many events the usage has",
    );
  const paid = (count: Decimal) => greatest(subtract(count, price.freeEvents), zero);
  const count = subtract(paid(events.before.plus(events.count)), paid(events.before));
  return isZero(count) ? [] : [perEvent(price, count)];
}

const perEvent = (price: Percentage, count: Decimal) =>
  counted(count, price.fixedAmount, zero, { kind: "per_event", freeEvents: price.freeEvents });

/**
 * The same for prices that look at every event, in their order: what is free may spare whole events, and what one event
 * costs stays between a minimum and a maximum. `metered` is the amount that came before in the period.
 */
export function rateEvents(price: Percentage, metered: Decimal, events: EventSpan): Draft[] {
  if (!events.amounts)
    throw new UnratableError(
      price.perEventMinimum || price.perEventMaximum ? "/per_event_minimum" : "/free_events_cover",
      "the price looks at every event: give the amounts of the single events",
    );
  const rate = multiply(price.tiers[0]?.rate ?? zero, hundredth);
  let running = metered;
  let index = events.before;
  const charged = events.amounts.map((amount) => {
    const from = running;
    running = running.plus(amount);
    index = index.plus(one);
    return chargeOf(price, rate, { from, to: running, number: index });
  });

  const share = sumOf(charged.map((one) => one.payable));
  const paidEvents = charged.filter((one) => one.fixed).length;
  return [
    ...(isZero(share)
      ? []
      : [
          usage(share, rate, {
            kind: "percentage",
            rate: price.tiers[0]?.rate ?? zero,
            tier: null,
          }),
        ]),
    ...(paidEvents > 0 && !isZero(price.fixedAmount)
      ? [perEvent(price, decimalOf(paidEvents))]
      : []),
    ...lifted(
      charged.filter((one) => isPositive(one.lift)),
      "event_minimum",
      price.perEventMinimum,
    ),
    ...lifted(
      charged.filter((one) => one.lift.isNegative()),
      "event_maximum",
      price.perEventMaximum,
    ),
  ];
}

type EventCharge = { readonly payable: Decimal; readonly fixed: boolean; readonly lift: Decimal };

function chargeOf(
  price: Percentage,
  rate: Decimal,
  event: { readonly from: Decimal; readonly to: Decimal; readonly number: Decimal },
): EventCharge {
  const { payable, fixed } =
    price.freeEventsCover === "whole_event" ? wholeEvent(price, event) : byUnits(price, event);
  if (isZero(payable) && !fixed) return { payable, fixed, lift: zero };
  const exact = multiply(payable, rate).plus(fixed ? price.fixedAmount : zero);
  const raised = price.perEventMinimum ? greatest(exact, price.perEventMinimum) : exact;
  const bounded = price.perEventMaximum ? least(raised, price.perEventMaximum) : raised;
  return { payable, fixed, lift: subtract(bounded, exact) };
}

type OneEvent = { readonly from: Decimal; readonly to: Decimal; readonly number: Decimal };

function byUnits(price: Percentage, { from, to, number }: OneEvent) {
  const paid = (amount: Decimal) => greatest(subtract(amount, price.freeUnits), zero);
  return { payable: subtract(paid(to), paid(from)), fixed: compare(number, price.freeEvents) > 0 };
}

// An event is free while neither the free events nor the free units are used up; either may be missing.
function wholeEvent(price: Percentage, { from, to, number }: OneEvent) {
  const countsEvents = isPositive(price.freeEvents);
  const countsUnits = isPositive(price.freeUnits);
  const eventsLeft = countsEvents ? compare(number, price.freeEvents) <= 0 : countsUnits;
  if (!eventsLeft) return { payable: subtract(to, from), fixed: true };
  if (!countsUnits) return { payable: zero, fixed: false };
  const payable = greatest(subtract(to, greatest(from, price.freeUnits)), zero);
  return { payable, fixed: isPositive(payable) };
}

function lifted(
  charged: readonly EventCharge[],
  kind: "event_minimum" | "event_maximum",
  limit: Decimal | null,
): Draft[] {
  if (charged.length === 0 || !limit) return [];
  const sum = sumOf(charged.map((one) => one.lift));
  return [counted(one, sum, zero, { kind, events: charged.length, limit })];
}
