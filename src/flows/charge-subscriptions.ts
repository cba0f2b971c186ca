import type { FixedCharge, Offer } from "../domain/invoicing/index.ts";
import {
  type Charge,
  chargesOf,
  formatShare,
  readSubscription,
  type Segment,
  type Terms,
} from "../domain/subscriptions/index.ts";
import type { Currency } from "../kit/currency.ts";
import { formatDecimal, isZero, one, round, subtract, zero } from "../kit/decimal.ts";
import { formatInstant, type Instant, type Period } from "../kit/time.ts";
import { readCatalog } from "../store/catalog.ts";
import {
  knownBefore,
  loadSubscriptionHistory,
  type KnownTimeline,
} from "../store/subscriptions.ts";
import { type AccountKey, accountKeyText, listAccountsToInvoice } from "../store/invoice-facts.ts";
import type { Db } from "../store/connect.ts";
import { readCatalogValue } from "../store/plans.ts";
import type { ChargeSource, OtherCharges } from "./charge-sources.ts";
import { coverAllowances, includesUsage } from "./cover-allowances.ts";
import { termsFor } from "./plan-terms.ts";
import {
  bookFor,
  offersOfSubscriber,
  type PlanOffers,
  readOffers,
  readPlanOffers,
} from "./read-offers.ts";

/**
 * The fees of plans on invoices. An invoice period carries what became due in it, and the difference that changes known by
 * its end make to what earlier periods carried: computing a period twice gives the same, and nothing is lost or billed twice.
 */
export const chargeSubscriptions: ChargeSource = async (db, spans, measure) => {
  const history = await loadSubscriptionHistory(db, spans);
  if (history.size === 0) return spans.map(() => ({ fixed: [], covered: [] }));
  const buyers = await buyersOf(db, spans);
  const shares: OtherCharges[] = [];
  for (const span of spans) {
    const key = accountKeyText(span.orgId, span.accountId);
    const buyer = buyers.get(key);
    const timelines = [...(history.get(key)?.values() ?? [])];
    if (buyer === undefined || timelines.length === 0) {
      shares.push({ fixed: [], covered: [] });
      continue;
    }
    const { terms, plans, currency } = buyer;
    const known = knownBefore(timelines, span.period.endsAt);
    const offers = offersOfSubscriber(buyer.offers, plans, known, currency);
    shares.push({
      fixed: onceEach(timelines, buyer, span.period),
      covered: await coverAllowances(db, span, known, { terms, offers, measure }),
    });
  }
  return shares;
};

type Buyer = {
  readonly terms: Terms;
  readonly offers: readonly Offer[];
  readonly plans: PlanOffers;
  readonly currency: Currency;
  /** What a SKU is called on paper. */
  readonly nameOf: (skuCode: string) => string;
};

/** Terms and usage prices of each account; no usage prices where no plan includes any usage. */
async function buyersOf(db: Db, keys: readonly AccountKey[]): Promise<Map<string, Buyer>> {
  const catalog = await readCatalogValue(db);
  const stored = await readCatalog(db);
  const isCovering = includesUsage(catalog);
  const nameOf = (skuCode: string) => stored.skus.get(skuCode)?.name ?? skuCode;
  const accounts = await listAccountsToInvoice(db, keys);
  return new Map(
    accounts.map(({ account, priceBook }) => {
      const book = bookFor(stored, priceBook, account.currency);
      const offers = isCovering ? readOffers(stored, book) : [];
      return [
        accountKeyText(account.orgId, account.accountId),
        {
          terms: termsFor(catalog, book),
          offers,
          plans: readPlanOffers(stored),
          currency: account.currency,
          nameOf,
        },
      ];
    }),
  );
}

/** The fees of all subscriptions of an account; what is charged once in the account's life, only by the first. */
function onceEach(
  timelines: readonly (readonly KnownTimeline[])[],
  buyer: Buyer,
  period: Period,
): FixedCharge[] {
  const charged = new Set<string>();
  return timelines.flatMap((history) => {
    const fees = feesIn(history, buyer, period).filter((fee) => !charged.has(fee.cause));
    for (const cause of dueBy(history, buyer.terms, period.endsAt).keys())
      if (cause.startsWith("account/")) charged.add(cause);
    return fees;
  });
}

/** What one subscription puts on the invoice of a period. */
function feesIn(
  history: readonly KnownTimeline[],
  { terms, nameOf }: Buyer,
  period: Period,
): FixedCharge[] {
  const before = dueBy(history, terms, period.startsAt);
  const after = dueBy(history, terms, period.endsAt);
  const causes = new Set([...after.keys(), ...before.keys()]);
  return [...causes].flatMap((cause) => {
    const [old, now] = [before.get(cause), after.get(cause)];
    const charge = now ?? old;
    if (charge === undefined) return [];
    const name = nameOf(charge.sku);
    if (old === undefined) return [feeLine(charge, name, period)];
    const change = subtract(now?.amount ?? zero, old.amount);
    return isZero(round(change, 12))
      ? []
      : [changeLine(charge, name, change, period, changedPeriod(old, now))];
  });
}

