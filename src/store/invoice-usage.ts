import { sql } from "kysely";
import type { Meter } from "../domain/catalog/index.ts";
import { isAdditive, type Measured } from "../domain/invoicing/index.ts";
import { canonicalJson } from "../kit/canonical-json.ts";
import { longDecimal, zero } from "../kit/decimal.ts";
import type { Instant, Period } from "../kit/time.ts";
import { textArray, writeInstant } from "./columns.ts";
import type { Db } from "./connect.ts";
import { type AccountKey, accountKeyText, pushTo } from "./invoice-facts.ts";
import { measuredTogether, rawDimensions } from "./raw-usage.ts";
import { recountEvents } from "./raw-events.ts";
import { measure } from "./usage-measure.ts";

/** A span of time in which the usage of one meter of one account is wanted as one number. */
export type UsageWindow = AccountKey & {
  readonly meter: Meter;
  readonly slice: Period;
  /** Dimensions to split by. Meters that add up are split by all of theirs and by project in any case. */
  readonly dimensions: readonly string[];
  /** Only events up to this one, as a document of that time knew them. Null: all that this snapshot has. */
  readonly untilSeq: bigint | null;
};

export type Usage = Map<string, Measured[]>;

/** The usage of many windows of many accounts in a few queries, from the rollups. Keyed by `accountKeyText`. */
export async function measureWindows(db: Db, windows: readonly UsageWindow[]): Promise<Usage> {
  const rolledUp = await loadRolledUp(db);
  const fast = (window: UsageWindow): boolean =>
    isAdditive(window.meter) &&
    rolledUp.has(window.meter.key) &&
    window.untilSeq === null &&
    onQuarter(window.slice.startsAt) &&
    onQuarter(window.slice.endsAt);
  const found: Usage = new Map();
  await sumRollups(db, windows.filter(fast), found);
  await measureRest(
    db,
    windows.filter((window) => !fast(window)),
    found,
  );
  return found;
}

/**
 * The same by the second path, straight from the raw events: it shares nothing with ingest, rollups and the first path but
 * the events themselves. What adds up is read out of the stored JSON and added by Postgres, not by our own code; what does
 * not, the first path leaves to Postgres, so this one has it reckoned event by event in `domain/proof`.
 */
export async function measureWindowsAgain(db: Db, windows: readonly UsageWindow[]): Promise<Usage> {
  const found: Usage = new Map();
  await sumEvents(
    db,
    windows.filter((window) => isAdditive(window.meter)),
    found,
  );
  await recountRest(
    db,
    windows.filter((window) => !isAdditive(window.meter)),
    found,
  );
  return found;
}

/** Meters whose rollups hold all their events; those of the others are still being counted. */
export async function loadRolledUp(db: Db): Promise<ReadonlySet<string>> {
  const { rows } = await sql<{ key: string }>`select key from meter where rolled_up`.execute(db);
  return new Set(rows.map((row) => row.key));
}

const quarterHour = 15 * 60 * 1_000_000;
const onQuarter = (at: Instant): boolean => at % quarterHour === 0;

type SumRow = {
  w: number;
  project_id: string;
  event_count: bigint;
  total: string;
};

async function sumRollups(db: Db, windows: readonly UsageWindow[], found: Usage): Promise<void> {
  if (windows.length === 0) return;
  const { rows } = await sql<SumRow & { dimensions: string }>`
    select w.w::int as w, r.project_id, r.dimensions,
           sum(r.event_count)::bigint as event_count, sum(r.total) as total
    from unnest(
      ${textArray(windows.map((w) => w.orgId))}::text[],
      ${textArray(windows.map((w) => w.accountId))}::text[],
      ${textArray(windows.map((w) => w.meter.key))}::text[],
      ${textArray(windows.map((w) => writeInstant(w.slice.startsAt)))}::timestamptz[],
      ${textArray(windows.map((w) => writeInstant(w.slice.endsAt)))}::timestamptz[]
    ) with ordinality as w (org_id, account_id, meter_key, starts_at, ends_at, w)
    join usage_rollup r on r.org_id = w.org_id and r.account_id = w.account_id
      and r.meter_key = w.meter_key and r.bucket_at >= w.starts_at and r.bucket_at < w.ends_at
    group by 1, 2, 3`.execute(db);
  for (const row of rows) put(found, windows[row.w - 1] as UsageWindow, row, row.dimensions);
}

/**
 * All meters that look at the same spans are measured together in one pass over the events: reading an event from its page
 * costs more than finding out whose it is. Nearly always one query is all there is.
 */
