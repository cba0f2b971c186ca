export const accountStatuses = ["provisioning", "ready", "suspended", "archived"] as const;
export type AccountStatus = (typeof accountStatuses)[number];

export const accountEvents = [
  "become_payment_ready",
  "suspend",
  "clear_cause",
  "reactivate",
  "archive",
] as const;
export type AccountEvent = (typeof accountEvents)[number];

export type TransitionRefusal =
  | "account_archived"
  | "account_not_ready"
  | "account_not_suspended"
  | "account_already_suspended";

/** Every state and every event: where it leads, or why it does not. `same` means nothing to do. */
export const transitions: Record<
  AccountStatus,
  Record<AccountEvent, AccountStatus | "same" | { readonly refused: TransitionRefusal }>
> = {
  provisioning: {
    become_payment_ready: "ready",
    suspend: { refused: "account_not_ready" },
    clear_cause: { refused: "account_not_suspended" },
    reactivate: { refused: "account_not_suspended" },
    archive: "archived",
  },
  ready: {
    become_payment_ready: "same",
    suspend: "suspended",
    clear_cause: { refused: "account_not_suspended" },
    reactivate: { refused: "account_not_suspended" },
    archive: "archived",
  },
  suspended: {
    // Being able to pay does not lift a suspension: its cause must be cleared, and somebody must approve.
    become_payment_ready: "same",
    suspend: { refused: "account_already_suspended" },
    clear_cause: "suspended",
    reactivate: "ready",
    archive: "archived",
  },
  archived: {
    become_payment_ready: { refused: "account_archived" },
    suspend: { refused: "account_archived" },
    clear_cause: { refused: "account_archived" },
    reactivate: { refused: "account_archived" },
    archive: "same",
  },
};

/** Why accounts are suspended. */
export const suspensionCodes = ["unpaid", "fraud", "requested", "terms_ended", "other"] as const;
export type SuspensionCode = (typeof suspensionCodes)[number];

export type ReactivationRefusal = "account_cause_not_cleared" | "account_needs_other_approver";

/** Reactivation needs the cause cleared, and approval by somebody else than who cleared it. */
export function mayReactivate(
  causeCleared: { readonly by: string } | null,
  approver: string,
): ReactivationRefusal | undefined {
  if (causeCleared === null) return "account_cause_not_cleared";
  if (causeCleared.by === approver) return "account_needs_other_approver";
  return undefined;
}

export type ClosingFacts = {
  readonly activeBindings: number;
  readonly openInvoices: number;
  readonly hasUninvoicedUsage: boolean;
  readonly children: number;
};
export type ClosingRefusal =
  | "account_has_bindings"
  | "account_has_balance"
  | "account_has_children";

/** An account closes when nothing points at it and nothing is owed. */
export function mayArchive(facts: ClosingFacts): ClosingRefusal | undefined {
  if (facts.activeBindings > 0) return "account_has_bindings";
  if (facts.children > 0) return "account_has_children";
  if (facts.openInvoices > 0 || facts.hasUninvoicedUsage) return "account_has_balance";
  return undefined;
}
