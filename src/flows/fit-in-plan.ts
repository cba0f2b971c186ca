import { versionOf } from "../domain/catalog/index.ts";
import { exceededBy, type QuotaAnswer } from "../domain/entitlements/index.ts";
import { addUnits } from "../domain/grants/index.ts";
import { Problem } from "../domain/refusals/index.ts";
import { phaseAt, type Subscription } from "../domain/subscriptions/index.ts";
import { isZero } from "../kit/decimal.ts";
import type { Instant } from "../kit/time.ts";
import type { LimitKey } from "../store/limit-rows.ts";
import { quotaAnswer } from "./check-entitlement.ts";
import type { Env } from "./env.ts";
import {
  catalogOf,
  includedAnswer,
  includedUse,
  type LimitInForce,
  limitsInForce,
  offerFor,
} from "./limits-in-force.ts";

/**
 * Refuse a change under which more is in use than there would be: users, gigabytes, whatever is held and not used up. What
 * the account has now must fit, also when the change is for later. Call it with the account's head locked.
 */
export async function refuseUnlessItFits(
  env: Env,
  account: Omit<LimitKey, "feature">,
  subscription: Subscription,
  at: Instant,
): Promise<void> {
  const old = await limitsInForce(env, [{ ...account, feature: "" }], at);
  const others = old[0]?.subscriptions ?? [];
  const after = [...others.filter((one) => one.id !== subscription.id), subscription];
  const refs = [...others, ...after].flatMap((one) => {
    const phase = phaseAt(one, at);
    return phase ? [phase.plan, ...phase.addOns] : [];
  });
  const { catalog } = await catalogOf(env);
  const versions = refs.flatMap((ref) => versionOf(catalog.plans, ref) ?? []);
  const meterOf = new Map(catalog.skus.map((sku) => [sku.code, sku.meter]));
  const keys = new Set([
    ...versions.flatMap((one) => one.quotas.filter((q) => q.window === "none").map((q) => q.key)),
    ...versions.flatMap((one) =>
      one.usage.flatMap((usage) =>
        isZero(usage.includedLevel) ? [] : (meterOf.get(usage.sku) ?? []),
      ),
    ),
  ]);
  const questions = [...keys].map((feature) => ({ ...account, feature }));
  const before = await limitsInForce(env, questions, at);
  const then = await limitsInForce(env, questions, at, subscription);
  const changes = await Promise.all(
    questions.map(async ({ feature }, index) => {
      const now = await ceilingOf(env, before[index], at);
      const later = await ceilingOf(env, then[index], at);
      return {
        key: feature,
        used: later === null ? 0 : addUnits(later.used, later.held),
        before: now?.limit ?? null,
        after: later?.limit ?? null,
      };
    }),
  );
  const exceeds = exceededBy(changes);
  if (exceeds.length === 0) return;
  throw new Problem(
    "subscription_change_refused",
    `Refused: there would be ${exceeds.join(", ")} in use. Reduce it, then change.`,
    { facts: { reason: "in_use_beyond_the_plan", exceeds } },
  );
}

async function ceilingOf(
  env: Env,
  row: LimitInForce | undefined,
  at: Instant,
): Promise<QuotaAnswer | null> {
  if (!row) return null;
  const quota = quotaAnswer(row, 0, at);
  if (quota) return quota;
  const included = await includedUse(env, row, offerFor(row), at);
  return included && includedAnswer(row, included, 0, at);
}
