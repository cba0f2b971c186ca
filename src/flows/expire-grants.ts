import { expireUnused } from "../domain/grants/index.ts";
import type { Instant } from "../kit/time.ts";
import { headName, lockHeads } from "../store/account-heads.ts";
import { listGrants, listLapsing, moveUnits } from "../store/grant-lifecycle.ts";
import { transaction } from "../store/transaction.ts";
import type { Env } from "./env.ts";

/**
 * Write down what has lapsed. Whoever reads a balance sees it gone at the very instant anyhow; this makes the movement,
 * dated at that instant. Running it again, or twice at once, changes nothing.
 */
export async function expireGrants(
  env: Env,
  of: { readonly orgId?: string } = {},
): Promise<{ grantCount: number }> {
  let grantCount = 0;
  for (;;) {
    const lapsing = await listLapsing(env.store.db, env.now(), { orgId: of.orgId, limit: 100 });
    if (lapsing.length === 0) return { grantCount };
    for (const key of lapsing)
      grantCount += await transaction(env.store.db, async (tx) => {
        const heads = await lockHeads(tx, [key]);
        const now: Instant = env.now();
        let count = 0;
        for (const grant of await listGrants(tx, { ...key, withUnitsOnly: true })) {
          const movement = expireUnused(grant, now);
          if (!movement) continue;
          await moveUnits(tx, env.id, {
            grant,
            kind: "expired",
            quantity: movement.quantity,
            at: grant.expiresAt,
            afterSeq: heads.get(headName(key)) ?? 0,
            reason: "use it or lose it",
          });
          count += 1;
        }
        return count;
      });
  }
}
