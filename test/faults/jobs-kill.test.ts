import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { system } from "../../src/domain/audit/index.ts";
import { readUnits } from "../../src/domain/grants/index.ts";
import { giveGrant } from "../../src/flows/give-grant.ts";
import type { AccountId, OrganizationId } from "../../src/kit/ids.ts";
import { instant } from "../../src/kit/time.ts";
import { findAccount } from "../../src/store/accounts.ts";
import { jobLeaseMs, listJobStates } from "../../src/store/jobs.ts";
import { anAccount } from "../harness/billing.ts";
import { type TestEnv, testEnv } from "../harness/database.ts";
import { type Program, startProgram } from "../harness/program.ts";

let env: TestEnv;
const programs: Program[] = [];
beforeAll(async () => {
  env = await testEnv({ at: "2025-01-01T00:00:00Z" });
});
afterAll(async () => {
  for (const program of programs) await program.kill();
  await env.close();
});

async function until<T>(read: () => Promise<T | undefined | false>, what: string): Promise<T> {
  for (let i = 0; i < 900; i++) {
    const value = await read();
    if (value) return value;
    await sleep(100);
  }
  throw new Error(`waited in vain until ${what}`);
}

test("a worker is killed in the middle of a job: the other one does it after the lease, once", async () => {
  const acme = await anAccount(env);
  const account = await findAccount(
    env.store.db,
    acme.orgId as OrganizationId,
    acme.accountId as AccountId,
  );
  if (!account) throw new Error("no account");
  await giveGrant(env, system("test"), account, {
    denomination: { kind: "units", family: "SMS" },
    sku: null,
    origin: "promotion",
    quantity: readUnits("100"),
    priority: 50,
    validFrom: instant("2024-12-01T00:00:00Z"),
    expiresAt: instant("2025-01-02T00:00:00Z"),
  });
  // Whoever lets the units lapse comes to stand before this lock, with the job in hand.
  const holder = new pg.Client({ connectionString: env.url });
  await holder.connect();
  await holder.query("begin");
  await holder.query("select 1 from usage_head where account_id = $1 for update", [acme.accountId]);

  for (let i = 0; i < 2; i++) programs.push(await startProgram(env.url, env.pepper, 0, "work"));
  const owner = () =>
    env.owner
      .query<{ pid: number }>(
        `select w.pid from graphile_worker._private_jobs j join graphile_worker._private_tasks t on t.id = j.task_id
           join job_worker w on w.worker_id = j.locked_by
         where t.identifier = 'expire-grants' and exists (
           select from pg_stat_activity a where a.wait_event_type = 'Lock' and a.datname = current_database())`,
      )
      .then(({ rows }) => rows[0]?.pid);
  const pid = await until(owner, "one of them has it in hand");
  const victim = programs.find((program) => program.process.pid === pid);
  await victim?.kill();
  const killedAt = performance.now();
  await holder.query("rollback");
  await holder.end();

  const lapsed = async () =>
    (
      await env.owner.query<{ n: number }>(
        "select count(*)::int as n from grant_movement where org_id = $1 and kind = 'expired'",
        [acme.orgId],
      )
    ).rows[0]?.n ?? 0;
  await until(async () => (await lapsed()) > 0, "the other one has done it");
  expect(performance.now() - killedAt).toBeLessThan(jobLeaseMs * 4);
  const done = async () =>
    (await listJobStates(env.store.db)).find((job) => job.name === "expire-grants")?.succeededAt;
  await until(done, "it is noted as done");
  expect(await lapsed()).toBe(1);
  // The other one goes on living: it ends by itself when told to.
  const other = programs.find((program) => program !== victim) as Program;
  const ended = new Promise((resolve) => other.process.once("exit", resolve));
  other.process.kill("SIGTERM");
  expect(await ended).toBe(0);
});
