import { add, type Decimal, greatest, least, subtract, sumOf, zero } from "../../kit/decimal.ts";
import { contains, formatInstant, intersect, type Instant, type Period } from "../../kit/time.ts";
import type {
  ChargeFacts,
  Coverage,
  FixedCharge,
  Measured,
  Offer,
  PriceVersion,
  UsageType,
} from "./facts.ts";
import { hoursInMonth } from "./due.ts";
import { countOf, isAdditive, quantityOf } from "./measure.ts";

/** One rated piece: `unitAmount × quantity = amount`, exactly. The price and the slice of time it holds for stand beside it. */
export type Segment = {
  readonly quantity: Decimal;
  readonly unitAmount: Decimal;
  readonly amount: Decimal;
  readonly because: string;
  /** The dimension values that were priced, canonical JSON; "{}" when the price does not look at them. */
  readonly dimensions: string;
  readonly priceId: string | null;
  readonly slice: Period;
};

/** Usage of one slice of the period, and the price that holds for it. */
export type PricedUsage = {
  readonly version: PriceVersion;
  readonly slice: Period;
  /** What is to be priced: the metered quantity without the covered one. */
  readonly quantity: Decimal;
  readonly covered: Decimal;
  /** Hours of one month of the account's period: what prices convert GB-hours by. */
  readonly hoursInMonth: Decimal;
  readonly eventCount: bigint;
  /** Whether the price looks at dimensions; else only the quantity counts. */
  readonly splitsByDimension: boolean;
  readonly byDimensions: readonly DimensionUsage[];
};

export type DimensionUsage = {
  readonly dimensions: string;
  readonly quantity: Decimal;
  readonly eventCount: bigint;
};

/**
 * How the slices of a period, oldest first, become segments. An argument, because there are two: the one that invoices and
 * the independent one that checks it.
 */
export type Rate = (slices: readonly PricedUsage[]) => readonly Segment[];

/**
 * What an account owes for one cause. The cause names subscription or SKU, and the period: two charges with the same cause
 * are the same debt, whatever document they stand on.
 */
export type Charge = {
  readonly cause: string;
  readonly usageType: UsageType;
  readonly skuCode: string;
  readonly description: string;
  readonly meterKey: string | null;
  readonly unit: string;
  readonly period: Period;
  readonly quantity: Decimal;
  readonly unrounded: Decimal;
  readonly segments: readonly Segment[];
  readonly measured: readonly Measured[];
};

const usageCause = (skuCode: string, period: Period): string =>
  `usage:${skuCode}:${formatInstant(period.startsAt)}`;

/** The period for which a price version holds, within another one. */
type PricedSlice = { readonly version: PriceVersion; readonly slice: Period };

/** What charges follow from. Whose they are makes no difference, but for where the months of the payer begin. */
type Chargeable = Pick<ChargeFacts, "period" | "offers" | "measured" | "fixed" | "covered"> & {
  readonly account: Pick<ChargeFacts["account"], "calendar">;
};

/** Everything the account should be charged for the period: what has its own price, and what was used. */
export function expectedCharges(facts: Chargeable, rate: Rate): Charge[] {
  const usage = facts.offers.flatMap((offer) => usageCharge(facts, offer, rate) ?? []);
  return [...facts.fixed.map(fixedCharge), ...usage];
}

/** The moments within a period at which some price changes: where usage must be cut so that each part has one price. */
export function priceCuts(offers: readonly Offer[], period: Period): Instant[] {
  const cuts = new Set<Instant>();
  for (const offer of offers) {
    if (!isAdditive(offer.meter)) continue;
    for (const at of edgesOf(offer.versions))
      if (at > period.startsAt && at < period.endsAt) cuts.add(at);
  }
  return [...cuts].toSorted((a, b) => a - b);
}

/** Where any of these prices takes hold, or ends without another one. */
export const edgesOf = (versions: readonly PriceVersion[]): Instant[] =>
  versions.flatMap(({ effectiveFrom, endsAt }) =>
    endsAt === undefined ? [effectiveFrom] : [effectiveFrom, endsAt],
  );

/** The dimensions that any of these prices looks at. */
export function pricedDimensions(versions: readonly PriceVersion[]): string[] {
  const keys = versions.flatMap(({ price }) => [
    ...price.groupBy,
    ...(price.model === "matrix" ? price.dimensions : []),
  ]);
  return [...new Set(keys)].toSorted();
}

function usageCharge(facts: Chargeable, offer: Offer, rate: Rate): Charge | undefined {
  const { period } = facts;
  const measured = facts.measured.filter((part) => part.meterKey === offer.meter.key);
  if (measured.length === 0) return undefined;
  const covered = facts.covered.filter((part) => part.skuCode === offer.skuCode);
  const monthHours = hoursInMonth(facts.account.calendar, period.partOf ?? period);

  const slices = pricedSlices(offer, period).map((priced) => ({
    priced,
    parts: measured.filter((part) => overlaps(part.slice, priced.slice)),
  }));
  const paid = coveredBySlice(slices, covered);
  const segments = rate(
    slices.map(({ priced, parts }, i) => pricedUsage(priced, parts, paid[i] ?? zero, monthHours)),
  );
  return {
    cause: usageCause(offer.skuCode, period),
    usageType: covered.length > 0 ? "overage" : "usage",
    skuCode: offer.skuCode,
    description: offer.skuName,
    meterKey: offer.meter.key,
    unit: offer.meter.unit,
    period,
    quantity: subtract(quantityOf(measured), sumOf(covered.map((c) => c.quantity))),
    unrounded: sumOf(segments.map((segment) => segment.amount)),
    segments,
    measured,
  };
}

