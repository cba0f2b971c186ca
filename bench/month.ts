import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type pg from "pg";
import { loadCatalog } from "../src/flows/load-catalog.ts";
import type { Env } from "../src/flows/env.ts";
import { startEmbeddedPostgres } from "../src/gateways/embedded-postgres/index.ts";
import { systemClock } from "../src/kit/clock.ts";
import { idMaker } from "../src/kit/ids.ts";
import { systemRandom } from "../src/kit/random.ts";
import { instant } from "../src/kit/time.ts";
import { openPool, openStore } from "../src/store/connect.ts";
import { migrate } from "../src/store/migrate.ts";

/** A month of usage on the embedded database with durable commits: what the benches of closing and replaying work on. */
export type Month = {
  readonly env: Env;
  readonly owner: pg.Pool;
  readonly url: string;
  readonly accounts: number;
  readonly events: number;
  stop(): Promise<void>;
};

const skus = 5;

export async function aMonth(accounts: number, eventsPerAccount: number): Promise<Month> {
  const folder = mkdtempSync(join(tmpdir(), "tallyline-bench-"));
  const server = await startEmbeddedPostgres({ folder, programs: undefined, note: () => {} });
  const url = server.urlOfOwner();
  await migrate(url);
  const owner = openPool(url, { connectionsMax: 2 });
  const random = systemRandom();
  const env: Env = {
    store: openStore(server.urlOfApplication(), { connectionsMax: 20 }),
    now: () => instant("2025-02-05T00:00:00Z"),
    id: idMaker(systemClock(), random),
    random,
    pepper: Buffer.alloc(32),
  };
  await loadCatalog(env, catalog(), "bench");
  await owner.query("update meter set rolled_up = true");
  await seed(owner, accounts, eventsPerAccount);
  return {
    env,
    owner,
    url,
    accounts,
    events: accounts * eventsPerAccount,
    async stop() {
      await env.store.db.destroy();
      await owner.end();
      await server.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function catalog(): unknown {
  const each = <T>(make: (n: number) => T) => Array.from({ length: skus }, (_, i) => make(i + 1));
  return {
    meters: each((n) => ({
      key: `meter-${n}`,
      name: `Meter ${n}`,
      event_type: `use.${n}`,
      aggregation: "sum",
      value_property: "n",
      value_kind: "integer",
      unit: "unit",
    })),
    price_books: [{ code: "retail-usd", name: "Retail", currency: "USD" }],
    skus: each((n) => ({ code: `SKU-${n}`, name: `SKU ${n}`, meter: `meter-${n}` })),
    prices: each((n) => ({
      book: "retail-usd",
      sku: `SKU-${n}`,
      effective_from: "2024-01-01T00:00:00Z",
      currency: "USD",
      ...(n % 2 === 1
        ? { model: "per_unit", unit_amount: `0.00${n}` }
        : {
            model: "graduated",
            tiers: [
              { up_to: "100", unit_amount: "0.05" },
              { up_to: "1000", unit_amount: "0.04" },
              { up_to: null, unit_amount: "0.03" },
            ],
          }),
    })),
  };
}

async function seed(owner: pg.Pool, accounts: number, perAccount: number): Promise<void> {
  const orgs = Math.max(1, Math.floor(accounts / 100));
  const org = (column: string) => `'org_' || lpad((${column} % ${orgs})::text, 20, '0')`;
  const account = (column: string) => `'acc_' || lpad((${column})::text, 20, '0')`;
  const project = (column: string) => `'prj_' || lpad((${column})::text, 20, '0')`;
  await owner.query(
    `insert into organization (org_id, slug, name, created_at)
     select ${org("o")}, 'org-' || o, 'Organization ' || o, '2020-01-01' from generate_series(0, ${orgs - 1}) o`,
  );
  await owner.query(
    `insert into billing_account (org_id, account_id, slug, name, currency, created_at)
     select ${org("a")}, ${account("a")}, 'a-' || a, 'Account ' || a, 'USD', '2020-01-01'
     from generate_series(0, ${accounts - 1}) a`,
  );
  await owner.query(
    `insert into project (org_id, project_id, slug, name, created_at)
     select ${org("a")}, ${project("a")}, 'p-' || a, 'Project ' || a, '2020-01-01'
     from generate_series(0, ${accounts - 1}) a`,
  );
  await owner.query(
    `insert into binding (org_id, binding_id, project_id, account_id, effective_from, created_by, created_at)
     select ${org("a")}, 'bnd_' || a, ${project("a")}, ${account("a")}, '2020-01-01', 'bench', '2020-01-01'
     from generate_series(0, ${accounts - 1}) a`,
  );
  await owner.query(
    `insert into usage_event (org_id, event_key, account_id, seq, project_id, type, source, id, subject, time, received_at, data, chain)
     select ${org("a")}, gen_random_uuid(), ${account("a")}, s, ${project("a")}, 'use.' || (s % ${skus} + 1), 'bench',
            a || '-' || s, ${project("a")}, '2025-01-01'::timestamptz + (s * 31.0 / ${perAccount + 1}) * interval '1 day',
            '2025-02-01', json_build_object('n', ((a * 7 + s * 13) % 200)::text), ''
     from generate_series(0, ${accounts - 1}) a, generate_series(1, ${perAccount}) s`,
  );
  await owner.query(
    `insert into usage_head (org_id, account_id, last_seq, chain)
     select org_id, account_id, max(seq), '' from usage_event group by 1, 2`,
  );
  await owner.query(
    `insert into usage_rollup (org_id, account_id, meter_key, bucket_at, project_id, dimensions, event_count, total)
     select org_id, account_id, 'meter-' || substr(type, 5), date_bin('15 minutes', time, '2000-01-01Z'), project_id, '{}',
            count(*), sum((data ->> 'n')::numeric)
     from usage_event group by 1, 2, 3, 4, 5`,
  );
  await owner.query("vacuum analyze");
}

/** Median and spread of figures. */
export function spread(figures: readonly number[]): string {
  const sorted = figures.toSorted((a, b) => a - b);
  const at = (share: number) =>
    Math.round(sorted[Math.floor((sorted.length - 1) * share)] ?? 0).toLocaleString("en-US");
  return `median ${at(0.5)} (${at(0)} to ${at(1)}, ${sorted.length} runs)`;
}
