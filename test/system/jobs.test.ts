import { setTimeout as sleep } from "node:timers/promises";
import { sql } from "kysely";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { system } from "../../src/domain/audit/index.ts";
import { readUnits } from "../../src/domain/grants/index.ts";
import { giveGrant } from "../../src/flows/give-grant.ts";
import type { AccountId, OrganizationId } from "../../src/kit/ids.ts";
import { findAccount } from "../../src/store/accounts.ts";
import { findOrganization } from "../../src/store/organizations.ts";
import { moveTestClock } from "../../src/flows/manage-organizations.ts";
import { type Handler, handlers } from "../../src/jobs/handlers.ts";
import { type Schedule, schedules, slotAt } from "../../src/jobs/schedules.ts";
import { type Jobs, type JobsOptions, runJobNow, startJobs } from "../../src/jobs/worker.ts";
import { instant } from "../../src/kit/time.ts";
import { openQueuePool, queueRevision } from "../../src/store/job-queue.ts";
import { handOut, listJobStates, listJobWorkers } from "../../src/store/jobs.ts";
import { applicationRole } from "../../src/store/privileges.ts";
import { type Acme, aCatalog, anAccount, writeUsage } from "../harness/billing.ts";
import { type TestEnv, testEnv } from "../harness/database.ts";

let env: TestEnv;
let queue: ReturnType<typeof openQueuePool>;
const running: Jobs[] = [];
beforeAll(async () => {
  env = await testEnv({ at: "2025-01-31T12:00:30Z" });
  queue = openQueuePool(env.url, { role: applicationRole, connectionsMax: 8 });
});
afterEach(async () => {
  for (const jobs of running.splice(0)) await jobs.stop();
});
afterAll(async () => {
  await queue.end();
  await env.close();
});
beforeEach(async () => {
  env.at("2025-01-31T12:00:30Z");
  await env.owner.query("delete from job_schedule; delete from graphile_worker._private_jobs");
});

const minutely: Schedule[] = [
  { name: "expire-grants", everySeconds: 60 },
  { name: "forget-answers", everySeconds: 86_400, atSeconds: 3 * 3_600 },
];

/** Workers that never tick by themselves: the test says when. */
function start(over: Partial<JobsOptions> = {}): Jobs {
  const jobs = startJobs(env, { queue, schedules: [], tickMs: 3_600_000, ...over });
  running.push(jobs);
  return jobs;
}

const due = (list: readonly Schedule[]) =>
  handOut(
    env.store.db,
    list.map((one) => slotAt(one, env.now())),
  );
const waiting = async (): Promise<string[]> => {
  const { rows } = await env.owner.query<{ task: string }>(
    `select t.identifier as task from graphile_worker._private_jobs j
       join graphile_worker._private_tasks t on t.id = j.task_id order by 1`,
  );
  return rows.map((row) => row.task);
};
async function until(condition: () => Promise<boolean> | boolean, what: string): Promise<void> {
  for (let i = 0; i < 600; i++) {
    if (await condition()) return;
    await sleep(50);
  }
  throw new Error(`waited in vain until ${what}`);
}

