import type { Instant } from "../../kit/time.ts";
import { type DrawRequest, draw, isTooLateFor } from "./draw.ts";
import { returnUnits } from "./lifecycle.ts";
import type { OpenGrant } from "./grant.ts";
import { addUnits, hasUnits, subtractUnits, type Units } from "./units.ts";

/** What left one grant for the usage of one quarter of an hour, over a run of the account's events. */
export type DrawnPart = {
  readonly grant: OpenGrant;
  readonly bucketAt: Instant;
  quantity: Units;
  fromExpired: Units;
  readonly fromSeq: number;
  toSeq: number;
  eventCount: number;
};

/**
 * The open grants of one account and one pool while a batch of events is drawn from them, in sequence. The same rule as
 * `draw`, event by event, but working in place and keeping one part per grant and quarter of an hour instead of one
 * per event: this runs for every event that is ingested. A property holds the two equal.
 */
export type Pool = {
  readonly grants: readonly OpenGrant[];
  readonly remaining: Units[];
  readonly expired: Units[];
  /** The first grant that still has units: everything before is empty and is not looked at again. */
  first: number;
  readonly parts: DrawnPart[];
};

/** `grants` must stand in draw order. */
export function openPool(grants: readonly OpenGrant[]): Pool {
  return {
    grants,
    remaining: grants.map((grant) => grant.remaining),
    expired: grants.map((grant) => grant.expired),
    first: 0,
    parts: [],
  };
}

const quarter = 900_000_000;
const bucketOf = (at: Instant): Instant => (at - (at % quarter)) as Instant;

/** Draw one event from the pool; answers the part that stays overage. */
export function drawFrom(pool: Pool, request: DrawRequest, seq: number): Units {
  const { grants, remaining, expired } = pool;
  const { at } = request;
  let wanted = request.quantity;
  while (pool.first < grants.length && isEmpty(pool, pool.first)) pool.first++;
  for (let index = pool.first; index < grants.length; index++) {
    const grant = grants[index] as OpenGrant;
    if (at < grant.validFrom || at >= grant.expiresAt) continue;
    if (!request.periodOpen && isTooLateFor(request, grant)) continue;
    const held = remaining[index] as Units;
    if (typeof wanted === "number" && typeof held === "number" && wanted <= held) {
      if (wanted === 0) break;
      remaining[index] = held - wanted;
      note(pool, grant, bucketOf(at), wanted, 0, seq);
      return 0;
    }
    const alive = least(wanted, held);
    remaining[index] = subtractUnits(held, alive);
    let left = subtractUnits(wanted, alive);
    let lapsed: Units = 0;
    if (request.periodOpen && hasUnits(left)) {
      const gone = expired[index] as Units;
      lapsed = least(left, gone);
      expired[index] = subtractUnits(gone, lapsed);
      left = subtractUnits(left, lapsed);
    }
    const quantity = addUnits(alive, lapsed);
    if (hasUnits(quantity)) note(pool, grant, bucketOf(at), quantity, lapsed, seq);
    wanted = left;
    if (!hasUnits(wanted)) break;
  }
  return wanted;
}

/** What was drawn and what stayed overage in one invoice period, as far as corrections may take it back. */
export type Spent = { overage: Units; readonly drawn: Map<string, Units> };

/** Draw one event and keep account of it for corrections in the same period. */
export function drawAndCount(pool: Pool, request: DrawRequest, seq: number, spent: Spent): void {
  const now = pool.grants.map((grant, index) => ({
    ...grant,
    remaining: pool.remaining[index] as Units,
    expired: pool.expired[index] as Units,
  }));
  const { taken, overage } = draw(request, now);
  for (const { grant, quantity } of taken)
    spent.drawn.set(grant.id, addUnits(spent.drawn.get(grant.id) ?? 0, quantity));
  spent.overage = addUnits(spent.overage, overage);
  drawFrom(pool, request, seq);
}

/**
 * Take usage back: the overage of its period shrinks first; the rest returns to grants, the one that stands last in draw
 * order first, as a part below zero.
 */
export function giveBack(
  pool: Pool,
  correction: { readonly quantity: Units; readonly at: Instant },
  seq: number,
  spent: Spent,
): void {
  const drawn = pool.grants.flatMap(({ id }) => {
    const quantity = spent.drawn.get(id) ?? 0;
    return hasUnits(quantity) ? [{ grantId: id as string, quantity }] : [];
  });
  const { fromOverage, returned, impossible } = returnUnits(
    correction.quantity,
    spent.overage,
    drawn,
  );
  // Below zero it is a debt that the next correction makes up, as the sum of usage less what was drawn says.
  spent.overage = subtractUnits(subtractUnits(spent.overage, fromOverage), impossible);
  for (const { grantId, quantity } of returned) {
    const index = pool.grants.findIndex((grant) => grant.id === grantId);
    const grant = pool.grants[index] as OpenGrant;
    pool.remaining[index] = addUnits(pool.remaining[index] as Units, quantity);
    spent.drawn.set(grantId, subtractUnits(spent.drawn.get(grantId) ?? 0, quantity));
    pool.first = 0;
    pool.parts.push({
      grant,
      bucketAt: bucketOf(correction.at),
      quantity: subtractUnits(0, quantity),
      fromExpired: 0,
      fromSeq: seq,
      toSeq: seq,
      eventCount: 1,
    });
  }
}

function least(a: Units, b: Units): Units {
  if (typeof a === "number" && typeof b === "number") return a < b ? a : b;
  return hasUnits(subtractUnits(a, b)) ? b : a;
}

function isEmpty(pool: Pool, index: number): boolean {
  return !hasUnits(pool.remaining[index] as Units) && !hasUnits(pool.expired[index] as Units);
}

function note(
  pool: Pool,
  grant: OpenGrant,
  bucketAt: Instant,
  quantity: Units,
  fromExpired: Units,
  seq: number,
): void {
  // Events come in runs of the same grant and quarter: the part wanted is almost always the last or the one before.
  for (let index = pool.parts.length - 1; index >= 0; index--) {
    const part = pool.parts[index] as DrawnPart;
    if (part.grant !== grant || part.bucketAt !== bucketAt || !hasUnits(part.quantity)) continue;
    part.quantity = addUnits(part.quantity, quantity);
    part.fromExpired = addUnits(part.fromExpired, fromExpired);
    if (part.toSeq !== seq) part.eventCount++;
    part.toSeq = seq;
    return;
  }
  pool.parts.push({
    grant,
    bucketAt,
    quantity,
    fromExpired,
    fromSeq: seq,
    toSeq: seq,
    eventCount: 1,
  });
}

/** The grants after what was drawn, without those that have nothing left to give. */
export function grantsAfter(pool: Pool): OpenGrant[] {
  return pool.grants.flatMap((grant, index) => {
    const remaining = pool.remaining[index] as Units;
    const expired = pool.expired[index] as Units;
    return hasUnits(remaining) || hasUnits(expired) ? [{ ...grant, remaining, expired }] : [];
  });
}
