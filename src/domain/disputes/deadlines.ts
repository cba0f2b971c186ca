import { day, type Instant, shift } from "../../kit/time.ts";
import type { DisputeStatus } from "./states.ts";

/** What the provider promises: a first look within 3 days, a decision within 30. */
export type Deadlines = { readonly reviewBy: Instant; readonly decideBy: Instant };

export const deadlinesFrom = (openedAt: Instant): Deadlines => ({
  reviewBy: shift(openedAt, 3 * day),
  decideBy: shift(openedAt, 30 * day),
});

/** What is due next and by when; null when nothing is. A deadline is missed once its moment has come. */
export function nextDeadline(
  status: DisputeStatus,
  { reviewBy, decideBy }: Deadlines,
  now: Instant,
): {
  readonly what: "review" | "decision";
  readonly by: Instant;
  readonly isMissed: boolean;
} | null {
  switch (status) {
    case "open":
      return { what: "review", by: reviewBy, isMissed: now >= reviewBy };
    case "under_review":
      return { what: "decision", by: decideBy, isMissed: now >= decideBy };
    case "accepted":
    case "partially_accepted":
    case "rejected":
    case "closed":
      return null;
  }
}
