import type pg from "pg";
import { openPool, type PoolOptions } from "./connect.ts";

/** The newest change of the queue's tables in the graphile-worker that we ship; a test holds it against the package. */
export const queueRevision = 19;

/** Bring the queue's own schema up to date, as the owner. The package is only loaded when there is something to do. */
export async function migrateQueue(client: pg.Client, connectionString: string): Promise<void> {
  if ((await queueRevisionOf(client)) >= queueRevision) return;
  const { Logger, runMigrations } = await import("graphile-worker");
  const pool = openQueuePool(connectionString, { applicationName: "tallyline migrate" });
  try {
    await runMigrations({ pgPool: pool, logger: new Logger(() => () => {}) });
  } finally {
    await pool.end();
  }
}

async function queueRevisionOf(client: pg.Client): Promise<number> {
  const { rows } = await client.query<{ there: boolean }>(
    "select to_regclass('graphile_worker.migrations') is not null as there",
  );
  if (!rows[0]?.there) return 0;
  const found = await client.query<{ id: number | null }>(
    "select max(id) as id from graphile_worker.migrations",
  );
  return found.rows[0]?.id ?? 0;
}

/** Connections as graphile-worker expects them: values as the driver gives them, one connection listening. */
export const openQueuePool = (connectionString: string, options: PoolOptions = {}): pg.Pool =>
  openPool(connectionString, {
    connectionsMax: 3,
    applicationName: "tallyline jobs",
    ...options,
    driverTypes: true,
  });
