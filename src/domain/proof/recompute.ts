import { isCurrency, minorDigits } from "../../kit/currency.ts";
import { type Curve, landingOf, rise, straight, type Tier, tieredCurve } from "./curve.ts";
import {
  ceiling,
  floor,
  fraction,
  isBelow,
  isNought,
  larger,
  less,
  nearest,
  nought,
  opposite,
  over,
  plus,
  type Rational,
  rational,
  smaller,
  textOf,
  times,
  total,
} from "./rational.ts";

/** Usage as raw numbers in text: straight from events, not through the values that rating works with. */
export type ProofUsage = {
  readonly quantity: string;
  readonly events?: string;
  readonly eventAmounts?: readonly string[];
  readonly dimensions?: Readonly<Record<string, string>>;
};

/** A part of a period with the price document in force in it, as it was published. */
export type ProofSlice = {
  readonly document: unknown;
  readonly usage: readonly ProofUsage[];
  /** Units that allowances and batches have paid for: they come off before anything is priced. */
  readonly covered?: string;
  /** Hours of the month that is priced, for documents that convert by them. */
  readonly hoursInMonth?: string;
};

export type ProofOptions = {
  readonly complete?: boolean;
  readonly share?: { readonly part: string; readonly whole: string };
};

/** What the period costs by the second reckoning. */
export type Proof = {
  readonly currency: string;
  readonly exact: Rational;
  /** The exact amount in digits; undefined where they never end (a prorated minimum). */
  readonly unrounded: string | undefined;
  /** Rounded to the currency, in minor units. */
  readonly minor: bigint;
};

type Doc = Readonly<Record<string, unknown>>;

/**
 * Work out again what a period costs, another way: from the published documents and plain numbers, with fractions of whole
 * numbers, by measuring the area under each price's curve. It shares no code and no arithmetic with `domain/rating`; the
 * two must agree to the last digit.
 */
export function recompute(given: readonly ProofSlice[], options: ProofOptions = {}): Proof {
  const slices = given.map(inItsMonth).map(uncovered);
  const documents = slices.map((slice) => slice.document as Doc);
  const last = documents.at(-1);
  const code = last?.currency;
  if (
    !last ||
    typeof code !== "string" ||
    !isCurrency(code) ||
    documents.some((one) => one.currency !== code)
  )
    throw new TypeError("the slices of a period need documents in one known currency");
  const gross = total(slices.map((_, index) => sliceCost(slices, index)));
  const exact = withinLimits(last, gross, options);
  const minor = nearest(times(exact, rational(10n ** BigInt(minorDigits(code)))));
  return { currency: code, exact, unrounded: textOf(exact), minor };
}

function withinLimits(document: Doc, gross: Rational, options: ProofOptions): Rational {
  const share = options.share
    ? over(fraction(options.share.part), fraction(options.share.whole))
    : rational(1n);
  const least = options.complete === false ? undefined : optional(document.minimum_amount);
  const most = optional(document.maximum_amount);
  // A published minimum is never above its maximum, so whichever of them is violated decides alone.
  if (least && isBelow(gross, times(least, share))) return times(least, share);
  return most && isBelow(times(most, share), gross) ? times(most, share) : gross;
}

/** The slice with a document whose factor is a number: that of its month, or of a twelfth of a year. */
function inItsMonth(slice: ProofSlice): ProofSlice {
  const document = slice.document as Doc | undefined;
  const conversion = document?.conversion as Doc | undefined;
  if (conversion?.factor !== "hours_in_month") return slice;
  const factor = slice.hoursInMonth ?? "730";
  return { ...slice, document: { ...document, conversion: { ...conversion, factor } } };
}

/** The slice without what is covered: each row pays less what of the cover is left when its turn comes. */
function uncovered(slice: ProofSlice): ProofSlice {
  if (slice.covered === undefined) return slice;
  const document = slice.document as Doc;
  const ranked = slice.usage
    .map((usage, index) => ({ usage, index, rank: rankOf(document, usage) }))
    .toSorted((a, b) => compareRanks(a.rank, b.rank) || a.index - b.index);
  const sizes = ranked.map(({ usage }) => larger(fraction(usage.quantity), nought));
  const free = fraction(slice.covered);
  const usage = ranked.map((one, index) => {
    const passed = total(sizes.slice(0, index));
    const size = sizes[index] ?? nought;
    const paid = larger(smaller(less(free, passed), size), nought);
    const quantity = textOf(less(fraction(one.usage.quantity), paid));
    return { ...one.usage, quantity: quantity ?? one.usage.quantity };
  });
  return { document: slice.document, usage };
}

const compareRanks = (a: number | string, b: number | string) => (a < b ? -1 : a > b ? 1 : 0);

