// Replay: every account's month rated again from its raw events, by the second path, without the rollups.
//   node --import tsx bench/replay.ts      TALLYLINE_BENCH_ACCOUNTS=1000 for a quick look.
import { cpus } from "node:os";
import { periodAt } from "../src/domain/invoicing/index.ts";
import { checkDrafts } from "../src/flows/check-drafts.ts";
import { draftInvoices } from "../src/flows/draft-invoices.ts";
import { instant } from "../src/kit/time.ts";
import { getCatalog } from "../src/store/catalog.ts";
import { listAccountsToInvoice, pageAccountKeys } from "../src/store/invoice-facts.ts";
import { snapshot } from "../src/store/transaction.ts";
import { aMonth, row } from "./month.ts";

const accounts = Number(process.env["TALLYLINE_BENCH_ACCOUNTS"] ?? 1_000);
const perAccount = Number(process.env["TALLYLINE_BENCH_EVENTS"] ?? 1_000);
const runs = Number(process.env["TALLYLINE_BENCH_RUNS"] ?? 5);
const parallel = cpus().length;

const month = await aMonth(accounts, perAccount);
const rates: number[] = [];
try {
  const { env } = month;
  const catalog = await getCatalog(env.store);
  const keys = await pageAccountKeys(env.store.db, { limit: accounts });
  const of = await listAccountsToInvoice(env.store.db, keys);
  const size = Math.ceil(of.length / parallel);
  const parts = Array.from({ length: parallel }, (_, i) => of.slice(i * size, (i + 1) * size));
  for (let run = 1; run <= runs; run++) {
    let seconds = 0;
    await Promise.all(
      parts.map((part) =>
        snapshot(env.store.db, async (db) => {
          const drafted = await draftInvoices(
            db,
            catalog,
            part.map((one) => ({
              of: one,
              period: periodAt(one.account.calendar, instant("2025-01-15T00:00:00Z")),
            })),
          );
          const startedAt = performance.now();
          const differing = (await checkDrafts(db, drafted)).flat();
          seconds = Math.max(seconds, (performance.now() - startedAt) / 1000);
          if (differing.length > 0) throw new Error(`${differing.length} lines differ`);
        }),
      ),
    );
    rates.push(month.events / seconds);
    console.log(
      `run ${run}: ${Math.round(month.events / seconds).toLocaleString("en-US")} events/s`,
    );
  }
} finally {
  await month.remove();
}
console.log(
  `replay of ${month.events} raw events of ${accounts} accounts on ${cpus().length} × ${cpus()[0]?.model}; promised 1,000,000/s`,
);
row("events rated again and compared", rates, "/s");
