import type { Currency } from "../../kit/currency.ts";
import type { Decimal } from "../../kit/decimal.ts";
import type { AccountId, GrantId } from "../../kit/ids.ts";
import type { Money } from "../../kit/money.ts";
import { type Instant, shift, day } from "../../kit/time.ts";
import {
  addUnits,
  compareUnits,
  hasUnits,
  isNoUnits,
  subtractUnits,
  type Units,
  writeUnits,
} from "./units.ts";

/** Where a grant came from. An allowance is what a plan includes for a period. */
const origins = ["allowance", "purchase", "transfer", "promotion", "correction"] as const;
export type Origin = (typeof origins)[number];

/** What a grant is counted in: units of a SKU family (the meter that the family measures), or money. */
export type Denomination =
  | { readonly kind: "units"; readonly family: string }
  | { readonly kind: "money"; readonly currency: Currency };

/** The pool a grant belongs to: grants of one account and one pool cover for each other. */
export const poolOf = (denomination: Denomination): string =>
  denomination.kind === "units" ? denomination.family : denomination.currency;

/** The end of a grant that never expires: later than any instant we accept. */
export const never = Number.MAX_SAFE_INTEGER as Instant;
export const priorityDefault = 50;

/** What a draw needs to know of a grant. `expired` is the part that lapsed unused and that a late event may take back. */
export type OpenGrant = {
  readonly id: GrantId;
  readonly origin: Origin;
  readonly priority: number;
  readonly validFrom: Instant;
  readonly expiresAt: Instant;
  readonly unitCost: Decimal;
  readonly createdAt: Instant;
  readonly remaining: Units;
  readonly expired: Units;
};

/** A grant with everything that ever happened to it, in sums. `size` never changes. */
export type Grant = OpenGrant & {
  readonly accountId: AccountId;
  readonly denomination: Denomination;
  readonly sku: string | null;
  readonly size: Units;
  readonly drawn: Units;
  readonly transferredOut: Units;
  /** Net of corrections: above zero for units given by hand, below for units taken back. */
  readonly corrected: Units;
  /** What was paid for all of it; null for what was never sold. */
  readonly paid: Money | null;
  readonly parent: GrantId | null;
  /** How many events the account had when this grant began to exist: replay puts it in at the same place. */
  readonly afterSeq: number;
};

export type Movement = {
  readonly grantId: GrantId;
  readonly kind: MovementKind;
  /** What it does to `remaining`: below zero for units that leave. */
  readonly quantity: Units;
};

/**
 * Everything that can happen to the units of a grant. `returned` undoes a draw (a correction of usage), `unexpired` takes
 * back an expiry because a late event turns out to have used the units in time.
 */
const movementKinds = [
  "funded",
  "drawn",
  "returned",
  "expired",
  "unexpired",
  "transferred_out",
  "corrected",
] as const;
export type MovementKind = (typeof movementKinds)[number];

/** Days of validity counted as fixed days from the purchase: 30 days from 10 January 00:00Z end on 9 February 00:00Z. */
export const expiryAfterDays = (from: Instant, days: number): Instant => shift(from, days * day);

/** Whether an event of that time may use the grant: from `validFrom` on, no longer at `expiresAt`. */
export const isValidAt = (
  grant: Pick<OpenGrant, "validFrom" | "expiresAt">,
  at: Instant,
): boolean => at >= grant.validFrom && at < grant.expiresAt;

export type GrantState = "scheduled" | "active" | "exhausted" | "expired";

/** The state people see at an instant. A grant that has run out stays exhausted after its end. */
export function stateAt(grant: Grant, now: Instant): GrantState {
  if (isNoUnits(grant.remaining) && isNoUnits(grant.expired)) return "exhausted";
  if (now >= grant.expiresAt) return "expired";
  return now < grant.validFrom ? "scheduled" : "active";
}

/** What can be used at an instant: nothing before the start, nothing from the end on, whoever has or has not swept it. */
export const availableAt = (grant: OpenGrant, now: Instant): Units =>
  isValidAt(grant, now) ? grant.remaining : 0;

/** A broken law of a grant, as a sentence; undefined when all hold. size = remaining + drawn + expired + transferred − corrected. */
export function brokenLaw(grant: Grant): string | undefined {
  const accounted = subtractUnits(
    [grant.drawn, grant.expired, grant.transferredOut].reduce<Units>(addUnits, grant.remaining),
    grant.corrected,
  );
  if (!isNoUnits(subtractUnits(accounted, grant.size)))
    return `grant ${grant.id}: its parts add up to ${writeUnits(accounted)}, its size is ${writeUnits(grant.size)}`;
  if (!hasUnits(grant.remaining) && !isNoUnits(grant.remaining))
    return `grant ${grant.id}: ${writeUnits(grant.remaining)} remain, which is below zero`;
  if (compareUnits(grant.drawn, 0) < 0) return `grant ${grant.id}: drawn is below zero`;
  if (compareUnits(grant.expired, 0) < 0) return `grant ${grant.id}: expired is below zero`;
  return undefined;
}
