/** Where a dispute stands. Rejected and accepted ones wait to be closed: nothing is asked of anybody any more. */
export const disputeStatuses = [
  "open",
  "under_review",
  "accepted",
  "partially_accepted",
  "rejected",
  "closed",
] as const;
export type DisputeStatus = (typeof disputeStatuses)[number];

/** Every move there is. What is not here is refused. */
const next: Readonly<Record<DisputeStatus, readonly DisputeStatus[]>> = {
  open: ["under_review"],
  under_review: ["accepted", "partially_accepted", "rejected"],
  accepted: ["closed"],
  partially_accepted: ["closed"],
  rejected: ["closed"],
  closed: [],
};

export const mayBecome = (from: DisputeStatus, to: DisputeStatus): boolean =>
  next[from].includes(to);

/** Both sides may add to a dispute until it is closed. */
export const takesMessages = (status: DisputeStatus): boolean => status !== "closed";
