import {
  addUnits,
  brokenLaw,
  compareDrawOrder,
  draw,
  hasUnits,
  poolOf,
  returnUnits,
  type Spent,
  subtractUnits,
  type Units,
  withMovement,
  writeUnits,
} from "../domain/grants/index.ts";
import { indexMeters, matchEvent } from "../domain/usage/index.ts";
import { readMeter } from "../domain/catalog/index.ts";
import { periodAt } from "../domain/invoicing/index.ts";
import { hour } from "../kit/time.ts";
import { getCatalog } from "../store/catalog.ts";
import {
  listGrants,
  listMovements,
  type StoredGrant,
  type StoredMovement,
} from "../store/grant-lifecycle.ts";
import { listAccountsToInvoice, pageAccountKeys } from "../store/invoice-facts.ts";
import { listUnbalanced } from "../store/journal.ts";
import { listReplayEvents, type ReplayEvent } from "../store/usage-replay.ts";
import type { Env } from "./env.ts";

/** One thing that differs, as a sentence. */
export type GrantFault = {
  readonly orgId: string;
  readonly accountId: string;
  /** The grant or ledger transaction, and which part of it. */
  readonly where: string;
  readonly stored: string;
  readonly recomputed: string;
};

export type GrantProof = {
  readonly accountCount: number;
  readonly eventCount: number;
  readonly faults: readonly GrantFault[];
};

/**
 * Work out every grant again: from the raw events, in the account's order, by the rule that draws one event (not the one
 * that ingest uses), with purchases, transfers, corrections and expiries where they happened. Then say what differs.
 */
export async function proveGrants(
  env: Env,
  of: { readonly orgId?: string } = {},
): Promise<GrantProof> {
  const faults: GrantFault[] = [];
  let accountCount = 0;
  let eventCount = 0;
  for (let after: { orgId: string; accountId: string } | undefined; ; ) {
    const keys = await pageAccountKeys(env.store.db, { orgId: of.orgId, after, limit: 200 });
    if (keys.length === 0) break;
    for (const key of keys) {
      accountCount += 1;
      const grants = await listGrants(env.store.db, key);
      if (grants.length === 0) continue;
      const proof = await proveAccount(env, key, grants);
      eventCount += proof.eventCount;
      faults.push(...proof.faults.map((fault) => ({ ...key, ...fault })));
    }
    after = keys.at(-1);
  }
  for (const one of await listUnbalanced(env.store.db, of.orgId))
    faults.push({
      orgId: one.orgId,
      accountId: "",
      where: `ledger transaction ${one.transactionId}`,
      stored: `${one.left} ${one.commodity} left over`,
      recomputed: "0",
    });
  return { accountCount, eventCount, faults };
}

type AccountFault = Pick<GrantFault, "where" | "stored" | "recomputed">;

async function proveAccount(
  env: Env,
  key: { orgId: string; accountId: string },
  stored: readonly StoredGrant[],
): Promise<{ eventCount: number; faults: AccountFault[] }> {
  const faults: AccountFault[] = [];
  for (const grant of stored) {
    const law = brokenLaw(grant);
    if (law) faults.push({ where: grant.id, stored: law, recomputed: "parts that add up" });
  }
  const movements = inOrder(
    (await listMovements(env.store.db, { ...key, limit: 10_000_000 })).toReversed(),
  );
  faults.push(...sumsOf(stored, movements));
  let replayed: Awaited<ReturnType<typeof replay>>;
  try {
    replayed = await replay(env, key, stored, movements);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    const recomputed = "movements that can follow each other";
    return {
      eventCount: 0,
      faults: [...faults, { where: "grant movements", stored: error.message, recomputed }],
    };
  }
  const { eventCount, grants } = replayed;
  for (const grant of stored) {
    const again = grants.get(grant.id);
    for (const part of ["remaining", "drawn", "expired", "transferredOut", "corrected"] as const) {
      const is = writeUnits(grant[part]);
      const should = again ? writeUnits(again[part]) : "nothing";
      if (is !== should)
        faults.push({
          where: `${grant.id}, ${part}`,
          stored: is,
          recomputed: should,
        });
    }
  }
  return { eventCount, faults };
}

/**
 * The order in which movements were made: by the events the account had then, by their ids within that. Ids of two
 * processes in the same millisecond sort by chance, but nothing happens to a grant before it is funded.
 */
function inOrder(movements: readonly StoredMovement[]): StoredMovement[] {
  const place = (one: StoredMovement) => (one.kind === "funded" ? 0 : 1);
  return movements.toSorted((a, b) => a.fromSeq - b.fromSeq || place(a) - place(b));
}

/** Stored sums against the movements they are the sums of. */
function sumsOf(
  stored: readonly StoredGrant[],
  movements: readonly StoredMovement[],
): AccountFault[] {
  const left = new Map<string, Units>(stored.map((grant) => [grant.id, grant.size]));
  for (const { grantId, kind, quantity } of movements)
    if (kind !== "funded") left.set(grantId, addUnits(left.get(grantId) ?? 0, quantity));
  return stored.flatMap((grant) => {
    const sum = writeUnits(left.get(grant.id) ?? 0);
    const is = writeUnits(grant.remaining);
    return sum === is
      ? []
      : [{ where: `${grant.id}, sum of movements`, stored: is, recomputed: sum }];
  });
}

