import { readdir, readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import pg from "pg";
import { sha256Hex } from "../kit/hash.ts";
import { migrateQueue } from "./job-queue.ts";
import { grantQueueToApplication, grantToApplication } from "./privileges.ts";

/** One numbered SQL file. Once released it never changes: databases out there have run exactly this text. */
export type Migration = {
  readonly number: number;
  readonly name: string;
  readonly sql: string;
  readonly hash: string;
};

/** The database and the code do not fit together. The message says how to mend it. */
export class MigrationError extends Error {
  override readonly name = "MigrationError";
}

export type MigrationState = {
  readonly applied: readonly string[];
  readonly pending: readonly string[];
};

/** Beside this file in the sources and in the build alike. */
const shippedFolder = fileURLToPath(new URL("./migrations/", import.meta.url));
const fileName = /^(\d{4})-[a-z0-9-]+\.sql$/;
// Any number that nobody else takes advisory locks on: "tally" on a telephone.
const lockKey = 82559;

/** Read the migration files in order, and refuse names and numbers that would make the order a matter of luck. */
export async function readMigrations(folder: string = shippedFolder): Promise<Migration[]> {
  const names = (await readdir(folder)).filter((name) => name.endsWith(".sql")).toSorted();
  const migrations: Migration[] = [];
  for (const name of names) {
    const match = fileName.exec(name);
    if (!match) throw new MigrationError(`${folder}${name}: name it like 0007-what-it-adds.sql`);
    const number = Number(match[1]);
    const before = migrations.at(-1);
    if (before?.number === number) {
      throw new MigrationError(
        `${before.name} and ${name} carry the same number: give one the next free number`,
      );
    }
    const sql = await readFile(`${folder}/${name}`, "utf8");
    // A checkout with other line endings is still the same migration.
    migrations.push({ number, name, sql, hash: sha256Hex(sql.replaceAll("\r\n", "\n")) });
  }
  return migrations;
}

/**
 * Bring a database up to this code: each file that has not run yet, in order, in a transaction of its own. Processes that
 * start at the same time take turns; the later ones find the work done. Then the application's role gets its rights on what
 * is there now. Returns the names of the files that ran.
 */
export async function migrate(
  connectionString: string,
  migrations?: readonly Migration[],
): Promise<string[]> {
  const files = migrations ?? (await readMigrations());
  return withClient(connectionString, async (client) => {
    await inTransaction(client, () => client.query(bookkeeping));
    const ran: string[] = [];
    for (;;) {
      const done = await inTransaction(client, async () => {
        const next = pendingOf(files, await readApplied(client))[0];
        if (!next) return true;
        await runOne(client, next);
        ran.push(next.name);
        return false;
      });
      if (done) break;
    }
    // The queue keeps its own account of what has run, and processes that install it at once make way for each other.
    if (migrations === undefined) await migrateQueue(client, connectionString);
    await inTransaction(client, async () => {
      await grantToApplication(client);
      await grantQueueToApplication(client);
    });
    return ran;
  });
}

/** What has run and what has not, without changing anything. Throws when database and code do not fit. */
export async function migrationState(
  connectionString: string,
  migrations?: readonly Migration[],
): Promise<MigrationState> {
  const files = migrations ?? (await readMigrations());
  return withClient(connectionString, async (client) => {
    const { rows } = await client.query<{ there: boolean }>(
      "select to_regclass('public.migration') is not null as there",
    );
    const applied = rows[0]?.there ? await readApplied(client) : [];
    return {
      applied: applied.map((row) => row.name),
      pending: pendingOf(files, applied).map((file) => file.name),
    };
  });
}

const bookkeeping = `
  create table if not exists migration (
    number     integer primary key,
    name       text not null,
    hash       text not null,
    applied_at timestamptz not null
  )`;

type Applied = { readonly number: number; readonly name: string; readonly hash: string };

async function readApplied(client: pg.Client): Promise<Applied[]> {
  return (await client.query<Applied>("select number, name, hash from migration order by number"))
    .rows;
}

/** The files still to run, after checking that what did run is what we have. */
function pendingOf(files: readonly Migration[], applied: readonly Applied[]): Migration[] {
  const known = new Map(files.map((file) => [file.number, file]));
  for (const row of applied) {
    const file = known.get(row.number);
    if (!file) {
      throw new MigrationError(
        `the database is newer than this program: it has run ${row.name}, which this version does not know. ` +
          "Start the newer version again, or restore a backup from before its upgrade.",
      );
    }
    if (file.hash !== row.hash) {
      throw new MigrationError(
        `${file.name} was changed after it ran on this database. Put the released text back and write the change as a new file.`,
      );
    }
  }
  const last = applied.at(-1)?.number ?? 0;
  const ran = new Set(applied.map((row) => row.number));
  const pending = files.filter((file) => !ran.has(file.number));
  const late = pending.find((file) => file.number < last);
  if (late) {
    throw new MigrationError(
      `${late.name} comes before ${applied.at(-1)?.name}, which has already run on this database: give it a higher number.`,
    );
  }
  return pending;
}

async function runOne(client: pg.Client, migration: Migration): Promise<void> {
  try {
    await client.query(migration.sql);
  } catch (error) {
    const { message, position } = error as { message: string; position?: string };
    const line = position
      ? `, line ${migration.sql.slice(0, Number(position)).split("\n").length}`
      : "";
    throw new MigrationError(`${migration.name}${line}: ${message}. Nothing of it was kept.`, {
      cause: error,
    });
  }
  await client.query(
    "insert into migration (number, name, hash, applied_at) values ($1, $2, $3, clock_timestamp())",
    [migration.number, migration.name, migration.hash],
  );
}

async function withClient<T>(
  connectionString: string,
  work: (client: pg.Client) => Promise<T>,
): Promise<T> {
  const client = new pg.Client({ connectionString, application_name: "tallyline migrate" });
  // The error also rejects the query in flight; without a listener it would end the process.
  client.on("error", () => {});
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** The lock ends with the transaction, so it also holds behind a pooler that hands out connections per transaction. */
async function inTransaction<T>(client: pg.Client, work: () => Promise<T>): Promise<T> {
  await client.query("begin");
  try {
    await client.query("select pg_advisory_xact_lock($1)", [lockKey]);
    const result = await work();
    await client.query("commit");
    return result;
  } catch (error) {
    await client.query("rollback").catch(() => {});
    throw error;
  }
}
