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
import type { LimitKey, LimitRow } from "../store/limit-rows.ts";
import type { Env } from "./env.ts";
import { readLimits } from "./limit-desk.ts";
import {
  type IncludedUse,
  includedAnswer,
  includedUse,
  isSoldInBatches,
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

async function answerOne(
  env: Env,
  question: Question,
  row: LimitInForce | undefined,
  now: Instant,
): Promise<Answer> {
  if (!row) return denied;
  return answerFrom(question, row, await readMore(env, question, row, now), now);
}

/** What an answer needs that is not in the row: the invoice of the running period, and usage that a plan includes. */
export type More = {
  readonly credit: Money | null;
  readonly cap: { readonly limit: Money; readonly spent: Money; readonly held: Money } | null;
  readonly included: IncludedUse | null;
};
const nothingMore: More = { credit: null, cap: null, included: null };

/** Nothing more when the row is enough, which it mostly is; undefined when something must be read. */
export function moreAtOnce(
  question: Question,
  row: LimitInForce | undefined,
  now: Instant,
): More | undefined {
  if (!row) return nothingMore;
  const offer = offerFor(row);
  const isBlocked = offer !== undefined && row.rights.blocked.has(offer.skuCode);
  const isLimited = row.capMinor !== null || row.creditOnly;
  if (isBlocked || (isLimited && costBeyond(question.quantity, row, offer, now) !== null))
    return undefined;
  return nothingMore;
}

/** All of it, enough for any quantity up to the one that is asked for. */
export async function readMore(
  env: Env,
  question: Question,
  row: LimitInForce | undefined,
  now: Instant,
): Promise<More> {
  const found = moreAtOnce(question, row, now);
  if (found || !row) return found ?? nothingMore;
  const offer = offerFor(row);
  const money =
    costBeyond(question.quantity, row, offer, now) === null
      ? nothingMore
      : await moneyLimits(env, row, now);
  return { ...money, included: await includedUse(env, row, offer, now) };
}

/** Prepaid units that are free; null where none are sold. */
const freeUnits = (row: LimitInForce, offer: Offer | undefined): Units | null =>
  row.hasGrants || offer !== undefined ? subtractUnits(row.available, row.heldUnits) : null;

function costBeyond(
  quantity: Units,
  row: LimitInForce,
  offer: Offer | undefined,
  now: Instant,
): Decimal | null {
  const beyond = beyondUnits(quantity, freeUnits(row, offer));
  return offer && hasUnits(beyond) ? costOf(offer, beyond, now) : null;
}

/** The answer that follows from the row and from `more`. */
export function answerFrom(
  question: Question,
  row: LimitInForce | undefined,
  more: More,
  now: Instant,
): Answer {
  if (!row) return denied;
  const { feature, quantity } = question;
  const offer = offerFor(row);
  const free = freeUnits(row, offer);
  const quota = tighter(
    quotaAnswer(row, quantity, now),
    more.included && includedAnswer(row, more.included, quantity, now),
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
      isSoldInBatches: isSoldInBatches(row.known, feature),
      isSoldInPlans: offer !== undefined && isSoldInPlans(row.known, offer.skuCode),
      hasPlan: row.hasPlan,
      rights: row.rights,
    }),
    quota,
    units: free === null ? null : { available: row.available, held: row.heldUnits },
    costBeyond: costBeyond(quantity, row, offer, now),
    creditOnly: row.creditOnly,
    credit: more.credit,
    cap: more.cap,
  });
  return { ...answer, quota, units: free };
}

/** Where the account stands in its quota, for `quantity` more. */
export function quotaAnswer(row: LimitRow, quantity: Units, now: Instant): QuotaAnswer | null {
  if (!row.quota) return null;
  const at = inNewestWindow(row, now);
  const startsAt = quotaPeriod(row.quota.window, at, row.timeZone)?.startsAt ?? null;
  const isCurrent = row.lastWindow?.startsAt === startsAt;
  const use = {
    used: isCurrent && row.lastWindow ? row.lastWindow.used : 0,
    held: row.heldWindow === startsAt ? row.held : 0,
    exceededAt: isCurrent ? (row.lastWindow?.exceededAt ?? null) : null,
  };
  const raised =
    row.raisedTo === null ? [] : [{ limit: row.raisedTo, startsAt: at, endsAt: never }];
  return checkQuota(row.quota, raised, use, quantity, at, row.timeZone);
}

/** The start of the window that a use or a hold counts in; null for levels, which have none. */
export const windowOf = (row: LimitRow, now: Instant): Instant | null =>
  row.quota
    ? (quotaPeriod(row.quota.window, inNewestWindow(row, now), row.timeZone)?.startsAt ?? null)
    : null;

// Who waited for a lock, or whose clock is behind, may be decided after somebody else opened the next window. The window
// before it is over then: its use is not in the row any more.
const inNewestWindow = (row: LimitRow, now: Instant): Instant =>
  Math.max(now, row.lastWindow?.startsAt ?? now, row.heldWindow ?? now) as Instant;

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
): Promise<Pick<More, "credit" | "cap">> {
  if (row.capMinor === null && !row.creditOnly) return nothingMore;
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
