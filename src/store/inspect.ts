import { openPool } from "./connect.ts";
import { mayActAsApplication } from "./privileges.ts";

/** What a server says about itself, for `tallyline doctor`. */
export type DatabaseFacts = {
  readonly version: string;
  /** 150020 for 15.20 */
  readonly versionNumber: number;
  /** Of a query that does nothing; the middle of nine. */
  readonly latencyMs: number;
  /** How far its clock is ahead of ours. */
  readonly clockAheadMs: number;
  readonly encrypted: boolean;
  readonly encoding: string;
  readonly settings: Readonly<Record<(typeof asked)[number], string>>;
  /** Whether requests can run under the role that cannot rewrite the past. */
  readonly hasApplicationRole: boolean;
  readonly connectionsFree: number;
};

const asked = ["fsync", "full_page_writes", "synchronous_commit", "data_checksums"] as const;

/** Look at a server without changing anything on it. `nowMs` is our clock. */
export async function inspectDatabase(
  connectionString: string,
  nowMs: () => number,
): Promise<DatabaseFacts> {
  const pool = openPool(connectionString, {
    connectionsMax: 1,
    applicationName: "tallyline doctor",
  });
  try {
    const latencies: number[] = [];
    for (let i = 0; i < 9; i++) {
      const startedAt = performance.now();
      await pool.query("select 1");
      latencies.push(performance.now() - startedAt);
    }
    const before = nowMs();
    const { rows } = await pool.query<{
      version: string;
      number: number;
      clock: string;
      encrypted: boolean | null;
      encoding: string;
      settings: Record<(typeof asked)[number], string>;
      free: number;
    }>(
      `select current_setting('server_version') as version,
              current_setting('server_version_num')::int as number,
              (extract(epoch from clock_timestamp()) * 1000)::text as clock,
              (select ssl from pg_stat_ssl where pid = pg_backend_pid()) as encrypted,
              current_setting('server_encoding') as encoding,
              (select jsonb_object_agg(name, setting) from pg_settings where name = any ($1)) as settings,
              current_setting('max_connections')::int - (select count(*)::int from pg_stat_activity) as free`,
      [[...asked]],
    );
    const after = nowMs();
    const row = rows[0];
    if (!row) throw new Error("the server answered with nothing");
    return {
      version: row.version,
      versionNumber: row.number,
      latencyMs: latencies.toSorted((a, b) => a - b)[4] ?? 0,
      clockAheadMs: Math.round(Number(row.clock) - (before + after) / 2),
      encrypted: row.encrypted ?? false,
      encoding: row.encoding,
      settings: row.settings,
      hasApplicationRole: await mayActAsApplication(pool),
      connectionsFree: row.free,
    };
  } finally {
    await pool.end();
  }
}
