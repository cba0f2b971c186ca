import { listOpenRuns } from "../store/billing-runs.ts";
import {
  collectBillingRun,
  pagesOfDue,
  startBillingRun,
  theClock,
  workBillingRun,
} from "./billing-run.ts";
import type { Env } from "./env.ts";

/**
 * Invoice what has become final: go on with runs that are open, then open one over the account periods whose window has
 * closed and that no run has looked at. Nothing due, no run. Stopped anywhere, the next call goes on; run twice at once, each
 * period still has one invoice.
 */
export async function billFinalizedPeriods(
  env: Env,
  of: { readonly orgId?: string } = {},
  stopping?: AbortSignal,
): Promise<{ runIds: string[] }> {
  const runIds: string[] = [];
  const work = async (runId: string) => {
    runIds.push(runId);
    await collectBillingRun(env, runId);
    while (!stopping?.aborted && (await workBillingRun(env, runId)) > 0);
  };
  for (const run of await listOpenRuns(env.store.db, of.orgId)) await work(run.runId);
  const asked = { orgId: of.orgId ?? null, asOf: env.now(), createdBy: theClock };
  for await (const due of pagesOfDue(env, asked)) {
    if (due.length === 0) continue;
    if (!stopping?.aborted) await work((await startBillingRun(env, asked)).runId);
    break;
  }
  return { runIds };
}