describe("when things are due", () => {
  test("each schedule fires at its moments, and at no other", async () => {
    expect((await due(minutely)).toSorted()).toEqual(["expire-grants", "forget-answers"]);
    expect(await due(minutely)).toEqual([]);
    env.at("2025-01-31T12:00:59.999999Z");
    expect(await due(minutely)).toEqual([]);
    env.at("2025-01-31T12:01:00Z");
    expect(await due(minutely)).toEqual(["expire-grants"]);
    env.at("2025-02-01T02:59:59Z");
    expect(await due(minutely)).toEqual(["expire-grants"]);
    env.at("2025-02-01T03:00:00Z");
    expect((await due(minutely)).toSorted()).toEqual(["expire-grants", "forget-answers"]);
    const states = await listJobStates(env.store.db);
    expect(states.map((state) => state.nextAt)).toEqual([
      instant("2025-02-01T03:01:00Z"),
      instant("2025-02-02T03:00:00Z"),
    ]);
    // However often it fired before anybody worked, one job of a kind waits.
    expect(await waiting()).toEqual(["expire-grants", "forget-answers"]);
  });

  test("every line of the table fires when its slot comes", async () => {
    for (const schedule of schedules) {
      const { nextAt, slotAt: slot } = slotAt(schedule, env.now());
      expect(slot).toBeLessThanOrEqual(env.now());
      env.clock.set((nextAt - 1) as typeof nextAt);
      expect(await due([schedule])).toEqual([schedule.name]);
      expect(await due([schedule])).toEqual([]);
      env.clock.set(nextAt);
      expect(await due([schedule])).toEqual([schedule.name]);
    }
  });

  test("a clock that is set back hands nothing out twice", async () => {
    await due(minutely);
    env.at("2025-01-31T12:05:00Z");
    expect(await due(minutely)).toEqual(["expire-grants"]);
    for (const back of ["2025-01-31T12:04:59Z", "2025-01-31T11:00:00Z", "2025-01-31T12:05:59Z"]) {
      env.at(back);
      expect(await due(minutely)).toEqual([]);
    }
    env.at("2025-01-31T12:06:00Z");
    expect(await due(minutely)).toEqual(["expire-grants"]);
  });

  test("eight processes that look at once hand a slot out once", async () => {
    const handed = await Promise.all(Array.from({ length: 8 }, () => due(minutely)));
    expect(handed.flat().toSorted()).toEqual(["expire-grants", "forget-answers"]);
  });

  test("the queue that is installed is the one of the package", async () => {
    const { rows } = await env.owner.query<{ id: number }>(
      "select max(id) as id from graphile_worker.migrations",
    );
    expect(rows[0]?.id).toBe(queueRevision);
  });
});

