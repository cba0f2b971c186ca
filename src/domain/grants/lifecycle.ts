import type { Instant } from "../../kit/time.ts";
import type { Grant, Movement } from "./grant.ts";
import { addUnits, hasUnits, leastUnits, subtractUnits, type Units } from "./units.ts";

/** What expiry takes: the unused part, at the exact instant, and nothing twice. */
export function expireUnused(grant: Grant, now: Instant): Movement | undefined {
  if (now < grant.expiresAt || !hasUnits(grant.remaining)) return undefined;
  return { grantId: grant.id, kind: "expired", quantity: subtractUnits(0, grant.remaining) };
}

/** A grant after one more movement: the sums that the table keeps. Throws where a sum would fall below zero. */
export function withMovement(grant: Grant, movement: Movement): Grant {
  const leaves = subtractUnits(0, movement.quantity);
  const remaining =
    movement.kind === "funded" ? grant.remaining : addUnits(grant.remaining, movement.quantity);
  const after: Grant = { ...grant, remaining };
  switch (movement.kind) {
    case "funded":
      return after;
    case "drawn":
    case "returned":
      return checked({ ...after, drawn: addUnits(grant.drawn, leaves) });
    case "expired":
    case "unexpired":
      return checked({ ...after, expired: addUnits(grant.expired, leaves) });
    case "transferred_out":
      return checked({ ...after, transferredOut: addUnits(grant.transferredOut, leaves) });
    case "corrected":
      return checked({ ...after, corrected: addUnits(grant.corrected, movement.quantity) });
  }
}

function checked(grant: Grant): Grant {
  const below = (["remaining", "drawn", "expired", "transferredOut"] as const).find(
    (key) => !hasUnits(grant[key]) && hasUnits(subtractUnits(0, grant[key])),
  );
  if (below) throw new RangeError(`grant ${grant.id}: ${below} would fall below zero`);
  return grant;
}

/**
 * How a correction of usage (less was used than reported) comes back: first the overage shrinks, because nobody has been
 * charged from a batch for it; only the rest returns to grants, to the one drawn last first.
 */
export function returnUnits(
  quantity: Units,
  overage: Units,
  drawn: readonly { readonly grantId: string; readonly quantity: Units }[],
): { fromOverage: Units; returned: { grantId: string; quantity: Units }[]; impossible: Units } {
  const fromOverage = leastUnits(quantity, overage);
  let left = subtractUnits(quantity, fromOverage);
  const returned: { grantId: string; quantity: Units }[] = [];
  for (const part of drawn.toReversed()) {
    const back = leastUnits(left, part.quantity);
    if (!hasUnits(back)) continue;
    returned.push({ grantId: part.grantId, quantity: back });
    left = subtractUnits(left, back);
  }
  return { fromOverage, returned, impossible: left };
}
