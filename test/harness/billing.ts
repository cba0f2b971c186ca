import { readFileSync } from "node:fs";
import { parse } from "yaml";
import { loadCatalog } from "../../src/flows/load-catalog.ts";
import { currency } from "../../src/kit/currency.ts";
import { sha256Hex } from "../../src/kit/hash.ts";
import { type Instant, formatInstant, instant } from "../../src/kit/time.ts";
import type { TestEnv } from "./database.ts";

/** An organization with one project and one account that pays for it since 2020. */
export type Acme = {
  readonly orgId: string;
  readonly accountId: string;
  readonly projectId: string;
};

export async function anAccount(
  env: TestEnv,
  over: {
    slug?: string;
    currency?: string;
    timeZone?: string;
    cycle?: string;
    invoiceDay?: number;
    netDays?: number;
    orgId?: string;
    lateUsage?: string;
    zeroInvoices?: boolean;
  } = {},
): Promise<Acme> {
  const slug = over.slug ?? "acme";
  const orgId = over.orgId ?? env.id("organization");
  const accountId = env.id("account");
  const projectId = env.id("project");
  const since = "2020-01-01T00:00:00Z";
  if (!over.orgId)
    await env.owner.query(
      "insert into organization (org_id, slug, name, created_at) values ($1, $2, $2, $3)",
      [orgId, slug, since],
    );
  await env.owner.query(
    `insert into billing_account (org_id, account_id, slug, name, currency, time_zone, cycle, invoice_day, net_days,
       late_usage, zero_invoices, created_at)
     values ($1, $2, $3, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
    [
      orgId,
      accountId,
      slug,
      currency(over.currency ?? "USD"),
      over.timeZone ?? "UTC",
      over.cycle ?? "month",
      over.invoiceDay ?? 1,
      over.netDays ?? 30,
      over.lateUsage ?? "next_invoice",
      over.zeroInvoices ?? false,
      since,
    ],
  );
  await env.owner.query(
    "insert into project (org_id, project_id, slug, name, created_at) values ($1, $2, $3, $3, $4)",
    [orgId, projectId, `${slug}-web`, since],
  );
  await env.owner.query(
    "insert into binding (org_id, binding_id, project_id, account_id, effective_from, created_by, created_at) values ($1, $2, $3, $4, $5, 'test', $5)",
    [orgId, env.id("binding"), projectId, accountId, since],
  );
  return { orgId, accountId, projectId };
}

/** Load a catalog written as YAML, with rollups trusted from the start as on an installation without older events. */
export async function aCatalog(env: TestEnv, yaml: string): Promise<void> {
  await loadCatalog(env, parse(yaml), "test");
  await env.owner.query("update meter set rolled_up = true");
}

export type TestEvent = {
  readonly time: string | Instant;
  readonly type: string;
  readonly data: Readonly<Record<string, string>>;
  readonly id?: string;
};

/**
 * Events as ingest leaves them: rows, the account's sequence, and rollups of what `measures` says each event adds to each
 * meter. For tests that are about invoices, not about ingest.
 */
export async function writeUsage(
  env: TestEnv,
  of: Acme,
  events: readonly TestEvent[],
  measures: (event: TestEvent) => Readonly<Record<string, string>>,
): Promise<void> {
  const { rows } = await env.owner.query<{ last_seq: bigint }>(
    `insert into usage_head (org_id, account_id, last_seq, chain) values ($1, $2, $3, '')
     on conflict (org_id, account_id) do update set last_seq = usage_head.last_seq + $3 returning last_seq`,
    [of.orgId, of.accountId, events.length],
  );
  const first = Number(rows[0]?.last_seq ?? 0n) - events.length;
  const now = formatInstant(env.now());
  const text = (time: string | Instant) => (typeof time === "string" ? time : formatInstant(time));
  const stored = events.map((event, i) => {
    const id = event.id ?? `event-${first + i + 1}`;
    return {
      org_id: of.orgId,
      event_key: sha256Hex(`${of.accountId} ${id}`).slice(0, 32),
      account_id: of.accountId,
      seq: first + i + 1,
      project_id: of.projectId,
      type: event.type,
      source: "test",
      id,
      subject: of.projectId,
      time: text(event.time),
      received_at: now,
      data: event.data,
      corrects: null,
      chain: "\\x",
    };
  });
  await env.owner.query(
    `insert into usage_event select (json_populate_recordset(null::usage_event, $1::json)).*`,
    [JSON.stringify(stored)],
  );
  const added = events.flatMap((event) =>
    Object.entries(measures(event)).map(([meter, quantity]) => ({
      meter_key: meter,
      at: text(event.time),
      quantity,
    })),
  );
  await env.owner.query(
    `insert into usage_rollup (org_id, account_id, meter_key, bucket_at, project_id, dimensions, event_count, total)
     select $1, $2, x.meter_key, date_bin('15 minutes', x.at, '2000-01-01Z'), $3, '{}', count(*), sum(x.quantity)
     from json_to_recordset($4::json) as x (meter_key text, at timestamptz, quantity numeric)
     group by x.meter_key, date_bin('15 minutes', x.at, '2000-01-01Z')
     on conflict (org_id, account_id, meter_key, bucket_at, project_id, dimensions) do update
       set event_count = usage_rollup.event_count + excluded.event_count, total = usage_rollup.total + excluded.total`,
    [of.orgId, of.accountId, of.projectId, JSON.stringify(added)],
  );
}

/** The trace of real LLM requests: time, input tokens, output tokens. Undefined in a checkout without it. */
export function llmTrace(): { time: Instant; input: string; output: string }[] | undefined {
  const file = new URL("../../../shared/data/llm/AzureLLMInferenceTrace_code.csv", import.meta.url);
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
  return text
    .trim()
    .split(/\r?\n/)
    .slice(1)
    .map((row) => {
      const [time, input, output] = row.split(",") as [string, string, string];
      return { time: instant(`${time.replace(" ", "T")}Z`), input, output };
    });
}
