import type { Author } from "../domain/audit/index.ts";
import { commit, hold } from "../domain/entitlements/index.ts";
import {
  addUnits,
  compareUnits,
  hasUnits,
  leastUnits,
  subtractUnits,
  type Units,
  writeUnits,
} from "../domain/grants/index.ts";
import { Problem } from "../domain/refusals/index.ts";
import type { MakeId } from "../kit/ids.ts";
import { formatInstant, type Instant, second, shift } from "../kit/time.ts";
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
import {
  type Answer,
  answerFrom,
  answerOne,
  type More,
  type Question,
  readMore,
  windowOf,
} from "./check-entitlement.ts";
import type { Env } from "./env.ts";
import { type LimitInForce, limitsInForce } from "./limits-in-force.ts";

export type ReservationAsked = Question & {
  readonly mode: "all" | "up_to";
  readonly seconds: number;
  /** Set when staff lets it through whatever the limits say; audited. */
  readonly breakGlass: Author | null;
};

export type ReservationMade =
  | { readonly kind: "held"; readonly reservation: StoredReservation }
  | { readonly kind: "refused"; readonly answer: Answer };

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

/** Decide one after the other over rows that were read together: what is held first counts for who comes next. */
export function takeTurns(
  asked: readonly ReservationAsked[],
  rows: readonly (LimitInForce | undefined)[],
): {
  rowFor(index: number): LimitInForce | undefined;
  decide(index: number, more: More, makeId: MakeId, now: Instant): ReservationMade;
} {
  const changed = new Map<string, LimitInForce>();
  const nameOf = ({ orgId, accountId, feature }: ReservationAsked) =>
    `${orgId}\n${accountId}\n${feature}`;
  const rowFor = (index: number) =>
    changed.get(nameOf(asked[index] as ReservationAsked)) ?? rows[index];
  return {
    rowFor,
    decide(index, more, makeId, now) {
      const one = asked[index] as ReservationAsked;
      const row = rowFor(index);
      const made = decideOne(one, row, more, makeId, now);
      if (row && made.kind === "held") changed.set(nameOf(one), withHold(row, made.reservation));
      return made;
    },
  };
}

function decideOne(
  asked: ReservationAsked,
  row: LimitInForce | undefined,
  more: More,
  makeId: MakeId,
  now: Instant,
): ReservationMade {
  let quantity = asked.quantity;
  let answer = answerFrom(asked, row, more, now);
  if (!answer.allowed && asked.mode === "up_to" && row) {
    const held = hold(quantity, answer.remaining ?? 0, "up_to");
    quantity = held.kind === "held" ? held.quantity : 0;
    if (hasUnits(quantity)) answer = answerFrom({ ...asked, quantity }, row, more, now);
  }
  if (!row || (!answer.allowed && !asked.breakGlass)) return { kind: "refused", answer };
  const free = answer.units ?? 0;
  return {
    kind: "held",
    reservation: {
      orgId: asked.orgId,
      accountId: asked.accountId,
      feature: asked.feature,
      id: makeId("reservation"),
      quantity,
      heldUnits: hasUnits(free) ? leastUnits(quantity, free) : 0,
      quotaWindow: windowOf(row, now),
      heldMinor: 0n,
      committed: null,
      status: "held",
      expiresAt: shift(now, asked.seconds * second),
      createdAt: now,
    },
  };
}

const withHold = (row: LimitInForce, made: StoredReservation): LimitInForce => ({
  ...row,
  held: row.heldWindow === made.quotaWindow ? addUnits(row.held, made.quantity) : made.quantity,
  heldWindow: made.quotaWindow,
  heldUnits: addUnits(row.heldUnits, made.heldUnits),
});

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
  const before = row.lastWindow?.startsAt === startsAt ? row.lastWindow.used : 0;
  const limit = row.raisedTo ?? row.quota?.limit ?? 0;
  const exceeds = compareUnits(addUnits(before, used), limit) > 0;
  await addQuotaUse(tx, row, { startsAt, quantity: used, exceededAt: exceeds ? now : null });
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
export async function takeFromQuota(env: Env, question: Question): Promise<Answer> {
  return transaction(env.store.db, async (tx) => {
    await lockHeads(tx, [question], { changesGrants: false });
    const now = env.now();
    const inside: Env = { ...env, store: { ...env.store, db: tx } };
    const [row] = await limitsInForce(inside, [question], now);
    const givesBack = compareUnits(question.quantity, 0) < 0;
    const answer = await answerOne(
      inside,
      givesBack ? { ...question, quantity: 0 } : question,
      row,
      now,
    );
    if (!row?.quota || !(answer.allowed || givesBack)) return answer;
    await countUse(tx, row, question.quantity, windowOf(row, now), now);
    const left = subtractUnits(answer.quota?.remaining ?? 0, question.quantity);
    return { ...answer, remaining: hasUnits(left) ? left : 0 };
  });
}
