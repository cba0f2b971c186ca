import type { Meter } from "../domain/catalog/index.ts";
import { Problem } from "../domain/refusals/index.ts";
import {
  healthOf,
  intervalCount,
  type MeterHealth,
  pageOfWindows,
  roundMetered,
} from "../domain/usage/index.ts";
import { type Decimal, sumOf, zero } from "../kit/decimal.ts";
import { type CalendarUnit, day, type Instant, type Period } from "../kit/time.ts";
import { readPulse } from "../store/meter-health.ts";
import { findMeter, type KnownMeter } from "../store/meters.ts";
import { type Breakdown, measure, type Reading } from "../store/usage-measure.ts";
import type { Env } from "./env.ts";

/** A question about usage: of whom, of what, when, and split by what. */
export type UsageQuestion = {
  readonly organizationId: string;
  /** Undefined: all accounts of the organization. */
  readonly accountIds?: readonly string[];
  readonly projectId?: string;
  readonly meter: string;
  readonly period: Period;
  /** Undefined: no series, only totals. */
  readonly window?: CalendarUnit;
  readonly zone: string;
  /** "project", "account" and dimensions of the meter. */
  readonly groupBy: readonly string[];
  /** Where the page of the series starts; the totals are always those of the whole period. */
  readonly pageStartsAt?: Instant;
};

/** Usage of one group: `{ project: "prj_…", model: "large" }`; `{}` when nothing is split. */
export type UsageOfGroup = {
  readonly group: Readonly<Record<string, string>>;
  readonly quantity: Decimal | null;
  readonly eventCount: number;
};

export type UsageAnswer = {
  readonly known: KnownMeter;
  readonly series: readonly (UsageOfGroup & { readonly window: Period })[];
  readonly nextStartsAt: Instant | null;
  /** One for each group; empty without `groupBy`. */
  readonly groups: readonly UsageOfGroup[];
  /** Over everything: for `unique`, `max` and the like not the sum of the groups. */
  readonly total: UsageOfGroup;
};

const windowsMax = 1_000;
const periodMax = 3_660 * day;

/** Answer from what is true at this moment: an event that was acknowledged is in it. */
export async function readUsage(env: Env, question: UsageQuestion): Promise<UsageAnswer> {
  const { period, zone } = question;
  const known = await getMeter(env, question.meter);
  const { meter } = known;
  if (period.endsAt <= period.startsAt || period.endsAt - period.startsAt > periodMax)
    throw new Problem("usage_period_not_valid");

  const by = breakdownOf(meter, question.groupBy);
  const ask = (windows: readonly Period[], split: Breakdown) =>
    measure(env.store.db, {
      orgId: question.organizationId,
      ...(question.accountIds && { accountIds: question.accountIds }),
      ...(question.projectId !== undefined && { projectId: question.projectId }),
      meter,
      windows,
      by: split,
    });

  const startsAt = question.pageStartsAt ?? period.startsAt;
  const page = question.window
    ? pageOfWindows({ startsAt, endsAt: period.endsAt }, question.window, zone, windowsMax)
    : { windows: [] };
  const series = (await ask(page.windows, by)).map((reading) => ({
    ...usageOf(reading),
    window: page.windows[reading.windowIndex] as Period,
  }));
  // Sums need not be asked for again when the series holds all of them.
  const isWhole = question.window && startsAt === period.startsAt && !page.nextStartsAt;
  const parts = isWhole && addsUp(meter) ? series : undefined;
  const groups =
    question.groupBy.length === 0
      ? []
      : parts
        ? sumByGroup(parts)
        : (await ask([period], by)).map(usageOf);
  return {
    known,
    series: inOrder(series, ({ window }) => window.startsAt),
    nextStartsAt: page.nextStartsAt ?? null,
    groups: inOrder(groups, () => 0).map((one) => rounded(meter, one)),
    total: rounded(meter, parts ? sumOfAll(parts) : await totalOf(meter, period, ask)),
  };
}

