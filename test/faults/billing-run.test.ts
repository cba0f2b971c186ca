import { type ChildProcess, spawn } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  collectBillingRun,
  finishBillingRun,
  readBillingRun,
  resumeBillingRun,
  startBillingRun,
} from "../../src/flows/billing-run.ts";
import { verifyInvoice } from "../../src/flows/verify-invoice.ts";
import type { Env } from "../../src/flows/env.ts";
import { canonicalJson } from "../../src/kit/canonical-json.ts";
import { formatInstant } from "../../src/kit/time.ts";
import { pageRunItems } from "../../src/store/billing-runs.ts";
import { pageInvoices } from "../../src/store/invoices.ts";
import { aCatalog, anAccount, type Acme, writeUsage } from "../harness/billing.ts";
import { type TestEnv, testEnv } from "../harness/database.ts";
import { crashAfter } from "./crash-after.ts";

const catalog = `
meters:
  - { key: calls, name: Calls, event_type: call, aggregation: sum, value_property: n, value_kind: integer, unit: call }
price_books: [{ code: retail-usd, name: Retail, currency: USD }]
skus: [{ code: API, name: API calls, meter: calls }]
prices:
  - { book: retail-usd, sku: API, effective_from: "2024-01-01T00:00:00Z", model: per_unit, currency: USD, unit_amount: "0.01" }
`;

async function accounts(env: TestEnv, count: number): Promise<Acme[]> {
  await aCatalog(env, catalog);
  const made: Acme[] = [];
  let orgId: string | undefined;
  for (let i = 0; i < count; i++) {
    const of = await anAccount(env, { slug: `a${i}`, ...(orgId ? { orgId } : {}) });
    orgId ??= of.orgId;
    made.push(of);
    await writeUsage(
      env,
      of,
      [{ time: "2025-01-10T00:00:00Z", type: "call", data: { n: String(100 + i) } }],
      ({ data }) => ({ calls: data["n"] ?? "0" }),
    );
  }
  return made;
}

const start = (env: Env) =>
  startBillingRun(env, { orgId: null, asOf: env.now(), createdBy: "test" });

const numbersOf = async (env: TestEnv): Promise<string[]> => {
  const { rows } = await env.owner.query<{ number: string }>(
    "select number from invoice where kind = 'invoice' order by number",
  );
  return rows.map((row) => row.number);
};
const upTo = (count: number) =>
  Array.from({ length: count }, (_, i) => `INV-${String(i + 1).padStart(6, "0")}`);

