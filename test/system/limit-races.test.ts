import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { buildApp } from "../../src/api/server.ts";
import { checkEntitlements } from "../../src/flows/check-entitlement.ts";
import type { Env } from "../../src/flows/env.ts";
import { reserve, take } from "../../src/flows/claim-desk.ts";
import { instant } from "../../src/kit/time.ts";
import { openStore } from "../../src/store/connect.ts";
import { apply, exampleCatalog, yamlFile } from "../harness/catalog.ts";
import { type TestApi, testApi } from "../harness/api.ts";

// Processes as far as memory goes: each has connections, desks and a catalog of its own, and time and ids like the first.
let api: TestApi;
let processes: Env[];
const account = "/v1/organizations/acme/accounts/acme-usd";

beforeAll(async () => {
  api = await testApi({ at: "2025-01-10T10:20:00Z" });
  await apply(api.env, exampleCatalog());
  processes = Array.from({ length: 4 }, () => ({ ...api.env, store: openStore(api.env.url) }));
});
afterEach(() => api.env.owner.query("delete from reservation"));
afterAll(async () => {
  await Promise.all(processes.map((one) => one.store.db.destroy()));
  await api.close();
});

const keyOf = (feature: string) => ({
  orgId: api.organization.id as string,
  accountId: api.accountId as string,
  feature,
});

/** Ask another process over HTTP, which has answered before. */
async function elsewhere(): Promise<(feature: string) => Promise<Record<string, unknown>>> {
  const app = buildApp(processes[0] as Env, { ratePolicies: false, checkAnswers: true });
  const ask = async (feature: string) => {
    const request = new Request(`http://other.test${account}/entitlements/check`, {
      method: "POST",
      headers: { authorization: `Bearer ${api.keys.ingest}`, "content-type": "application/json" },
      body: JSON.stringify({ feature }),
    });
    return (await (await app.fetch(request)).json()) as Record<string, unknown>;
  };
  await ask("anything");
  return ask;
}

const held = async (feature: string): Promise<number> => {
  const { rows } = await api.env.owner.query<{ held: string }>(
    "select coalesce(sum(quantity), 0) as held from reservation where feature = $1 and status = 'held'",
    [feature],
  );
  return Number(rows[0]?.held);
};

const reserveOne = (env: Env, feature: string) =>
  reserve(env, {
    ...keyOf(feature),
    kind: "hold",
    quantity: 1,
    mode: "all",
    seconds: 300,
    breakGlass: null,
  });

test("what one process changes, the very next question to another one knows", async () => {
  const ask = await elsewhere();
  for (let round = 1; round <= 20; round++) {
    await api.put(`${account}/quotas/exports`, { limit: String(round), window: "none" });
    expect(await ask("exports")).toMatchObject({ allowed: true, limit: String(round) });
    await api.put(`${account}/features/sso`, { allowed: round % 2 === 1 });
    expect(await ask("sso")).toMatchObject({ allowed: round % 2 === 1 });
  }
  const plan = async (path: string, body: object) => {
    const answer = await api.post(`/v1/organizations/acme/subscriptions${path}`, body, {
      key: api.keys.admin,
    });
    expect([answer.status, answer.text]).toEqual([path === "" ? 201 : 200, expect.any(String)]);
    return answer.json.subscription.id as string;
  };
  expect(await ask("users")).toMatchObject({ allowed: false, reason: "not_entitled" });
  const id = await plan("", { account: "acme-usd", plan: "basic" });
  expect(await ask("users")).toMatchObject({ allowed: true, limit: "50" });
  await plan(`/${id}/change`, { kind: "change_plan", plan: "professional", when: "now" });
  expect(await ask("users")).not.toMatchObject({ limit: "50" });
});

test("a plan, a feature and a price that were published a moment ago count elsewhere at once", async () => {
  const ask = await elsewhere();
  expect(await ask("faxes")).toMatchObject({ allowed: false, reason: "not_entitled" });
  await apply(api.env, [
    ...exampleCatalog(),
    yamlFile(`
services: [{ key: fax, name: Fax }]
meters: [{ key: faxes, event_type: fax.sent, aggregation: count, unit: page }]
skus: [{ code: FAX-PAGES, kind: usage, service: fax, meter: faxes }]
prices: [{ book: retail-usd, sku: FAX-PAGES, model: per_unit, currency: USD, unit_amount: "0.10" }]
plans:
  - key: fax
    kind: add_on
    product_line: platform
    versions: [{ version: 1, usage: [{ sku: FAX-PAGES }] }]
`),
  ]);
  // Sold in a plan now, and priced: known elsewhere at once, and not to be had without that plan.
  expect(await ask("faxes")).toMatchObject({ allowed: false, overage: "1" });
});

test("200 reservations of 1 through four processes on a limit of 60, by an account that nobody has seen: exactly 60", async () => {
  await api.put(`${account}/quotas/rooms`, { limit: "60", window: "none" });
  const made = await Promise.all(
    Array.from({ length: 200 }, (_, index) => reserveOne(processes[index % 4] as Env, "rooms")),
  );
  expect(made.filter((one) => one.kind === "held")).toHaveLength(60);
  expect(await held("rooms")).toBe(60);
});

