// Month close: collect, calculate, verify by the second path, issue. TALLYLINE_BENCH_ACCOUNTS=1000 for a quick look.
//   node --import tsx bench/month-close.ts
import { fork } from "node:child_process";
import { cpus } from "node:os";
import {
  collectBillingRun,
  readBillingRun,
  startBillingRun,
  workBillingRun,
} from "../src/flows/billing-run.ts";
import { aMonth, spread } from "./month.ts";

const accounts = Number(process.env["TALLYLINE_BENCH_ACCOUNTS"] ?? 10_000);
const runs = Number(process.env["TALLYLINE_BENCH_RUNS"] ?? 5);
const workers = Number(process.env["TALLYLINE_BENCH_WORKERS"] ?? 2);
const batch = Number(process.env["TALLYLINE_BENCH_BATCH"] ?? 200);
const eventsPerAccount = 100;

if (process.argv[2] === "worker") await work();
else await measure();

async function measure(): Promise<void> {
  const month = await aMonth(accounts, eventsPerAccount);
  const rates: number[] = [];
  try {
    for (let run = 1; run <= runs; run++) {
      await month.owner.query(
        "truncate invoice_line, invoice, invoice_series, billing_run_item, billing_run",
      );
      const startedAt = performance.now();
      const { runId } = await startBillingRun(month.env, {
        orgId: null,
        asOf: month.env.now(),
        createdBy: "bench",
      });
      await collectBillingRun(month.env, runId);
      const others = Array.from({ length: workers - 1 }, () => forked(month.url, runId));
      while ((await workBillingRun(month.env, runId, batch)) > 0);
      await Promise.all(others);
      const seconds = (performance.now() - startedAt) / 1000;
      const { status, counts } = await readBillingRun(month.env, runId);
      if (status !== "closed" || counts[0]?.count !== accounts)
        throw new Error(`the run ended ${status}: ${JSON.stringify(counts)}`);
      rates.push(accounts / seconds);
      console.log(`run ${run}: ${Math.round(accounts / seconds)} invoices/s`);
    }
  } finally {
    await month.stop();
  }
  console.log(
    `month close, ${accounts} accounts × 5 SKUs, ${month.events} events, ${workers} processes on ${cpus().length} × ${cpus()[0]?.model}\n` +
      `invoices/s, verification included: ${spread(rates)}; promised 500`,
  );
}

function forked(url: string, runId: string): Promise<void> {
  const child = fork(new URL(import.meta.url), ["worker", url, runId], {
    execArgv: ["--import", "tsx"],
  });
  return new Promise((resolve, reject) =>
    child.once("exit", (code) =>
      code === 0 ? resolve() : reject(new Error(`a worker ended with ${code}`)),
    ),
  );
}

async function work(): Promise<void> {
  const [url, runId] = process.argv.slice(3) as [string, string];
  const { workerEnv } = await import("./worker-env.ts");
  const env = workerEnv(url, "2025-02-05T00:00:00Z");
  while ((await workBillingRun(env, runId, batch)) > 0);
  await env.store.db.destroy();
}
