import { readEvent, type UsageEvent } from "../domain/usage/index.ts";
import type { Instant } from "../kit/time.ts";
import { listQuarantine, type QuarantinedEvent, resolveQuarantine } from "../store/usage-events.ts";
import type { Env } from "./env.ts";
import { ingestOf } from "./ingest-usage.ts";

export type Replay = {
  readonly orgId: string;
  readonly now: Instant;
  readonly reason?: string | undefined;
  /** Only these entries. */
  readonly keys?: readonly string[] | undefined;
};

export type ReplayReport = {
  replayed: number;
  accepted: number;
  duplicates: number;
  conflicts: number;
  rejected: number;
  stillHeld: number;
};

const pageSize = 500;

/**
 * Try quarantined events again, oldest first, as if they came now but with the time at which they first did. Each is
 * counted at most once, by the same rule as every event; what still cannot be counted stays.
 */
export async function replayQuarantine(env: Env, replay: Replay): Promise<ReplayReport> {
  const report: ReplayReport = {
    replayed: 0,
    accepted: 0,
    duplicates: 0,
    conflicts: 0,
    rejected: 0,
    stillHeld: 0,
  };
  let after: { receivedAt: string; key: string } | undefined;
  for (;;) {
    const held: QuarantinedEvent[] = await listQuarantine(env.store.db, replay.orgId, {
      status: "open",
      reason: replay.reason,
      keys: replay.keys,
      after,
      limit: pageSize,
    });
    const last = held.at(-1);
    if (last === undefined) return report;
    await replayPage(env, replay, held, report);
    after = { receivedAt: last.receivedAtText, key: last.key };
  }
}

async function replayPage(
  env: Env,
  { orgId, now }: Replay,
  page: readonly QuarantinedEvent[],
  report: ReplayReport,
): Promise<void> {
  const readable: { held: QuarantinedEvent; event: UsageEvent }[] = [];
  const resolved: { key: string; resolution: string }[] = [];
  for (const held of page) {
    const reading = readEvent(held.event, false);
    if (reading.kind === "event") readable.push({ held, event: reading.event });
    else resolved.push({ key: held.key, resolution: "rejected" });
  }
  const fates = await ingestOf(env).submit({
    orgId,
    events: readable.map(({ event }) => event),
    receivedAt: readable.map(({ held }) => held.receivedAt),
    now,
    isReplay: true,
  });
  fates.forEach((fate, index) => {
    const key = readable[index]?.held.key ?? "";
    switch (fate.kind) {
      case "accepted":
        report.accepted++;
        break;
      case "quarantined":
        report.stillHeld++;
        break;
      case "duplicate":
      case "conflict":
      case "rejected":
        resolved.push({ key, resolution: fate.kind });
        break;
    }
  });
  report.replayed += page.length;
  for (const { resolution } of resolved) {
    if (resolution === "duplicate") report.duplicates++;
    else if (resolution === "conflict") report.conflicts++;
    else report.rejected++;
  }
  await resolveQuarantine(env.store.db, orgId, resolved, now);
}