test("calls and holds at once through four processes on 60 an hour: 60 together, and so it is written", async () => {
  await api.put(`${account}/quotas/mixed`, { limit: "60", window: "hour" });
  const allowed = await Promise.all(
    Array.from({ length: 200 }, async (_, index) => {
      const env = processes[index % 4] as Env;
      if (index % 2 === 0) return (await reserveOne(env, "mixed")).kind === "held";
      return (await take(env, { ...keyOf("mixed"), kind: "take", quantity: 1 })).allowed;
    }),
  );
  expect(allowed.filter(Boolean)).toHaveLength(60);
  const { rows } = await api.env.owner.query<{ used: string }>(
    "select used from quota_use where quota_key = 'mixed'",
  );
  expect(Number(rows[0]?.used) + (await held("mixed"))).toBe(60);
  expect(Number(rows[0]?.used)).toBe(allowed.filter((one, index) => one && index % 2 === 1).length);
});

test("a level takes and gives back through four processes: what is in use is what was taken, less what was given", async () => {
  await api.put(`${account}/quotas/desks`, { limit: "1000", window: "none" });
  const one = async (env: Env, quantity: number) =>
    (await take(env, { ...keyOf("desks"), kind: "take", quantity })).allowed;
  const taken = await Promise.all(processes.flatMap((env) => [3, 3, 3, 3].map((n) => one(env, n))));
  expect(taken.every(Boolean)).toBe(true);
  await Promise.all(processes.flatMap((env) => [-1, 2, -1, 1].map((n) => one(env, n))));
  const { rows } = await api.env.owner.query<{ used: string }>(
    "select used from quota_use where quota_key = 'desks'",
  );
  expect(Number(rows[0]?.used)).toBe(4 * 12 + 4 * 1);
});

test("connections end in the middle of it: what was answered is held, and never more than the limit", async () => {
  await api.put(`${account}/quotas/halls`, { limit: "60", window: "none" });
  let isOver = false;
  let ended = 0;
  let rounds = 0;
  let answers = 0;
  const terminate = async () => {
    while (!isOver) {
      // Whatever the machine's mood: some get through, then the next connections end.
      for (const from = answers; answers < from + 4 && !isOver; )
        await new Promise((resolve) => setTimeout(resolve, 1));
      const { rowCount } = await api.env.owner.query(
        `select pg_terminate_backend(pid) from pg_stat_activity
         where datname = current_database() and pid <> pg_backend_pid()`,
      );
      ended += rowCount ?? 0;
      rounds++;
    }
  };
  const breaking = terminate();
  const acknowledged: string[] = [];
  let unanswered = 0;
  while (rounds < 10)
    await Promise.all(
      Array.from({ length: 8 }, async (_, index) => {
        try {
          const made = await reserveOne(processes[index % 4] as Env, "halls");
          answers++;
          if (made.kind === "held") acknowledged.push(made.reservation.id);
        } catch {
          unanswered++;
        }
      }),
    );
  isOver = true;
  await breaking;
  const { rows } = await api.env.owner.query<{ reservation_id: string }>(
    "select reservation_id from reservation where feature = 'halls'",
  );
  const stored = new Set(rows.map((row) => row.reservation_id));
  expect(acknowledged.filter((id) => !stored.has(id))).toEqual([]);
  expect(await held("halls")).toBeLessThanOrEqual(60);
  expect(acknowledged.length).toBeGreaterThan(0);
  expect(ended).toBeGreaterThan(0);
  // Those whose commit was on its way; the others were asked for again.
  expect(unanswered).toBeLessThan(10 * 8);
  // And afterwards everything answers as ever.
  const [answer] = await checkEntitlements(processes[0] as Env, [
    { ...keyOf("halls"), quantity: 1 },
  ]);
  expect(answer?.quota?.held).toBe(await held("halls"));
});

test("who is late to a window that others have left takes room in theirs, not in the one that is over", async () => {
  await api.put(`${account}/quotas/calls`, { limit: "5", window: "hour" });
  const [early, late] = processes as [Env, Env];
  const at = (env: Env, time: string): Env => ({ ...env, now: () => instant(time) });
  const ahead = at(early, "2025-01-10T11:00:00Z");
  const behind = at(late, "2025-01-10T10:59:59.999Z");
  for (let n = 0; n < 5; n++) expect((await reserveOne(behind, "calls")).kind).toBe("held");
  for (let n = 0; n < 2; n++) expect((await reserveOne(ahead, "calls")).kind).toBe("held");
  const after = await Promise.all(Array.from({ length: 6 }, () => reserveOne(behind, "calls")));
  expect(after.filter((one) => one.kind === "held")).toHaveLength(3);
});

test("one question that cannot be answered does not take others with it", async () => {
  await api.put(`${account}/quotas/seats`, { limit: "10", window: "none" });
  await api.env.owner.query(
    `insert into billing_account (org_id, account_id, slug, name, currency, created_at, time_zone)
     values ($1, 'acc_broken', 'broken', 'Broken', 'USD', '2025-01-01', 'Nowhere/At-All');`,
    [api.organization.id],
  );
  await api.env.owner.query(
    `insert into quota (org_id, account_id, quota_key, ceiling, quota_window, enforcement)
     values ($1, 'acc_broken', 'seats', 1, 'day', 'hard')`,
    [api.organization.id],
  );
  const env = processes[0] as Env;
  const ask = (accountId: string) =>
    reserve(env, {
      ...keyOf("seats"),
      accountId,
      kind: "hold",
      quantity: 1,
      mode: "all",
      seconds: 60,
      breakGlass: null,
    });
  const good = api.accountId as string;
  const answers = await Promise.allSettled([good, "acc_broken", good, "acc_nobody"].map(ask));
  expect(answers.map((one) => (one.status === "fulfilled" ? one.value.kind : one.status))).toEqual([
    "held",
    "rejected",
    "held",
    "refused",
  ]);
});