/** Where usage stands in the order in which its price charges: by cell, by group, or as it came. */
function rankOf(document: Doc, usage: ProofUsage): number | string {
  if (document.model === "matrix") {
    const cells = document.cells as readonly Cell[];
    return cellOf(cells, usage)?.index ?? cells.length;
  }
  const keys = (document.group_by ?? []) as readonly string[];
  return JSON.stringify(keys.map((key) => usage.dimensions?.[key] ?? null));
}

type Cell = { readonly match: Record<string, string>; readonly unit_amount: string };

/** The cell with the most conditions that all hold. */
function cellOf(cells: readonly Cell[], usage: ProofUsage) {
  return cells
    .map((cell, index) => ({ cell, index, keys: Object.entries(cell.match) }))
    .filter(({ keys }) => keys.every(([key, value]) => usage.dimensions?.[key] === value))
    .toSorted((a, b) => b.keys.length - a.keys.length || a.index - b.index)[0];
}

function sliceCost(slices: readonly ProofSlice[], index: number): Rational {
  const document = slices[index]?.document as Doc;
  const opening = index === 0;
  const closing = index === slices.length - 1;
  if (document.model === "flat_fee") return closing ? fraction(document.amount) : nought;

  const now = slices[index]?.usage ?? [];
  const before = slices.slice(0, index).flatMap((slice) => slice.usage);
  const whole = slices.flatMap((slice) => slice.usage);
  if (document.model === "matrix") return matrixCost(document, now, sum(before));

  const keys = (document.group_by ?? []) as readonly string[];
  const groupOf = (usage: ProofUsage) =>
    keys.map((key) => usage.dimensions?.[key] ?? "\0").join("\n");
  const groups = keys.length === 0 ? [""] : [...new Set(whole.map(groupOf))];
  return total(
    groups.map((group) => {
      const mine = (usage: readonly ProofUsage[]) => usage.filter((one) => groupOf(one) === group);
      return groupCost(document, {
        before: mine(before),
        now: mine(now),
        whole: mine(whole),
        opening,
        closing,
      });
    }),
  );
}

type Group = {
  readonly before: readonly ProofUsage[];
  readonly now: readonly ProofUsage[];
  readonly whole: readonly ProofUsage[];
  readonly opening: boolean;
  readonly closing: boolean;
};

function groupCost(document: Doc, group: Group): Rational {
  if (document.model === "percentage" && looksAtEvents(document))
    return eventsCost(document, group.before, group.now);
  const start = sum(group.before);
  const from = place(document, start);
  const to = place(document, plus(start, sum(group.now)));
  const end = place(document, sum(group.whole));
  const stands = document.flat_amount_at_zero === true;
  const tiers = tiersOf(document);
  const opening = group.opening && stands ? (tiers[0]?.flat ?? nought) : nought;

  switch (document.model) {
    case "per_unit":
      return rise(straight(fraction(document.unit_amount), null), from, to);
    case "package":
      return rise(packageCurve(document), from, to);
    case "graduated":
      return plus(opening, rise(tieredCurve(tiers, stands), from, to));
    case "percentage":
      return total([
        opening,
        rise(tieredCurve(tiers, stands), from, to),
        fixedCost(document, group.before, group.now),
      ]);
    case "volume":
      return volumeCost(tiers, { from, to, end, closing: group.closing, stands });
    default:
      throw new TypeError(`no such model: ${String(document.model)}`);
  }
}

const packageCurve = (document: Doc): Curve => {
  const curve = straight(fraction(document.unit_amount), fraction(document.package_size));
  const rounding = (document.package_rounding ?? "up") as "up" | "down" | "none";
  return { ...curve, stairs: curve.stairs.map((stair) => ({ ...stair, rounding })) };
};

function volumeCost(
  tiers: readonly Tier[],
  {
    from,
    to,
    end,
    closing,
    stands,
  }: { from: Rational; to: Rational; end: Rational; closing: boolean; stands: boolean },
): Rational {
  const backwards = isBelow(end, nought);
  const landed = landingOf(tiers, backwards ? opposite(end) : end);
  if (!landed) return nought;
  const flat = closing && (stands || !isNought(end)) ? landed.flat : nought;
  return plus(
    rise(straight(landed.price, landed.size), from, to),
    backwards ? opposite(flat) : flat,
  );
}

/** Where a metered quantity comes to stand on the charged axis. */
function place(document: Doc, metered: Rational): Rational {
  if (isBelow(metered, nought))
    return document.negative_usage === "mirror"
      ? opposite(place(document, opposite(metered)))
      : nought;
  const free = optional(document.free_units) ?? nought;
  return larger(less(converted(document.conversion as Doc | undefined, metered), free), nought);
}

