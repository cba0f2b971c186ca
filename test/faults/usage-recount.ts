import type pg from "pg";

/** Sums of the meter `tokens` recomputed from the raw events, compared with the stored rollups, bucket by bucket. */
export async function measureRollups(
  owner: pg.Pool,
): Promise<{ differing: number; events: number }> {
  const { rows } = await owner.query<{ differing: string; events: string }>(`
    with recounted as (
      select org_id, account_id, project_id, date_bin('15 minutes', time, '1970-01-01Z') as bucket_at,
             count(*) as event_count, sum((data ->> 'tokens')::numeric) as total
      from usage_event where type = 'llm.call' group by 1, 2, 3, 4)
    select count(*) filter (where (a.event_count, a.total) is distinct from (b.event_count, b.total)) as differing,
           coalesce(sum(a.event_count), 0) as events
    from recounted a full join (select * from usage_rollup where meter_key = 'tokens') b
      using (org_id, account_id, project_id, bucket_at)`);
  return { differing: Number(rows[0]?.differing), events: Number(rows[0]?.events) };
}
