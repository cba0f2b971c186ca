import type { Author } from "../domain/audit/index.ts";
import { Problem } from "../domain/refusals/index.ts";
import type { RecognitionPolicy } from "../domain/revenue/index.ts";
import { formatInstant } from "../kit/time.ts";
import { appendAudit, providerChain } from "../store/audit.ts";
import {
  insertRecognitionPolicy,
  listRecognitionPolicies,
  lockRecognitionPolicies,
} from "../store/recognition-policies.ts";
import { transaction } from "../store/transaction.ts";
import type { Env } from "./env.ts";

/**
 * Begin a new version of the recognition rule. Only periods that begin at or after `effectiveFrom` are booked by it, which
 * lies ahead: what has begun goes on by the rule it began under.
 */
export async function setRecognitionPolicy(
  env: Env,
  author: Author,
  rule: Omit<RecognitionPolicy, "version">,
): Promise<RecognitionPolicy> {
  return transaction(env.store.db, async (tx) => {
    await lockRecognitionPolicies(tx);
    const policies = await listRecognitionPolicies(tx);
    const last = policies.at(-1);
    if (rule.effectiveFrom < env.now() || (last && rule.effectiveFrom <= last.effectiveFrom))
      throw new Problem("recognition_policy_not_ahead");
    const policy = { ...rule, version: (last?.version ?? 0) + 1 };
    await insertRecognitionPolicy(tx, policy, {
      who: author.actor.id,
      reason: author.reason ?? "",
      at: env.now(),
    });
    await appendAudit(tx, env.id, providerChain, [
      {
        at: env.now(),
        author,
        action: "recognition_policy.set",
        target: { kind: "recognition_policy", id: String(policy.version) },
        before: last ? { version: last.version, fees: last.fees, usage: last.usage } : null,
        after: {
          version: policy.version,
          fees: policy.fees,
          usage: policy.usage,
          effective_from: formatInstant(policy.effectiveFrom),
        },
      },
    ]);
    return policy;
  });
}
