import { formatInstant, type Instant } from "../../kit/time.ts";
import { isValidAt, never, type OpenGrant } from "./grant.ts";
import { whyBefore } from "./order.ts";
import {
  addUnits,
  hasUnits,
  isNoUnits,
  leastUnits,
  subtractUnits,
  type Units,
  writeUnits,
} from "./units.ts";

/** Usage that asks for cover. Requests of an account are drawn in the order of their sequence. */
export type DrawRequest = {
  readonly quantity: Units;
  /** Event time: decides which grants are eligible. */
  readonly at: Instant;
  /** Whether the event's invoice period is still open: only then may it take back units that lapsed after it happened. */
  readonly periodOpen: boolean;
  /** When the event arrived: what lapsed by then is gone for a period that is final, written down or not. */
  readonly receivedAt?: Instant;
};

/** Whether a request is too late for what is left of a grant, whenever its expiry is written down. */
export const isTooLateFor = (
  request: DrawRequest,
  grant: { readonly expiresAt: Instant },
): boolean =>
  !request.periodOpen && request.receivedAt !== undefined && grant.expiresAt <= request.receivedAt;

/** Units taken from one grant; `fromExpired` of them had lapsed before this late event arrived. */
export type Taken = {
  readonly grant: OpenGrant;
  readonly quantity: Units;
  readonly fromExpired: Units;
};

export type Draw = { readonly taken: readonly Taken[]; readonly overage: Units };

/**
 * Split one event between grants and overage: from each eligible grant, best first, as much as it holds; what is left is
 * overage. `openGrants` stand in draw order. Changes nothing; `applyDraw` gives the grants as they are afterwards.
 */
export function draw(request: DrawRequest, openGrants: readonly OpenGrant[]): Draw {
  const taken: Taken[] = [];
  let wanted = request.quantity;
  for (const grant of openGrants) {
    if (!hasUnits(wanted)) break;
    if (!isValidAt(grant, request.at) || isTooLateFor(request, grant)) continue;
    const alive = leastUnits(wanted, grant.remaining);
    const lapsed = request.periodOpen ? leastUnits(subtractUnits(wanted, alive), grant.expired) : 0;
    const quantity = addUnits(alive, lapsed);
    if (isNoUnits(quantity)) continue;
    taken.push({ grant, quantity, fromExpired: lapsed });
    wanted = subtractUnits(wanted, quantity);
  }
  return { taken, overage: wanted };
}

/** The grants after a draw, in the same order. */
export function applyDraw(decision: Draw, openGrants: readonly OpenGrant[]): OpenGrant[] {
  const byGrant = new Map(decision.taken.map((part) => [part.grant.id, part]));
  return openGrants.map((grant) => {
    const part = byGrant.get(grant.id);
    if (!part) return grant;
    return {
      ...grant,
      remaining: subtractUnits(grant.remaining, subtractUnits(part.quantity, part.fromExpired)),
      expired: subtractUnits(grant.expired, part.fromExpired),
    };
  });
}

/** One step of a draw as a sentence for people: which grant, what it gave, why it stood there or was passed over. */
export function explainDraw(request: DrawRequest, openGrants: readonly OpenGrant[]): string[] {
  const { taken, overage } = draw(request, openGrants);
  const parts = new Map(taken.map((part) => [part.grant.id, part]));
  const lines: string[] = [];
  let wanted = request.quantity;
  for (const [index, grant] of openGrants.entries()) {
    const part = parts.get(grant.id);
    if (!part) {
      lines.push(`${grant.id}: nothing, ${whyNot(grant, request, wanted)}`);
      continue;
    }
    wanted = subtractUnits(wanted, part.quantity);
    const next = openGrants[index + 1];
    const place = next ? `; before ${next.id} because ${whyBefore(grant, next)}` : "";
    const late = isNoUnits(part.fromExpired)
      ? ""
      : `, of which ${writeUnits(part.fromExpired)} taken back from expiry because the event happened in time`;
    lines.push(`${grant.id}: ${writeUnits(part.quantity)}${late}${place}`);
  }
  if (hasUnits(overage))
    lines.push(
      `overage: ${writeUnits(overage)}, because no grant that was valid at ${formatInstant(request.at)} has units left`,
    );
  return lines;
}

function whyNot(grant: OpenGrant, request: DrawRequest, wanted: Units): string {
  if (request.at < grant.validFrom) return `it is valid from ${formatInstant(grant.validFrom)}`;
  if (grant.expiresAt !== never && request.at >= grant.expiresAt)
    return `it expired at ${formatInstant(grant.expiresAt)}`;
  if (hasUnits(grant.expired) && !request.periodOpen)
    return "the rest of it lapsed and the event's period is final";
  if (isNoUnits(wanted)) return "the event was already covered";
  return "it is used up";
}
