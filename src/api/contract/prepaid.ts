import { z } from "@hono/zod-openapi";
import {
  type BatchOffer,
  never,
  type PurchasePreview,
  stateAt,
  type Units,
  unitsOf,
  writeUnits,
} from "../../domain/grants/index.ts";
import { formatDecimal } from "../../kit/decimal.ts";
import { formatInstant, type Instant } from "../../kit/time.ts";
import type { PoolBalance, StoredGrant, StoredMovement } from "../../store/grant-lifecycle.ts";
import type { Purchase } from "../../store/purchases.ts";
import {
  CurrencyCode,
  DecimalIn,
  DecimalText,
  InstantIn,
  InstantText,
  MoneyView,
  moneyView,
  Reason,
} from "./common.ts";

/** A count of units: text in, exact. */
export const UnitsIn = DecimalIn.transform((value): Units => unitsOf(value));
export const PositiveUnitsIn = DecimalText.refine(
  (text) => !text.startsWith("-") && /[1-9]/.test(text),
  "write a number above zero",
).pipe(UnitsIn);
const ends = (at: Instant): string | null => (at === never ? null : formatInstant(at));

export const OfferView = z
  .strictObject({
    object: z.literal("batch_offer"),
    sku: z.string(),
    pool: z.string().openapi({ description: "What the units pay for: the key of a meter." }),
    unit: z.string(),
    units: DecimalText,
    price: MoneyView,
    validity_days: z.number().int().nullable(),
    overage_unit_amount: DecimalText.nullable().openapi({
      description: "What one unit costs beyond the batch; null when nothing beyond it can be used.",
    }),
  })
  .openapi("BatchOffer");
export const offerView = (offer: BatchOffer): z.input<typeof OfferView> => ({
  object: "batch_offer",
  sku: offer.sku,
  pool: offer.family,
  unit: offer.unit,
  units: writeUnits(offer.units),
  price: moneyView(offer.price),
  validity_days: offer.validityDays,
  overage_unit_amount: offer.overageUnitAmount && formatDecimal(offer.overageUnitAmount),
});

export const PreviewBody = z
  .strictObject({ sku: z.string().min(1).max(100), count: z.int().min(1).max(1000).default(1) })
  .openapi("PurchaseAsked");
export const PreviewView = z
  .strictObject({
    object: z.literal("purchase_preview"),
    offer: OfferView,
    units: DecimalText,
    total: MoneyView,
    unit_cost: z.string(),
    expires_at: InstantText.nullable(),
    sentences: z
      .array(z.string())
      .openapi({ description: "Price, expiry and overage, to be shown before the buyer agrees." }),
  })
  .openapi("PurchasePreview");
export const previewView = (preview: PurchasePreview): z.input<typeof PreviewView> => ({
  object: "purchase_preview",
  offer: offerView(preview.offer),
  units: writeUnits(preview.units),
  total: moneyView(preview.total),
  unit_cost: formatDecimal(preview.unitCost),
  expires_at: ends(preview.expiresAt),
  sentences: [...preview.sentences],
});

const Settlement = z.enum(["card", "invoice"]).default("card").openapi({
  description: "card: charged now. invoice: on the next invoice, for accounts with terms.",
});
export const PurchaseBody = PreviewBody.extend({ settlement: Settlement }).openapi("NewPurchase");
export const UpgradeBody = z
  .strictObject({ sku: z.string().min(1).max(100), settlement: Settlement })
  .openapi("BatchUpgrade");

export const PurchaseView = z
  .strictObject({
    id: z.string(),
    object: z.literal("purchase"),
    created_at: InstantText,
    account_id: z.string(),
    kind: z.enum(["batch", "upgrade", "auto_top_up"]),
    sku: z.string(),
    count: z.number().int(),
    pool: z.string(),
    units: DecimalText,
    total: MoneyView,
    settlement: z.enum(["card", "invoice"]),
    status: z.enum(["pending", "paid", "invoiced", "declined"]),
    payment_reference: z.string().nullable(),
    failure: z.string().nullable(),
    expires_at: InstantText.nullable(),
    settled_at: InstantText.nullable(),
  })
  .openapi("Purchase");
export const purchaseView = (one: Purchase): z.input<typeof PurchaseView> => ({
  id: one.id,
  object: "purchase",
  created_at: formatInstant(one.createdAt),
  account_id: one.accountId,
  kind: one.kind,
  sku: one.sku,
  count: one.count,
  pool: one.pool,
  units: writeUnits(one.units),
  total: moneyView(one.total),
  settlement: one.settlement,
  status: one.status,
  payment_reference: one.paymentReference,
  failure: one.failure,
  expires_at: one.detail.expiresAt,
  settled_at: one.settledAt === null ? null : formatInstant(one.settledAt),
});

