// The usage query behind rollups: `npx tsx bench/usage-query.ts [--quick]`. Promise: p99 < 50 ms behind 100 M events.
//
// Built is what 100,000,000 events leave behind in usage_rollup (each row says how many it stands for), and raw events in the
// quarter hours in which questions begin and end; the events in between are never read, so they are left out. Every
// question goes through the flow that the endpoint calls, one after the other. Nothing is written, so that the database
// does not flush to disk makes no difference.
import { cpus, loadavg, totalmem } from "node:os";
import { readMeter, writeMeter } from "../src/domain/catalog/index.ts";
import { startOfQuarterHour } from "../src/domain/usage/index.ts";
import type { Env } from "../src/flows/env.ts";
import { readUsage, type UsageQuestion } from "../src/flows/read-usage.ts";
import { day, formatInstant, type Instant, instant, minute, shift } from "../src/kit/time.ts";
import { openStore } from "../src/store/connect.ts";
import { migrate } from "../src/store/migrate.ts";
import { createDatabase } from "../test/harness/databases.ts";
import { startTestServer } from "../test/harness/server.ts";

const quick = process.argv.includes("--quick");
const accountCount = quick ? 500 : 2_000;
const runs = quick ? 3 : 5;
const asksPerRun = quick ? 50 : 200;
const eventsPromised = 100_000_000;
const rawPerQuarter = 100;
const quartersInMonth = 2_976;

type Pool = Env["store"]["pool"];
type Ask = (n: number) => Partial<UsageQuestion>;

const org = "org_bench";
const start = instant("2025-01-01T00:00:00Z");
const month = { startsAt: start, endsAt: instant("2025-02-01T00:00:00Z") };
const nameOf = (n: number) => `acc_${String(n).padStart(6, "0")}`;
// Large accounts are asked about more often: the first has usage in every quarter of an hour, most in one of twelve.
const anyAccount = (n: number) => nameOf(1 + Math.floor(accountCount * ((n * 0.618034) % 1) ** 2));
const odd = (n: number): Instant => shift(start, ((n * 37 + 1) % 40_000) * minute);

const questions: readonly (readonly [string, Ask])[] = [
  ["month total, any account", (n) => ({ accountIds: [anyAccount(n)] })],
  [
    "24 hours by hour, odd ends, any account",
    (n) => ({
      accountIds: [anyAccount(n)],
      period: { startsAt: odd(n), endsAt: shift(odd(n), day) },
      window: "hour",
      zone: "America/New_York",
    }),
  ],
  [
    "month by day and model, any account",
    (n) => ({ accountIds: [anyAccount(n)], window: "day", groupBy: ["model"] }),
  ],
  [
    "month by hour, project and model, largest account",
    () => ({ accountIds: [nameOf(1)], window: "hour", groupBy: ["project", "model"] }),
  ],
];

async function measureAll(store: Env["store"]): Promise<void> {
  const began = performance.now();
  const size = await build(store.pool);
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  say(
    `${cpus().length} × ${cpus()[0]?.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB, load ${loadavg()[0]?.toFixed(1)} · Node ${process.versions.node} · PostgreSQL ${server.version}`,
  );
  say(
    `npx tsx bench/usage-query.ts${quick ? " --quick" : ""} · ${asksPerRun} questions a run, median of ${runs} runs, spread`,
  );
  say(
    `${whole(size.rollups)} rollup rows that stand for ${whole(size.events)} events, ${whole(size.raw)} raw events, ${whole(accountCount)} accounts; built in ${seconds} s\n`,
  );
  for (const [title, ask] of questions) await row(store, title, ask);
}

async function row(store: Env["store"], title: string, ask: Ask): Promise<void> {
  const env = { store } as Env;
  const medians: number[] = [];
  const tails: number[] = [];
  await once(env, ask, 0, 20);
  for (let run = 0; run < runs; run++) {
    const times = await once(env, ask, run * asksPerRun, asksPerRun);
    medians.push(quantile(times, 0.5));
    tails.push(quantile(times, 0.99));
  }
  say(
    `${title.padEnd(50)} p50 ${ms(quantile(medians, 0.5))}  p99 ${ms(quantile(tails, 0.5))}   ${ms(Math.min(...tails))} … ${ms(Math.max(...tails))}   < 50`,
  );
}