const untouched = (grant: StoredGrant): StoredGrant => ({
  ...grant,
  remaining: grant.size,
  drawn: 0,
  expired: 0,
  transferredOut: 0,
  corrected: 0,
});

async function replay(
  env: Env,
  key: { orgId: string; accountId: string },
  stored: readonly StoredGrant[],
  movements: readonly StoredMovement[],
): Promise<{ eventCount: number; grants: Map<string, StoredGrant> }> {
  const catalog = await getCatalog(env.store);
  const meters = indexMeters(
    [...catalog.meters.values()].flatMap((one) => readMeter(one.definition).meter ?? []),
  );
  const [account] = await listAccountsToInvoice(env.store.db, [key]);
  // What did not come from usage happened after a known number of events: put it in there.
  const byHand = movements.filter((one) => !["drawn", "unexpired", "returned"].includes(one.kind));
  const grants = new Map<string, StoredGrant>();
  let next = 0;
  const catchUp = (seq: number) => {
    for (; next < byHand.length && (byHand[next] as StoredMovement).fromSeq < seq; next++) {
      const movement = byHand[next] as StoredMovement;
      const grant =
        grants.get(movement.grantId) ?? stored.find((one) => one.id === movement.grantId);
      if (!grant) continue;
      const before = movement.kind === "funded" ? untouched(grant) : grant;
      // Expiry takes what the replay finds unused, not what was written down.
      const quantity =
        movement.kind === "expired" ? subtractUnits(0, before.remaining) : movement.quantity;
      const after = withMovement(before, { grantId: grant.id, kind: movement.kind, quantity });
      grants.set(grant.id, { ...before, ...after });
    }
  };
  const spentIn = new Map<string, Spent>();
  let eventCount = 0;
  for await (const event of listReplayEvents(env.store, key)) {
    eventCount += 1;
    catchUp(event.seq);
    const match = matchEvent(meters, event);
    if (match.kind !== "measured") continue;
    for (const { meter, quantity } of match.measurements) {
      if (meter.aggregation !== "sum" && meter.aggregation !== "count") continue;
      const pool = [...grants.values()]
        .filter((grant) => poolOf(grant.denomination) === meter.key)
        .toSorted(compareDrawOrder);
      const period = account ? periodAt(account.account.calendar, event.time).startsAt : 0;
      const name = `${meter.key}\n${period}`;
      const spent = spentIn.get(name) ?? { overage: 0, drawn: new Map<string, Units>() };
      spentIn.set(name, spent);
      if (event.isCorrection) takeBack(grants, pool, subtractUnits(0, quantity), spent);
      else apply(grants, pool, { event, quantity, periodOpen: isOpen(account, event) }, spent);
    }
  }
  catchUp(Number.MAX_SAFE_INTEGER);
  return { eventCount, grants };
}

function isOpen(
  account: Awaited<ReturnType<typeof listAccountsToInvoice>>[number] | undefined,
  event: ReplayEvent,
): boolean {
  if (!account) return true;
  const { calendar, finalizationHours } = account.account;
  return event.receivedAt < periodAt(calendar, event.time).endsAt + finalizationHours * hour;
}

function apply(
  grants: Map<string, StoredGrant>,
  pool: readonly StoredGrant[],
  usage: { event: ReplayEvent; quantity: Units; periodOpen: boolean },
  spent: Spent,
): void {
  const { event, quantity, periodOpen } = usage;
  const { receivedAt } = event;
  const decision = draw({ quantity, at: event.time, periodOpen, receivedAt }, pool);
  spent.overage = addUnits(spent.overage, decision.overage);
  for (const part of decision.taken) {
    const grant = grants.get(part.grant.id) as StoredGrant;
    spent.drawn.set(grant.id, addUnits(spent.drawn.get(grant.id) ?? 0, part.quantity));
    const back = withMovement(grant, {
      grantId: grant.id,
      kind: "unexpired",
      quantity: part.fromExpired,
    });
    const after = withMovement(back, {
      grantId: grant.id,
      kind: "drawn",
      quantity: subtractUnits(0, part.quantity),
    });
    grants.set(grant.id, { ...grant, ...after });
  }
}

function takeBack(
  grants: Map<string, StoredGrant>,
  pool: readonly StoredGrant[],
  quantity: Units,
  spent: Spent,
): void {
  if (!hasUnits(quantity)) return;
  const drawn = pool.map(({ id }) => ({ grantId: id, quantity: spent.drawn.get(id) ?? 0 }));
  const { fromOverage, returned, impossible } = returnUnits(quantity, spent.overage, drawn);
  spent.overage = subtractUnits(subtractUnits(spent.overage, fromOverage), impossible);
  for (const part of returned) {
    const grant = grants.get(part.grantId) as StoredGrant;
    spent.drawn.set(grant.id, subtractUnits(spent.drawn.get(grant.id) ?? 0, part.quantity));
    const after = withMovement(grant, {
      grantId: grant.id,
      kind: "returned",
      quantity: part.quantity,
    });
    grants.set(grant.id, { ...grant, ...after });
  }
}
