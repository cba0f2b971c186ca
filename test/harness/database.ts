import { randomBytes } from "node:crypto";
import type pg from "pg";
import { inject } from "vitest";
import type { Env } from "../../src/flows/env.ts";
import { settableClock } from "../../src/kit/clock.ts";
import { idMaker } from "../../src/kit/ids.ts";
import { seededRandom } from "../../src/kit/random.ts";
import { type Instant, instant } from "../../src/kit/time.ts";
import { openPool, openStore, type Store } from "../../src/store/connect.ts";
import { createDatabase, dropDatabase, templateName } from "./databases.ts";

/** A database of one's own: migrated, empty, gone after `drop`. */
export type TestDatabase = {
  /** As the owner of the database. */
  readonly url: string;
  /** What the product sees: the role that serves requests, which cannot change what is written once. */
  readonly store: Store;
  /** What an intruder or a careless administrator sees: may change everything. For tests that tamper. */
  readonly owner: pg.Pool;
  drop(): Promise<void>;
};

/**
 * Clone the run's template (about 50 ms). Call it once per test file:
 *
 *     let database: TestDatabase;
 *     beforeAll(async () => { database = await freshDatabase(); });
 *     afterAll(() => database.drop());
 */
export async function freshDatabase(): Promise<TestDatabase> {
  return open(templateName);
}

/** The same without any table in it, for tests of migrations. */
export async function emptyDatabase(): Promise<TestDatabase> {
  return open(undefined);
}

/**
 * Keep a database as it is to begin others from it (`testEnv({ from })`): its connections are closed, so it is over as an Env.
 * `drop` is the last that is done with it.
 */
export async function asTemplate(env: TestEnv): Promise<{ name: string; drop(): Promise<void> }> {
  const admin = inject("testServer").owner.replace("database_name", "postgres");
  const name = new URL(env.url).pathname.slice(1);
  await env.owner.end();
  await env.store.db.destroy();
  return { name, drop: () => dropDatabase(admin, name) };
}

async function open(template: string | undefined): Promise<TestDatabase> {
  const server = inject("testServer");
  const admin = server.owner.replace("database_name", "postgres");
  const name = `test_${randomBytes(6).toString("hex")}`;
  await createDatabase(admin, name, template);
  const url = server.owner.replace("database_name", name);
  const store = openStore(server.application.replace("database_name", name));
  const owner = openPool(url, { connectionsMax: 2 });
  return {
    url,
    store,
    owner,
    async drop() {
      await owner.end();
      await store.db.destroy();
      await dropDatabase(admin, name);
    },
  };
}

/** An Env to hand to flows, with the levers a test needs beside it. */
export type TestEnv = Env & {
  readonly clock: { now(): Instant; set(to: Instant): void };
  /** Move the clock, written as RFC 3339. */
  at(text: string): void;
  readonly url: string;
  /** May change everything, also what is written once: for tests that tamper. */
  readonly owner: pg.Pool;
  close(): Promise<void>;
};

/**
 * An Env over a fresh database: time stands still until `at` or `clock.set`, ids and randomness repeat per seed.
 *
 *     let env: TestEnv;
 *     beforeAll(async () => { env = await testEnv(); });
 *     afterAll(() => env.close());
 */
export async function testEnv(
  options: { at?: string; seed?: number; from?: string } = {},
): Promise<TestEnv> {
  const database = await open(options.from ?? templateName);
  const clock = settableClock(instant(options.at ?? "2025-01-01T00:00:00Z"));
  const random = seededRandom(options.seed ?? 1);
  return {
    store: database.store,
    now: () => clock.now(),
    id: idMaker(clock, random),
    random,
    pepper: Buffer.alloc(32, 7),
    clock,
    at: (text) => clock.set(instant(text)),
    url: database.url,
    owner: database.owner,
    close: () => database.drop(),
  };
}