async function once(env: Env, ask: Ask, first: number, count: number): Promise<number[]> {
  const times: number[] = [];
  for (let n = first; n < first + count; n++) {
    const base = { organizationId: org, meter: "tokens", period: month, zone: "UTC", groupBy: [] };
    const began = performance.now();
    await readUsage(env, { ...base, ...ask(n) });
    times.push(performance.now() - began);
  }
  return times;
}

async function build(pool: Pool) {
  const { meter } = readMeter({
    key: "tokens",
    event_type: "llm.call",
    aggregation: "sum",
    unit: "token",
    dimensions: [{ key: "model" }],
  });
  if (!meter) throw new Error("the meter of the bench is not sound");
  await pool.query(
    `insert into meter (meter_id, key, event_type, status, definition, created_at, rolled_up)
     values ('mtr_bench', 'tokens', 'llm.call', 'published', $1, now(), true)`,
    [JSON.stringify(writeMeter(meter))],
  );
  let rollups = 0;
  for (let a = 1; a <= accountCount; a++)
    rollups += 4 * Math.ceil(quartersInMonth / Math.min(a, 12));
  const eventsEach = Math.ceil(eventsPromised / rollups);
  await pool.query(
    `insert into usage_rollup (org_id, account_id, meter_key, bucket_at, project_id, dimensions, event_count, total)
     select $1, 'acc_' || lpad(a::text, 6, '0'), 'tokens', $2::timestamptz + q * interval '15 minutes', 'prj_' || p,
            '{"model":"' || m || '"}', $4::bigint, 17.25 * $4::bigint
     from generate_series(1, $3::int) a, generate_series(0, $5::int - 1, least(a, 12)) q, generate_series(1, 2) p,
          unnest(array['large', 'small']) m`,
    [org, formatInstant(start), accountCount, eventsEach, quartersInMonth],
  );
  const raw = await buildRaw(pool);
  await pool.query("analyze");
  return { rollups, events: rollups * eventsEach, raw };
}

/** Events in the quarter hours in which the questions with odd ends begin and end. */
async function buildRaw(pool: Pool): Promise<number> {
  const quarters = new Set<string>();
  for (let n = 0; n < runs * asksPerRun; n++) {
    for (const end of [odd(n), shift(odd(n), day)])
      quarters.add(`${anyAccount(n)} ${formatInstant(startOfQuarterHour(end))}`);
  }
  const pairs = [...quarters].map((pair) => pair.split(" "));
  const { rowCount } = await pool.query(
    `insert into usage_event (org_id, event_key, account_id, seq, project_id, type, source, id, subject, time, received_at,
                              data, chain)
     select $1, md5(n.account_id || n.at || i)::uuid, n.account_id, i, 'prj_' || 1 + i % 2, 'llm.call', 'bench', i::text,
            'web', n.at + i * interval '8.9 seconds', n.at, '{"value":"17.25","model":"large"}', ''
     from unnest($2::text[], $3::timestamptz[]) as n (account_id, at), generate_series(1, $4::int) i`,
    [org, pairs.map(([account]) => account), pairs.map(([, at]) => at), rawPerQuarter],
  );
  return rowCount ?? 0;
}

const say = (line: string) => void process.stdout.write(`${line}\n`);
const whole = (n: number) => n.toLocaleString("en-US");
const ms = (value: number) => `${value.toFixed(1)} ms`.padStart(8);
const quantile = (values: readonly number[], q: number): number =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * q))] ?? 0;

const server = await startTestServer();
try {
  await createDatabase(server.url("postgres"), "bench");
  await migrate(server.url("bench"));
  const store = openStore(server.url("bench"));
  try {
    await measureAll(store);
  } finally {
    await store.db.destroy();
  }
} finally {
  await server.stop();
}
