import type { Author } from "../domain/audit/index.ts";
import { hold } from "../domain/entitlements/index.ts";
import {
  addUnits,
  compareUnits,
  hasUnits,
  leastUnits,
  subtractUnits,
  type Units,
} from "../domain/grants/index.ts";
import type { MakeId } from "../kit/ids.ts";
import { type Instant, second, shift } from "../kit/time.ts";
import type { LimitKey } from "../store/limit-rows.ts";
import type { StoredReservation, UseToCount } from "../store/limits.ts";
import {
  type Answer,
  answerFrom,
  type More,
  type Question,
  windowOf,
} from "./check-entitlement.ts";
import type { LimitInForce } from "./limits-in-force.ts";

export type ReservationAsked = Question & {
  readonly kind: "hold";
  readonly mode: "all" | "up_to";
  readonly seconds: number;
  /** Set when staff lets it through whatever the limits say; audited. */
  readonly breakGlass: Author | null;
};
/** Counted at once where it is allowed. A quantity below zero gives room of a level back. */
export type TakeAsked = Question & { readonly kind: "take" };

export type ReservationMade =
  | { readonly kind: "held"; readonly reservation: StoredReservation }
  | { readonly kind: "refused"; readonly answer: Answer };
export type Taken = {
  readonly kind: "taken";
  readonly answer: Answer;
  readonly use: UseToCount | null;
};

export type Turns<Claim> = {
  /** How the row stands when it is somebody's turn. */
  rowFor(index: number): LimitInForce | undefined;
  decide(
    index: number,
    more: More,
    makeId: MakeId,
    now: Instant,
  ): Claim extends TakeAsked ? Taken : ReservationMade;
};

/** Decide one after the other over rows that were read together: what is held or used first counts for who comes next. */
export function takeTurns<Claim extends ReservationAsked | TakeAsked>(
  asked: readonly Claim[],
  rows: readonly (LimitInForce | undefined)[],
): Turns<Claim> {
  const changed = new Map<string, LimitInForce>();
  const nameOf = ({ orgId, accountId, feature }: LimitKey) => `${orgId}\n${accountId}\n${feature}`;
  const rowFor = (index: number) => changed.get(nameOf(asked[index] as Claim)) ?? rows[index];
  function decide(
    index: number,
    more: More,
    makeId: MakeId,
    now: Instant,
  ): ReservationMade | Taken {
    const one = asked[index] as Claim;
    const row = rowFor(index);
    const made =
      one.kind === "hold" ? holdOne(one, row, more, makeId, now) : takeOne(one, row, more, now);
    if (row && made.kind === "held") changed.set(nameOf(one), withHold(row, made.reservation));
    if (row && made.kind === "taken" && made.use) changed.set(nameOf(one), withUse(row, made.use));
    return made;
  }
  return { rowFor, decide: decide as Turns<Claim>["decide"] };
}

function holdOne(
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

function takeOne(asked: TakeAsked, row: LimitInForce | undefined, more: More, now: Instant): Taken {
  const givesBack = compareUnits(asked.quantity, 0) < 0;
  const answer = answerFrom(givesBack ? { ...asked, quantity: 0 } : asked, row, more, now);
  if (!row?.quota || !(answer.allowed || givesBack)) return { kind: "taken", answer, use: null };
  const left = subtractUnits(answer.quota?.remaining ?? 0, asked.quantity);
  return {
    kind: "taken",
    answer: { ...answer, remaining: hasUnits(left) ? left : 0 },
    use: useOf(row, asked.quantity, windowOf(row, now), now),
  };
}

/** What use there is before in the window that `startsAt` begins. */
const usedBefore = (row: LimitInForce, startsAt: Instant | null): Units =>
  row.lastWindow?.startsAt === startsAt ? row.lastWindow.used : 0;

/** A use to count, and whether it is the one that goes beyond the limit. */
export function useOf(
  row: LimitInForce,
  quantity: Units,
  startsAt: Instant | null,
  now: Instant,
): UseToCount {
  const limit = row.raisedTo ?? row.quota?.limit ?? 0;
  const exceeds = compareUnits(addUnits(usedBefore(row, startsAt), quantity), limit) > 0;
  const { orgId, accountId, feature } = row;
  return { orgId, accountId, feature, startsAt, quantity, exceededAt: exceeds ? now : null };
}

function withUse(row: LimitInForce, { startsAt, quantity, exceededAt }: UseToCount): LimitInForce {
  const used = addUnits(usedBefore(row, startsAt), quantity);
  const since = row.lastWindow?.startsAt === startsAt ? row.lastWindow.exceededAt : null;
  return {
    ...row,
    lastWindow: { startsAt, used: hasUnits(used) ? used : 0, exceededAt: since ?? exceededAt },
  };
}