export const GrantView = z
  .strictObject({
    id: z.string(),
    object: z.literal("grant"),
    created_at: InstantText,
    account_id: z.string(),
    pool: z.string(),
    denomination: z.enum(["units", "money"]),
    sku: z.string().nullable(),
    origin: z.enum(["allowance", "purchase", "transfer", "promotion", "correction"]),
    state: z.enum(["scheduled", "active", "exhausted", "expired"]),
    priority: z.number().int(),
    valid_from: InstantText,
    expires_at: InstantText.nullable(),
    size: DecimalText,
    remaining: DecimalText,
    drawn: DecimalText,
    expired: DecimalText,
    transferred_out: DecimalText,
    corrected: DecimalText,
    unit_cost: z.string(),
    paid: MoneyView.nullable(),
    parent_id: z.string().nullable(),
    purchase_id: z.string().nullable(),
  })
  .openapi("Grant");
export const grantView = (grant: StoredGrant, now: Instant): z.input<typeof GrantView> => ({
  id: grant.id,
  object: "grant",
  created_at: formatInstant(grant.createdAt),
  account_id: grant.accountId,
  pool:
    grant.denomination.kind === "units" ? grant.denomination.family : grant.denomination.currency,
  denomination: grant.denomination.kind,
  sku: grant.sku,
  origin: grant.origin,
  state: stateAt(grant, now),
  priority: grant.priority,
  valid_from: formatInstant(grant.validFrom),
  expires_at: ends(grant.expiresAt),
  size: writeUnits(grant.size),
  remaining: writeUnits(grant.remaining),
  drawn: writeUnits(grant.drawn),
  expired: writeUnits(grant.expired),
  transferred_out: writeUnits(grant.transferredOut),
  corrected: writeUnits(grant.corrected),
  unit_cost: formatDecimal(grant.unitCost),
  paid: grant.paid && moneyView(grant.paid),
  parent_id: grant.parent,
  purchase_id: grant.purchaseId,
});

export const GrantBody = z
  .strictObject({
    pool: z.string().min(1).max(100).optional().openapi({
      description: "Units of this pool; leave out to give money in `currency`.",
    }),
    currency: CurrencyCode.optional(),
    origin: z.enum(["promotion", "correction", "allowance"]).default("promotion"),
    quantity: PositiveUnitsIn,
    priority: z.int().min(0).max(100).default(50),
    valid_from: InstantIn.optional(),
    expires_at: InstantIn.optional(),
    reason: Reason,
  })
  .openapi("NewGrant");
export const CorrectionBody = z
  .strictObject({ take_back: PositiveUnitsIn, reason: Reason })
  .openapi("GrantCorrection");

export const BalanceView = z
  .strictObject({
    object: z.literal("balance"),
    pool: z.string(),
    denomination: z.enum(["units", "money"]),
    available: DecimalText,
    held: DecimalText.openapi({ description: "Held by reservations, part of available." }),
    next_expiry_at: InstantText.nullable(),
    expiring_next: DecimalText,
    open_grant_count: z.number().int(),
  })
  .openapi("Balance");
export const balanceView = (balance: PoolBalance): z.input<typeof BalanceView> => ({
  object: "balance",
  pool: balance.pool,
  denomination: balance.denomination,
  available: writeUnits(balance.available),
  held: writeUnits(balance.held),
  next_expiry_at: balance.nextExpiryAt === null ? null : formatInstant(balance.nextExpiryAt),
  expiring_next: writeUnits(balance.expiringNext),
  open_grant_count: balance.openGrantCount,
});

export const MovementView = z
  .strictObject({
    id: z.string(),
    object: z.literal("grant_movement"),
    grant_id: z.string(),
    kind: z.string(),
    quantity: DecimalText.openapi({ description: "Below zero for units that leave the grant." }),
    at: InstantText.openapi({
      description: "When it happened; for draws, the quarter of an hour of usage.",
    }),
    from_event: z.number().int(),
    to_event: z.number().int(),
    event_count: z.number().int(),
    related_grant_id: z.string().nullable(),
    reason: z.string(),
    recorded_at: InstantText,
  })
  .openapi("GrantMovement");
export const movementView = (one: StoredMovement): z.input<typeof MovementView> => ({
  id: one.id,
  object: "grant_movement",
  grant_id: one.grantId,
  kind: one.kind,
  quantity: writeUnits(one.quantity),
  at: formatInstant(one.at),
  from_event: one.fromSeq,
  to_event: one.toSeq,
  event_count: one.eventCount,
  related_grant_id: one.relatedGrantId,
  reason: one.reason,
  recorded_at: formatInstant(one.recordedAt),
});

export const TransferBody = z
  .strictObject({
    organization: z.string().min(1).max(80).default("current").openapi({
      description: "Id or slug of the other organization; left out, it is the same one.",
    }),
    account: z.string().min(1).max(80).openapi({ description: "The other billing account." }),
    pool: z.string().min(1).max(100),
    quantity: PositiveUnitsIn,
  })
  .openapi("UnitTransfer");

export const TopUpBody = z
  .strictObject({
    sku: z.string().min(1).max(100),
    enabled: z.boolean().default(true),
    trigger_at_or_below: UnitsIn,
    purchases_per_month_max: z.int().min(0).max(1000),
  })
  .openapi("TopUpRule");
