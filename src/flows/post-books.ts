import { decimalOfUnits, poolOf, type Units } from "../domain/grants/index.ts";
import type { LedgerTransaction } from "../domain/ledger/index.ts";
import { type BookedGrant, postMovements } from "../domain/revenue/index.ts";
import { assert } from "../kit/assert.ts";
import { day } from "../kit/time.ts";
import { addUnits } from "../domain/grants/index.ts";
import {
  grantName,
  listGrantsToPost,
  listMovementsToPost,
  listUnposted,
  markPosted,
  type StoredGrant,
  type StoredMovement,
} from "../store/grant-lifecycle.ts";
import { lockAccountBooks } from "../store/grants.ts";
import type { Tx } from "../store/connect.ts";
import { appendBooks } from "../store/journal.ts";
import { transaction } from "../store/transaction.ts";
import type { Env } from "./env.ts";

/** Accounts whose movements are posted in one transaction. */
const togetherMax = 100;

/**
 * Bring the books up to date with the grants: every movement is posted once, from the movement, never the other way round.
 * Neighbouring draws of one grant and day share a transaction. Runs every minute beside the usage that makes movements, so
 * it works on many accounts at a time.
 */
export async function postBooks(env: Env): Promise<{ transactionCount: number }> {
  let transactionCount = 0;
  for (;;) {
    const accounts = await listUnposted(env.store.db, togetherMax);
    if (accounts.length === 0) return { transactionCount };
    transactionCount += await postTogether(env, accounts);
  }
}

async function postTogether(env: Env, accounts: readonly AccountKey[]): Promise<number> {
  try {
    return await transaction(env.store.db, (tx) => postIn(tx, env, accounts));
  } catch (error) {
    if (accounts.length === 1) throw error;
    // One of them is the cause: the books of the others must not wait for it.
    let transactionCount = 0;
    const failures: unknown[] = [];
    for (const account of accounts)
      await postTogether(env, [account]).then(
        (count) => (transactionCount += count),
        (failure: unknown) => failures.push(failure),
      );
    if (failures.length > 0) throw failures[0];
    return transactionCount;
  }
}

async function postIn(tx: Tx, env: Env, accounts: readonly AccountKey[]): Promise<number> {
  await lockAccountBooks(tx, accounts);
  const movements = await listMovementsToPost(tx, accounts);
  const grants = await listGrantsToPost(tx, movements);
  const posted = [...groupByGrant(movements).values()].flatMap((group) => {
    const [first] = group;
    const found = first && grants.get(grantName(first));
    assert(found, "a movement was found without its grant");
    return postGroup(found.grant, group, found.postedGone);
  });
  await appendBooks(tx, posted, env.now());
  await markPosted(tx, posted);
  return posted.length;
}

type AccountKey = { readonly orgId: string; readonly accountId: string };

type Posted = AccountKey & {
  readonly transaction: LedgerTransaction;
  readonly movementIds: readonly string[];
};

function groupByGrant(movements: readonly StoredMovement[]): Map<string, StoredMovement[]> {
  const groups = new Map<string, StoredMovement[]>();
  for (const movement of movements) {
    const group = groups.get(grantName(movement));
    if (group) group.push(movement);
    else groups.set(grantName(movement), [movement]);
  }
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
  const { orgId, accountId } = grant;
  return transactions.map((transaction, index) => ({
    orgId,
    accountId,
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