/** Additive usage is priced when it happened; the rest once, at the price in force when the period ends. */
function pricedSlices(offer: Offer, period: Period): PricedSlice[] {
  const holding = offer.versions.flatMap((version, i): PricedSlice[] => {
    const next = version.endsAt ?? offer.versions[i + 1]?.effectiveFrom ?? period.endsAt;
    const slice = intersect(period, {
      startsAt: version.effectiveFrom,
      endsAt: Math.max(next, version.effectiveFrom) as Instant,
    });
    return slice ? [{ version, slice }] : [];
  });
  if (isAdditive(offer.meter)) return holding;
  const last = holding.at(-1);
  return last ? [{ version: last.version, slice: period }] : [];
}

/**
 * What of the covered units belongs to each slice. A batch knows the quarter of an hour of what it paid for; where the price
 * changes within one, the units go to the earlier slice as far as it has usage, and the rest to the next: each once.
 */
function coveredBySlice(
  slices: readonly { readonly priced: PricedSlice; readonly parts: readonly Measured[] }[],
  covered: readonly Coverage[],
): Decimal[] {
  const room = slices.map(({ parts }) => quantityOf(parts));
  const paid = slices.map(() => zero);
  const put = (i: number, quantity: Decimal) => {
    paid[i] = add(paid[i] ?? zero, quantity);
    room[i] = subtract(room[i] ?? zero, quantity);
  };
  const reached = covered.map((part) => ({
    quantity: part.quantity,
    among: slices.flatMap(({ priced }, i) => (overlaps(part.slice, priced.slice) ? [i] : [])),
  }));
  for (const { quantity, among } of reached)
    if (among.length === 1) put(among[0] as number, quantity);
  for (const { quantity, among } of reached.filter((one) => one.among.length > 1)) {
    let left = quantity;
    for (const i of among.slice(0, -1)) {
      const taken = least(left, greatest(room[i] ?? zero, zero));
      put(i, taken);
      left = subtract(left, taken);
    }
    put(among.at(-1) as number, left);
  }
  return paid;
}

function pricedUsage(
  { version, slice }: PricedSlice,
  parts: readonly Measured[],
  covered: Decimal,
  monthHours: Decimal,
): PricedUsage {
  const groups = new Map<string, Measured[]>();
  for (const part of parts)
    groups.set(part.dimensions, [...(groups.get(part.dimensions) ?? []), part]);
  return {
    version,
    slice,
    quantity: subtract(quantityOf(parts), covered),
    covered,
    hoursInMonth: monthHours,
    eventCount: countOf(parts),
    splitsByDimension: pricedDimensions([version]).length > 0,
    byDimensions: [...groups]
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([dimensions, same]) => ({
        dimensions,
        quantity: quantityOf(same),
        eventCount: countOf(same),
      })),
  };
}

function fixedCharge(fixed: FixedCharge): Charge {
  const { quantity, unitAmount, amount, because, period } = fixed;
  return {
    cause: fixed.cause,
    usageType: fixed.usageType,
    skuCode: fixed.skuCode,
    description: fixed.description,
    meterKey: null,
    unit: fixed.unit,
    period,
    quantity,
    unrounded: amount,
    segments: [
      { quantity, unitAmount, amount, because, dimensions: "{}", priceId: null, slice: period },
    ],
    measured: [],
  };
}

/** Why an account's charges cannot be right as the facts stand: each names what contradicts what. */
export function contradictions(facts: ChargeFacts): string[] {
  const found: string[] = [];
  const skuOfMeter = new Map<string, string>();
  for (const offer of facts.offers) {
    const other = skuOfMeter.get(offer.meter.key);
    if (other !== undefined)
      found.push(
        `meter ${offer.meter.key} is priced by ${other} and by ${offer.skuCode}: its usage would be billed twice`,
      );
    skuOfMeter.set(offer.meter.key, offer.skuCode);

    const measured = facts.measured.filter((part) => part.meterKey === offer.meter.key);
    const priced = pricedSlices(offer, facts.period).map(({ slice }) => slice);
    const bare = measured.filter(
      (part) =>
        !priced.some((slice) => contains(slice, part.slice.startsAt)) && part.eventCount > 0n,
    );
    if (isAdditive(offer.meter) && bare[0] !== undefined)
      found.push(unpriced(offer, bare[0].slice.startsAt));
    for (const { price, priceId } of offer.versions)
      if (price.currency !== facts.account.currency)
        found.push(
          `price ${priceId} of ${offer.skuCode} is in ${price.currency}, the account in ${facts.account.currency}`,
        );
  }
  return found;
}

function unpriced({ skuCode, versions }: Offer, at: Instant): string {
  const head = `${skuCode} has usage from ${formatInstant(at)} on, but no price`;
  const next = versions.find((version) => version.effectiveFrom > at);
  const ended = versions.findLast((version) => version.effectiveFrom <= at);
  if (ended?.endsAt !== undefined)
    return `${head} since ${ended.origin} ended on ${formatInstant(ended.endsAt)}`;
  return `${head} before ${next ? formatInstant(next.effectiveFrom) : "any moment"}`;
}

const overlaps = (a: Period, b: Period): boolean => intersect(a, b) !== undefined;
