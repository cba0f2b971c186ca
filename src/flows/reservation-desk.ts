import type { Instant } from "../kit/time.ts";
import { headName } from "../store/account-heads.ts";
import type { Store } from "../store/connect.ts";
import { lockLimitRows, saveHolds } from "../store/limit-lane.ts";
import type { Lane } from "../store/usage-lane.ts";
import { moreAtOnce } from "./check-entitlement.ts";
import type { Env } from "./env.ts";
import { type Desk, openDesk, type Waiting } from "./lane-desk.ts";
import { catalogInMemory, catalogOf, withPlans } from "./limits-in-force.ts";
import {
  type ReservationAsked,
  type ReservationMade,
  reserveUnits,
  takeTurns,
} from "./reserve-units.ts";

type Reserving = Waiting<ReservationAsked, ReservationMade>;

/** Lanes beside each other. Accounts are spread over them, so that no two wait for each other's rows. */
const lanes = 2;
const desks = new WeakMap<Store["pool"], Desk<ReservationAsked, ReservationMade>[]>();

/** Hold room: what comes in while one transaction runs is decided together in the next. */
export async function reserve(env: Env, asked: ReservationAsked): Promise<ReservationMade> {
  const { db, pool } = env.store;
  // Inside a transaction of the caller's own there is nobody to share with.
  if (db.isTransaction || asked.breakGlass)
    return (await reserveUnits(env, [asked]))[0] as ReservationMade;
  const opened =
    desks.get(pool) ?? Array.from({ length: lanes }, () => openDesk(env.store, 1, reserveTogether));
  desks.set(pool, opened);
  const desk = opened[laneOf(asked.accountId)] as (typeof opened)[number];
  return desk.ask(env, asked);
}

/** Ids end in letters that were drawn by chance. */
const laneOf = (accountId: string): number => accountId.charCodeAt(accountId.length - 1) % lanes;

/** Two round trips for all of them: lock and read, then save and commit. */
async function reserveTogether(
  lane: Lane,
  group: readonly Reserving[],
  now: Instant,
): Promise<void> {
  const asked = group.map((one) => one.asked);
  const { env } = group[0] as Reserving;
  // Read before anything is locked; the first time, or when it has changed since, all take the longer way.
  const known = catalogInMemory(env, 0n) ?? (await catalogOf(env));
  const { locked, rows } = await lockLimitRows(lane, asked, now);
  const isOld = rows.some((row) => row !== undefined && row.catalogVersion > known.stored.version);
  const turns = takeTurns(asked, withPlans(rows, known, now));
  const decided: [Reserving, ReservationMade][] = [];
  const others: Reserving[] = [];
  for (const [index, one] of group.entries()) {
    const row = turns.rowFor(index);
    const isHeld = !row || locked.has(headName(row));
    const more = isHeld && !isOld ? moreAtOnce(one.asked, row, now) : undefined;
    if (more) decided.push([one, turns.decide(index, more, env.id, now)]);
    else others.push(one);
  }
  await commit(lane, decided);
  if (others.length > 0) void reserveElsewhere(env, others);
}

async function commit(
  lane: Lane,
  decided: readonly (readonly [Reserving, ReservationMade])[],
): Promise<void> {
  const holds = decided.flatMap(([, made]) => (made.kind === "held" ? [made.reservation] : []));
  try {
    await saveHolds(lane, holds);
  } catch (error) {
    // Whether it was committed is not known, so nobody asks again in their place.
    for (const [one] of decided) one.failed(error);
    throw error;
  }
  for (const [one, made] of decided) one.done(made);
}

/** Answers that follow from more than the rows, an invoice or measured usage: a transaction of their own reads that too. */
async function reserveElsewhere(env: Env, group: readonly Reserving[]): Promise<void> {
  try {
    const made = await reserveUnits(
      env,
      group.map((one) => one.asked),
    );
    for (const [index, one] of group.entries()) one.done(made[index] as ReservationMade);
  } catch (error) {
    for (const one of group) one.failed(error);
  }
}
