import {
  type Coverage,
  isAdditive,
  type Offer,
  priceCuts,
  quantityOf,
} from "../domain/invoicing/index.ts";
import type { Catalog } from "../domain/catalog/index.ts";
import {
  type AllowancePart,
  coverByAllowance,
  cyclePeriodsOver,
  spansOf,
  type Subscription,
  type Terms,
} from "../domain/subscriptions/index.ts";
import { type Decimal, decimalOf, divide, isZero, multiply, sumOf } from "../kit/decimal.ts";
import { hour, intersect, type Instant, lengthOf, type Period } from "../kit/time.ts";
import { accountKeyText } from "../store/invoice-facts.ts";
import type { ChargeSpan, Measure } from "./charge-sources.ts";
import type { Db } from "../store/connect.ts";

/** One allowance in one plan period, cut wherever the plan or the price changes. */
type Allowance = {
  readonly sku: string;
  readonly offer: Offer;
  readonly parts: {
    readonly slice: Period;
    readonly included: Decimal;
    /** Included at every moment of the slice, beside `included`. */
    readonly level: Decimal;
  }[];
};

/**
 * The units of an invoice period that the plans of an account include: they are not priced again. Usage is followed from the
 * beginning of each plan period, in the order of time, by the path that measures all else: what proves a document reads raw events here too.
 */
export async function coverAllowances(
  db: Db,
  span: ChargeSpan,
  subscriptions: readonly Subscription[],
  by: { readonly terms: Terms; readonly offers: readonly Offer[]; readonly measure: Measure },
): Promise<Coverage[]> {
  const { terms, offers, measure } = by;
  const { period, untilSeq } = span;
  const key = { orgId: span.orgId, accountId: span.accountId };
  const allowances = subscriptions.flatMap((one) => allowancesOf(one, period, terms, offers));
  if (allowances.length === 0) return [];
  const windows = allowances.flatMap(({ offer, parts }) =>
    parts.map(({ slice }) => ({
      ...key,
      meter: offer.meter,
      slice,
      dimensions: [],
      untilSeq,
    })),
  );
  const measured = (await measure(db, windows)).get(accountKeyText(key.orgId, key.accountId)) ?? [];
  const used = (offer: Offer, slice: Period) =>
    quantityOf(
      measured.filter(
        (one) =>
          one.meterKey === offer.meter.key &&
          one.slice.startsAt === slice.startsAt &&
          one.slice.endsAt === slice.endsAt,
      ),
    );
  return allowances.flatMap(({ sku, offer, parts }) => {
    const full: AllowancePart[] = parts.map((part) => ({ ...part, used: used(offer, part.slice) }));
    return coverByAllowance(full)
      .filter((part) => part.slice.startsAt >= period.startsAt && !isZero(part.covered))
      .map((part) => ({ skuCode: sku, slice: part.slice, quantity: part.covered }));
  });
}

function allowancesOf(
  subscription: Subscription,
  period: Period,
  terms: Terms,
  offers: readonly Offer[],
): Allowance[] {
  const found = new Map<string, Allowance>();
  for (const { phase, span } of spansOf(subscription)) {
    if (phase.kind === "paused" || span.startsAt >= period.endsAt) continue;
    const reach = {
      startsAt: span.startsAt,
      endsAt: Math.min(span.endsAt, period.endsAt) as Instant,
    };
    for (const whole of cyclePeriodsOver(phase.cycle, reach)) {
      if (whole.endsAt <= period.startsAt) continue;
      const slice = intersect(whole, reach);
      if (slice === undefined) continue;
      for (const offer of offers) {
        const { included, level } = includedIn(phase, terms, offer.skuCode);
        const name = `${offer.skuCode} ${whole.startsAt}`;
        const allowance = found.get(name) ?? { sku: offer.skuCode, offer, parts: [] };
        if (isZero(included) && isZero(level) && allowance.parts.length === 0) continue;
        found.set(name, allowance);
        for (const part of cut(slice, offer, period))
          allowance.parts.push({ slice: part, included, level });
      }
    }
  }
  return [...found.values()].map(whole);
}

function includedIn(phase: Subscription["phases"][0], terms: Terms, sku: string) {
  const usages = [phase.plan, ...phase.addOns]
    .flatMap((ref) => terms.version(ref)?.usage ?? [])
    .filter((usage) => usage.sku === sku);
  return {
    included: sumOf(usages.map((usage) => usage.included)),
    level: sumOf(usages.map((usage) => usage.includedLevel)),
  };
}

/** What adds up is followed price by price; the rest is one quantity, under the plan in force at its end. */
function cut(slice: Period, offer: Offer, period: Period): Period[] {
  // A level is measured moment by moment, so each invoice period has its own share of it.
  if (offer.meter.aggregation === "weighted_sum") return [intersect(slice, period) ?? slice];
  if (!isAdditive(offer.meter)) return [slice];
  const cuts = [...priceCuts([offer], slice), period.startsAt].filter(
    (at) => at > slice.startsAt && at < slice.endsAt,
  );
  const edges = [slice.startsAt, ...new Set(cuts.toSorted((a, b) => a - b)), slice.endsAt];
  return edges.slice(1).map((endsAt, i) => ({ startsAt: edges[i] as Instant, endsAt }));
}

function whole(allowance: Allowance): Allowance {
  const [first] = allowance.parts;
  const last = allowance.parts.at(-1);
  if (isAdditive(allowance.offer.meter) || first === undefined || last === undefined)
    return allowance;
  const slice = { startsAt: first.slice.startsAt, endsAt: last.slice.endsAt };
  const held = allowance.parts.map((part) =>
    multiply(part.level, divide(decimalOf(lengthOf(part.slice)), decimalOf(hour))),
  );
  const included = sumOf([last.included, ...held]);
  return { ...allowance, parts: [{ slice, included, level: last.level }] };
}

/** Whether any plan of the catalog includes usage at all: most of the time there is nothing to measure. */
export const includesUsage = (catalog: Catalog): boolean =>
  catalog.plans.some((plan) =>
    plan.versions.some((version) =>
      version.usage.some((usage) => !isZero(usage.included) || !isZero(usage.includedLevel)),
    ),
  );