describe("workers", () => {
  const counting = (work: () => Promise<void> = async () => {}) => {
    const seen = { runs: 0, atOnce: 0, mostAtOnce: 0 };
    const handler: Handler = async () => {
      seen.runs += 1;
      seen.atOnce += 1;
      seen.mostAtOnce = Math.max(seen.mostAtOnce, seen.atOnce);
      await work();
      seen.atOnce -= 1;
    };
    return { seen, handlers: { "expire-grants": handler } };
  };

  test("two processes run one job once, and never two of a kind at the same time", async () => {
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const { seen, handlers: counted } = counting(() => held);
    start({ handlers: counted });
    start({ handlers: counted });
    await due(minutely.slice(0, 1));
    await until(() => seen.runs === 1, "the job runs");
    // Twice due while it is in hand: that is once more.
    env.at("2025-01-31T12:01:00Z");
    await due(minutely.slice(0, 1));
    env.at("2025-01-31T12:02:00Z");
    await due(minutely.slice(0, 1));
    release();
    await until(async () => (await waiting()).length === 0, "nothing waits");
    expect(seen).toEqual({ runs: 2, atOnce: 0, mostAtOnce: 1 });
    const [state] = await listJobStates(env.store.db);
    expect(state).toMatchObject({ succeededAt: env.now(), failuresInRow: 0, failure: null });
  });

  test("a failure is written down, tried again, and forgotten by success", async () => {
    let runs = 0;
    const failing: Handler = async () => {
      runs += 1;
      if (runs === 1) throw new Error("the moon is wrong");
    };
    start({ handlers: { "expire-grants": failing } });
    await due(minutely.slice(0, 1));
    const state = async () => (await listJobStates(env.store.db))[0];
    await until(async () => (await state())?.failuresInRow === 1, "it failed");
    expect(await state()).toMatchObject({ failure: "the moon is wrong", failedAt: env.now() });
    await until(async () => (await state())?.succeededAt === env.now(), "it is tried again");
    expect(await state()).toMatchObject({ failuresInRow: 0 });
  });

  test("jobs of a process that is gone are done by another one after the lease", async () => {
    const { seen, handlers: counted } = counting();
    await due(minutely.slice(0, 1));
    // What a process leaves behind that was killed with the job in hand, and one that was replaced meanwhile.
    await env.owner.query(
      `update graphile_worker._private_jobs set locked_at = now(), locked_by = 'pool-dead', attempts = 1;
       update graphile_worker._private_job_queues set locked_at = now(), locked_by = 'pool-dead'`,
    );
    const startedAt = performance.now();
    start({ handlers: counted, leaseMs: 1_500 });
    await until(() => seen.runs === 1, "the other one does it");
    expect(performance.now() - startedAt).toBeGreaterThan(1_400);
    await until(async () => (await waiting()).length === 0, "nothing waits");
    expect(seen.runs).toBe(1);
  });

  test("a job in hand for longer than the lease stays in hand; one that only stands in our name does not", async () => {
    let release = () => {};
    const { seen, handlers: counted } = counting(
      () =>
        new Promise<void>((resolve) => {
          release = resolve;
        }),
    );
    // Three signs of life in a lease: long enough for a machine that has other things to do.
    start({ handlers: counted, leaseMs: 2_000 });
    start({ handlers: counted, leaseMs: 2_000 });
    await due(minutely.slice(0, 1));
    await until(() => seen.runs === 1, "the job runs");
    await sleep(5_000);
    expect(seen.runs).toBe(1);
    expect(await listJobWorkers(env.store.db, 10_000)).toHaveLength(2);
    const [worker] = (await env.owner.query("select locked_by from graphile_worker._private_jobs"))
      .rows as { locked_by: string }[];
    release();
    await until(async () => (await waiting()).length === 0, "it ends");
    // The answer that gave it to us was lost on the way.
    env.at("2025-01-31T12:01:00Z");
    await due(minutely.slice(0, 1));
    await until(() => seen.runs === 2, "the next one runs");
    release();
    await until(async () => (await waiting()).length === 0, "it ends");
    await env.owner.query(
      `insert into graphile_worker._private_jobs (task_id, locked_at, locked_by, attempts)
       select id, now(), $1, 1 from graphile_worker._private_tasks where identifier = 'expire-grants'`,
      [worker?.locked_by],
    );
    await until(() => seen.runs === 3, "the lost one is found");
    release();
    await until(async () => (await waiting()).length === 0, "it ends");
  });

  test("stopping takes up nothing new, ends what is under way, and leaves no trace of the process", async () => {
    const { seen, handlers: counted } = counting(() => sleep(300));
    const jobs = start({ handlers: counted });
    await due(minutely.slice(0, 1));
    await until(() => seen.runs === 1, "the job runs");
    await jobs.stop();
    running.length = 0;
    expect(seen.atOnce).toBe(0);
    expect(await waiting()).toEqual([]);
    env.at("2025-01-31T12:01:00Z");
    await due(minutely.slice(0, 1));
    await sleep(300);
    expect(seen.runs).toBe(1);
    expect(await listJobWorkers(env.store.db, 60_000)).toEqual([]);
  });

  test("connections that the server ends, all of them, are made anew and the work goes on", async () => {
    const { seen, handlers: counted } = counting(async () => {
      // The database ends in the middle of the job, with the word that it is done still to be given.
      if (seen.runs === 1)
        await env.owner.query(
          "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()",
        );
    });
    const told: string[] = [];
    start({ handlers: counted, leaseMs: 1_000, onFailure: (_, what) => told.push(what) });
    await due(minutely.slice(0, 1));
    await until(async () => (await waiting().catch(() => ["?"])).length === 0, "it is done");
    env.at("2025-01-31T12:01:00Z");
    const before = seen.runs;
    await due(minutely.slice(0, 1));
    await until(() => seen.runs > before, "the next one runs");
    await until(async () => (await waiting()).length === 0, "it is done");
  });

  test("run now is the scheduled job, done once", async () => {
    await due([{ name: "forget-answers", everySeconds: 60 }]);
    expect(await runJobNow(env, queue, "forget-answers")).toBe(true);
    expect(await waiting()).toEqual([]);
    const [state] = await listJobStates(env.store.db);
    expect(state).toMatchObject({ name: "forget-answers", succeededAt: env.now() });
  });
});

