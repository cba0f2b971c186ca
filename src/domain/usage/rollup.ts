import type { Instant } from "../../kit/time.ts";
import { addUnits, compareUnits, type Units, unitsOf } from "../grants/index.ts";
import type { Aggregation } from "../catalog/index.ts";
import type { Measurement } from "./match.ts";

/** What a group of events adds to one stored quarter of an hour. */
export type RollupDelta = {
  readonly orgId: string;
  readonly accountId: string;
  readonly meterKey: string;
  readonly bucketAt: Instant;
  readonly projectId: string;
  readonly dimensions: string;
  eventCount: number;
  total: Units;
  lowest: Units | null;
  highest: Units | null;
  latest: Units | null;
  latestAt: Instant | null;
  latestSeq: number | null;
  corrected: boolean;
};

/** The stored event that the deltas are made from. */
export type RolledEvent = {
  readonly orgId: string;
  readonly accountId: string;
  readonly projectId: string;
  readonly time: Instant;
  readonly seq: number;
  readonly isCorrection: boolean;
};

const quarter = 900_000_000;
/** The start of the quarter of an hour (UTC) that a moment belongs to. */
export const bucketOf = (at: Instant): Instant => (at - (at % quarter)) as Instant;

/** Deltas of one account, found by what tells them apart. */
export type Rollups = Map<string, RollupDelta>;

/** Add one event, as one meter measured it. In any order, and in any division into groups, the sums come out the same. */
export function rollUp(rollups: Rollups, event: RolledEvent, measurement: Measurement): void {
  const { meter, dimensions } = measurement;
  const bucketAt = bucketOf(event.time);
  const key = `${bucketAt}\n${meter.key}\n${event.projectId}\n${dimensions}`;
  const quantity = unitsOf(measurement.quantity);
  let delta = rollups.get(key);
  if (delta === undefined) {
    delta = {
      orgId: event.orgId,
      accountId: event.accountId,
      meterKey: meter.key,
      bucketAt,
      projectId: event.projectId,
      dimensions,
      eventCount: 0,
      total: 0,
      lowest: null,
      highest: null,
      latest: null,
      latestAt: null,
      latestSeq: null,
      corrected: false,
    };
    rollups.set(key, delta);
  }
  delta.eventCount++;
  delta.total = addUnits(delta.total, quantity);
  if (event.isCorrection) {
    delta.corrected = true;
    return;
  }
  if (!readsLevels(meter.aggregation)) return;
  if (delta.lowest === null || compareUnits(quantity, delta.lowest) < 0) delta.lowest = quantity;
  if (delta.highest === null || compareUnits(quantity, delta.highest) > 0) delta.highest = quantity;
  if (isLater(event, delta)) {
    delta.latest = quantity;
    delta.latestAt = event.time;
    delta.latestSeq = event.seq;
  }
}

/** Whether lowest, highest and latest mean anything for a meter. */
const readsLevels = (aggregation: Aggregation): boolean =>
  aggregation !== "count" && aggregation !== "sum" && aggregation !== "unique";

function isLater(event: RolledEvent, delta: RollupDelta): boolean {
  const { latestAt, latestSeq } = delta;
  if (latestAt === null || latestSeq === null) return true;
  return event.time > latestAt || (event.time === latestAt && event.seq > latestSeq);
}
