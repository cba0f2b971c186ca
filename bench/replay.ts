// Replay: `npm run bench -- replay [--quick]`. Promise: 1 M events a second from raw events to rated amounts.
//
// Every event of a month is read where ingest put it, its quantity and dimensions taken out of the stored JSON, added up
// and rated by the second path alone: no rollup, no document, no primary rating. What comes out must equal the invoices of
// a billing run over the same month to the last digit, or the bench fails. The raw limit is a bare sum over the same rows:
// one number out of the JSON of each, no account, no meter, no price. Adding up costs time for each event, rating for each
// account and SKU: so the same events are measured on few accounts and on many.
import { finishBillingRun, startBillingRun } from "../src/flows/billing-run.ts";
import { replayUsage } from "../src/flows/replay-usage.ts";
import { formatDecimal } from "../src/kit/decimal.ts";
import { getCatalog } from "../src/store/catalog.ts";
import { aMonth, january, machine, type Month, row, say, skuCount, whole } from "./month.ts";

const quick = process.argv.includes("--quick");
const events = Number(process.env["BENCH_EVENTS"] ?? (quick ? 200_000 : 1_000_000));
const repeats = quick ? 3 : 5;

type Cost = { readonly rate: number; readonly node: number; readonly postgres: number };
type Replayed = Awaited<ReturnType<typeof replayUsage>>;

let isFirst = true;
for (const accounts of [events / 1_000, events / 100]) await measure(accounts);

async function measure(accounts: number): Promise<void> {
  const month = await aMonth(accounts, events / accounts, accounts);
  try {
    if (isFirst)
      say(
        `${machine(month)}\nnpm run bench -- replay${quick ? " --quick" : ""} · median of ${repeats}, spread · every amount equal to the invoices' lines\n`,
      );
    isFirst = false;
    const { env, owner } = month;
    const catalog = await getCatalog(env.store);
    const { rows } = await owner.query<{ org_id: string }>("select org_id from organization");
    const orgId = rows[0]?.org_id ?? "";
    const calendar = { timeZone: "UTC", invoiceDay: 1, cycle: "month" } as const;
    const given = { orgId, priceBook: "retail-usd", calendar, period: january };
    await assertEqualToInvoices(month, await replayUsage(env, catalog, given));
    const raw: Cost[] = [];
    const replays: Cost[] = [];
    for (let n = 0; n < repeats; n++) {
      raw.push(
        await costOf(month, () =>
          env.store.pool.query("select sum((data ->> 'n')::numeric) from usage_event"),
        ),
      );
      replays.push(await costOf(month, () => replayUsage(env, catalog, given)));
    }
    const two = (value: number) => value.toFixed(2);
    const of = (costs: readonly Cost[], part: keyof Cost) => costs.map((one) => one[part]);
    say(`${whole(events)} events of ${whole(accounts)} accounts × ${skuCount} SKUs`);
    row("replayed: added up and rated", of(replays, "rate"), "/s");
    row("raw: select sum over the same rows", of(raw, "rate"), "/s");
    row(
      "  against raw",
      replays.map((one, n) => one.rate / (raw[n]?.rate ?? Number.NaN)),
      "×",
      two,
    );
    row("CPU time an event, Node", of(replays, "node"), "µs", two);
    row("CPU time an event, PostgreSQL", of(replays, "postgres"), "µs", two);
    row("  of the raw sum", of(raw, "postgres"), "µs", two);
    say();
  } finally {
    await month.remove();
  }
}

async function costOf(month: Month, work: () => Promise<unknown>): Promise<Cost> {
  const postgres = month.postgresSeconds();
  const own = process.cpuUsage();
  const began = performance.now();
  await work();
  const seconds = (performance.now() - began) / 1000;
  const { user, system } = process.cpuUsage(own);
  return {
    rate: events / seconds,
    node: (user + system) / events,
    postgres: ((month.postgresSeconds() - postgres) * 1e6) / events,
  };
}

async function assertEqualToInvoices({ env, owner }: Month, replayed: Replayed): Promise<void> {
  const { runId } = await startBillingRun(env, {
    orgId: null,
    asOf: env.now(),
    createdBy: "bench",
  });
  await finishBillingRun(env, runId);
  const { rows } = await owner.query<{ account_id: string; cause: string; unrounded: string }>(
    "select i.account_id, l.cause, trim_scale(l.unrounded)::text as unrounded from invoice_line l join invoice i using (org_id, invoice_id)",
  );
  const charges = [...replayed.values()].flat();
  if (rows.length === 0 || rows.length !== charges.length)
    throw new Error(`${charges.length} charges were replayed, ${rows.length} lines invoiced`);
  for (const { account_id, cause, unrounded } of rows) {
    const charge = replayed.get(account_id)?.find((one) => one.cause === cause);
    if (!charge || formatDecimal(charge.unrounded) !== unrounded)
      throw new Error(`${account_id} ${cause}: invoiced ${unrounded}, replayed otherwise`);
  }
}
