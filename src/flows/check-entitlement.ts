import {
  beyondUnits,
  checkEntitlement,
  checkQuota,
  type EntitlementAnswer,
  isEntitled,
  type QuotaAnswer,
  quotaPeriod,
} from "../domain/entitlements/index.ts";
import {
  decimalOfUnits,
  hasUnits,
  never,
  subtractUnits,
  type Units,
} from "../domain/grants/index.ts";
import type { Offer } from "../domain/invoicing/index.ts";
import { rate } from "../domain/rating/index.ts";
import { currency } from "../kit/currency.ts";
import type { Decimal } from "../kit/decimal.ts";
import { type Money, money } from "../kit/money.ts";
import type { Instant } from "../kit/time.ts";
import type { LimitKey, LimitRow } from "../store/limits.ts";
import type { Env } from "./env.ts";
import { readLimits } from "./limit-desk.ts";
import {
  catalogOf,
  includedAnswer,
  isSoldInPlans,
  type LimitInForce,
  offerFor,
} from "./limits-in-force.ts";
import { previewInvoice } from "./preview-invoice.ts";

export type Question = LimitKey & { readonly quantity: Units };
export type Answer = EntitlementAnswer & {
  readonly quota: QuotaAnswer | null;
  /** Prepaid units that can still be used or reserved; null where none are sold. */
  readonly units: Units | null;
};

/**
 * May this account use so much of something now? Strongly consistent: from the rows that the last acknowledged event or
 * reservation wrote. What cannot be found out is denied.
 */
export async function checkEntitlements(
  env: Env,
  questions: readonly Question[],
): Promise<Answer[]> {
  const reads = await readLimits(env, questions);
  return Promise.all(
    questions.map((question, index) => {
      const { row, now } = reads[index] as (typeof reads)[number];
      return answerOne(env, question, row, now);
    }),
  );
}

const denied: Answer = {
  allowed: false,
  reason: "not_entitled",
  because: "There is no such billing account.",
  remaining: null,
  overage: 0,
  quota: null,
  units: null,
};

export async function answerOne(
  env: Env,
  question: Question,
  row: LimitInForce | undefined,
  now: Instant,
): Promise<Answer> {
  if (!row) return denied;
  const { feature, quantity } = question;
  const { stored, catalog } = await catalogOf(env);
  const offer = offerFor(stored, row);
  const sold = row.hasGrants || offer !== undefined;
  const units = sold ? { available: row.available, held: row.heldUnits } : null;
  const free = units ? subtractUnits(units.available, units.held) : null;
  const beyond = beyondUnits(quantity, free);
  const priced = offer && hasUnits(beyond) ? costOf(offer, beyond, now) : null;
  const limits = priced ? await moneyLimits(env, row, now) : { credit: null, cap: null };
  const quota = tighter(
    quotaAnswer(row, quantity, now),
    await includedAnswer(env, row, offer, quantity, now),
  );
  const answer = checkEntitlement({
    feature,
    quantity,
    suspended: row.status === "suspended" || row.status === "archived",
    entitled: isEntitled({
      feature,
      byHand: row.featureAllowed,
      hasQuota: row.quota !== null,
      hasGrants: row.hasGrants,
      priced: offer?.skuCode ?? null,
      isSoldInBatches: catalog.skus.some((sku) => sku.kind === "batch" && sku.meter === feature),
      isSoldInPlans: offer !== undefined && isSoldInPlans(catalog, offer.skuCode),
      hasPlan: row.hasPlan,
      rights: row.rights,
    }),
    quota,
    units,
    costBeyond: priced,
    creditOnly: row.creditOnly,
    ...limits,
  });
  return { ...answer, quota, units: free };
}

/** Where the account stands in its quota, for `quantity` more. */
export function quotaAnswer(row: LimitRow, quantity: Units, now: Instant): QuotaAnswer | null {
  if (!row.quota) return null;
  const period = quotaPeriod(row.quota.window, now, row.timeZone);
  const isCurrent = row.lastWindow?.startsAt === (period?.startsAt ?? null);
  const use = {
    used: isCurrent && row.lastWindow ? row.lastWindow.used : 0,
    held: row.heldWindow === (period?.startsAt ?? null) ? row.held : 0,
    exceededAt: isCurrent ? (row.lastWindow?.exceededAt ?? null) : null,
  };
  const raised =
    row.raisedTo === null ? [] : [{ limit: row.raisedTo, startsAt: now, endsAt: never }];
  return checkQuota(row.quota, raised, use, quantity, now, row.timeZone);
}

/** The one that says no, else the quota. */
const tighter = (quota: QuotaAnswer | null, included: QuotaAnswer | null): QuotaAnswer | null =>
  quota?.allowed === false || !included || (quota && included.allowed) ? quota : included;

/** What usage beyond the batches would cost at the price in force, from nothing: a little too much where tiers fall. */
function costOf(offer: Offer, quantity: Units, now: Instant): Decimal | null {
  const price = offer.versions.findLast((version) => version.effectiveFrom <= now)?.price;
  if (!price) return null;
  return rate(price, { quantity: decimalOfUnits(quantity) }, { complete: false }).unrounded;
}

/** Cap and credit, against what the invoice of the running period would say at this moment. */
async function moneyLimits(
  env: Env,
  row: LimitRow,
  now: Instant,
): Promise<{ credit: Money | null; cap: { limit: Money; spent: Money; held: Money } | null }> {
  if (row.capMinor === null && !row.creditOnly) return { credit: null, cap: null };
  const code = currency(row.currency);
  const { draft } = await previewInvoice(env, row.orgId, row.accountId, now);
  const spent = draft.lines
    .filter((line) => line.usageType !== "credit" && line.usageType !== "prepaid")
    .reduce((sum, line) => sum + line.amount.minor, 0n);
  return {
    credit: row.creditOnly
      ? money(code, subtractMinor(row.creditMinor, spent + row.heldMinor))
      : null,
    cap:
      row.capMinor === null
        ? null
        : {
            limit: money(code, row.capMinor),
            spent: money(code, spent),
            held: money(code, row.heldMinor),
          },
  };
}

const subtractMinor = (a: bigint, b: bigint): bigint => (a > b ? a - b : 0n);
