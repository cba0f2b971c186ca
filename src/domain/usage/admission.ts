import { formatInstant, type Instant } from "../../kit/time.ts";
import { hasUnits } from "../grants/index.ts";
import { type Payer, type Place, payerAt } from "./attribution.ts";
import { checkTime, dataOf, type EventLimits, type Rejection, type UsageEvent } from "./event.ts";
import { type MatchFault, type Measurement, type MeterIndex, matchEvent } from "./match.ts";

export const quarantineReasons = [
  "unknown_meter",
  "attribution_failure",
  "invalid_dimensions",
  "too_old",
] as const;
export type QuarantineReason = (typeof quarantineReasons)[number];

export type Quarantined = {
  readonly kind: "quarantined";
  readonly reason: QuarantineReason;
  readonly detail: string;
};

/** An event that an account pays for and meters have read. */
export type Measured = {
  readonly kind: "measured";
  readonly accountId: string;
  readonly accountName: string;
  readonly projectId: string;
  readonly measurements: readonly Measurement[];
};

export type Verdict = Measured | Quarantined | Rejection;

/** What the rules need to know beside the event. */
export type AdmissionFacts = {
  readonly meters: MeterIndex;
  /** Undefined when the organization knows no such project. */
  readonly place: Place | undefined;
  /** Set where the event corrects one that is stored: that one's payer and project hold, not today's. */
  readonly original?: (NonNullable<Payer> & { readonly projectId: string }) | undefined;
  readonly isForeignProject: boolean;
  readonly now: Instant;
  readonly limits: EventLimits;
  /** A person has looked at it: its age no longer matters. */
  readonly isReplay?: boolean;
};

/**
 * Whether an event counts, for whom, and how much. What the sender got wrong is rejected; what the provider may still put
 * right (a meter to publish, a binding to make) is quarantined.
 */
export function admit(event: UsageEvent, facts: AdmissionFacts): Verdict {
  const { place, now } = facts;
  const timing = checkTime(event.time, now, facts.limits);
  if (timing === "future_event") {
    const detail = `${formatInstant(event.time)} lies ahead of our clock, ${formatInstant(now)}: check the sender's clock`;
    return { kind: "rejected", code: "future_event", pointer: "/time", detail };
  }
  if (facts.isForeignProject) {
    const detail = `this key may not send usage of ${event.subject}: it is not a project of its organization, or not the key's own`;
    return { kind: "rejected", code: "project_not_yours", pointer: "/subject", detail };
  }
  const match = matchEvent(facts.meters, {
    type: event.type,
    data: dataOf(event),
    isCorrection: event.corrects !== null,
  });
  if (match.kind === "faulty" && !isHeld(match)) return rejectionOf(match);
  if (event.corrects !== null && match.kind === "measured") {
    const above = match.measurements.find(({ quantity }) => hasUnits(quantity));
    if (above) {
      const detail = `a correction takes something back: its quantity for meter ${above.meter.key} must be below zero`;
      return { kind: "rejected", code: "correction_not_negative", pointer: "/data", detail };
    }
  }

  if (timing === "too_old" && !facts.isReplay)
    return quarantined(
      "too_old",
      `${formatInstant(event.time)} is too long ago to be billed unseen`,
    );
  if (match.kind === "unknown_meter")
    return quarantined("unknown_meter", `no published meter listens to event type ${event.type}`);
  if (match.kind === "faulty") return quarantined("invalid_dimensions", match.detail);
  if (place === undefined)
    return quarantined("attribution_failure", `no project is known as ${event.subject}`);
  const { original } = facts;
  if (original && original.projectId !== place.projectId) {
    const detail = `${event.subject} is not the project of the event to correct`;
    return { kind: "rejected", code: "original_not_found", pointer: "/subject", detail };
  }
  const payer = original ?? payerAt(place, event.time);
  if (payer === null) {
    const detail = `no billing account paid for ${event.subject} at ${formatInstant(event.time)}`;
    return quarantined("attribution_failure", detail);
  }
  return {
    kind: "measured",
    accountId: payer.accountId,
    accountName: payer.accountName,
    projectId: place.projectId,
    measurements: match.measurements,
  };
}

const quarantined = (reason: QuarantineReason, detail: string): Quarantined => ({
  kind: "quarantined",
  reason,
  detail,
});

const isHeld = (fault: MatchFault): boolean => fault.reason === "invalid_dimensions";

function rejectionOf({ reason, pointer, detail }: MatchFault): Rejection {
  const code =
    reason === "negative_value" || reason === "invalid_dimensions" ? "invalid_value_type" : reason;
  return { kind: "rejected", code, pointer, detail };
}
