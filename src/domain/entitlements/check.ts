import { formatDecimal, type Decimal } from "../../kit/decimal.ts";
import {
  compareMoney,
  formatMoney,
  type Money,
  money,
  toDecimal,
  toMoney,
} from "../../kit/money.ts";
import { compareUnits, hasUnits, subtractUnits, type Units, writeUnits } from "../grants/index.ts";
import type { QuotaAnswer } from "./quota.ts";

export type DenialReason =
  | "account_suspended"
  | "not_entitled"
  | "limit_reached"
  | "grace_over"
  | "spend_cap_reached"
  | "no_units_left"
  | "no_credit_left"
  | "no_price";

/** Everything a decision about using `quantity` of something follows from. What is not there, the answer does without. */
export type EntitlementFacts = {
  readonly feature: string;
  readonly quantity: Units;
  readonly suspended: boolean;
  /** Whether plan or grants give this right at all; features are only this. */
  readonly entitled: boolean;
  readonly quota: QuotaAnswer | null;
  /** Prepaid units usable now, without what reservations hold; null when the feature is not sold in batches. */
  readonly units: { readonly available: Units; readonly held: Units } | null;
  /** What the quantity would cost beyond the batches, by the same rating as the invoice; null when there is no price. */
  readonly costBeyond: Decimal | null;
  readonly creditOnly: boolean;
  /** Money that can be spent in credit-only mode. */
  readonly credit: Money | null;
  readonly cap: { readonly limit: Money; readonly spent: Money; readonly held: Money } | null;
};

export type EntitlementAnswer = {
  readonly allowed: boolean;
  readonly reason: DenialReason | "entitled" | QuotaAnswer["reason"];
  readonly because: string;
  readonly remaining: Units | null;
  readonly overage: Units;
};

/** May I, and if not, why not. The first objection decides; nothing that is unknown is ever allowed. */
export function checkEntitlement(facts: EntitlementFacts): EntitlementAnswer {
  const available = facts.units ? subtractUnits(facts.units.available, facts.units.held) : null;
  const beyond = beyondUnits(facts.quantity, available);
  const answer = (
    allowed: boolean,
    reason: EntitlementAnswer["reason"],
    because: string,
  ): EntitlementAnswer => ({
    allowed,
    reason,
    because,
    remaining: facts.quota?.remaining ?? available,
    overage: facts.units === null && facts.costBeyond === null ? 0 : beyond,
  });
  if (facts.suspended)
    return answer(false, "account_suspended", "The billing account is suspended.");
  if (!facts.entitled)
    return answer(
      false,
      "not_entitled",
      `Neither plan nor batches of the account include ${facts.feature}.`,
    );
  if (facts.quota && !facts.quota.allowed)
    return answer(false, facts.quota.reason, facts.quota.because);
  if (hasUnits(beyond)) {
    const objection = objectionToOverage(facts, beyond);
    if (objection) return answer(false, objection[0], objection[1]);
  }
  return answer(
    true,
    facts.quota?.flagged ? facts.quota.reason : "entitled",
    facts.quota?.because ??
      (available === null ? "Included." : `${writeUnits(available)} prepaid units are left.`),
  );
}

/** The part of a quantity that prepaid units do not cover: what `costBeyond` has to be worked out for. */
export const beyondUnits = (quantity: Units, available: Units | null): Units => {
  if (available === null) return quantity;
  return compareUnits(quantity, available) <= 0
    ? 0
    : subtractUnits(quantity, hasUnits(available) ? available : 0);
};

function objectionToOverage(
  facts: EntitlementFacts,
  beyond: Units,
): [DenialReason, string] | undefined {
  if (facts.costBeyond === null)
    return facts.units === null
      ? undefined
      : [
          "no_units_left",
          `${writeUnits(beyond)} are not covered by a batch, and there is no price beyond it.`,
        ];
  if (facts.creditOnly) {
    if (!facts.credit || facts.costBeyond.greaterThan(toDecimal(facts.credit)))
      return [
        "no_credit_left",
        `It would cost ${formatDecimal(facts.costBeyond)}, the credit is ${facts.credit ? formatMoney(facts.credit) : "0"}, and this account never owes.`,
      ];
  }
  if (facts.cap) {
    const { limit, spent, held } = facts.cap;
    const after = money(
      limit.currency,
      spent.minor + held.minor + toMoney(facts.costBeyond, limit.currency, "ceiling").minor,
    );
    if (compareMoney(after, limit) > 0)
      return [
        "spend_cap_reached",
        `${formatMoney(after)} ${limit.currency} would be spent, the cap is ${formatMoney(limit)}.`,
      ];
  }
  return undefined;
}