describe("a thousand invoices by eight workers, one of which is killed whenever a hundred more are there", () => {
  let env: TestEnv;
  const countMax = 1000;
  beforeAll(async () => {
    env = await testEnv({ at: "2025-02-04T00:00:00Z" });
    await accounts(env, countMax);
  });
  afterAll(() => env.close());

  test("get the numbers 1 to 1,000, each once", async () => {
    const { runId } = await start(env);
    await collectBillingRun(env, runId);
    const script = new URL("./billing-run-worker.mjs", import.meta.url).pathname;
    // In the order in which they were last heard of: the last one is in the middle of its work.
    let heard: ChildProcess[] = [];
    const workers = new Set<ChildProcess>();
    const launch = () => {
      const worker = spawn(process.execPath, [script, env.url, runId, formatInstant(env.now())], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      workers.add(worker);
      worker.stdout.on("data", () => {
        heard = [...heard.filter((one) => one !== worker), worker];
      });
    };
    const issued = async () =>
      Number((await env.owner.query("select count(*) from invoice")).rows[0].count);
    for (let n = 0; n < 8; n++) launch();
    let killed = 0;
    try {
      for (let before = 0; (await readBillingRun(env, runId)).status !== "closed"; ) {
        await sleep(20);
        const count = await issued();
        const victim = heard.at(-1);
        if (count - before < 100 || !victim) continue;
        before = count;
        victim.kill("SIGKILL");
        workers.delete(victim);
        heard = heard.filter((one) => one !== victim);
        killed += 1;
        launch();
      }
    } finally {
      for (const worker of workers) worker.kill("SIGKILL");
    }
    expect(killed).toBeGreaterThan(4);
    expect(await numbersOf(env)).toEqual(upTo(countMax));
    const { rows } = await env.owner.query(
      "select account_id from invoice group by account_id having count(*) <> 1",
    );
    expect(rows).toEqual([]);
  }, 300_000);
});

describe("a run that dies after any statement", () => {
  test("ends, run again, as if it had never died", async () => {
    let expected: string | undefined;
    for (let n = 0; ; n++) {
      const env = await testEnv({ at: "2025-02-04T00:00:00Z" });
      try {
        await accounts(env, 3);
        const { runId } = await start(env);
        let died = false;
        if (n > 0) {
          const crashing = crashAfter(env.url, n);
          died = await finishBillingRun({ ...env, store: crashing.store }, runId).then(
            () => false,
            () => true,
          );
          await crashing.end();
        }
        // The server may still be finding out that the dead worker is gone, and hold its rows meanwhile.
        while ((await finishBillingRun(env, runId)).status === "running") await sleep(20);
        const state = await endState(env, runId);
        expected ??= state;
        expect(state, `after statement ${n}`).toBe(expected);
        if (n > 0 && !died) {
          expect(n).toBeGreaterThan(15);
          break;
        }
      } finally {
        await env.close();
      }
    }
  }, 600_000);

  // All that anybody can see afterwards, except ids, which are made anew each time.
  async function endState(env: TestEnv, runId: string): Promise<string> {
    const { rows } = await env.owner.query(
      `select a.slug, i.number, i.status, i.total_minor::text as total, i.period_starts_at::text as starts,
              (select count(*)::text from invoice_line l where l.invoice_id = i.invoice_id) as lines,
              (select last_number::text from invoice_series) as last_number
       from invoice i join billing_account a using (org_id, account_id) order by i.number`,
    );
    const { status, counts } = await readBillingRun(env, runId);
    return canonicalJson({ rows, status, counts });
  }
});

describe("a blocked account", () => {
  let env: TestEnv;
  let all: Acme[];
  beforeAll(async () => {
    env = await testEnv({ at: "2025-02-04T00:00:00Z" });
    all = await accounts(env, 5);
  });
  afterAll(() => env.close());

  test("one cent in a stored rollup parks that account and names it and its line; the others go on", async () => {
    const victim = all[2] as Acme;
    await env.owner.query("update usage_rollup set total = total + 1 where account_id = $1", [
      victim.accountId,
    ]);
    const { runId } = await start(env);
    const report = await finishBillingRun(env, runId);
    expect(report.status).toBe("blocked");
    expect(await numbersOf(env)).toEqual(upTo(4));
    const [item] = await pageRunItems(env.store.db, runId, { status: "blocked", limit: 10 });
    expect(item?.accountId).toBe(victim.accountId);
    expect(item?.step).toBe("verify");
    expect(item?.blockers.map((blocker) => blocker.detail)).toContain(
      "account a2, line 1, API, amount: the rollups give 1.03, the raw events 1.02; an override mends the rollups",
    );

    await resumeBillingRun(env, runId, victim, null);
    expect((await finishBillingRun(env, runId)).status).toBe("blocked");

    await env.owner.query("update usage_rollup set total = total - 1 where account_id = $1", [
      victim.accountId,
    ]);
    await resumeBillingRun(env, runId, victim, null);
    expect((await finishBillingRun(env, runId)).status).toBe("closed");
    expect(await numbersOf(env)).toEqual(upTo(5));
    for (const invoice of await pageInvoices(env.store.db, { orgId: victim.orgId, limit: 10 }))
      expect((await verifyInvoice(env, victim.orgId, invoice.invoiceId)).isMatch).toBe(true);
  });

  test("events in quarantine hold up the period they belong to, until somebody says go on and why", async () => {
    env.at("2025-03-04T00:00:00Z");
    const [first] = all as [Acme];
    await writeUsage(
      env,
      first,
      [{ time: "2025-02-10T00:00:00Z", type: "call", data: { n: "7" } }],
      () => ({ calls: "7" }),
    );
    await env.owner.query(
      `insert into usage_quarantine (org_id, event_key, reason, detail, event, received_at)
       values ($1, gen_random_uuid(), 'unknown_meter', 'no meter', $2::json, now())`,
      [first.orgId, JSON.stringify({ time: "2025-02-11T00:00:00Z", subject: first.projectId })],
    );
    const { runId } = await start(env);
    expect((await finishBillingRun(env, runId)).status).toBe("blocked");
    await resumeBillingRun(env, runId, first, {
      kind: "quarantine",
      reason: "a test event of the customer",
      by: "sam",
    });
    expect((await finishBillingRun(env, runId)).status).toBe("closed");
    const items = await pageRunItems(env.store.db, runId, { limit: 10 });
    const item = items.find((one) => one.accountId === first.accountId);
    expect(items.map((one) => one.status).toSorted()).toEqual([
      "issued",
      ...Array.from({ length: 4 }, () => "nothing"),
    ]);
    expect(item?.overrides).toMatchObject([
      { kind: "quarantine", reason: "a test event of the customer", by: "sam" },
    ]);
  });

  test("a second run over the same month issues nothing", async () => {
    const before = await numbersOf(env);
    const { runId } = await start(env);
    const { status, counts } = await finishBillingRun(env, runId);
    expect(status).toBe("closed");
    expect(counts.filter((one) => one.status !== "nothing")).toEqual([]);
    expect(await numbersOf(env)).toEqual(before);
  });
});
