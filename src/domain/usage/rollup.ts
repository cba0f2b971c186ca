import type { Instant } from "../../kit/time.ts";
import { addUnits, compareUnits, type Units } from "../grants/index.ts";
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

/** Deltas of one account, and those of them that are looked up by what tells them apart. */
export type Rollups = {
  readonly deltas: RollupDelta[];
  readonly byName: Map<string, RollupDelta>;
};
export const noRollups = (): Rollups => ({ deltas: [], byName: new Map() });

/** Up to this many deltas are found by looking at each, which is quicker than making a name. */
const few = 6;

/** Add one event, as one meter measured it. In any order, and in any division into groups, the sums come out the same. */
export function rollUp(rollups: Rollups, event: RolledEvent, measurement: Measurement): void {
  const { meter, quantity, dimensions } = measurement;
  const delta = deltaOf(rollups, event, meter.key, dimensions);
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

function deltaOf(
  { deltas, byName }: Rollups,
  { orgId, accountId, projectId, time }: RolledEvent,
  meterKey: string,
  dimensions: string,
): RollupDelta {
  const bucketAt = bucketOf(time);
  if (deltas.length <= few) {
    for (const delta of deltas)
      if (
        delta.bucketAt === bucketAt &&
        delta.meterKey === meterKey &&
        delta.projectId === projectId &&
        delta.dimensions === dimensions
      )
        return delta;
  }
  const isMany = deltas.length >= few;
  if (isMany && byName.size === 0) for (const delta of deltas) byName.set(nameOf(delta), delta);
  const sought = { bucketAt, meterKey, projectId, dimensions };
  const found = isMany ? byName.get(nameOf(sought)) : undefined;
  if (found) return found;
  const made: RollupDelta = {
    orgId,
    accountId,
    meterKey,
    bucketAt,
    projectId,
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
  deltas.push(made);
  if (isMany) byName.set(nameOf(made), made);
  return made;
}

const nameOf = (of: Pick<RollupDelta, "bucketAt" | "meterKey" | "projectId" | "dimensions">) =>
  `${of.bucketAt}\n${of.meterKey}\n${of.projectId}\n${of.dimensions}`;

/** Whether lowest, highest and latest mean anything for a meter. */
const readsLevels = (aggregation: Aggregation): boolean =>
  aggregation !== "count" && aggregation !== "sum" && aggregation !== "unique";

function isLater(event: RolledEvent, delta: RollupDelta): boolean {
  const { latestAt, latestSeq } = delta;
  if (latestAt === null || latestSeq === null) return true;
  return event.time > latestAt || (event.time === latestAt && event.seq > latestSeq);
}
