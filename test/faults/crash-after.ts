import type pg from "pg";
import { openStore, type Store } from "../../src/store/connect.ts";

class Crash extends Error {
  override readonly name = "Crash";
}

/**
 * A store whose process "dies" after its n-th statement: the statement is carried out, every connection is cut, and nothing
 * more comes back. Whatever was not committed is gone, as after SIGKILL.
 */
export function crashAfter(url: string, n: number): { store: Store; end(): Promise<void> } {
  const store = openStore(url, { connectionsMax: 4 });
  const { pool } = store;
  let count = 0;
  let dead = false;
  const open = new Set<pg.PoolClient>();
  const connect = pool.connect.bind(pool) as () => Promise<pg.PoolClient>;
  pool.connect = (async () => {
    if (dead) throw new Crash("already dead");
    const client = await connect();
    if (client.listenerCount("error") < 3) client.on("error", () => {});
    open.add(client);
    const query = client.query.bind(client) as (...args: unknown[]) => Promise<unknown>;
    const release = client.release.bind(client);
    client.query = (async (...args: unknown[]) => {
      if (dead) throw new Crash("already dead");
      const result = await query(...args);
      count += 1;
      if (count < n) return result;
      dead = true;
      for (const one of open)
        (
          one as unknown as { connection: { stream: { destroy(): void } } }
        ).connection.stream.destroy();
      throw new Crash(`after statement ${n}`);
    }) as typeof client.query;
    client.release = (error?: Error | boolean) => {
      open.delete(client);
      client.query = query as typeof client.query;
      client.release = release;
      release(dead ? true : error);
    };
    return client;
  }) as typeof pool.connect;
  return {
    store,
    end: () => pool.end().catch(() => {}),
  };
}
