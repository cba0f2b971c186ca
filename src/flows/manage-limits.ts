import type { BillingAccount } from "../domain/accounts/index.ts";
import type { Author } from "../domain/audit/index.ts";
import type { Quota } from "../domain/entitlements/index.ts";
import { type Units, writeUnits } from "../domain/grants/index.ts";
import { Problem } from "../domain/refusals/index.ts";
import type { Instant } from "../kit/time.ts";
import { appendAudit } from "../store/audit.ts";
import type { Tx } from "../store/connect.ts";
import {
  decideQuotaRequest,
  insertQuotaRequest,
  listQuotaRequests,
  type QuotaRequest,
  saveFeature,
  saveQuota,
  saveSpendingLimit,
} from "../store/limits.ts";
import { transaction } from "../store/transaction.ts";
import type { Env } from "./env.ts";
import { limitsInForce } from "./limits-in-force.ts";

const keyOf = (account: BillingAccount) => ({
  orgId: account.organizationId,
  accountId: account.id,
});

async function change<T>(
  env: Env,
  author: Author,
  account: BillingAccount,
  action: string,
  after: Record<string, unknown>,
  work: (tx: Tx) => Promise<T>,
): Promise<T> {
  return transaction(env.store.db, async (tx) => {
    const result = await work(tx);
    await appendAudit(tx, env.id, account.organizationId, [
      {
        at: env.now(),
        author,
        action,
        target: { kind: "account", id: account.id },
        before: null,
        after,
      },
    ]);
    return result;
  });
}

/** Set a ceiling for an account. It holds from the next question on. */
export const setQuota = (env: Env, author: Author, account: BillingAccount, quota: Quota) =>
  change(
    env,
    author,
    account,
    "quota.set",
    { key: quota.key, limit: writeUnits(quota.limit), window: quota.window },
    (tx) => saveQuota(tx, keyOf(account), quota),
  );

/** Set what an account may spend in a period, and whether it may owe at all. */
export const setSpendingLimit = (
  env: Env,
  author: Author,
  account: BillingAccount,
  limit: { capMinor: bigint | null; creditOnly: boolean },
) =>
  change(
    env,
    author,
    account,
    "spending_limit.set",
    { cap_minor: limit.capMinor?.toString() ?? null, credit_only: limit.creditOnly },
    (tx) => saveSpendingLimit(tx, keyOf(account), limit),
  );

/** Give or take a feature by hand, beside what plans and batches give. */
export const setFeature = (
  env: Env,
  author: Author,
  account: BillingAccount,
  feature: string,
  allowed: boolean,
) =>
  change(env, author, account, "feature.set", { feature, allowed }, (tx) =>
    saveFeature(tx, { ...keyOf(account), feature }, allowed),
  );

export type IncreaseAsked = {
  readonly quotaKey: string;
  readonly limit: Units;
  readonly startsAt: Instant;
  readonly endsAt: Instant;
  readonly reason: string;
};

/** Ask for a higher ceiling for a time. Staff decides. */
export async function requestQuotaIncrease(
  env: Env,
  author: Author,
  account: BillingAccount,
  asked: IncreaseAsked,
): Promise<QuotaRequest> {
  const [row] = await limitsInForce(
    env,
    [{ ...keyOf(account), feature: asked.quotaKey }],
    env.now(),
  );
  if (!row?.quota) throw new Problem("quota_not_found");
  const request: QuotaRequest = {
    ...keyOf(account),
    ...asked,
    id: env.id("quota"),
    status: "requested",
    requestedBy: author.actor.id,
    requestedAt: env.now(),
    decidedBy: null,
  };
  const after = { key: asked.quotaKey, limit: writeUnits(asked.limit) };
  await change(env, author, account, "quota_increase.requested", after, (tx) =>
    insertQuotaRequest(tx, request),
  );
  return request;
}

/** Approve or decline, by somebody other than who asked, once. */
export async function decideQuotaIncrease(
  env: Env,
  author: Author,
  account: BillingAccount,
  id: string,
  status: "approved" | "declined",
): Promise<QuotaRequest> {
  const [request] = await listQuotaRequests(env.store.db, { ...keyOf(account), id });
  if (!request) throw new Problem("quota_not_found");
  if (request.requestedBy === author.actor.id) throw new Problem("quota_request_not_open");
  return change(env, author, account, `quota_increase.${status}`, { request: id }, async (tx) => {
    const decision = { status, by: author.actor.id, at: env.now() };
    if (!(await decideQuotaRequest(tx, request, decision)))
      throw new Problem("quota_request_not_open");
    return { ...request, status, decidedBy: author.actor.id };
  });
}
