import type { BillingAccount } from "../domain/accounts/index.ts";
import type { Author } from "../domain/audit/index.ts";
import {
  type Denomination,
  decideRefund,
  hasUnits,
  type RefundDecision,
  subtractUnits,
  type Units,
  writeUnits,
} from "../domain/grants/index.ts";
import { Problem } from "../domain/refusals/index.ts";
import { zero } from "../kit/decimal.ts";
import type { Instant } from "../kit/time.ts";
import { headName, lockHeads } from "../store/account-heads.ts";
import { appendAudit } from "../store/audit.ts";
import { findGrant, insertGrant, moveUnits, type StoredGrant } from "../store/grant-lifecycle.ts";
import { transaction } from "../store/transaction.ts";
import type { Env } from "./env.ts";

export type Gift = {
  readonly denomination: Denomination;
  readonly sku: string | null;
  readonly origin: "promotion" | "correction" | "allowance";
  readonly quantity: Units;
  readonly priority: number;
  readonly validFrom: Instant;
  readonly expiresAt: Instant;
};

/** Give units or money without a sale: a promotion, a correction, what a plan includes. Staff only, audited with a reason. */
export async function giveGrant(
  env: Env,
  author: Author,
  account: BillingAccount,
  gift: Gift,
): Promise<StoredGrant> {
  const key = { orgId: account.organizationId, accountId: account.id };
  return transaction(env.store.db, async (tx) => {
    const heads = await lockHeads(tx, [key]);
    const now = env.now();
    const grant: StoredGrant = {
      orgId: account.organizationId,
      id: env.id("grant"),
      accountId: account.id,
      denomination: gift.denomination,
      sku: gift.sku,
      origin: gift.origin,
      priority: gift.priority,
      validFrom: gift.validFrom,
      expiresAt: gift.expiresAt,
      unitCost: zero,
      createdAt: now,
      size: gift.quantity,
      remaining: gift.quantity,
      drawn: 0,
      expired: 0,
      transferredOut: 0,
      corrected: 0,
      paid: null,
      parent: null,
      parentOrgId: null,
      purchaseId: null,
      afterSeq: heads.get(headName(key)) ?? 0,
    };
    await insertGrant(tx, grant, env.id, author.reason ?? gift.origin);
    await appendAudit(tx, env.id, account.organizationId, [
      {
        at: now,
        author,
        action: "grant.given",
        target: { kind: "grant", id: grant.id },
        before: null,
        after: { origin: gift.origin, quantity: writeUnits(gift.quantity) },
      },
    ]);
    return grant;
  });
}

/** Take unused units back by hand: a new movement with a reason, never an edit. */
export async function correctGrant(
  env: Env,
  author: Author,
  account: BillingAccount,
  grantId: string,
  takeBack: Units,
): Promise<StoredGrant> {
  const key = { orgId: account.organizationId, accountId: account.id };
  return transaction(env.store.db, async (tx) => {
    const heads = await lockHeads(tx, [key]);
    const grant = await findGrant(tx, account.organizationId, grantId);
    if (!grant || grant.accountId !== account.id) throw new Problem("grant_not_found");
    const left = subtractUnits(grant.remaining, takeBack);
    if (!hasUnits(takeBack) || (!hasUnits(left) && writeUnits(left) !== "0"))
      throw new Problem(
        "not_enough_units",
        `${writeUnits(grant.remaining)} units remain of this grant, ${writeUnits(takeBack)} were to be taken back.`,
        { facts: { available: writeUnits(grant.remaining) } },
      );
    const after = await moveUnits(tx, env.id, {
      grant,
      kind: "corrected",
      quantity: subtractUnits(0, takeBack),
      at: env.now(),
      afterSeq: heads.get(headName(key)) ?? 0,
      reason: author.reason ?? "corrected",
    });
    await appendAudit(tx, env.id, account.organizationId, [
      {
        at: env.now(),
        author,
        action: "grant.corrected",
        target: { kind: "grant", id: grant.id },
        before: { remaining: writeUnits(grant.remaining) },
        after: { remaining: writeUnits(after.remaining) },
      },
    ]);
    return after;
  });
}

/** Ask for the money of a batch back. By the house rule the answer is no, with the reason; staff may write a credit note. */
export async function askRefund(
  env: Env,
  account: BillingAccount,
  grantId: string,
): Promise<RefundDecision> {
  const grant = await findGrant(env.store.db, account.organizationId, grantId);
  if (!grant || grant.accountId !== account.id) throw new Problem("grant_not_found");
  const decision = decideRefund(grant, env.now(), { unusedIsRefundable: false });
  if (decision.kind === "refused") throw new Problem("refund_refused", decision.because);
  return decision;
}
