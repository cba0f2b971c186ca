import { type RawBuilder, sql } from "kysely";
import type { Meter } from "../domain/catalog/index.ts";
import type { MeterPulse } from "../domain/usage/index.ts";
import { day, hour, type Instant, shift } from "../kit/time.ts";
import { readInstantOrNull, writeInstant } from "./columns.ts";
import type { Db } from "./connect.ts";

/**
 * What the last day of a meter looks like, by event time, over one organization or all of them. Looks into each account's
 * newest rollups, not at its events; the last event to the microsecond comes from the events of its quarter of an hour.
 */
export async function readPulse(
  db: Db,
  meter: Meter,
  now: Instant,
  orgId?: string,
): Promise<MeterPulse> {
  const heads = orgId === undefined ? sql`true` : sql`h.org_id = ${orgId}`;
  const dayAgo = writeInstant(shift(now, -day - hour));
  const hourAgo = writeInstant(shift(now, -hour));
  const { rows } = await sql<{ lately: string; busy_hours: bigint }>`
    select coalesce(sum(r.event_count) filter (where r.bucket_at >= ${hourAgo}::timestamptz), 0)::text as lately,
           count(distinct date_bin('1 hour', r.bucket_at, '1970-01-01T00:00:00Z'))
             filter (where r.bucket_at < ${hourAgo}::timestamptz) as busy_hours
    from usage_head h
    join lateral (
      select bucket_at, event_count from usage_rollup r
      where r.org_id = h.org_id and r.account_id = h.account_id and r.meter_key = ${meter.key}
        and r.bucket_at > ${dayAgo}::timestamptz
    ) r on true
    where ${heads}`.execute(db);
  const found = rows[0];
  return {
    lastEventAt: await lastEventAt(db, meter, heads),
    lastHourCount: Number(found?.lately ?? 0),
    busyHours: Number(found?.busy_hours ?? 0n),
    quarantinedCount: await countQuarantined(db, meter, orgId),
  };
}

async function lastEventAt(db: Db, meter: Meter, heads: RawBuilder<unknown>) {
  const { rows } = await sql<{ at: string | null }>`
    with last as (
      select h.org_id, h.account_id, r.bucket_at, rank() over (order by r.bucket_at desc) as place
      from usage_head h
      join lateral (
        select bucket_at from usage_rollup r
        where r.org_id = h.org_id and r.account_id = h.account_id and r.meter_key = ${meter.key}
        order by bucket_at desc limit 1
      ) r on true
      where ${heads}
    )
    select max(e.time)::text as at
    from last l
    join usage_event e on e.org_id = l.org_id and e.account_id = l.account_id and e.type = ${meter.eventType}
      and e.time >= l.bucket_at and e.time < l.bucket_at + interval '15 minutes'
    where l.place = 1`.execute(db);
  return readInstantOrNull(rows[0]?.at ?? null);
}

/** Events of the meter's type that wait for a person. */
async function countQuarantined(db: Db, meter: Meter, orgId?: string): Promise<number> {
  const { rows } = await sql<{ count: bigint }>`
    select count(*) as count from usage_quarantine
    where resolved_at is null and event->>'type' = ${meter.eventType}
      and ${orgId === undefined ? sql`true` : sql`org_id = ${orgId}`}`.execute(db);
  return Number(rows[0]?.count ?? 0n);
}
