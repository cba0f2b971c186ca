import { commit } from "../domain/entitlements/index.ts";
import { hasUnits, type Units, writeUnits } from "../domain/grants/index.ts";
import { Problem } from "../domain/refusals/index.ts";
import { formatInstant, type Instant } from "../kit/time.ts";
import { lockHeads } from "../store/account-heads.ts";
import { appendAudit } from "../store/audit.ts";
import {
  addQuotaUse,
  endReservation,
  insertReservations,
  lockReservation,
  type StoredReservation,
} from "../store/limits.ts";
import { transaction } from "../store/transaction.ts";
import { type Answer, readMore } from "./check-entitlement.ts";
import type { Env } from "./env.ts";
import { type LimitInForce, limitsInForce } from "./limits-in-force.ts";
import {
  type ReservationAsked,
  type ReservationMade,
  type TakeAsked,
  takeTurns,
  useOf,
} from "./take-turns.ts";

/**
 * Hold room for many askers in one transaction: their accounts are locked, everything is decided in the order asked, each
 * hold counting against the next. Exactly as much is held as there is, however many ask at once.
 */
export async function reserveUnits(
  env: Env,
  asked: readonly ReservationAsked[],
): Promise<ReservationMade[]> {
  return transaction(env.store.db, async (tx) => {
    await lockHeads(tx, asked, { changesGrants: false });
    const now = env.now();
    const inside: Env = { ...env, store: { ...env.store, db: tx } };
    const turns = takeTurns(asked, await limitsInForce(inside, asked, now));
    const made: ReservationMade[] = [];
    for (const [index, one] of asked.entries()) {
      const more = await readMore(inside, one, turns.rowFor(index), now);
      made.push(turns.decide(index, more, env.id, now));
    }
    await insertReservations(
      tx,
      made.flatMap((one) => (one.kind === "held" ? [one.reservation] : [])),
    );
    for (const [index, one] of asked.entries()) {
      const decided = made[index];
      if (!one.breakGlass || decided?.kind !== "held") continue;
      await appendAudit(tx, env.id, one.orgId, [
        {
          at: now,
          author: one.breakGlass,
          action: "limit.overridden",
          target: { kind: "reservation", id: decided.reservation.id },
          before: null,
          after: { feature: one.feature, quantity: writeUnits(one.quantity) },
        },
      ]);
    }
    return made;
  });
}

/** End a hold with the true size. The same commit again answers the same; another size is refused. */
export async function commitReservation(
  env: Env,
  orgId: string,
  id: string,
  used: Units,
  accountId?: string,
): Promise<StoredReservation> {
  return transaction(env.store.db, async (tx) => {
    const reservation = await lockReservation(tx, orgId, id);
    if (!reservation || reservation.accountId !== (accountId ?? reservation.accountId))
      throw new Problem("reservation_not_found");
    const now = env.now();
    const { committed, ...rest } = reservation;
    const decision = commit(committed === null ? rest : { ...rest, committed }, used, now);
    if (decision.kind === "repeated") return reservation;
    if (decision.kind === "refused")
      throw new Problem("reservation_ended", refusals[decision.reason](reservation));
    const ended = { status: "committed" as const, committed: used, at: now };
    await endReservation(tx, reservation, ended);
    const inside: Env = { ...env, store: { ...env.store, db: tx } };
    const [row] = await limitsInForce(inside, [reservation], now);
    if (row?.quota && hasUnits(used)) await countUse(tx, row, used, reservation.quotaWindow, now);
    return { ...reservation, ...ended };
  });
}

const refusals = {
  released: () => "The reservation was released.",
  timed_out: (reservation: StoredReservation) =>
    `The reservation ended at ${formatInstant(reservation.expiresAt)}.`,
  other_size: (reservation: StoredReservation) =>
    `The reservation was committed with ${writeUnits(reservation.committed ?? 0)}.`,
};

async function countUse(
  tx: Parameters<typeof addQuotaUse>[0],
  row: LimitInForce,
  used: Units,
  startsAt: Instant | null,
  now: Instant,
): Promise<void> {
  await addQuotaUse(tx, useOf(row, used, startsAt, now));
}

/** Give a hold back. Again, or after its time: nothing happens. */
export async function releaseReservation(
  env: Env,
  orgId: string,
  id: string,
  accountId?: string,
): Promise<StoredReservation> {
  return transaction(env.store.db, async (tx) => {
    const reservation = await lockReservation(tx, orgId, id);
    if (!reservation || reservation.accountId !== (accountId ?? reservation.accountId))
      throw new Problem("reservation_not_found");
    if (reservation.status === "committed")
      throw new Problem("reservation_ended", "The reservation was committed.");
    if (reservation.status === "released") return reservation;
    const ended = { status: "released" as const, committed: null, at: env.now() };
    await endReservation(tx, reservation, ended);
    return { ...reservation, ...ended };
  });
}

/**
 * Ask and count in one breath, for what happens at once: an API call, a seat, an upload. Levels (quotas without a window)
 * give room back with a quantity below zero.
 */
export async function takeFromQuota(env: Env, asked: TakeAsked): Promise<Answer> {
  return transaction(env.store.db, async (tx) => {
    await lockHeads(tx, [asked], { changesGrants: false });
    const now = env.now();
    const inside: Env = { ...env, store: { ...env.store, db: tx } };
    const rows = await limitsInForce(inside, [asked], now);
    const more = await readMore(inside, asked, rows[0], now);
    const { answer, use } = takeTurns([asked], rows).decide(0, more, env.id, now);
    if (use) await addQuotaUse(tx, use);
    return answer;
  });
}
