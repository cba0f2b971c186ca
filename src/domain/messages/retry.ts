import { type Instant, minute, shift } from "../../kit/time.ts";

/** After a failed attempt wait 1, 5, 15 minutes, 1, 4, 12 hours, then daily; a week after the first one it is dead, and visible. */
const waits = [1, 5, 15, 60, 240, 720, 1440, 1440, 1440, 1440, 1440, 1440];

/** How long one attempt may take before another process may try: longer than any mail server's patience. */
export const leaseMicros = 5 * minute;

export type NextAttempt =
  | { readonly kind: "retry"; readonly at: Instant }
  | { readonly kind: "dead" };

/** When to try again after attempt number `attempts` (from 1) failed; a permanent refusal is never tried again. */
export function nextAttempt(
  attempts: number,
  failure: "transient" | "permanent",
  now: Instant,
): NextAttempt {
  const wait = waits[attempts - 1];
  if (failure === "permanent" || wait === undefined) return { kind: "dead" };
  return { kind: "retry", at: shift(now, wait * minute) };
}

/** Whether a message has been taken up so often, without any attempt ever ending, that it is the message that ends processes. */
export const isHopeless = (attempts: number): boolean => attempts > waits.length + 1;
