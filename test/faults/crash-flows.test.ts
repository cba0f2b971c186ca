import { describe, expect, test } from "vitest";
import { system } from "../../src/domain/audit/index.ts";
import { amendCatalog } from "../../src/flows/apply-catalog.ts";
import { buyBatch } from "../../src/flows/buy-batch.ts";
import { changeSubscription, subscribe } from "../../src/flows/change-subscription.ts";
import { voidInvoice } from "../../src/flows/correct-invoice.ts";
import type { Env } from "../../src/flows/env.ts";
import { expireGrants } from "../../src/flows/expire-grants.ts";
import { openIngest } from "../../src/flows/ingest-usage.ts";
import { issueInvoice } from "../../src/flows/issue-invoice.ts";
import { getAccount } from "../../src/flows/manage-accounts.ts";
import { transferUnits } from "../../src/flows/transfer-units.ts";
import { verifyInstallation } from "../../src/flows/verify-installation.ts";
import { simulatedPayments } from "../../src/gateways/simulated-payments.ts";
import type { OrganizationId } from "../../src/kit/ids.ts";
import { seededRandom } from "../../src/kit/random.ts";
import { formatInstant, instant, minute, shift } from "../../src/kit/time.ts";
import { type Acme, anAccount } from "../harness/billing.ts";
import { apply, exampleCatalog } from "../harness/catalog.ts";
import { asTemplate, type TestEnv, testEnv } from "../harness/database.ts";
import { anEvent } from "../harness/installation.ts";
import { crashAfter } from "./crash-after.ts";

/** A customer in the middle of things: two accounts, units, a subscription, an issued invoice, usage that waits for a payer. */
type Scene = {
  readonly env: TestEnv;
  readonly a: Acme;
  readonly b: Acme;
  readonly subscription: string;
  readonly invoice: string;
};

const author = system("test", "because");
const org = (of: Acme) => of.orgId as OrganizationId;

async function use(env: Env, of: Acme, events: readonly object[]): Promise<string[]> {
  const ingest = openIngest(env.store, { makeId: env.id });
  try {
    const now = env.now();
    const read = events.map((event) => anEvent({ subject: of.projectId, ...event }, now));
    return (await ingest.submit({ orgId: of.orgId, events: read, now })).map(({ kind }) => kind);
  } finally {
    await ingest.close();
  }
}

const order = (key: string) => ({
  sku: "USAGE-SMS-1000",
  count: 1,
  settlement: "card" as const,
  kind: "batch" as const,
  requestKey: key,
});

const withPayments = (env: TestEnv) => ({ ...env, payments: simulatedPayments(seededRandom(1)) });

async function aScene(): Promise<Scene> {
  const env = withPayments(await testEnv({ at: "2025-01-01T00:00:00Z" }));
  await apply(env, exampleCatalog());
  await env.owner.query("update meter set rolled_up = true");
  const a = await anAccount(env, { slug: "a" });
  const b = await anAccount(env, { slug: "b", orgId: a.orgId });
  await env.owner.query(
    "insert into project (org_id, project_id, slug, name, created_at) values ($1, 'prj_unbound', 'unbound', 'Unbound', '2020-01-01Z')",
    [a.orgId],
  );
  const { stored } = await subscribe(env, author, org(a), { account: "a", plan: "basic" });
  await buyBatch(env, author, await getAccount(env.store.db, org(a), "a"), order("first"));
  env.at("2025-01-20T00:00:00Z");
  const time = "2025-01-10T00:00:00Z";
  const sms = { type: "sms.sent", time };
  expect(
    await use(env, a, [
      { id: "e1", ...sms, data: { value: "400" } },
      { id: "e2", type: "api.requested", time, data: { value: "70000" } },
      { id: "e3", subject: "unbound", ...sms, data: { value: "50" } },
    ]),
  ).toEqual(["accepted", "accepted", "quarantined"]);
  env.at("2025-02-05T00:00:00Z");
  const at = instant("2025-01-01T00:00:00Z");
  const request = { orgId: a.orgId, account: "a", at, createdBy: "test" };
  const { invoiceId } = await issueInvoice(env, request, env.now());
  return { env, a, b, subscription: stored.subscription.id, invoice: invoiceId };
}

type Act = {
  readonly name: string;
  readonly prepare?: (scene: Scene) => unknown;
  readonly run: (env: Env, scene: Scene) => Promise<unknown>;
  /** Refusals by which a flow says, asked again, that it has happened already. */
  readonly already?: readonly string[];
  /** Statements after which it was killed at the least: the flow was really interrupted, not refused. */
  readonly least: number;
  /** What may tell of the second request. */
  readonly besides?: readonly string[];
};

const creditOf = (scene: Scene) => ({
  orgId: scene.a.orgId,
  invoice: scene.invoice,
  request: { kind: "all" } as const,
  reason: "wrong",
  reasonCode: "dispute",
});

