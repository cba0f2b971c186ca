// A month of usage as ingest leaves it, on the embedded database with durable commits: accounts, projects, bindings, five
// meters priced by five models, events in the order in which they arrived, sequences and rollups. What the benches of
// closing and replaying work on.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { cpus, loadavg, tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import type pg from "pg";
import { parse } from "yaml";
import type { Env } from "../src/flows/env.ts";
import { loadCatalog } from "../src/flows/load-catalog.ts";
import { startEmbeddedPostgres } from "../src/gateways/embedded-postgres/index.ts";
import { instant } from "../src/kit/time.ts";
import { openPool } from "../src/store/connect.ts";
import { migrate } from "../src/store/migrate.ts";
import { workerEnv } from "./worker-env.ts";

const catalog = `
meters:
  - { key: calls, name: Calls, event_type: api.call, aggregation: sum, value_property: n, value_kind: integer, unit: call }
  - { key: tokens, name: Tokens, event_type: llm.call, aggregation: sum, value_property: tokens, unit: token, dimensions: [{ key: model }] }
  - { key: texts, name: Texts, event_type: text.sent, aggregation: count, unit: text }
  - { key: transfer, name: Transfer, event_type: transfer, aggregation: sum, value_property: gb, unit: GB }
  - { key: seconds, name: Seconds, event_type: job.run, aggregation: sum, value_property: s, unit: second }
price_books: [{ code: retail-usd, name: Retail, currency: USD }]
skus:
  - { code: CALLS, name: API calls, meter: calls }
  - { code: TOKENS, name: Tokens, meter: tokens }
  - { code: TEXTS, name: Text messages, meter: texts }
  - { code: TRANSFER, name: Transfer, meter: transfer }
  - { code: COMPUTE, name: Compute, meter: seconds }
prices:
  - { book: retail-usd, sku: CALLS, effective_from: "2024-01-01T00:00:00Z", currency: USD, model: graduated,
      tiers: [{ up_to: 1000, unit_amount: "0" }, { up_to: 10000, unit_amount: "0.001" }, { up_to: null, unit_amount: "0.0006" }] }
  - { book: retail-usd, sku: TOKENS, effective_from: "2024-01-01T00:00:00Z", currency: USD, model: matrix, dimensions: [model],
      cells: [{ match: { model: large }, unit_amount: "0.000015" }], default_unit_amount: "0.000003" }
  - { book: retail-usd, sku: TEXTS, effective_from: "2024-01-01T00:00:00Z", currency: USD, model: package, package_size: 5, unit_amount: "0.25" }
  - { book: retail-usd, sku: TRANSFER, effective_from: "2024-01-01T00:00:00Z", currency: USD, model: volume,
      tiers: [{ up_to: 100, unit_amount: "0.09" }, { up_to: null, unit_amount: "0.07" }] }
  - { book: retail-usd, sku: COMPUTE, effective_from: "2024-01-01T00:00:00Z", currency: USD, model: per_unit, unit_amount: "0.000045" }
`;

export const skuCount = 5;
/** When benches close January. */
export const closingAt = "2025-02-10T00:00:00Z";
export const january = {
  startsAt: instant("2025-01-01T00:00:00Z"),
  endsAt: instant("2025-02-01T00:00:00Z"),
};

/** An installation with a month in it. Everything is gone after `remove`. */
export type Month = {
  readonly env: Env;
  /** May do everything: raw limits, emptying tables between samples. */
  readonly owner: pg.Pool;
  /** What a worker process connects to. */
  readonly url: string;
  readonly version: string;
  readonly accounts: number;
  readonly events: number;
  readonly builtInSeconds: number;
  /** CPU seconds that PostgreSQL has used so far, with all its processes, living and gone. */
  postgresSeconds(): number;
  remove(): Promise<void>;
};

