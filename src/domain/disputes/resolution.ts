import type { Money } from "../../kit/money.ts";
import { type DisputeStatus, mayBecome } from "./states.ts";

/**
 * How a dispute is decided. `credit`: money is given back by a credit note. `corrected`: the usage itself was corrected by
 * events, so that the next invoice gives the difference back; a credit note would give it back twice.
 */
export type Resolution =
  | { readonly kind: "credit"; readonly amount: Money | null }
  | { readonly kind: "corrected" }
  | { readonly kind: "reject" };

export type ResolutionDecision =
  | { readonly kind: "credit"; readonly status: DisputeStatus; readonly amount: Money }
  | { readonly kind: "corrected"; readonly status: DisputeStatus; readonly amount: Money }
  | { readonly kind: "reject"; readonly status: "rejected" }
  | { readonly kind: "not_under_review" }
  | { readonly kind: "too_large" }
  /** Events already take this much back on the next invoice. */
  | { readonly kind: "corrected_by_events"; readonly amount: Money }
  | { readonly kind: "no_correction" };

/** Decide a dispute. `correction` is what corrected usage takes off the line on the next invoice: nothing, or above. */
export function decideResolution(
  dispute: { readonly status: DisputeStatus; readonly amount: Money },
  asked: Resolution,
  correction: Money,
): ResolutionDecision {
  if (!mayBecome(dispute.status, "rejected")) return { kind: "not_under_review" };
  const accepted = (amount: Money): DisputeStatus =>
    amount.minor >= dispute.amount.minor ? "accepted" : "partially_accepted";
  switch (asked.kind) {
    case "reject":
      return { kind: "reject", status: "rejected" };
    case "corrected":
      return correction.minor > 0n
        ? { kind: "corrected", status: accepted(correction), amount: correction }
        : { kind: "no_correction" };
    case "credit": {
      const amount = asked.amount ?? dispute.amount;
      if (amount.minor > dispute.amount.minor) return { kind: "too_large" };
      if (correction.minor > 0n) return { kind: "corrected_by_events", amount: correction };
      return { kind: "credit", status: accepted(amount), amount };
    }
  }
}
