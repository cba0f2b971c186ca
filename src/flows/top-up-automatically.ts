import type { BillingAccount } from "../domain/accounts/index.ts";
import { type Author, system } from "../domain/audit/index.ts";
import { decideTopUp, type TopUpDecision } from "../domain/grants/index.ts";
import { Problem } from "../domain/refusals/index.ts";
import type { AccountId, OrganizationId } from "../kit/ids.ts";
import { startOf } from "../kit/time.ts";
import { appendAudit } from "../store/audit.ts";
import { findAccount } from "../store/accounts.ts";
import { listBalances } from "../store/grant-lifecycle.ts";
import {
  countAutoTopUps,
  findOpenAutoTopUp,
  listTopUpRules,
  noteTopUpOutcome,
  type StoredTopUpRule,
  saveTopUpRule,
} from "../store/purchases.ts";
import { snapshot, transaction } from "../store/transaction.ts";
import { buyBatch } from "./buy-batch.ts";
import type { Env } from "./env.ts";

/** Switch automatic top-up of a pool on, off, or to other terms. What failed before is forgotten. */
export async function setTopUpRule(
  env: Env,
  author: Author,
  account: BillingAccount,
  rule: Pick<
    StoredTopUpRule,
    "pool" | "sku" | "enabled" | "triggerAtOrBelow" | "purchasesPerMonthMax"
  >,
): Promise<StoredTopUpRule> {
  const stored: StoredTopUpRule = {
    ...rule,
    orgId: account.organizationId,
    accountId: account.id,
    failuresInARow: 0,
    lastFailureAt: null,
    lastNotice: null,
  };
  await transaction(env.store.db, async (tx) => {
    await saveTopUpRule(tx, stored);
    await appendAudit(tx, env.id, account.organizationId, [
      {
        at: env.now(),
        author,
        action: "top_up_rule.set",
        target: { kind: "account", id: account.id },
        before: null,
        after: { pool: rule.pool, sku: rule.sku, enabled: rule.enabled },
      },
    ]);
  });
  return stored;
}

/**
 * Buy for every account whose units have run low, within its cap. The order is named by rule, month and count, so that two
 * processes that see the same need buy once.
 */
export async function topUpAutomatically(
  env: Env,
  of: { readonly orgId?: string } = {},
): Promise<{ rule: StoredTopUpRule; decision: TopUpDecision }[]> {
  const rules = await listTopUpRules(env.store.db, { ...of, enabledOnly: true });
  const done: { rule: StoredTopUpRule; decision: TopUpDecision }[] = [];
  for (const rule of rules) done.push({ rule, decision: await topUpOne(env, rule) });
  return done.filter(({ decision }) => decision.kind !== "idle");
}

async function topUpOne(env: Env, rule: StoredTopUpRule): Promise<TopUpDecision> {
  const now = env.now();
  const account = await findAccount(
    env.store.db,
    rule.orgId as OrganizationId,
    rule.accountId as AccountId,
  );
  if (!account) return { kind: "idle" };
  const month = startOf("month", now, account.timeZone);
  const key = { orgId: rule.orgId, accountId: rule.accountId, pool: rule.pool };
  // From one moment: a purchase that another process settles in between must not be counted while its units are not.
  const { balance, purchasesThisMonth, begun } = await snapshot(env.store.db, async (db) => ({
    balance: (await listBalances(db, { ...key, now }))[0],
    purchasesThisMonth: await countAutoTopUps(db, { ...key, since: month }),
    begun: await findOpenAutoTopUp(db, key),
  }));
  const decision = decideTopUp(
    rule,
    {
      available: balance?.available ?? 0,
      purchasesThisMonth,
      failuresInARow: rule.failuresInARow,
      lastFailureAt: rule.lastFailureAt,
    },
    now,
  );
  if (decision.kind === "idle") return decision;
  if (decision.kind === "notify") {
    await noteTopUpOutcome(env.store.db, key, {
      ...rule,
      lastNotice: { reason: decision.reason, because: decision.because },
    });
    return decision;
  }
  // One that was begun is brought to its end under its own name, or a crash in between would buy twice.
  const attempt = `${purchasesThisMonth}.${rule.failuresInARow}`;
  try {
    await buyBatch(env, system("auto top-up"), account, {
      sku: rule.sku,
      count: 1,
      settlement: env.payments ? "card" : "invoice",
      kind: "auto_top_up",
      requestKey: begun ?? `top-up ${rule.accountId} ${rule.pool} ${month} ${attempt}`,
    });
    await noteTopUpOutcome(env.store.db, key, {
      failuresInARow: 0,
      lastFailureAt: null,
      lastNotice: null,
    });
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    // An unclear payment is asked about under the same name next time; a clear no counts.
    if (error.code !== "payment_unclear")
      await noteTopUpOutcome(env.store.db, key, {
        failuresInARow: rule.failuresInARow + 1,
        lastFailureAt: now,
        lastNotice: { reason: error.code, because: error.message },
      });
  }
  return decision;
}
