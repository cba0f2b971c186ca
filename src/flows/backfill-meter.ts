import { setTimeout as sleep } from "node:timers/promises";
import { Problem } from "../domain/refusals/index.ts";
import {
  type BackfillAccount,
  backfillProgress,
  countNext,
  drawLine,
  isSettledIn,
  listBackfillAccounts,
  listUnfinished,
  lockHead,
  markRolledUp,
  startBackfill,
} from "../store/meter-backfill.ts";
import { findMeter, type KnownMeter, lockMeter } from "../store/meters.ts";
import { transaction } from "../store/transaction.ts";
import type { Env } from "./env.ts";

export type BackfillState = {
  readonly meterKey: string;
  readonly finished: boolean;
  readonly accountCount: number;
  readonly finishedCount: number;
};

export type BackfillOptions = {
  /** Stop after this long and leave the rest to the next call. */
  readonly timeoutMs?: number;
  /** Events a transaction counts at most, roughly: an account's ingest waits for one such transaction at a time. */
  readonly eventsMax?: number;
  /** Count everything anew although the rollups are thought to be whole. */
  readonly restart?: boolean;
  readonly onProgress?: (state: BackfillState) => void;
};

const accountsAtOnce = 200;
const pauseMs = 20;

/**
 * Count events that are already there for a meter. Works account by account and slice by slice, and may be stopped
 * anywhere: the next call goes on. Events keep coming meanwhile; under each account's lock a line is drawn between those
 * that are counted here and those that ingest counts, so none is missed and none counted twice. While it runs, usage is
 * read from the events themselves.
 */
export async function backfillMeter(
  env: Env,
  reference: string,
  options: BackfillOptions = {},
): Promise<BackfillState> {
  const deadline = performance.now() + (options.timeoutMs ?? Number.POSITIVE_INFINITY);
  const isLate = () => performance.now() >= deadline;
  const known = await begin(env, reference, options.restart ?? false);
  const { key } = known.meter;
  const state = async (finished: boolean): Promise<BackfillState> => ({
    meterKey: key,
    finished,
    ...(await backfillProgress(env.store.db, key)),
  });
  if (known.rolledUp) return state(true);

  while (!(await isSettledIn(env.store.db, known))) {
    if (isLate()) return state(false);
    await sleep(pauseMs);
  }
  await transaction(env.store.db, (tx) => listBackfillAccounts(tx, known));

  for (;;) {
    const accounts = await listUnfinished(env.store.db, key, accountsAtOnce);
    if (accounts.length === 0) break;
    for (const account of accounts) {
      if (!(await backfillAccount(env, known, account, options.eventsMax ?? 20_000, isLate)))
        return state(false);
    }
    options.onProgress?.(await state(false));
    const now = await findMeter(env.store.db, key);
    // Somebody else has finished it, or changed it: then the next call counts it as it is now.
    if (now?.rolledUp || now?.revision !== known.revision) return state(now?.rolledUp ?? false);
  }
  const { accountCount } = await backfillProgress(env.store.db, key);
  const finished = await finish(env, known);
  return { meterKey: key, finished, accountCount, finishedCount: finished ? accountCount : 0 };
}

async function begin(env: Env, reference: string, restart: boolean): Promise<KnownMeter> {
  if (!restart) {
    const known = await findMeter(env.store.db, reference);
    if (!known) throw new Problem("meter_not_found");
    return known;
  }
  return transaction(env.store.db, async (tx) => {
    const known = await lockMeter(tx, reference);
    if (!known) throw new Problem("meter_not_found");
    await startBackfill(tx, known.meter.key);
    return { ...known, rolledUp: false };
  });
}

async function backfillAccount(
  env: Env,
  known: KnownMeter,
  account: BackfillAccount,
  eventsMax: number,
  isLate: () => boolean,
): Promise<boolean> {
  for (;;) {
    const isFinished = await transaction(env.store.db, async (tx) => {
      await lockHead(tx, account);
      if (!(await drawLine(tx, known, account))) return true;
      return countNext(tx, known.meter, account, eventsMax);
    });
    if (isFinished) return true;
    if (isLate()) return false;
  }
}

/** Unless the meter was changed in the last moment. */
async function finish(env: Env, { meter, revision }: KnownMeter): Promise<boolean> {
  return transaction(env.store.db, async (tx) => {
    const now = await lockMeter(tx, meter.key);
    if (now?.revision !== revision) return false;
    await markRolledUp(tx, meter.key);
    return true;
  });
}