/** By default a hundred accounts to an organization. */
export async function aMonth(
  accounts: number,
  eventsEach: number,
  accountsPerOrg = 100,
): Promise<Month> {
  const folder = mkdtempSync(join(tmpdir(), "tallyline-bench-"));
  const server = await startEmbeddedPostgres({ folder, programs: undefined });
  await migrate(server.urlOfOwner());
  const owner = openPool(server.urlOfOwner(), { connectionsMax: 4 });
  const env = workerEnv(server.urlOfApplication(), closingAt);
  const began = performance.now();
  await loadCatalog(env, parse(catalog), "bench");
  await owner.query("update meter set rolled_up = true");
  const orgId = `'org_' || lpad((a / ${accountsPerOrg})::text, 20, '0')`;
  await writeDirectory(owner, accounts, orgId);
  await writeEvents(owner, accounts, eventsEach, orgId);
  await owner.query("vacuum analyze");
  await owner.query("checkpoint");
  return {
    env,
    owner,
    url: server.urlOfApplication(),
    version: server.version,
    accounts,
    events: accounts * eventsEach,
    builtInSeconds: (performance.now() - began) / 1000,
    postgresSeconds: () => cpuOfFamily(server.pid),
    async remove() {
      await env.store.db.destroy();
      await owner.end();
      await server.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

const since = "2024-01-01T00:00:00Z";
const accountId = "'acc_' || lpad(a::text, 20, '0')";
const projectId = "'prj_' || lpad(a::text, 20, '0')";

async function writeDirectory(owner: pg.Pool, accounts: number, orgId: string): Promise<void> {
  const all = "generate_series(0, $1::int - 1) a";
  const given = [accounts, since];
  await owner.query(
    `insert into organization (org_id, slug, name, created_at)
     select distinct ${orgId}, 'slug-' || ${orgId}, 'Organization', $2::timestamptz from ${all}`,
    given,
  );
  await owner.query(
    `insert into billing_account (org_id, account_id, slug, name, currency, created_at)
     select ${orgId}, ${accountId}, 'account-' || a, 'Account ' || a, 'USD', $2::timestamptz from ${all}`,
    given,
  );
  await owner.query(
    `insert into project (org_id, project_id, slug, name, created_at)
     select ${orgId}, ${projectId}, 'project-' || a, 'Project ' || a, $2::timestamptz from ${all}`,
    given,
  );
  await owner.query(
    `insert into binding (org_id, binding_id, project_id, account_id, effective_from, created_by, created_at)
     select ${orgId}, 'bnd_' || lpad(a::text, 20, '0'), ${projectId}, ${accountId}, $2::timestamptz, 'bench', $2::timestamptz
     from ${all}`,
    given,
  );
}

/** Account after account takes its turn, so that the events of one lie as far apart as arrival leaves them. */
async function writeEvents(
  owner: pg.Pool,
  accounts: number,
  each: number,
  orgId: string,
): Promise<void> {
  const step = Math.max(1, Math.ceil(each / 20));
  for (let from = 1; from <= each; from += step)
    await owner.query(
      `insert into usage_event (org_id, event_key, account_id, seq, project_id, type, source, id, subject, time, received_at,
                                data, chain)
       select ${orgId}, key::uuid, ${accountId}, i, ${projectId},
              (array['api.call', 'llm.call', 'text.sent', 'transfer', 'job.run'])[1 + i % 5], 'bench/month', key,
              'project-' || a, at, at + interval '2 seconds',
              (case i % 5
                 when 0 then json_build_object('n', (1 + n % 900)::text, 'region', 'eu-central')
                 when 1 then json_build_object('tokens', (1 + n % 20000)::text,
                                               'model', (array['small', 'medium', 'large'])[1 + n % 3])
                 when 2 then json_build_object('to', '+49' || n)
                 when 3 then json_build_object('gb', round(n % 9000 / 1000.0, 3)::text, 'region', 'eu-central')
                 else json_build_object('s', round(n % 90000 / 10.0, 1)::text)
               end), decode(key, 'hex')
       from (
         select a, i, n, md5(a || '/' || i) as key,
                timestamptz '2025-01-01Z' + i * (interval '30 days' / $3::int) + (n % 80000) * interval '1 second' as at
         from (select a, i, (a::bigint * 7919 + i * 104729) % 1000003 as n
               from generate_series($1::int, $2::int) i, generate_series(0, $4::int - 1) a) numbered
       ) event`,
      [from, Math.min(each, from + step - 1), each, accounts],
    );
  await owner.query(
    `insert into usage_head (org_id, account_id, last_seq, chain)
     select ${orgId}, ${accountId}, $2::int, '' from generate_series(0, $1::int - 1) a`,
    [accounts, each],
  );
  await owner.query(`
    insert into usage_rollup (org_id, account_id, meter_key, bucket_at, project_id, dimensions, event_count, total)
    select org_id, account_id, m.meter_key, date_bin('15 minutes', time, '2000-01-01Z'), project_id,
           case when m.meter_key = 'tokens' then '{"model":"' || (data ->> 'model') || '"}' else '{}' end, count(*),
           sum(case when m.property is null then 1 else (data ->> m.property)::numeric end)
    from usage_event join (values ('api.call', 'calls', 'n'), ('llm.call', 'tokens', 'tokens'), ('text.sent', 'texts', null),
                                  ('transfer', 'transfer', 'gb'), ('job.run', 'seconds', 's'))
      as m (type, meter_key, property) using (type)
    group by 1, 2, 3, 4, 5, 6`);
}

/** CPU seconds of a process, of those it started, and of those of them that are gone. */
function cpuOfFamily(root: number): number {
  let ticks = 0;
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, "utf8");
      const fields = stat
        .slice(stat.lastIndexOf(")") + 2)
        .split(" ")
        .map(Number);
      const own = (fields[11] ?? 0) + (fields[12] ?? 0);
      if (Number(name) === root) ticks += own + (fields[13] ?? 0) + (fields[14] ?? 0);
      else if (fields[1] === root) ticks += own;
    } catch {
      // It ended in between: its parent has counted it.
    }
  }
  return ticks / 100;
}

export const say = (line = ""): void => void process.stdout.write(`${line}\n`);
export const whole = (value: number): string => Math.round(value).toLocaleString("en-US");
export const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor((values.length - 1) / 2)] ?? Number.NaN;

/** One row: the median of the samples, and how far they lie apart. */
export const row = (title: string, values: readonly number[], unit = "", show = whole): void =>
  say(
    `  ${title.padEnd(44)} ${show(median(values)).padStart(11)} ${unit.padEnd(3)}  ${show(Math.min(...values))} … ${show(Math.max(...values))}`,
  );

/** What a reader must know to judge the figures: machine, how busy it was with other things, versions. */
export const machine = ({ version }: Month): string =>
  `${cpus().length} × ${cpus()[0]?.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB, load ${loadavg()[0]?.toFixed(1)} · ` +
  `Node ${process.versions.node} · PostgreSQL ${version} (embedded, durable commits)`;
