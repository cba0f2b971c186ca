import { type Decimal, divide, formatDecimal } from "../../kit/decimal.ts";
import type { AccountId, GrantId } from "../../kit/ids.ts";
import { formatMoney, type Money, money, toDecimal } from "../../kit/money.ts";
import { formatInstant, type Instant } from "../../kit/time.ts";
import { expiryAfterDays, type Grant, never, priorityDefault } from "./grant.ts";
import { decimalOfUnits, isNoUnits, subtractUnits, type Units, writeUnits } from "./units.ts";

/** A batch as it is sold to one account: units of the family's meter, price, how long they last, what comes after. */
export type BatchOffer = {
  readonly sku: string;
  readonly family: string;
  readonly unit: string;
  readonly units: Units;
  readonly price: Money;
  /** Null: the units never expire. */
  readonly validityDays: number | null;
  /** Price of one unit beyond the batch; null when the price book has none, and then nothing beyond it can be used. */
  readonly overageUnitAmount: Decimal | null;
};

/** What buying would do, said before anybody pays: the price, the end ("use it or lose it") and what comes after. */
export type PurchasePreview = {
  readonly offer: BatchOffer;
  readonly count: number;
  readonly units: Units;
  readonly total: Money;
  readonly unitCost: Decimal;
  readonly expiresAt: Instant;
  readonly sentences: readonly string[];
};

export function previewPurchase(offer: BatchOffer, count: number, now: Instant): PurchasePreview {
  const units = scaled(offer.units, count);
  const total = money(offer.price.currency, offer.price.minor * BigInt(count));
  const unitCost = divide(toDecimal(total), decimalOfUnits(units));
  const expiresAt = offer.validityDays === null ? never : expiryAfterDays(now, offer.validityDays);
  const { currency } = offer.price;
  return {
    offer,
    count,
    units,
    total,
    unitCost,
    expiresAt,
    sentences: [
      `${writeUnits(units)} ${offer.unit} for ${formatMoney(total)} ${currency}, ${formatDecimal(unitCost)} each.`,
      expiresAt === never
        ? "They do not expire."
        : `What is not used by ${formatInstant(expiresAt)} is lost and not refunded.`,
      offer.overageUnitAmount
        ? `Beyond that, each costs ${formatDecimal(offer.overageUnitAmount)} ${currency}. Usage already beyond a batch is not covered afterwards.`
        : "Beyond that there is no price, so nothing more can be used.",
    ],
  };
}

const scaled = (units: Units, count: number): Units => {
  if (typeof units === "number" && Number.isSafeInteger(units * count)) return units * count;
  return decimalOfUnits(units).times(count);
};

/** The grant that a paid purchase becomes. */
export function grantOfPurchase(
  preview: PurchasePreview,
  of: { id: GrantId; accountId: AccountId; at: Instant; afterSeq: number },
): Grant {
  return {
    id: of.id,
    accountId: of.accountId,
    denomination: { kind: "units", family: preview.offer.family },
    sku: preview.offer.sku,
    origin: "purchase",
    priority: priorityDefault,
    validFrom: of.at,
    expiresAt: preview.expiresAt,
    unitCost: preview.unitCost,
    createdAt: of.at,
    size: preview.units,
    remaining: preview.units,
    drawn: 0,
    expired: 0,
    transferredOut: 0,
    corrected: 0,
    paid: preview.total,
    parent: null,
    afterSeq: of.afterSeq,
  };
}

export type UpgradeDecision =
  | {
      readonly kind: "upgrade";
      /** Units that move over from the old batch, and those that are bought on top. */
      readonly carried: Units;
      readonly added: Units;
      readonly due: Money;
      readonly expiresAt: Instant;
      readonly sentences: readonly string[];
    }
  | {
      readonly kind: "refused";
      readonly reason: "not_larger" | "batch_ended" | "other_family" | "cheaper";
    };

/**
 * Upgrade a batch to a larger one. The price difference rule: pay the larger price less what was paid for the batch, get
 * the larger size less what is already used of it. What remains is carried over, with the expiry of the new batch.
 */
export function decideUpgrade(grant: Grant, to: BatchOffer, now: Instant): UpgradeDecision {
  if (grant.denomination.kind !== "units" || grant.denomination.family !== to.family)
    return { kind: "refused", reason: "other_family" };
  if (now >= grant.expiresAt || isNoUnits(grant.remaining) || !grant.paid)
    return { kind: "refused", reason: "batch_ended" };
  const added = subtractUnits(to.units, grant.size);
  if (decimalOfUnits(added).lessThanOrEqualTo(0)) return { kind: "refused", reason: "not_larger" };
  const dueMinor = to.price.minor - grant.paid.minor;
  if (dueMinor < 0n) return { kind: "refused", reason: "cheaper" };
  const { currency } = to.price;
  const due = money(currency, dueMinor);
  return {
    kind: "upgrade",
    carried: grant.remaining,
    added,
    due,
    expiresAt: to.validityDays === null ? never : expiryAfterDays(now, to.validityDays),
    sentences: [
      `${formatMoney(to.price)} for ${writeUnits(to.units)}, less ${formatMoney(grant.paid)} paid for ${writeUnits(grant.size)}: ${formatMoney(due)} ${currency} to pay.`,
      `${writeUnits(grant.remaining)} unused ${to.unit} are carried over and ${writeUnits(added)} are added.`,
    ],
  };
}

export type RefundDecision =
  | { readonly kind: "refund"; readonly amount: Money; readonly because: string }
  | { readonly kind: "refused"; readonly because: string };

/**
 * Whether a batch can be given back (D-10): never once it expired or any of it was used; unused only where the policy says
 * so. Staff may still decide otherwise, by a credit note with a reason.
 */
export function decideRefund(
  grant: Grant,
  now: Instant,
  policy: { readonly unusedIsRefundable: boolean },
): RefundDecision {
  const refused = (because: string): RefundDecision => ({ kind: "refused", because });
  if (!grant.paid || grant.paid.minor === 0n) return refused("Nothing was paid for this batch.");
  if (now >= grant.expiresAt)
    return refused(
      `The batch expired at ${formatInstant(grant.expiresAt)}. Units that expire are not refunded.`,
    );
  if (!isNoUnits(subtractUnits(grant.size, grant.remaining)))
    return refused(
      `${writeUnits(subtractUnits(grant.size, grant.remaining))} of ${writeUnits(grant.size)} units are gone already. A batch that has been used is not refunded.`,
    );
  if (!policy.unusedIsRefundable) return refused("Batches are not refunded, also not unused ones.");
  return { kind: "refund", amount: grant.paid, because: "Nothing of the batch has been used." };
}
