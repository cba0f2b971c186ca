import { system } from "../domain/audit/index.ts";
import { listLateAccounts, listLateDue } from "../store/late-usage.ts";
import { theClock } from "./billing-run.ts";
import type { Env } from "./env.ts";
import { issueLateUsage } from "./issue-late-usage.ts";
import { noticeLateUsage } from "./notice-late-usage.ts";

const accountsPerPage = 100;

/**
 * Notice late usage that does not just wait for the next invoice, and put what has a document of its own onto one, as patiently
 * as invoices wait: once the account's finalization window has passed since it was noticed, so that stragglers share it.
 * Where no meter and no account asks for any of that, nothing is read.
 */
export async function billLateUsage(
  env: Env,
  of: { readonly orgId?: string } = {},
  stopping?: AbortSignal,
): Promise<void> {
  const now = env.now();
  let after: { orgId: string; accountId: string } | undefined;
  while (!stopping?.aborted) {
    const keys = await listLateAccounts(env.store.db, {
      orgId: of.orgId,
      after,
      limit: accountsPerPage,
    });
    if (keys.length === 0) break;
    await noticeLateUsage(env, keys, now);
    after = keys.at(-1);
  }
  for (const { orgId, accountId } of await listLateDue(env.store.db, { ...of, now }))
    if (!stopping?.aborted)
      await issueLateUsage(env, { orgId, account: accountId }, system(theClock), now);
}
