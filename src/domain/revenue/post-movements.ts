import { add, type Decimal, negate } from "../../kit/decimal.ts";
import type { Money } from "../../kit/money.ts";
import type { Instant } from "../../kit/time.ts";
import { decimalOfUnits, type MovementKind, type Origin, type Units } from "../grants/index.ts";
import {
  address,
  book,
  type LedgerTransaction,
  move,
  moneyAmount,
  type Posting,
  unitsAmount,
} from "../ledger/index.ts";
import { valueBetween } from "./deferral.ts";
import { recognitionPolicyVersion } from "./policy.ts";

/** What of a grant the books must know. `value` is what its units still to be earned were sold for, null when given away. */
export type BookedGrant = {
  readonly grantId: string;
  readonly accountId: string;
  readonly family: string;
  readonly sku: string;
  readonly origin: Origin;
  readonly size: Units;
  readonly value: Money | null;
  /** Units that had left the grant, whatever the way, when its books were last written. */
  readonly gone: Decimal;
};

export type BookedMovement = {
  readonly movementId: string;
  readonly kind: MovementKind;
  readonly quantity: Units;
  readonly at: Instant;
};

/**
 * The books of one grant's movements, in their order: units move between the customer and what became of them, and the
 * deferred revenue of every unit that leaves is recognised, as revenue when it was used, as breakage when it lapsed. A
 * movement back (a corrected usage, an expiry taken back) undoes it. A transfer takes units and their deferral out of one
 * account's books, over `moved`, into the other's. What a purchase deferred is posted by the purchase itself.
 */
export function postMovements(
  grant: BookedGrant,
  movements: readonly BookedMovement[],
): { transactions: LedgerTransaction[]; gone: Decimal } {
  let gone = grant.gone;
  const transactions = movements.map((movement) => {
    const leaves = negate(decimalOfUnits(movement.quantity));
    const after = movement.kind === "funded" ? gone : add(gone, leaves);
    const postings = [
      ...unitPostings(grant, movement, leaves),
      ...valuePostings(grant, movement, gone, after),
    ];
    gone = after;
    return book({
      id: `txn_${movement.movementId.slice(4)}`,
      cause: `movement:${movement.movementId}`,
      at: movement.at,
      description: `${movement.kind.replaceAll("_", " ")} ${grant.sku}`,
      policyVersion: recognitionPolicyVersion,
      reverses: null,
      postings,
    });
  });
  return { transactions, gone };
}

function unitPostings(grant: BookedGrant, movement: BookedMovement, leaves: Decimal): Posting[] {
  const customer = address("units", grant.accountId, grant.family);
  const amount = unitsAmount(grant.family, leaves);
  switch (movement.kind) {
    case "funded":
      return move(
        customer,
        address(grant.origin === "transfer" ? "moved" : "units-issued", grant.family),
        unitsAmount(grant.family, negate(leaves)),
      );
    case "drawn":
    case "returned":
      return move(address("units-consumed", grant.family), customer, amount);
    case "expired":
    case "unexpired":
      return move(address("units-expired", grant.family), customer, amount);
    case "transferred_out":
      return move(address("moved", grant.family), customer, amount);
    case "corrected":
      return move(address("units-corrected", grant.family), customer, amount);
  }
}

function valuePostings(
  grant: BookedGrant,
  movement: BookedMovement,
  before: Decimal,
  after: Decimal,
): Posting[] {
  if (!grant.value) return [];
  const deferred = address("deferred", grant.sku);
  const moved = address("moved", grant.family);
  if (movement.kind === "funded")
    return grant.origin === "transfer" ? move(deferred, moved, moneyAmount(grant.value)) : [];
  const value = valueBetween(grant.value, decimalOfUnits(grant.size), before, after);
  switch (movement.kind) {
    case "drawn":
    case "returned":
      return move(address("revenue", grant.sku), deferred, moneyAmount(value));
    case "expired":
    case "unexpired":
      return move(address("breakage", grant.sku), deferred, moneyAmount(value));
    case "corrected":
      return move(address("refunds", grant.sku), deferred, moneyAmount(value));
    case "transferred_out":
      return move(moved, deferred, moneyAmount(value));
  }
}
