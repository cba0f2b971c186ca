import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Env } from "../flows/env.ts";
import { openIngest } from "../flows/ingest-usage.ts";
import { startEmbeddedPostgres } from "../gateways/embedded-postgres/index.ts";
import { httpPayments } from "../gateways/http-payments.ts";
import { systemClock } from "../kit/clock.ts";
import { idMaker } from "../kit/ids.ts";
import { systemRandom } from "../kit/random.ts";
import { openPool, openStore } from "../store/connect.ts";
import { openQueuePool } from "../store/job-queue.ts";
import { MigrationError, migrate, migrationState } from "../store/migrate.ts";
import { applicationRole, mayActAsApplication } from "../store/privileges.ts";
import type { Config } from "./config.ts";

// The only place where things are constructed. Everything below is handed what it needs.

type Surroundings = { readonly config: Config; readonly note: (text: string) => void };

/** The database server of this installation: the user's own, or the embedded one. */
export type Server = {
  readonly embedded: boolean;
  readonly version: string | undefined;
  readonly ownerUrl: string;
  readonly applicationUrl: string;
  stop(): Promise<void>;
};

/** Reach the database server, starting the embedded one unless another process already keeps it. */
async function startServer({ config, note }: Surroundings): Promise<Server> {
  if (config.databaseUrl) {
    const url = config.databaseUrl;
    return {
      embedded: false,
      version: undefined,
      ownerUrl: url,
      applicationUrl: url,
      stop: async () => {},
    };
  }
  mkdirSync(config.dataDir, { recursive: true });
  const server = await startEmbeddedPostgres({
    folder: join(config.dataDir, "postgres"),
    programs: config.postgresBin,
    note,
  });
  return {
    embedded: true,
    version: server.version,
    ownerUrl: server.urlOfOwner(),
    applicationUrl: server.urlOfApplication(),
    stop: () => server.stop(),
  };
}

/** Work that needs a database server, which ends with the work unless it was already there. */
export async function withServer<T>(
  surroundings: Surroundings,
  work: (server: Server) => Promise<T>,
): Promise<T> {
  const server = await startServer(surroundings);
  try {
    return await work(server);
  } finally {
    await server.stop();
  }
}

/** The Env that flows run on, over a database that is up to date. */
export type Opened = {
  readonly env: Env;
  readonly server: Server;
  /** Connections for the queue of jobs, opened when first asked for. */
  queue(): ReturnType<typeof openQueuePool>;
  close(): Promise<void>;
};

/** Open the installation: server, migrations, store. Other people's databases are migrated only by `tallyline migrate` and `up`. */
export async function open(
  surroundings: Surroundings & { readonly migrateAlways?: boolean },
): Promise<Opened> {
  const { config } = surroundings;
  const server = await startServer(surroundings);
  try {
    if (server.embedded || surroundings.migrateAlways) await migrate(server.ownerUrl);
    else await refusePending(server.ownerUrl);
    const role = server.embedded ? undefined : await applicationRoleOf(server.ownerUrl);
    // Poolers hand out connections per transaction, and names prepared on one are missing on the next.
    const unnamedStatements = !server.embedded && !config.namedStatements;
    const store = openStore(server.applicationUrl, {
      connectionsMax: config.connectionsMax,
      role,
      unnamedStatements,
    });
    let queue: ReturnType<typeof openQueuePool> | undefined;
    const ingest = openIngest(store, { unnamedStatements });
    const clock = systemClock();
    const random = systemRandom();
    return {
      env: {
        store,
        now: () => clock.now(),
        id: idMaker(clock, random),
        random,
        pepper: config.pepper ?? pepperOf(config.dataDir),
        ingest,
        payments: config.payments && httpPayments(config.payments),
      },
      server,
      queue() {
        queue ??= openQueuePool(server.applicationUrl, { role });
        return queue;
      },
      async close() {
        await ingest.close();
        await queue?.end();
        await store.db.destroy();
        await server.stop();
      },
    };
  } catch (error) {
    await server.stop();
    throw error;
  }
}

/** The pepper of this installation, made at its first start. Losing it makes every API key invalid: back it up. */
function pepperOf(dataDir: string): Uint8Array {
  const file = join(dataDir, "pepper");
  mkdirSync(dataDir, { recursive: true });
  try {
    const fresh = Buffer.from(systemRandom().bytes(32)).toString("hex");
    writeFileSync(file, fresh, { flag: "wx", mode: 0o600 });
  } catch (error) {
    if ((error as { code?: string }).code !== "EEXIST") throw error;
  }
  return Buffer.from(readFileSync(file, "utf8").trim(), "hex");
}

/** The role with few rights, where the server of the user has it and lets us act as it. */
async function applicationRoleOf(url: string): Promise<string | undefined> {
  const pool = openPool(url, { connectionsMax: 1 });
  try {
    return (await mayActAsApplication(pool)) ? applicationRole : undefined;
  } finally {
    await pool.end();
  }
}

async function refusePending(url: string): Promise<void> {
  const { pending } = await migrationState(url);
  if (pending.length > 0) {
    throw new MigrationError(
      `${pending.length} migrations have not run yet (first ${pending[0]}). Run tallyline migrate.`,
    );
  }
}

/** What most commands do: open the installation, work on it, close it. */
export async function withEnv<T>(
  surroundings: Surroundings,
  work: (env: Env) => Promise<T>,
): Promise<T> {
  const opened = await open(surroundings);
  try {
    return await work(opened.env);
  } finally {
    await opened.close();
  }
}
