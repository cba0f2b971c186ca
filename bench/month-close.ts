// Month close: `npm run bench -- month-close [--quick]`. Promise: 500 invoices a second with 10,000 accounts of five SKUs and
// 1 M events, verification from the raw events included, and linear from 1,000 to 20,000 accounts.
//
// What runs is the billing run itself: collect, calculate, verify, issue, settle, by worker processes that share it. Beside it
// stands the raw limit of the same database in the same run: the same rows of every table that a run writes, put by COPY
// into tables with the same keys, on as many connections as there are workers.
import { fork } from "node:child_process";
import { once } from "node:events";
import { cpus } from "node:os";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type pg from "pg";
import copyStreams from "pg-copy-streams";
import {
  collectBillingRun,
  readBillingRun,
  startBillingRun,
  workBillingRun,
} from "../src/flows/billing-run.ts";
import {
  aMonth,
  closingAt,
  machine,
  median,
  type Month,
  row,
  say,
  skuCount,
  whole,
} from "./month.ts";
import { workerEnv } from "./worker-env.ts";

const quick = process.argv.includes("--quick");
const sizes =
  process.env["BENCH_ACCOUNTS"]?.split(",").map(Number) ??
  (quick ? [1_000, 2_000] : [1_000, 5_000, 10_000, 20_000]);
const eventsEach = 100;
const repeats = Number(process.env["BENCH_REPEATS"] ?? (quick ? 3 : 5));
const workerCount = Number(process.env["BENCH_WORKERS"] ?? cpus().length);
/** The tables that a run writes, each with a column that halves its rows. */
const written = {
  invoice: "invoice_id",
  invoice_line: "invoice_id",
  mail_outbox: "message_id",
  billing_run_item: "account_id",
  ledger_transaction: "transaction_id",
  ledger_posting: "transaction_id",
};

type Sample = {
  readonly rate: number;
  /** CPU seconds of all processes of Node, and of PostgreSQL. */
  readonly node: number;
  readonly postgres: number;
};

if (process.argv[2] === "worker") await work(process.argv[3] as string);
else await measureAll();

async function measureAll(): Promise<void> {
  const costs: { accounts: number; cpu: number }[] = [];
  for (const accounts of sizes) {
    const month = await aMonth(accounts, eventsEach);
    const workers = await Promise.all(
      Array.from({ length: workerCount }, () => startWorker(month.url)),
    );
    try {
      if (costs.length === 0)
        say(
          `${machine(month)}\n` +
            `npm run bench -- month-close${quick ? " --quick" : ""} · ${workerCount} workers on the same cores · median of ${repeats}, spread\n`,
        );
      costs.push({ accounts, cpu: await measure(month, workers) });
    } finally {
      await Promise.all(workers.map((worker) => worker.stop()));
      await month.remove();
    }
  }
  const [first] = costs;
  for (const { accounts, cpu } of costs.slice(1))
    say(
      `${whole(accounts)} accounts against ${whole(first?.accounts ?? 0)}: ${(cpu / (first?.cpu ?? Number.NaN)).toFixed(2)} × the CPU time an invoice (linear: 1.00)`,
    );
}

async function measure(month: Month, workers: readonly Worker[]): Promise<number> {
  const { accounts, events, builtInSeconds } = month;
  const samples: Sample[] = [];
  const raw: number[] = [];
  await closeMonth(month, workers);
  for (let n = 0; n < repeats; n++) {
    samples.push(await closeMonth(month, workers));
    raw.push(await rawLimit(month));
  }
  const two = (value: number) => value.toFixed(2);
  const cpu = samples.map(({ node, postgres }) => ((node + postgres) * 1e6) / accounts);
  say(
    `${whole(accounts)} accounts × ${skuCount} SKUs, ${whole(events)} events (built in ${whole(builtInSeconds)} s)`,
  );
  row(
    "invoices, verified and issued",
    samples.map((one) => one.rate),
    "/s",
  );
  row("raw: COPY of the same rows", raw, "/s");
  row(
    "  against raw",
    samples.map((one, n) => one.rate / (raw[n] as number)),
    "×",
    two,
  );
  row("CPU time an invoice, all processes", cpu, "µs");
  row(
    "  of it Node",
    samples.map((one) => (one.node * 1e6) / accounts),
    "µs",
  );
  row(
    "  of it PostgreSQL",
    samples.map((one) => (one.postgres * 1e6) / accounts),
    "µs",
  );
  say();
  return median(cpu);
}

