import type { Instant } from "../../kit/time.ts";
import { compareUnits, hasUnits, leastUnits, subtractUnits, type Units } from "../grants/index.ts";

/** Units held before work of unknown size. Held until it is committed, released, or `expiresAt` has passed. */
export type Reservation = {
  readonly id: string;
  readonly quantity: Units;
  readonly status: "held" | "committed" | "released" | "timed_out";
  readonly expiresAt: Instant;
};

export type HoldDecision =
  | { readonly kind: "held"; readonly quantity: Units }
  | { readonly kind: "refused"; readonly available: Units };

/**
 * Hold `quantity` of what is free (room in a limit, units in batches). `all` refuses what does not fit whole; `up_to`
 * holds what there is.
 */
export function hold(quantity: Units, free: Units, mode: "all" | "up_to" = "all"): HoldDecision {
  const room = hasUnits(free) ? free : 0;
  if (mode === "up_to") return { kind: "held", quantity: leastUnits(quantity, room) };
  if (compareUnits(quantity, room) > 0) return { kind: "refused", available: room };
  return { kind: "held", quantity };
}

/** Whether a reservation still holds anything at an instant: a time-out needs nobody to sweep it. */
export const isHolding = (reservation: Reservation, now: Instant): boolean =>
  reservation.status === "held" && now < reservation.expiresAt;

export type CommitDecision =
  | {
      readonly kind: "committed";
      readonly used: Units;
      readonly released: Units;
      readonly beyond: Units;
    }
  | { readonly kind: "refused"; readonly reason: "released" | "timed_out" | "other_size" }
  | { readonly kind: "repeated" };

/**
 * End a hold with the true size. Less gives the rest back. More is used all the same, because the work is done: the part
 * `beyond` the hold draws what is free, then overage. The same commit again changes nothing; another size is refused.
 */
export function commit(
  reservation: Reservation & { readonly committed?: Units },
  used: Units,
  now: Instant,
): CommitDecision {
  if (reservation.status === "committed")
    return compareUnits(reservation.committed ?? 0, used) === 0
      ? { kind: "repeated" }
      : { kind: "refused", reason: "other_size" };
  if (reservation.status === "released") return { kind: "refused", reason: "released" };
  if (!isHolding(reservation, now)) return { kind: "refused", reason: "timed_out" };
  const covered = leastUnits(used, reservation.quantity);
  return {
    kind: "committed",
    used,
    released: subtractUnits(reservation.quantity, covered),
    beyond: subtractUnits(used, covered),
  };
}
