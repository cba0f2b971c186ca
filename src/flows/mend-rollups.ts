import type { Author } from "../domain/audit/index.ts";
import { readMeter } from "../domain/catalog/index.ts";
import { lockHeads } from "../store/account-heads.ts";
import { appendAudit } from "../store/audit.ts";
import { getCatalog } from "../store/catalog.ts";
import type { AccountKey } from "../store/invoice-facts.ts";
import { loadRolledUp } from "../store/invoice-usage.ts";
import { transaction } from "../store/transaction.ts";
import { compareRollups, mendRollups, type RollupFault } from "../store/usage-proof.ts";
import type { Env } from "./env.ts";

/**
 * Write an account's rollups anew where they differ from its raw events, which are what counts. Usage that comes in waits
 * meanwhile; what was changed, and from what to what, is in the audit trail. Returns how many quarters of an hour differed.
 */
export async function mendAccountRollups(
  env: Env,
  of: AccountKey,
  author: Author,
): Promise<number> {
  const catalog = await getCatalog(env.store);
  return transaction(env.store.db, async (tx) => {
    await lockHeads(tx, [of], { changesGrants: false });
    const faults: RollupFault[] = [];
    const rolledUp = await loadRolledUp(tx);
    for (const stored of catalog.meters.values()) {
      const { meter } = readMeter(stored.definition);
      if (meter && rolledUp.has(meter.key))
        faults.push(...(await compareRollups(tx, of, meter, null, Number.MAX_SAFE_INTEGER)));
    }
    if (faults.length === 0) return 0;
    await mendRollups(tx, of, faults);
    await appendAudit(tx, env.id, of.orgId, [
      {
        at: env.now(),
        author,
        action: "usage.rollups_mended",
        target: { kind: "account", id: of.accountId },
        before: faultsText(faults, (one) => one.stored),
        after: faultsText(faults, (one) => one.recomputed),
      },
    ]);
    return faults.length;
  });
}

const shownMax = 20;

const faultsText = (faults: readonly RollupFault[], read: (one: RollupFault) => string) => ({
  count: faults.length,
  first: faults
    .slice(0, shownMax)
    .map((one) => `${one.meterKey} ${one.bucketAt} ${one.dimensions}: ${read(one)}`),
});
