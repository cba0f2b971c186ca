import type { Currency } from "../../kit/currency.ts";
import { add, type Decimal, isZero, negate, sumOf, zero } from "../../kit/decimal.ts";
import { minus, type Money, money, toMoney } from "../../kit/money.ts";
import { formatInstant, type Period } from "../../kit/time.ts";
import { formatDecimal } from "../../kit/decimal.ts";
import type { Charge, Segment } from "./charges.ts";
import type { Measured, UsageType } from "./facts.ts";

/** What all documents so far have charged for one cause, credit notes taken off. */
export type Existing = {
  readonly cause: string;
  readonly usageType: UsageType;
  readonly skuCode: string;
  readonly description: string;
  readonly meterKey: string | null;
  readonly unit: string;
  readonly period: Period;
  readonly quantity: Decimal;
  readonly unrounded: Decimal;
  readonly amountMinor: bigint;
  readonly segments: readonly Segment[];
};

/**
 * Why a line is there. `charge`: the first time its cause is billed. `restatement`: the difference to what was billed before.
 * `concession` and `agreed`: decided by people, for less and for more; they say nothing about what usage comes to.
 */
export const lineBases = ["charge", "restatement", "concession", "agreed"] as const;
export type LineBasis = (typeof lineBases)[number];

export const followsFromUsage = (basis: LineBasis): boolean =>
  basis === "charge" || basis === "restatement";

/** One line of a document: a charge, or what must be added to or taken off the charges before it. */
export type Line = {
  readonly cause: string;
  readonly basis: LineBasis;
  readonly usageType: UsageType;
  readonly skuCode: string;
  readonly description: string;
  readonly meterKey: string | null;
  readonly unit: string;
  readonly period: Period;
  readonly quantity: Decimal;
  readonly unrounded: Decimal;
  readonly amount: Money;
  readonly segments: readonly Segment[];
  readonly measured: readonly Measured[];
  /** On a consolidated document: the account that the line is about. */
  readonly section?: string | undefined;
  readonly cites?: Cited;
};

/** Events that a line names as its reason: how many, and which came first. */
export type Cited = {
  readonly event_count: string;
  readonly first: readonly { readonly source: string; readonly id: string }[];
};

/**
 * Expected minus existing: the one step by which anything comes onto a document. A cause nobody billed yet becomes a line
 * as it is; one that was billed becomes the difference, or nothing.
 *
 * Rounding is cumulative: what all documents together bill for a cause is its exact amount rounded once, however many
 * corrections it took to get there.
 */
export function differences(
  expected: readonly Charge[],
  existing: readonly Existing[],
  currency: Currency,
): Line[] {
  const billed = new Map(existing.map((one) => [one.cause, one]));
  const lines = expected.flatMap((charge) => {
    const before = billed.get(charge.cause);
    billed.delete(charge.cause);
    return before === undefined
      ? firstLine(charge, currency)
      : restatement(charge, before, currency);
  });
  // Billed, but no longer owed at all.
  for (const before of billed.values())
    lines.push(...restatement({ ...nothingOf(before) }, before, currency));
  return lines;
}

function firstLine(charge: Charge, currency: Currency): Line[] {
  if (isZero(charge.quantity) && isZero(charge.unrounded)) return [];
  return [{ ...charge, basis: "charge", amount: toMoney(charge.unrounded, currency) }];
}

function restatement(charge: Charge, before: Existing, currency: Currency): Line[] {
  const amount = minus(toMoney(charge.unrounded, currency), money(currency, before.amountMinor));
  const segments = netSegments(charge.segments, before.segments);
  const quantity = add(charge.quantity, negate(before.quantity));
  if (amount.minor === 0n && segments.length === 0 && isZero(quantity)) return [];
  return [
    {
      ...charge,
      basis: "restatement",
      usageType: "adjustment",
      quantity,
      unrounded: sumOf(segments.map((segment) => segment.amount)),
      amount,
      segments,
    },
  ];
}

const nothingOf = (before: Existing): Charge => ({
  ...before,
  quantity: zero,
  unrounded: zero,
  segments: [],
  measured: [],
});

/** The segments that remain when those of `before` are taken off those of `now`. Each stays `unit × quantity = amount`. */
function netSegments(now: readonly Segment[], before: readonly Segment[]): Segment[] {
  const net = new Map<string, Segment>();
  const put = (segment: Segment) => {
    const key = segmentKey(segment);
    const found = net.get(key);
    net.set(
      key,
      found
        ? {
            ...found,
            quantity: add(found.quantity, segment.quantity),
            amount: add(found.amount, segment.amount),
          }
        : segment,
    );
  };
  now.forEach(put);
  for (const segment of before)
    put({ ...segment, quantity: negate(segment.quantity), amount: negate(segment.amount) });
  return [...net.values()].filter((s) => !isZero(s.quantity) || !isZero(s.amount));
}

// Two segments are of the same kind when they price the same thing at the same rate under the same price version.
const segmentKey = (segment: Segment): string =>
  [
    segment.priceId ?? "",
    formatInstant(segment.slice.startsAt),
    formatDecimal(segment.unitAmount),
    segment.dimensions,
  ].join("|");
