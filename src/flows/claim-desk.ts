import { addUnits, compareUnits } from "../domain/grants/index.ts";
import type { Instant } from "../kit/time.ts";
import { headName } from "../store/account-heads.ts";
import type { Store } from "../store/connect.ts";
import { lockLimitRows, saveClaims } from "../store/limit-lane.ts";
import type { StoredReservation, UseToCount } from "../store/limits.ts";
import type { Lane } from "../store/usage-lane.ts";
import { type Answer, moreAtOnce } from "./check-entitlement.ts";
import type { Env } from "./env.ts";
import { type Desk, openDesk, type Waiting } from "./lane-desk.ts";
import { catalogInMemory, catalogOf, withPlans } from "./limits-in-force.ts";
import { reserveUnits, takeFromQuota } from "./reserve-units.ts";
import {
  type ReservationAsked,
  type ReservationMade,
  type TakeAsked,
  type Taken,
  takeTurns,
} from "./take-turns.ts";

type Claim = ReservationAsked | TakeAsked;
type Decided = ReservationMade | Taken;
type Claiming = Waiting<Claim, Decided>;

/** Lanes beside each other. Accounts are spread over them, so that no two wait for each other's rows. */
const lanes = 2;
const desks = new WeakMap<Store["pool"], Desk<Claim, Decided>[]>();

/** Hold room: what comes in while one transaction runs is decided together in the next. */
export async function reserve(env: Env, asked: ReservationAsked): Promise<ReservationMade> {
  if (env.store.db.isTransaction || asked.breakGlass) return reserveAlone(env, asked);
  return (await deskOf(env, asked).ask(env, asked)) as ReservationMade;
}

/** Ask and count in one breath, the same way. */
export async function take(env: Env, asked: TakeAsked): Promise<Answer> {
  const givesBack = compareUnits(asked.quantity, 0) < 0;
  if (env.store.db.isTransaction || givesBack) return takeFromQuota(env, asked);
  return ((await deskOf(env, asked).ask(env, asked)) as Taken).answer;
}

const reserveAlone = async (env: Env, asked: ReservationAsked): Promise<ReservationMade> =>
  (await reserveUnits(env, [asked]))[0] as ReservationMade;

function deskOf({ store }: Env, { accountId }: Claim): Desk<Claim, Decided> {
  const opened =
    desks.get(store.pool) ??
    Array.from({ length: lanes }, () => openDesk(store, 1, decideTogether));
  desks.set(store.pool, opened);
  // Ids end in letters that were drawn by chance.
  return opened[accountId.charCodeAt(accountId.length - 1) % lanes] as (typeof opened)[number];
}

/** Two round trips for all of them: lock and read, then save and commit. */
async function decideTogether(lane: Lane, group: readonly Claiming[], now: Instant): Promise<void> {
  const asked = group.map((one) => one.asked);
  const { env } = group[0] as Claiming;
  // Read before anything is locked; when it has changed since, all take the longer way.
  const known = catalogInMemory(env, 0n) ?? (await catalogOf(env));
  const { locked, rows } = await lockLimitRows(lane, asked, now);
  const isOld = rows.some((row) => row !== undefined && row.catalogVersion > known.stored.version);
  const turns = takeTurns(asked, withPlans(rows, known, now));
  const decided: [Claiming, Decided][] = [];
  const others: Claiming[] = [];
  for (const [index, one] of group.entries()) {
    const row = turns.rowFor(index);
    const isHeld = !row || locked.has(headName(row));
    const more = isHeld && !isOld ? moreAtOnce(one.asked, row, now) : undefined;
    if (more) decided.push([one, turns.decide(index, more, env.id, now)]);
    else others.push(one);
  }
  await commit(lane, decided);
  if (others.length > 0) void decideElsewhere(env, others);
}

async function commit(
  lane: Lane,
  decided: readonly (readonly [Claiming, Decided])[],
): Promise<void> {
  const holds: StoredReservation[] = [];
  const uses = new Map<string, UseToCount>();
  for (const [, made] of decided) {
    if (made.kind === "held") holds.push(made.reservation);
    if (made.kind === "taken" && made.use) addUse(uses, made.use);
  }
  try {
    await saveClaims(lane, holds, [...uses.values()]);
  } catch (error) {
    // Whether it was committed is not known, so nobody asks again in their place.
    for (const [one] of decided) one.failed(error);
    throw error;
  }
  for (const [one, made] of decided) one.done(made);
}

function addUse(uses: Map<string, UseToCount>, use: UseToCount): void {
  const name = `${headName(use)}\n${use.feature}\n${use.startsAt}`;
  const before = uses.get(name);
  uses.set(name, {
    ...use,
    quantity: addUnits(before?.quantity ?? 0, use.quantity),
    exceededAt: before?.exceededAt ?? use.exceededAt,
  });
}

/** What follows from more than the rows, an invoice or measured usage: transactions of their own read that too. */
async function decideElsewhere(env: Env, group: readonly Claiming[]): Promise<void> {
  const holds: [Claiming, ReservationAsked][] = [];
  for (const one of group) {
    if (one.asked.kind === "hold") holds.push([one, one.asked]);
    else takeElsewhere(env, one, one.asked);
  }
  if (holds.length === 0) return;
  try {
    const made = await reserveUnits(
      env,
      holds.map(([, asked]) => asked),
    );
    for (const [index, [one]] of holds.entries()) one.done(made[index] as ReservationMade);
  } catch (error) {
    for (const [one] of holds) one.failed(error);
  }
}

function takeElsewhere(env: Env, one: Claiming, asked: TakeAsked): void {
  takeFromQuota(env, asked).then(
    (answer) => one.done({ kind: "taken", answer, use: null }),
    one.failed,
  );
}