/** One month closed, from the first account looked at to the last invoice settled. */
async function closeMonth(month: Month, workers: readonly Worker[]): Promise<Sample> {
  const { env, owner, accounts } = month;
  await owner.query(
    `truncate ${Object.keys(written).join(", ")}, invoice_series, billing_run cascade`,
  );
  await owner.query("checkpoint");
  const postgres = month.postgresSeconds();
  const own = process.cpuUsage();
  const began = performance.now();
  const { runId } = await startBillingRun(env, {
    orgId: null,
    asOf: env.now(),
    createdBy: "bench",
  });
  await collectBillingRun(env, runId);
  const seconds = await Promise.all(workers.map((worker) => worker.finish(runId)));
  const took = (performance.now() - began) / 1000;
  const { user, system } = process.cpuUsage(own);
  const { status, counts } = await readBillingRun(env, runId);
  const issued = counts.find((one) => one.status === "issued")?.count ?? 0;
  if (status !== "closed" || issued !== accounts)
    throw new Error(`the run is ${status} with ${JSON.stringify(counts)}`);
  return {
    rate: accounts / took,
    node: seconds.reduce((sum, one) => sum + one, (user + system) / 1e6),
    postgres: month.postgresSeconds() - postgres,
  };
}

/** Invoices a second when nothing is worked out: the rows of the last run, by COPY, into tables with the same keys. */
async function rawLimit({ owner, accounts }: Month): Promise<number> {
  const clients = await Promise.all([owner.connect(), owner.connect()]);
  const [first] = clients;
  try {
    const rows = new Map<string, Buffer[][]>();
    for (const [table, key] of Object.entries(written)) {
      await first.query(`drop table if exists raw_${table}`);
      await first.query(`create table raw_${table} (like ${table} including all)`);
      rows.set(table, await Promise.all([0, 1].map((half) => copyOut(first, table, key, half))));
    }
    await first.query("checkpoint");
    const began = performance.now();
    await Promise.all(
      clients.map(async (client, half) => {
        await client.query("begin");
        for (const [table, halves] of rows)
          await pipeline(
            Readable.from(halves[half] ?? []),
            client.query(copyStreams.from(`copy raw_${table} from stdin (format binary)`)),
          );
        await client.query("commit");
      }),
    );
    return accounts / ((performance.now() - began) / 1000);
  } finally {
    for (const client of clients) client.release();
  }
}

async function copyOut(
  client: pg.PoolClient,
  table: string,
  key: string,
  half: number,
): Promise<Buffer[]> {
  const stream = client.query(
    copyStreams.to(
      `copy (select * from ${table} where (hashtext(${key}) & 1) = ${half}) to stdout (format binary)`,
    ),
  );
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return chunks;
}

type Worker = {
  /** Work on a run until nothing is left; the CPU seconds it took. */
  finish(runId: string): Promise<number>;
  stop(): Promise<void>;
};

async function startWorker(url: string): Promise<Worker> {
  const child = fork(new URL(import.meta.url), ["worker", url], { execArgv: process.execArgv });
  const answer = async (): Promise<{ seconds: number }> => {
    const ended = once(child, "exit").then(([code]) => {
      throw new Error(`a worker ended with ${code}`);
    });
    ended.catch(() => {});
    return ((await Promise.race([once(child, "message"), ended])) as [{ seconds: number }])[0];
  };
  await answer();
  return {
    async finish(runId) {
      child.send(runId);
      return (await answer()).seconds;
    },
    async stop() {
      const gone = once(child, "exit");
      child.disconnect();
      await gone;
    },
  };
}

async function work(url: string): Promise<void> {
  const env = workerEnv(url, closingAt);
  const finish = async (runId: string): Promise<void> => {
    const before = process.cpuUsage();
    while ((await workBillingRun(env, runId)) > 0);
    const { user, system } = process.cpuUsage(before);
    process.send?.({ seconds: (user + system) / 1e6 });
  };
  process.on("message", (runId: string) => void finish(runId));
  process.once("disconnect", () => void env.store.db.destroy());
  process.send?.({ seconds: 0 });
}