function converted(conversion: Doc | undefined | null, quantity: Rational): Rational {
  if (!conversion) return quantity;
  const factor = fraction(conversion.factor);
  const exact =
    conversion.operation === "divide" ? over(quantity, factor) : times(quantity, factor);
  const scale = rational(10n ** BigInt(Number(conversion.digits ?? 0)));
  const scaled = times(exact, scale);
  switch (conversion.rounding ?? "none") {
    case "none":
      return exact;
    case "ceiling":
      return over(rational(ceiling(scaled)), scale);
    case "floor":
      return over(rational(floor(scaled)), scale);
    default:
      return over(rational(nearest(scaled)), scale);
  }
}

function tiersOf(document: Doc): Tier[] {
  const written = (document.tiers ?? []) as readonly Doc[];
  const single = document.rate === undefined ? [] : [{ rate: document.rate, up_to: null }];
  const all: readonly Doc[] = written.length > 0 ? written : single;
  return all.map((tier, index) => ({
    from: optional(all[index - 1]?.up_to) ?? nought,
    to: optional(tier.up_to) ?? null,
    price: tier.rate === undefined ? (optional(tier.unit_amount) ?? nought) : perCent(tier.rate),
    flat: optional(tier.flat_amount) ?? nought,
    size: optional(tier.package_size) ?? null,
  }));
}

const perCent = (rate: unknown) => over(fraction(rate), rational(100n));

/** Cells take the usage in the order they stand, the catch-all last; free units go to whoever comes first. */
function matrixCost(document: Doc, now: readonly ProofUsage[], before: Rational): Rational {
  const cells = document.cells as readonly Cell[];
  const waiting = now.map((usage) => {
    const found = cellOf(cells, usage);
    const price = found ? found.cell.unit_amount : document.default_unit_amount;
    const order = found?.index ?? cells.length;
    return { order, price: fraction(price), quantity: fraction(usage.quantity) };
  });
  let at = before;
  let cost = nought;
  for (const one of waiting.toSorted((a, b) => a.order - b.order)) {
    const next = plus(at, one.quantity);
    cost = plus(cost, times(less(place(document, next), place(document, at)), one.price));
    at = next;
  }
  return cost;
}

function fixedCost(
  document: Doc,
  before: readonly ProofUsage[],
  now: readonly ProofUsage[],
): Rational {
  const fixed = optional(document.fixed_amount) ?? nought;
  if (isNought(fixed)) return nought;
  const free = optional(document.free_events) ?? nought;
  const start = total(before.map(eventCount));
  const paid = (count: Rational) => larger(less(count, free), nought);
  return times(less(paid(plus(start, total(now.map(eventCount)))), paid(start)), fixed);
}

const eventCount = (usage: ProofUsage): Rational =>
  usage.eventAmounts ? rational(BigInt(usage.eventAmounts.length)) : fraction(usage.events);

const looksAtEvents = (document: Doc) =>
  document.free_events_cover === "whole_event" ||
  optional(document.per_event_minimum) !== undefined ||
  optional(document.per_event_maximum) !== undefined;

/** Every event by itself, in order. */
function eventsCost(
  document: Doc,
  before: readonly ProofUsage[],
  now: readonly ProofUsage[],
): Rational {
  const share = perCent(document.rate ?? (document.tiers as readonly Doc[])[0]?.rate);
  const fixed = optional(document.fixed_amount) ?? nought;
  const freeEvents = optional(document.free_events) ?? nought;
  const freeUnits = optional(document.free_units) ?? nought;
  const least = optional(document.per_event_minimum);
  const most = optional(document.per_event_maximum);
  let running = sum(before);
  let number = total(before.map(eventCount));
  let cost = nought;
  for (const amount of now.flatMap((usage) => usage.eventAmounts ?? [])) {
    const start = running;
    running = plus(running, fraction(amount));
    number = plus(number, rational(1n));
    const eventFree = !isBelow(freeEvents, number);
    const beyond = larger(less(running, larger(start, freeUnits)), nought);
    let paysFixed = !eventFree;
    let payable = beyond;
    if (document.free_events_cover === "whole_event") {
      const stillFree = isNought(freeEvents) ? !isNought(freeUnits) : eventFree;
      payable = !stillFree ? fraction(amount) : isNought(freeUnits) ? nought : beyond;
      paysFixed = !stillFree || !isNought(payable);
    }
    if (isNought(payable) && !paysFixed) continue;
    const asked = plus(times(payable, share), paysFixed ? fixed : nought);
    const raised = least ? larger(asked, least) : asked;
    cost = plus(cost, most ? smaller(raised, most) : raised);
  }
  return cost;
}

const sum = (usage: readonly ProofUsage[]): Rational =>
  total(usage.map((one) => fraction(one.quantity)));

const optional = (value: unknown): Rational | undefined =>
  value === undefined || value === null ? undefined : fraction(value);
