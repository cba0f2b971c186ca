import { afterAll, beforeAll, expect, test } from "vitest";
import { type TestApi, testApi } from "../../../test/harness/api.ts";
import { readMeter, writeMeter } from "../../domain/catalog/index.ts";
import { bumpCatalogVersion, saveMeter } from "../../store/catalog.ts";

// J10 of the requirements: a project moves between payers, and a new one is bound after its first events.

let api: TestApi;
const acme = "/v1/organizations/acme";
beforeAll(async () => {
  api = await testApi({ at: "2025-01-01T00:00:00Z" });
  const document = {
    key: "calls",
    name: "Calls",
    event_type: "call",
    aggregation: "count",
    unit: "call",
  };
  const { meter, faults } = readMeter(document);
  if (!meter) throw new Error(JSON.stringify(faults));
  await api.env.store.db.transaction().execute(async (tx) => {
    const { key, eventType, status } = meter;
    const definition = writeMeter(meter);
    await saveMeter(
      tx,
      { meterId: api.env.id("meter"), key, eventType, status, definition },
      api.env.now(),
    );
    await bumpCatalogVersion(tx);
  });
  const eur = { slug: "acme-eur", name: "Acme", currency: "EUR", terms: { net_days: 60 } };
  await api.post(`${acme}/accounts`, eur);
});
afterAll(() => api.close());

const send = (id: string, subject: string, time: string) =>
  api.post(
    "/v1/events",
    { id, source: "test", type: "call", subject, time, data: {} },
    { key: api.keys.ingest },
  );

/** Which account an event was attributed to, by slug; undefined while none was. */
async function payerOf(id: string): Promise<string | undefined> {
  const row = await api.env.store.db
    .selectFrom("usage_event as e")
    .innerJoin("billing_account as a", (join) =>
      join.onRef("a.org_id", "=", "e.org_id").onRef("a.account_id", "=", "e.account_id"),
    )
    .select("a.slug")
    .where("e.id", "=", id)
    .executeTakeFirst();
  return row?.slug;
}

test("usage follows the payer in force at the time of the event, however late it arrives", async () => {
  expect((await send("warm", "web", "2025-01-01T00:00:00Z")).json.accepted).toBe(1);
  const [first] = (await api.get(`${acme}/projects/web/bindings`)).json.data;
  const moved = await api.post(`${acme}/projects/web/bindings`, {
    account: "acme-eur",
    effective_from: "2025-01-16T00:00:00Z",
    supersedes: first.id,
  });
  expect(moved.status).toBe(201);
  api.env.at("2025-01-17T09:00:00Z");
  await send("late", "web", "2025-01-15T23:59:59.999999Z");
  await send("new", "web", "2025-01-16T00:00:00Z");
  expect([await payerOf("late"), await payerOf("new")]).toEqual(["acme-usd", "acme-eur"]);
});

test("events of a project that nobody paid for wait, and are billed once it is bound back to then", async () => {
  expect((await send("early", "newcomer", "2025-01-17T08:00:00Z")).json.quarantined).toBe(1);
  await api.post(`${acme}/projects`, { slug: "newcomer", name: "Newcomer" });
  api.env.at("2025-01-20T00:00:00Z");
  expect((await send("waiting", "newcomer", "2025-01-18T00:00:00Z")).json.quarantined).toBe(1);
  const bound = await api.post(
    `${acme}/projects/newcomer/bindings`,
    { account: "acme-eur", effective_from: "2025-01-17T10:00:00Z", reason: "contract of the 17th" },
    { headers: { "idempotency-key": "bind-newcomer" } },
  );
  expect(bound.status).toBe(201);
  expect(await payerOf("waiting")).toBe("acme-eur");
  // Before the binding starts, still nobody pays.
  expect(await payerOf("early")).toBeUndefined();
});

test("a subject given to a project is heard by the very next event", async () => {
  expect((await send("named-1", "tenant-7", "2025-01-19T00:00:00Z")).json.quarantined).toBe(1);
  await api.put(`${acme}/projects/web/subjects/tenant-7`, undefined);
  expect((await send("named-2", "tenant-7", "2025-01-19T00:00:00Z")).json.accepted).toBe(1);
  expect(await payerOf("named-2")).toBe("acme-eur");
});
