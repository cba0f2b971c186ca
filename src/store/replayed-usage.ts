import { sql } from "kysely";
import type { Meter } from "../domain/catalog/index.ts";
import type { Measured } from "../domain/invoicing/index.ts";
import { canonicalJson } from "../kit/canonical-json.ts";
import { longDecimal } from "../kit/decimal.ts";
import type { Instant } from "../kit/time.ts";
import { textArray, writeInstant } from "./columns.ts";
import type { Tx } from "./connect.ts";
import { pushTo } from "./invoice-facts.ts";
import { measuredTogether, rawDimensions } from "./raw-usage.ts";

/**
 * What all accounts of an organization used, straight from the raw events, each read once for all meters that add up: one
 * aggregation that PostgreSQL spreads over its cores, in a transaction. `edges` cut the time into slices, oldest first. Not
 * split by project. Keyed by account.
 */
export async function sumAllEvents(
  tx: Tx,
  orgId: string,
  meters: readonly Meter[],
  edges: readonly Instant[],
): Promise<Map<string, Measured[]>> {
  const found = new Map<string, Measured[]>();
  if (meters.length === 0) return found;
  // Groups are few, which the planner cannot know of dimensions: it would sort every event, on one core. Sums of all accounts
  // at once stay in memory; spilled, they take three times as long.
  await sql`
    select set_config('work_mem', '64MB', true), set_config('enable_sort', 'off', true),
           set_config('parallel_tuple_cost', '0', true)`.execute(tx);
  const dated = edges.map(writeInstant);
  const slice =
    edges.length === 2 ? sql`1` : sql`width_bucket(e.time, ${textArray(dated)}::timestamptz[])`;
  const together = measuredTogether(meters);
  const { rows } = await sql<{
    account_id: string;
    slice: number;
    m: number;
    dimension_values: (string | null)[] | null;
    event_count: bigint;
    total: string;
  }>`
    select e.account_id, ${slice} as slice, ${together.columns}
    from usage_event e ${together.join}
    where e.org_id = ${orgId}
      and e.time >= ${dated[0]}::timestamptz and e.time < ${dated.at(-1)}::timestamptz
    group by 1, 2, 3, 4`.execute(tx);
  for (const row of rows) {
    const meter = meters[row.m] as Meter;
    pushTo(found, row.account_id, {
      meterKey: meter.key,
      projectId: "",
      dimensions: canonicalJson(rawDimensions(meter, row.dimension_values ?? [])),
      slice: { startsAt: edges[row.slice - 1] as Instant, endsAt: edges[row.slice] as Instant },
      eventCount: row.event_count,
      quantity: longDecimal(row.total),
    });
  }
  return found;
}
