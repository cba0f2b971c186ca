import { decimalOfUnits, poolOf, type Units } from "../domain/grants/index.ts";
import type { LedgerTransaction } from "../domain/ledger/index.ts";
import { type BookedGrant, postMovements } from "../domain/revenue/index.ts";
import { day } from "../kit/time.ts";
import { addUnits } from "../domain/grants/index.ts";
import {
  listGrants,
  listMovementsToPost,
  listPostedGone,
  listUnposted,
  markPosted,
  type StoredGrant,
  type StoredMovement,
} from "../store/grant-lifecycle.ts";
import { lockAccountBooks } from "../store/grants.ts";
import { appendTransactions } from "../store/journal.ts";
import { transaction } from "../store/transaction.ts";
import type { Env } from "./env.ts";

/**
 * Bring the books up to date with the grants: every movement is posted once, from the movement, never the other way round.
 * Neighbouring draws of one grant and day share a transaction.
 */
export async function postBooks(env: Env): Promise<{ transactionCount: number }> {
  let transactionCount = 0;
  for (;;) {
    const accounts = await listUnposted(env.store.db, 100);
    if (accounts.length === 0) return { transactionCount };
    for (const { orgId, accountId } of accounts)
      transactionCount += await transaction(env.store.db, async (tx) => {
        await lockAccountBooks(tx, orgId, accountId);
        const movements = await listMovementsToPost(tx, orgId, accountId);
        const grants = new Map(
          (await listGrants(tx, { orgId, accountId })).map((grant) => [grant.id as string, grant]),
        );
        const gone = await listPostedGone(tx, orgId, accountId);
        const posted = [...groupByGrant(movements)].flatMap(([grantId, group]) =>
          postGroup(grants.get(grantId) as StoredGrant, group, gone.get(grantId) ?? 0),
        );
        await appendTransactions(
          tx,
          orgId,
          posted.map((one) => one.transaction),
          env.now(),
        );
        await markPosted(
          tx,
          { orgId, accountId },
          posted.flatMap(({ transaction: made, movementIds }) =>
            movementIds.map((movementId) => ({ movementId, transactionId: made.id })),
          ),
        );
        return posted.length;
      });
  }
}

type Posted = { readonly transaction: LedgerTransaction; readonly movementIds: string[] };

function groupByGrant(movements: readonly StoredMovement[]): Map<string, StoredMovement[]> {
  const groups = new Map<string, StoredMovement[]>();
  for (const movement of movements)
    groups.set(movement.grantId, [...(groups.get(movement.grantId) ?? []), movement]);
  return groups;
}

function postGroup(
  grant: StoredGrant,
  movements: readonly StoredMovement[],
  gone: Units,
): Posted[] {
  // Money that was given or paid in advance has its own postings where it is spent.
  const runs = runsOf(movements);
  const booked: BookedGrant = {
    grantId: grant.id,
    accountId: grant.accountId,
    family: poolOf(grant.denomination),
    sku: grant.sku ?? poolOf(grant.denomination),
    origin: grant.origin,
    size: grant.size,
    value: grant.paid,
    gone: decimalOfUnits(gone),
  };
  const { transactions } = postMovements(
    booked,
    runs.map((run) => run.movement),
  );
  return transactions.map((transaction, index) => ({
    transaction,
    movementIds: runs[index]?.ids ?? [],
  }));
}

/** Join neighbours of the same kind and day into one. Each keeps the ids of what it stands for. */
function runsOf(movements: readonly StoredMovement[]) {
  const runs: { movement: StoredMovement & { movementId: string }; ids: string[] }[] = [];
  for (const movement of movements) {
    const last = runs.at(-1);
    const joins =
      last &&
      movement.kind === "drawn" &&
      last.movement.kind === "drawn" &&
      Math.floor(last.movement.at / day) === Math.floor(movement.at / day);
    if (joins) {
      last.ids.push(movement.id);
      last.movement = {
        ...last.movement,
        quantity: addUnits(last.movement.quantity, movement.quantity),
      };
    } else {
      runs.push({ movement: { ...movement, movementId: movement.id }, ids: [movement.id] });
    }
  }
  return runs;
}