async function sumEvents(db: Db, windows: readonly UsageWindow[], found: Usage): Promise<void> {
  const spans = new Map<string, UsageWindow[]>();
  for (const window of windows) {
    const { orgId, accountId, slice, untilSeq } = window;
    pushTo(spans, [orgId, accountId, slice.startsAt, slice.endsAt, untilSeq].join("|"), window);
  }
  const together = new Map<string, UsageWindow[][]>();
  for (const same of spans.values())
    pushTo(together, same.map((window) => window.meter.key).join("|"), same);
  for (const sets of together.values()) await sumTogether(db, sets, found);
}

type TogetherRow = SumRow & { m: number; dimension_values: (string | null)[] | null };

async function sumTogether(
  db: Db,
  sets: readonly (readonly UsageWindow[])[],
  found: Usage,
): Promise<void> {
  const meters = (sets[0] ?? []).map((window) => window.meter);
  const firsts = sets.map((set) => set[0] as UsageWindow);
  const { rows } = await sql<TogetherRow>`
    select w.w::int as w, e.project_id, ${measuredTogether(meters).columns}
    from unnest(
      ${textArray(firsts.map((w) => w.orgId))}::text[],
      ${textArray(firsts.map((w) => w.accountId))}::text[],
      ${textArray(firsts.map((w) => writeInstant(w.slice.startsAt)))}::timestamptz[],
      ${textArray(firsts.map((w) => writeInstant(w.slice.endsAt)))}::timestamptz[],
      ${textArray(firsts.map((w) => w.untilSeq?.toString() ?? null))}::bigint[]
    ) with ordinality as w (org_id, account_id, starts_at, ends_at, until_seq, w)
    join usage_event e on e.org_id = w.org_id and e.account_id = w.account_id
      and e.time >= w.starts_at and e.time < w.ends_at
      and (w.until_seq is null or e.seq <= w.until_seq)
    ${measuredTogether(meters).join}
    group by 1, 2, 3, 4`.execute(db);
  for (const row of rows) {
    const window = sets[row.w - 1]?.[row.m] as UsageWindow;
    put(found, window, row, canonicalJson(rawDimensions(window.meter, row.dimension_values ?? [])));
  }
}

function put(found: Usage, window: UsageWindow, row: SumRow, dimensions: string): void {
  pushTo(found, accountKeyText(window.orgId, window.accountId), {
    meterKey: window.meter.key,
    projectId: row.project_id,
    dimensions,
    slice: window.slice,
    eventCount: row.event_count,
    quantity: longDecimal(row.total),
  });
}

/** Windows of the same meter and span, which one reading of all their accounts answers. */
function alike(windows: readonly UsageWindow[]): Iterable<readonly UsageWindow[]> {
  const groups = new Map<string, UsageWindow[]>();
  for (const window of windows) {
    const { orgId, meter, slice, untilSeq, dimensions } = window;
    pushTo(
      groups,
      [orgId, meter.key, slice.startsAt, slice.endsAt, untilSeq ?? "", ...dimensions].join("|"),
      window,
    );
  }
  return groups.values();
}

/** What cannot be summed from rollups. */
async function measureRest(db: Db, windows: readonly UsageWindow[], found: Usage): Promise<void> {
  for (const same of alike(windows)) {
    const { orgId, meter, slice, untilSeq, dimensions } = same[0] as UsageWindow;
    const adds = isAdditive(meter);
    const readings = await measure(db, {
      orgId,
      accountIds: same.map((window) => window.accountId),
      meter,
      windows: [slice],
      by: {
        account: true,
        project: adds,
        dimensions: adds ? meter.dimensions.map(({ key }) => key) : dimensions,
      },
      ...(untilSeq === null ? {} : { untilSeq }),
    });
    for (const reading of readings)
      pushTo(found, accountKeyText(orgId, reading.accountId ?? ""), {
        meterKey: meter.key,
        projectId: reading.projectId ?? "",
        dimensions: canonicalJson(reading.dimensions),
        slice,
        eventCount: BigInt(reading.eventCount),
        quantity: reading.quantity ?? zero,
      });
  }
}

async function recountRest(db: Db, windows: readonly UsageWindow[], found: Usage): Promise<void> {
  for (const same of alike(windows)) {
    const [{ orgId, meter, slice, untilSeq, dimensions }] = same as [UsageWindow];
    const accountIds = same.map((window) => window.accountId);
    const asked = { orgId, accountIds, meter, slice, untilSeq, dimensions };
    for (const { accountId, ...usage } of await recountEvents(db, asked))
      pushTo(found, accountKeyText(orgId, accountId), {
        meterKey: meter.key,
        projectId: "",
        slice,
        ...usage,
      });
  }
}
