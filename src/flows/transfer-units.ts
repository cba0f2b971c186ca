import type { BillingAccount } from "../domain/accounts/index.ts";
import type { Author } from "../domain/audit/index.ts";
import {
  compareUnits,
  decideTransfer,
  grantOfTransfer,
  subtractUnits,
  sumUnits,
  type Units,
  writeUnits,
} from "../domain/grants/index.ts";
import { Problem } from "../domain/refusals/index.ts";
import { headName, lockHeads } from "../store/account-heads.ts";
import { appendAudit } from "../store/audit.ts";
import {
  insertGrant,
  listBalances,
  listGrants,
  moveUnits,
  type StoredGrant,
} from "../store/grant-lifecycle.ts";
import { findOrganization } from "../store/organizations.ts";
import { transaction } from "../store/transaction.ts";
import { valueLeaving } from "./buy-batch.ts";
import type { Env } from "./env.ts";

export type Transfer = {
  readonly from: BillingAccount;
  readonly to: BillingAccount;
  readonly pool: string;
  readonly quantity: Units;
};

/**
 * Pass units on to another account, or take back what was passed on and not used. Units, expiry and cost are conserved:
 * every piece becomes a grant of its own at the receiver, and both sides change in one transaction.
 */
export async function transferUnits(
  env: Env,
  author: Author,
  transfer: Transfer,
): Promise<StoredGrant[]> {
  const { from, to, pool, quantity } = transfer;
  const direction = await directionOf(env, transfer);
  if (!direction || from.id === to.id || from.currency !== to.currency)
    throw new Problem("transfer_not_allowed");
  const fromKey = { orgId: from.organizationId, accountId: from.id };
  const toKey = { orgId: to.organizationId, accountId: to.id };
  return transaction(env.store.db, async (tx) => {
    const heads = await lockHeads(tx, [fromKey, toKey]);
    const now = env.now();
    const all = await listGrants(tx, { ...fromKey, pool, withUnitsOnly: true });
    const held = (await listBalances(tx, { ...fromKey, pool, now }))[0]?.held ?? 0;
    // Taken back is only what came from there.
    const eligible =
      direction === "back" ? all.filter((grant) => grant.parentOrgId === to.organizationId) : all;
    const decision = decideTransfer(eligible, quantity, now);
    const free = subtractUnits(sumUnits(all.map((grant) => grant.remaining)), held);
    if (decision.kind === "refused" || compareUnits(quantity, free) > 0)
      throw new Problem(
        "not_enough_units",
        `${writeUnits(quantity)} ${pool} were asked for, ${writeUnits(decision.kind === "refused" ? decision.available : free)} can be moved now.`,
        {
          facts: { available: writeUnits(decision.kind === "refused" ? decision.available : free) },
        },
      );
    const made: StoredGrant[] = [];
    for (const piece of decision.pieces) {
      const source = eligible.find((grant) => grant.id === piece.source.id) as StoredGrant;
      const child: StoredGrant = {
        ...grantOfTransfer(piece, {
          id: env.id("grant"),
          accountId: to.id,
          at: now,
          afterSeq: heads.get(headName(toKey)) ?? 0,
          value: await valueLeaving(tx, source, writeUnits(piece.quantity)),
        }),
        orgId: to.organizationId,
        parentOrgId: from.organizationId,
        purchaseId: null,
      };
      await moveUnits(tx, env.id, {
        grant: source,
        kind: "transferred_out",
        quantity: subtractUnits(0, piece.quantity),
        at: now,
        afterSeq: heads.get(headName(fromKey)) ?? 0,
        relatedGrantId: child.id,
        reason: `to ${to.slug}`,
      });
      await insertGrant(tx, child, env.id, `from ${from.slug}`);
      made.push(child);
    }
    for (const chain of new Set([from.organizationId, to.organizationId]))
      await appendAudit(tx, env.id, chain, [
        {
          at: now,
          author,
          action: "units.transferred",
          target: { kind: "account", id: from.id },
          before: null,
          after: { from: from.id, to: to.id, pool, quantity: writeUnits(quantity) },
        },
      ]);
    return made;
  });
}

/** Down: to oneself or to a customer of one's own. Back: from a customer to its partner. Undefined: to strangers. */
async function directionOf(env: Env, { from, to }: Transfer): Promise<"down" | "back" | undefined> {
  if (from.organizationId === to.organizationId) return "down";
  const receiver = await findOrganization(env.store.db, to.organizationId);
  if (receiver?.organization.parentId === from.organizationId) return "down";
  const sender = await findOrganization(env.store.db, from.organizationId);
  return sender?.organization.parentId === to.organizationId ? "back" : undefined;
}
