import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startEmbeddedPostgres } from "../../src/gateways/embedded-postgres/index.ts";
import { startJobs } from "../../src/jobs/worker.ts";
import { openStore } from "../../src/store/connect.ts";
import { openQueuePool } from "../../src/store/job-queue.ts";
import { askForJob } from "../../src/store/jobs.ts";
import { migrate } from "../../src/store/migrate.ts";
import { type TestEnv, testEnv } from "../harness/database.ts";
import { testPrograms } from "../harness/server.ts";

let env: TestEnv;
beforeAll(async () => {
  env = await testEnv({ at: "2025-01-01T00:00:00Z" });
});
afterAll(() => env.close());

async function until(read: () => Promise<boolean>, what: string): Promise<void> {
  for (let i = 0; i < 300; i++) {
    if (await read()) return;
    await sleep(100);
  }
  throw new Error(`waited in vain until ${what}`);
}

test("the database is stopped and started again in the middle of a job: it is done, and so is the next", async () => {
  const folder = mkdtempSync(join(tmpdir(), "tallyline-jobs-"));
  // A durable one: a throw-away server forgets its last commits when it stops.
  const begin = () => startEmbeddedPostgres({ folder, programs: testPrograms() });
  let server = await begin();
  await migrate(server.urlOfOwner());
  const store = openStore(server.urlOfApplication());
  const queue = openQueuePool(server.urlOfApplication());
  const runs: string[] = [];
  let restart: Promise<void> | undefined;
  const jobs = startJobs(
    { ...env, store },
    {
      queue,
      schedules: [],
      leaseMs: 2_000,
      handlers: {
        "forget-answers": async () => {
          runs.push("began");
          if (restart === undefined) {
            restart = server.stop().then(async () => {
              server = await begin();
            });
            await restart;
          }
          runs.push("ended");
        },
      },
    },
  );
  try {
    await askForJob(store.db, { name: "forget-answers" });
    const count = async () => {
      const { rows } = await queue.query<{ n: number }>(
        "select count(*)::int as n from graphile_worker._private_jobs",
      );
      return rows[0]?.n;
    };
    await until(async () => runs.length > 0, "it begins");
    await until(
      () =>
        count()
          .then((n) => n === 0)
          .catch(() => false),
      "it is done",
    );
    expect(runs.slice(0, 2)).toEqual(["began", "ended"]);
    const before = runs.length;
    await askForJob(store.db, { name: "forget-answers" });
    await until(async () => runs.length === before + 2, "the next one runs");
    await until(() => count().then((n) => n === 0), "it is done");
  } finally {
    await jobs.stop();
    await queue.end();
    await store.db.destroy();
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  }
});