const acts: Act[] = [
  {
    name: "subscribe",
    run: (env, { b }) => subscribe(env, author, org(b), { account: "b", plan: "basic" }),
    already: ["subscription_open_already"],
    least: 6,
  },
  {
    name: "change a plan",
    run: (env, { a, subscription }) =>
      changeSubscription(env, author, org(a), subscription, {
        kind: "change_plan",
        plan: "professional",
        version: undefined,
        restartCycle: false,
        when: { kind: "now" },
      }),
    // Asked again without a key, it changes to the plan that is there: one more entry, and no money.
    besides: ["subscriptions", "changes", "audit"],
    least: 6,
  },
  {
    name: "buy a batch",
    run: async (env, { a }) =>
      buyBatch(env, author, await getAccount(env.store.db, org(a), "a"), order("again")),
    least: 10,
  },
  {
    name: "pass units on",
    run: async (env, { a }) =>
      transferUnits(env, author, {
        from: await getAccount(env.store.db, org(a), "a"),
        to: await getAccount(env.store.db, org(a), "b"),
        pool: "sms",
        // All there is: once it is gone, it cannot go again.
        quantity: 1000,
      }),
    prepare: async ({ env, a }) =>
      buyBatch(env, author, await getAccount(env.store.db, org(a), "a"), order("to pass on")),
    already: ["not_enough_units"],
    least: 10,
  },
  {
    name: "expire grants",
    prepare: ({ env }) => env.at("2025-03-05T00:00:00Z"),
    run: (env) => expireGrants(env),
    least: 5,
  },
  {
    name: "make an invoice void",
    run: (env, scene) => voidInvoice(env, creditOf(scene), author, env.now()),
    already: ["invoice_status_conflict"],
    least: 6,
  },
  {
    name: "apply a catalog",
    run: (env) =>
      amendCatalog(env, author, {
        name: "prices",
        document: {
          prices: [
            {
              book: "retail-usd",
              sku: "USAGE-SMS-OVERAGE",
              currency: "USD",
              effective_from: "2025-04-01T00:00:00Z",
              model: "per_unit",
              unit_amount: "0.07",
            },
          ],
        },
      }),
    least: 6,
  },
];

/** What the database says about money and usage, without names and times that differ from run to run. */
async function stateOf(env: TestEnv): Promise<Record<string, unknown>> {
  const state: Record<string, unknown> = {};
  for (const [name, query] of Object.entries(views)) {
    const { rows } = await env.owner.query<{ row: unknown }>(
      `select to_jsonb(x)::text as row from (${query}) x order by 1`,
    );
    state[name] = rows.map(({ row }) => row);
  }
  return state;
}

const views = {
  usage:
    "select id, seq, account_id in (select account_id from billing_account where slug = 'a') as a from usage_event",
  rollups: "select meter_key, bucket_at, event_count, trim_scale(total) as total from usage_rollup",
  quarantine: "select reason, resolution, resolved_at is null as open from usage_quarantine",
  grants:
    "select pool, origin, trim_scale(size) s, trim_scale(remaining) r, trim_scale(drawn) d, trim_scale(expired) e, trim_scale(transferred_out) t from account_grant",
  movements: "select kind, trim_scale(quantity) q, at from grant_movement",
  purchases: "select status, total_minor, request_key from purchase",
  documents: "select kind, status, number, total_minor, period_starts_at from invoice",
  lines: "select sku_code, line_no, amount_minor, basis from invoice_line",
  series: "select series, last_number from invoice_series",
  subscriptions: "select product_line, revision, closed_at is null as open from subscription",
  changes: "select revision, kind from subscription_change",
  bindings: "select effective_from, account_id is null as nobody from binding",
  prices: "select book, sku_code, version, effective_from from price",
  books:
    "select split_part(account, ':', 2) as kind, currency, sum(amount_minor) as m, trim_scale(sum(units)) as u from ledger_posting group by 1, 2",
  transactions: "select split_part(cause, ':', 1) as cause, description from ledger_transaction",
  audit: "select action, count(*) from audit_entry group by 1",
};

describe("killed after any of its statements and run again, it ends as if nothing had happened:", () => {
  test.each(acts)(
    "$name",
    async (act) => {
      const first = await aScene();
      await act.prepare?.(first);
      const at = formatInstant(shift(first.env.now(), minute));
      const template = await asTemplate(first.env);
      const begin = async (seed: number): Promise<Scene> => {
        const env = withPayments(await testEnv({ at, seed, from: template.name }));
        return { ...first, env };
      };
      try {
        const whole = await begin(2);
        await act.run(whole.env, whole);
        const expected = await stateOf(whole.env);
        await whole.env.close();

        for (let n = 1; ; n++) {
          const scene = await begin(n + 2);
          try {
            const died = await diesAndRunsAgain(act, scene, n);
            const state = { ...(await stateOf(scene.env)) };
            for (const name of act.besides ?? []) state[name] = expected[name];
            expect(state, `killed after statement ${n}`).toEqual(expected);
            if (n % 5 === 0)
              expect((await verifyInstallation(scene.env, undefined)).faults).toEqual([]);
            if (!died) {
              expect(n).toBeGreaterThan(act.least);
              break;
            }
          } finally {
            await scene.env.close();
          }
          expect(n).toBeLessThan(120);
        }
      } finally {
        await template.drop();
      }
    },
    300_000,
  );
});

/** Whether it died at the n-th statement, or there were fewer. */
async function diesAndRunsAgain(act: Act, scene: Scene, n: number): Promise<boolean> {
  const dying = crashAfter(scene.env.url, n);
  const died = await act.run({ ...scene.env, store: dying.store }, scene).then(
    () => false,
    () => true,
  );
  await dying.end();
  try {
    await act.run(scene.env, scene);
  } catch (error) {
    const code = (error as { code?: string }).code ?? String(error);
    expect([n, act.already ?? []]).toEqual([n, expect.arrayContaining([code])]);
  }
  return died;
}
