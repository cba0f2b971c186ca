import { formatInstant, type Instant, startOf, endOf, type CalendarUnit } from "../../kit/time.ts";
import {
  addUnits,
  compareUnits,
  hasUnits,
  leastUnits,
  subtractUnits,
  type Units,
  writeUnits,
} from "../grants/index.ts";

export const quotaWindows = ["minute", "hour", "day", "month", "none"] as const;
export type QuotaWindow = (typeof quotaWindows)[number];

/**
 * A technical ceiling in a window. Hard refuses beyond `limit`; soft allows `softUpTo` for a while, flagged; `burst` adds
 * room on top for short peaks. Window "none": a level such as seats or gigabytes, not a flow.
 */
export type Quota = {
  readonly key: string;
  readonly limit: Units;
  readonly window: QuotaWindow;
  readonly enforcement: "hard" | "soft";
  readonly burst: Units;
  /** Soft only: how far beyond the limit, and until when after it was first exceeded. */
  readonly softUpTo: Units | null;
  readonly graceHours: number;
};

/** A higher limit granted for a time; the newest that is in force wins over the plan's. */
export type QuotaOverride = {
  readonly limit: Units;
  readonly startsAt: Instant;
  readonly endsAt: Instant;
};

export type QuotaUse = {
  readonly used: Units;
  /** Held by open reservations. */
  readonly held: Units;
  /** When a soft limit was first exceeded; null while it never was. */
  readonly exceededAt: Instant | null;
};

export type QuotaAnswer = {
  readonly allowed: boolean;
  readonly reason:
    | "within_limit"
    | "within_burst"
    | "within_grace"
    | "limit_reached"
    | "grace_over";
  readonly limit: Units;
  readonly used: Units;
  readonly held: Units;
  readonly remaining: Units;
  /** Beyond the limit and let through: to be shown, and billed as overage where there is a price. */
  readonly flagged: boolean;
  readonly resetsAt: Instant | null;
  readonly because: string;
};

function limitAt(quota: Quota, overrides: readonly QuotaOverride[], now: Instant): Units {
  const inForce = overrides
    .filter((override) => override.startsAt <= now && now < override.endsAt)
    .toSorted((a, b) => b.startsAt - a.startsAt)[0];
  return inForce?.limit ?? quota.limit;
}

/** The window that an instant falls into, in the account's zone; levels have none. */
export function quotaPeriod(
  window: QuotaWindow,
  at: Instant,
  zone: string,
): { startsAt: Instant; endsAt: Instant } | null {
  if (window === "none") return null;
  const unit: CalendarUnit = window;
  return { startsAt: startOf(unit, at, zone), endsAt: endOf(unit, at, zone) };
}

/** May `quantity` more be used? Size counts: what would go beyond the limit is refused even when there is room for less. */
export function checkQuota(
  quota: Quota,
  overrides: readonly QuotaOverride[],
  use: QuotaUse,
  quantity: Units,
  now: Instant,
  zone: string,
): QuotaAnswer {
  const limit = limitAt(quota, overrides, now);
  const taken = addUnits(use.used, use.held);
  const wanted = addUnits(taken, quantity);
  const resetsAt = quotaPeriod(quota.window, now, zone)?.endsAt ?? null;
  const answer = (reason: QuotaAnswer["reason"], because: string): QuotaAnswer => ({
    allowed: reason.startsWith("within"),
    reason,
    limit,
    used: use.used,
    held: use.held,
    remaining: subtractUnits(limit, leastUnits(limit, taken)),
    flagged: reason === "within_grace" || reason === "within_burst",
    resetsAt,
    because,
  });
  const state = `${writeUnits(taken)} of ${writeUnits(limit)} ${quota.key} used`;
  // Who asks for nothing more, such as a reader, is never refused.
  if (compareUnits(wanted, limit) <= 0 || !hasUnits(quantity)) return answer("within_limit", state);
  if (compareUnits(wanted, addUnits(limit, quota.burst)) <= 0)
    return answer("within_burst", `${state}, beyond the limit but within the burst`);
  if (quota.enforcement === "soft") {
    const ceiling = quota.softUpTo;
    const until = ((use.exceededAt ?? now) + quota.graceHours * 3_600_000_000) as Instant;
    const room = ceiling === null || compareUnits(wanted, ceiling) <= 0;
    if (room && now < until)
      return answer("within_grace", `${state}, beyond the limit until ${formatInstant(until)}`);
    if (room)
      return answer("grace_over", `${state}, and the grace ended at ${formatInstant(until)}`);
  }
  const reset = resetsAt === null ? "" : `, again at ${formatInstant(resetsAt)}`;
  return answer("limit_reached", `${state}, ${writeUnits(quantity)} more do not fit${reset}`);
}
