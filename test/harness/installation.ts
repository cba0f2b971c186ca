import { sql } from "kysely";
import { readMeter, writeMeter } from "../../src/domain/catalog/index.ts";
import { type Fate, readEvent, type UsageEvent } from "../../src/domain/usage/index.ts";
import type { Ingest } from "../../src/flows/ingest-usage.ts";
import { formatInstant, type Instant } from "../../src/kit/time.ts";
import { bumpCatalogVersion, saveMeter } from "../../src/store/catalog.ts";
import { bumpDirectoryVersion } from "../../src/store/usage-directory.ts";
import type { TestEnv } from "./database.ts";

/** An organization of its own in the test's database, with projects, accounts, and a meter, all as plain rows. */
export type Installation = {
  readonly orgId: string;
  /** "a", "b", …: the account that pays for project "web-a", "web-b", … since 2024. */
  readonly accountIds: Readonly<Record<string, string>>;
  /** Decode and submit; left out are source "test", type "api.request", subject "web-a", and the time 00:00 today. */
  send(ingest: Ingest, events: readonly object[]): Promise<Fate[]>;
  publish(meter: Record<string, unknown>): Promise<void>;
  bind(project: string, account: string | null, from: string): Promise<void>;
  addProject(slug: string): Promise<string>;
  /** Totals of all rollups by meter. */
  sums(): Promise<Record<string, string>>;
  count(table: string): Promise<number>;
};

let made = 0;

export async function anInstallation(
  env: TestEnv,
  names: readonly string[] = ["a", "b"],
): Promise<Installation> {
  const { db } = env.store;
  const orgId = env.id("organization");
  const at = "2024-01-01T00:00:00Z";
  const slug = `house-${++made}`;
  await sql`insert into organization (org_id, slug, name, created_at) values (${orgId}, ${slug}, 'House', ${at})`.execute(
    db,
  );
  const accountIds: Record<string, string> = {};
  const projects: Record<string, string> = {};
  const installation: Installation = {
    orgId,
    accountIds,
    async addProject(name) {
      const projectId = env.id("project");
      projects[name] = projectId;
      await sql`insert into project (org_id, project_id, slug, name, created_at)
                values (${orgId}, ${projectId}, ${name}, ${name}, ${at})`.execute(db);
      await bumpDirectoryVersion(db, orgId);
      return projectId;
    },
    async bind(project, account, from) {
      const payer = account === null ? null : (accountIds[account] ?? account);
      await sql`insert into binding (org_id, binding_id, project_id, account_id, effective_from, created_by, created_at)
                values (${orgId}, ${env.id("binding")}, ${projects[project]}, ${payer}, ${from}, 'test', ${at})`.execute(
        db,
      );
      await bumpDirectoryVersion(db, orgId);
    },
    publish: (document) => publishMeter(env, document),
    send: (ingest, events) =>
      ingest.submit({ orgId, events: events.map((e) => anEvent(e, env.now())), now: env.now() }),
    async sums() {
      const { rows } = await sql<{ meter_key: string; total: string }>`
        select meter_key, trim_scale(sum(total))::text as total from usage_rollup where org_id = ${orgId} group by 1`.execute(
        db,
      );
      return Object.fromEntries(rows.map((row) => [row.meter_key, row.total]));
    },
    async count(table) {
      const { rows } = await sql<{
        n: bigint;
      }>`select count(*) as n from ${sql.table(table)} where org_id = ${orgId}`.execute(db);
      return Number(rows[0]?.n);
    },
  };
  for (const name of names) {
    const accountId = env.id("account");
    accountIds[name] = accountId;
    await sql`insert into billing_account (org_id, account_id, slug, name, currency, created_at)
              values (${orgId}, ${accountId}, ${`account-${name}`}, ${name}, 'USD', ${at})`.execute(
      db,
    );
    await installation.addProject(`web-${name}`);
    await installation.bind(`web-${name}`, name, at);
  }
  await installation.publish({
    key: "api.calls",
    name: "API calls",
    event_type: "api.request",
    aggregation: "sum",
    value_kind: "integer",
    unit: "call",
  });
  return installation;
}

/** A meter from its document, at once. */
export async function publishMeter(env: TestEnv, document: Record<string, unknown>): Promise<void> {
  const { meter, faults } = readMeter(document);
  if (!meter) throw new Error(JSON.stringify(faults));
  await env.store.db.transaction().execute(async (tx) => {
    const { key, eventType, status } = meter;
    const definition = writeMeter(meter);
    await saveMeter(
      tx,
      { meterId: env.id("meter"), key, eventType, status, definition },
      env.now(),
    );
    await bumpCatalogVersion(tx);
  });
}

/** A usage event of which a test says only what matters to it. */
export function anEvent(over: object, now: Instant): UsageEvent {
  const reading = readEvent(
    {
      source: "test",
      type: "api.request",
      subject: "web-a",
      time: formatInstant((now - (now % 86_400_000_000)) as Instant),
      data: { value: "1" },
      ...over,
    },
    false,
  );
  if (reading.kind !== "event") throw new Error(`${reading.pointer}: ${reading.detail}`);
  return reading.event;
}
