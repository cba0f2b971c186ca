import { canonicalJson } from "../../kit/canonical-json.ts";
import { type Money, minus, nothing, sumMoney, toMoney } from "../../kit/money.ts";
import type { Currency } from "../../kit/currency.ts";
import type { Segment } from "./segments.ts";
import type { Rated } from "./rate.ts";

/** What is (or was) charged for a period, split into what the model asks and what minimum and maximum change. */
export type Booking = {
  readonly gross: Money;
  /** What was added to reach the minimum. */
  readonly minimum: Money;
  /** What was taken off to stay at the maximum; not below zero. */
  readonly reduction: Money;
  readonly total: Money;
};

export const nothingBooked = (code: Currency): Booking => ({
  gross: nothing(code),
  minimum: nothing(code),
  reduction: nothing(code),
  total: nothing(code),
});

/** Round what was rated once, on the total; the parts are whatever adds up to it. */
export function bookingOf(rated: Rated): Booking {
  const { currency, amount: total } = rated;
  const gross = toMoney(rated.gross, currency);
  const change = minus(total, gross);
  const none = nothing(currency);
  const capped = rated.segments.some((segment) => segment.because.kind === "maximum");
  return capped
    ? { gross, minimum: none, reduction: minus(none, change), total }
    : { gross, minimum: change, reduction: none, total };
}

/**
 * Expected minus existing: what to put on the next document so that everything booked for the period adds up to what the
 * period costs as we know it now. Rounding the cumulative amount and then subtracting keeps the sum of documents exact.
 */
export function rateDelta(rated: Rated, booked: readonly Booking[]): Booking {
  const expected = bookingOf(rated);
  const so = (pick: (booking: Booking) => Money) =>
    minus(pick(expected), sumMoney(rated.currency, booked.map(pick)));
  return {
    gross: so((one) => one.gross),
    minimum: so((one) => one.minimum),
    reduction: so((one) => one.reduction),
    total: so((one) => one.total),
  };
}

/** The difference as segments: what was booked taken back, what is expected now charged; equal segments cancel. */
export function segmentDelta(
  expected: readonly Segment[],
  booked: readonly Segment[],
): { readonly added: readonly Segment[]; readonly reversed: readonly Segment[] } {
  const left = [...booked];
  const added = expected.filter((segment) => {
    const place = left.findIndex((one) => sameSegment(one, segment));
    if (place >= 0) left.splice(place, 1);
    return place < 0;
  });
  return { added, reversed: left };
}

const sameSegment = (a: Segment, b: Segment): boolean =>
  a.because.kind === b.because.kind &&
  a.quantity.equals(b.quantity) &&
  a.unitPrice.equals(b.unitPrice) &&
  a.tier?.index === b.tier?.index &&
  a.version === b.version &&
  a.period?.startsAt === b.period?.startsAt &&
  a.period?.endsAt === b.period?.endsAt &&
  canonicalJson(a.dimensions) === canonicalJson(b.dimensions);