describe("what the jobs do", () => {
  const usage = `
    meters: [{ key: calls, name: Calls, event_type: call, aggregation: sum, value_property: n, unit: call }]
    skus: [{ code: CALLS, name: Calls, meter: calls }]
    price_books: [{ code: retail-usd, name: Retail, currency: USD }]
    prices: [{ book: retail-usd, sku: CALLS, effective_from: 2020-01-01T00:00:00Z, currency: USD, model: per_unit, unit_amount: "0.01" }]`;
  const stopping = new AbortController().signal;
  const given = (payload = {}) => ({ payload, stopping });
  const invoices = async (orgId: string): Promise<number> => {
    const { rows } = await sql<{ n: number }>`
      select count(*)::int as n from invoice where org_id = ${orgId}`.execute(env.store.db);
    return rows[0]?.n ?? 0;
  };
  const runs = async (): Promise<number> => {
    const { rows } = await sql<{ n: number }>`select count(*)::int as n from billing_run`.execute(
      env.store.db,
    );
    return rows[0]?.n ?? 0;
  };

  test("a period is invoiced when its window closes, once, and a sandbox at its own time", async () => {
    await aCatalog(env, usage);
    const acme = await anAccount(env, { slug: "acme-jobs" });
    const box = await anAccount(env, { slug: "box-jobs" });
    for (const of of [acme, box])
      await writeUsage(
        env,
        of,
        [{ time: "2025-01-10T00:00:00Z", type: "call", data: { n: "700" } }],
        ({ data }) => ({ calls: data["n"] as string }),
      );
    await env.owner.query("update organization set test_clock_at = $2 where org_id = $1", [
      box.orgId,
      "2025-01-31T00:00:00Z",
    ]);
    const bill = handlers["bill-finalized-periods"];
    env.at("2025-02-03T23:59:59Z");
    await bill(env, given());
    expect([await invoices(acme.orgId), await runs()]).toEqual([0, 0]);

    env.at("2025-02-04T00:00:00Z");
    await Promise.all([bill(env, given()), bill(env, given())]);
    await bill(env, given());
    expect(await invoices(acme.orgId)).toBe(1);
    expect(await invoices(box.orgId)).toBe(0);
    const opened = await runs();
    await bill(env, given());
    expect(await runs()).toBe(opened);

    // The sandbox's clock passes the end of its window: its job is there when the move is, and bills at that time.
    const placed = await findOrganization(env.store.db, box.orgId);
    if (!placed) throw new Error("the sandbox is gone");
    await moveTestClock(env, system("test"), placed.organization, instant("2025-02-10T00:00:00Z"));
    expect(await waiting()).toEqual(["keep-sandbox-time"]);
    start();
    await until(async () => (await waiting()).length === 0, "it is done");
    expect(await invoices(box.orgId)).toBe(1);
    const { rows } = await env.owner.query<{ at: string }>(
      "select issued_at::text as at from invoice where org_id = $1",
      [box.orgId],
    );
    expect(instant((rows[0]?.at ?? "").replace(" ", "T"))).toBe(instant("2025-02-10T00:00:00Z"));
  });

  const aGrant = async (of: Acme) => {
    const account = await findAccount(
      env.store.db,
      of.orgId as OrganizationId,
      of.accountId as AccountId,
    );
    if (!account) throw new Error("no account");
    await giveGrant(env, system("test"), account, {
      denomination: { kind: "units", family: "SMS" },
      sku: null,
      origin: "promotion",
      quantity: readUnits("100"),
      priority: 50,
      validFrom: instant("2024-01-01T00:00:00Z"),
      expiresAt: instant("2024-12-01T00:00:00Z"),
    });
  };

  test("units lapse by the clock of whoever holds them", async () => {
    const real = await anAccount(env, { slug: "real-units" });
    const box = await anAccount(env, { slug: "box-units" });
    await env.owner.query("update organization set test_clock_at = $2 where org_id = $1", [
      box.orgId,
      "2024-06-01T00:00:00Z",
    ]);
    for (const of of [real, box]) await aGrant(of);
    const lapsed = async (orgId: string) =>
      (
        await env.owner.query<{ n: number }>(
          "select count(*)::int as n from grant_movement where org_id = $1 and kind = 'expired'",
          [orgId],
        )
      ).rows[0]?.n;
    await handlers["expire-grants"](env, given());
    await handlers["expire-grants"](env, given());
    expect([await lapsed(real.orgId), await lapsed(box.orgId)]).toEqual([1, 0]);
    await env.owner.query("update organization set test_clock_at = $2 where org_id = $1", [
      box.orgId,
      "2025-01-01T00:00:00Z",
    ]);
    await handlers["keep-sandbox-time"](env, given({ orgId: box.orgId }));
    expect([await lapsed(real.orgId), await lapsed(box.orgId)]).toEqual([1, 1]);
  });
});