/** Everything due before a moment, as the timeline was known before it. */
function dueBy(
  history: readonly KnownTimeline[],
  terms: Terms,
  at: Instant,
): ReadonlyMap<string, Charge> {
  const known = history.findLast((one) => one.knownAt < at);
  if (known === undefined) return new Map();
  const subscription = readSubscription(known.id, known.timeline);
  // What is paid in advance belongs to the period it begins in; what is paid in arrears to the one it ends in.
  const charges = [
    ...chargesOf(subscription, terms, (at - 1) as Instant).filter(
      (charge) => charge.timing === "in_advance",
    ),
    ...chargesOf(subscription, terms, at).filter((charge) => charge.timing === "in_arrears"),
  ];
  return new Map(charges.map((charge) => [charge.cause, charge]));
}

function feeLine(charge: Charge, name: string, period: Period): FixedCharge {
  const [only, ...more] = charge.segments;
  const isWhole =
    only !== undefined &&
    more.length === 0 &&
    only.amount.equals(only.listAmount) &&
    only.share.part === only.share.whole;
  const amount = round(charge.amount, 12);
  return {
    cause: charge.cause,
    usageType: charge.kind === "one_time" ? "one_time" : "base",
    skuCode: charge.sku,
    description: name,
    quantity: isWhole ? only.quantity : one,
    unit: isWhole && charge.kind === "recurring" ? "period" : "share",
    unitAmount: isWhole ? only.unitAmount : amount,
    amount,
    period: within(servicePeriod(charge), period),
    because: charge.segments.map(explain).join("; "),
  };
}

/**
 * A later change of something that an earlier invoice carries: its difference, on a line of its own, over the time that
 * it is about. So what is given back of a year is given back from the change on.
 */
function changeLine(
  charge: Charge,
  name: string,
  change: FixedCharge["amount"],
  period: Period,
  over: Period,
): FixedCharge {
  const amount = round(change, 12);
  return {
    ...feeLine(charge, name, period),
    cause: `${charge.cause}/changed/${formatInstant(period.startsAt)}`,
    usageType: "adjustment",
    description: `${name}, changed`,
    quantity: one,
    unit: "share",
    unitAmount: amount,
    amount,
    period: within(over, period),
  };
}

/** From where two computations of a charge part to where the longer one ends. */
function changedPeriod(old: Charge, now: Charge | undefined): Period {
  const [before, after] = [old.segments, now?.segments ?? []];
  const ends = [...before, ...after].map((one) => one.period.endsAt);
  const endsAt = Math.max(...ends) as Instant;
  const parts = Array.from({ length: Math.max(before.length, after.length) }, (_, i) =>
    parting(before[i], after[i]),
  ).filter((at) => at !== undefined);
  const startsAt = Math.min(endsAt - 1, ...parts) as Instant;
  return { startsAt, endsAt };
}

/** Where two segments part: one rate over two lengths where the shorter ends, else where either begins. */
function parting(was: Segment | undefined, is: Segment | undefined): Instant | undefined {
  const [first, other] = [was ?? is, is ?? was];
  if (!first || !other) return undefined;
  const isSameRate =
    was && is && was.unitAmount.equals(is.unitAmount) && was.quantity.equals(is.quantity);
  if (!isSameRate) return Math.min(first.period.startsAt, other.period.startsAt) as Instant;
  if (was.period.endsAt !== is.period.endsAt)
    return Math.min(was.period.endsAt, is.period.endsAt) as Instant;
  return was.amount.equals(is.amount) ? undefined : was.period.startsAt;
}

const servicePeriod = (charge: Charge): Period => ({
  startsAt: charge.segments[0]?.period.startsAt ?? charge.period.startsAt,
  endsAt: charge.segments.at(-1)?.period.endsAt ?? charge.period.endsAt,
});

/** Lines are found again by the invoice period they begin in. */
function within(service: Period, period: Period): Period {
  if (service.startsAt >= period.endsAt || service.endsAt < period.startsAt) return period;
  return {
    startsAt: Math.max(service.startsAt, period.startsAt) as Instant,
    endsAt: service.endsAt,
  };
}

function explain(segment: Segment): string {
  const { period, quantity, unitAmount, share, discount } = segment;
  const price = `${formatDecimal(quantity)} × ${formatDecimal(unitAmount)}`;
  const cut =
    share.part === share.whole
      ? ""
      : ` × ${formatShare(share)} of the period, from ${formatInstant(period.startsAt)} to ${formatInstant(period.endsAt)}`;
  const off = isZero(discount) ? "" : `, less ${formatDecimal(round(discount, 12))} discount`;
  return `${price}${cut}${off}`;
}