async function totalOf(
  meter: Meter,
  period: Period,
  ask: (windows: readonly Period[], by: Breakdown) => Promise<Reading[]>,
): Promise<UsageOfGroup> {
  const [whole] = await ask([period], nothing);
  return whole ? usageOf(whole) : noUsage(meter, period);
}

/** Whether quantities are plain sums, so that those of parts make the whole to the last digit. */
const addsUp = ({ aggregation }: Meter): boolean =>
  aggregation === "count" || aggregation === "sum";

const sumOfAll = (parts: readonly UsageOfGroup[]): UsageOfGroup => ({
  group: {},
  quantity: sumOf(parts.map(({ quantity }) => quantity ?? zero)),
  eventCount: parts.reduce((count, part) => count + part.eventCount, 0),
});

function sumByGroup(parts: readonly UsageOfGroup[]): UsageOfGroup[] {
  const byName = new Map<string, UsageOfGroup[]>();
  for (const part of parts) {
    const name = JSON.stringify(part.group);
    const same = byName.get(name);
    if (same) same.push(part);
    else byName.set(name, [part]);
  }
  return [...byName.values()].map((same) => ({
    ...sumOfAll(same),
    group: (same[0] as UsageOfGroup).group,
  }));
}

/** How a meter is doing, in one organization or in all. */
export async function readMeterHealth(
  env: Env,
  reference: string,
  organizationId?: string,
): Promise<MeterHealth> {
  const { meter } = await getMeter(env, reference);
  const now = env.now();
  return healthOf(await readPulse(env.store.db, meter, now, organizationId), now);
}

export async function getMeter(env: Env, reference: string): Promise<KnownMeter> {
  const known = await findMeter(env.store.db, reference);
  if (!known) throw new Problem("meter_not_found", `There is no meter ${reference}.`);
  return known;
}

const nothing: Breakdown = { account: false, project: false, dimensions: [] };

function breakdownOf(meter: Meter, groupBy: readonly string[]): Breakdown {
  const dimensions = groupBy.filter((name) => name !== "project" && name !== "account");
  const stranger = dimensions.find((name) => !meter.dimensions.some(({ key }) => key === name));
  if (stranger !== undefined) {
    const declared = meter.dimensions.map(({ key }) => key).join(", ") || "none";
    throw new Problem(
      "dimension_not_declared",
      `Meter ${meter.key} does not declare the dimension ${stranger}; it declares ${declared}.`,
    );
  }
  return {
    account: groupBy.includes("account"),
    project: groupBy.includes("project"),
    dimensions: [...new Set(dimensions)],
  };
}

const usageOf = ({ accountId, projectId, dimensions, quantity, eventCount }: Reading) => ({
  group: {
    ...(accountId !== null && { account: accountId }),
    ...(projectId !== null && { project: projectId }),
    ...dimensions,
  },
  quantity,
  eventCount,
});

// Of the period as a whole only: hours that were rounded would not add up to the day.
const rounded = (meter: Meter, usage: UsageOfGroup): UsageOfGroup => ({
  ...usage,
  quantity: usage.quantity && roundMetered(meter, usage.quantity),
});

/** The sum of nothing is zero; the highest of nothing is nothing. */
function noUsage(meter: Meter, period: Period): UsageOfGroup {
  const isSum = ["count", "sum", "unique", "weighted_sum"].includes(meter.aggregation);
  const isZero =
    isSum || (meter.missingSamplesAreZero === true && intervalCount(meter, period) > 0);
  return { group: {}, quantity: isZero ? zero : null, eventCount: 0 };
}

/** By a moment, then by what the group is called. */
function inOrder<T extends UsageOfGroup>(usages: readonly T[], at: (usage: T) => number): T[] {
  return usages
    .map((usage) => ({ usage, at: at(usage), name: JSON.stringify(usage.group) }))
    .toSorted((a, b) => a.at - b.at || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))
    .map(({ usage }) => usage);
}
