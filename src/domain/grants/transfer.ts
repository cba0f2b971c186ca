import type { AccountId, GrantId } from "../../kit/ids.ts";
import { type Money, money } from "../../kit/money.ts";
import type { Instant } from "../../kit/time.ts";
import { availableAt, type Grant } from "./grant.ts";
import { compareDrawOrder } from "./order.ts";
import {
  compareUnits,
  hasUnits,
  leastUnits,
  subtractUnits,
  sumUnits,
  type Units,
} from "./units.ts";

/** Units of one grant on their way to another account. */
export type TransferPiece = { readonly source: Grant; readonly quantity: Units };

export type TransferDecision =
  | { readonly kind: "transfer"; readonly pieces: readonly TransferPiece[] }
  | { readonly kind: "refused"; readonly reason: "not_enough_units"; readonly available: Units };

/** Take units for a transfer from an account's grants, in draw order, all or nothing. Only what can be used now moves. */
export function decideTransfer(
  grants: readonly Grant[],
  quantity: Units,
  now: Instant,
): TransferDecision {
  const available = sumUnits(grants.map((grant) => availableAt(grant, now)));
  if (compareUnits(available, quantity) < 0)
    return { kind: "refused", reason: "not_enough_units", available };
  let wanted = quantity;
  const pieces: TransferPiece[] = [];
  for (const source of grants.toSorted(compareDrawOrder)) {
    const part = leastUnits(wanted, availableAt(source, now));
    if (!hasUnits(part)) continue;
    pieces.push({ source, quantity: part });
    wanted = subtractUnits(wanted, part);
  }
  return { kind: "transfer", pieces };
}

/**
 * The grant that a piece becomes at its receiver. It keeps the source's expiry and cost per unit and carries exactly the
 * value that leaves the source. A reclaim is the same transfer in the other direction.
 */
export function grantOfTransfer(
  piece: TransferPiece,
  to: {
    readonly id: GrantId;
    readonly accountId: AccountId;
    readonly at: Instant;
    readonly afterSeq: number;
    readonly value: Money | null;
    readonly expiresAt?: Instant;
  },
): Grant {
  const { source, quantity } = piece;
  return {
    ...source,
    id: to.id,
    accountId: to.accountId,
    origin: "transfer",
    validFrom: to.at,
    expiresAt: to.expiresAt ?? source.expiresAt,
    createdAt: to.at,
    size: quantity,
    remaining: quantity,
    drawn: 0,
    expired: 0,
    transferredOut: 0,
    corrected: 0,
    paid: to.value && money(to.value.currency, to.value.minor),
    parent: source.id,
    afterSeq: to.afterSeq,
  };
}
