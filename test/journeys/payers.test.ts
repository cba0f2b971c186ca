import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type TestApi, testApi } from "../harness/api.ts";
import { apply, yamlFile } from "../harness/catalog.ts";

// J10: a project moves between payers. Both accounts in one organization, each in its own currency and price book.
const base = "/v1/organizations/acme";
let api: TestApi;

beforeAll(async () => {
  api = await testApi({ at: "2025-01-01T00:00:00Z" });
  await apply(api.env, [
    yamlFile(`
services: [{ key: api, name: API }]
meters: [{ key: calls, name: Calls, event_type: api.called, aggregation: sum, value_kind: integer, unit: call }]
skus: [{ code: API-CALLS, name: API calls, kind: usage, service: api, meter: calls }]
price_books:
  - { code: retail-usd, name: Retail, currency: USD }
  - { code: retail-eur, name: Retail, currency: EUR }
prices:
  - { book: retail-usd, sku: API-CALLS, model: per_unit, currency: USD, unit_amount: "0.10" }
  - { book: retail-eur, sku: API-CALLS, model: per_unit, currency: EUR, unit_amount: "0.09" }
`),
  ]);
  const eur = await api.post(`${base}/accounts`, {
    slug: "acme-eur",
    name: "Acme in euros",
    currency: "EUR",
    terms: { net_days: 60 },
  });
  expect([eur.status, eur.status === 201 ? "" : eur.text]).toEqual([201, ""]);
});
afterAll(() => api.close());

const send = async (id: string, time: string, value: string) => {
  const answer = await api.post(
    "/v1/events",
    { id, source: "j10", type: "api.called", subject: "web", time, data: { value } },
    { key: api.keys.ingest },
  );
  return answer.json.events[0].status as string;
};
const lines = async (account: string) => {
  const { json } = await api.get(
    `${base}/accounts/${account}/upcoming-invoice?at=2025-01-20T00:00:00Z`,
  );
  return json.lines.map((line: { sku: string; quantity: string; amount: string }) => [
    json.currency,
    line.quantity,
    line.amount,
  ]);
};

describe("J10: a project moves between payers", () => {
  test("usage follows the binding in force at its time, however late it arrives", async () => {
    api.env.at("2025-01-15T12:00:00Z");
    expect(await send("before", "2025-01-15T11:00:00Z", "100")).toBe("accepted");
    api.env.at("2025-01-15T13:00:00Z");
    const bindings = (await api.get(`${base}/projects/web/bindings`)).json.data;
    const moved = await api.post(`${base}/projects/web/bindings`, {
      account: "acme-eur",
      effective_from: "2025-01-16T00:00:00Z",
      supersedes: bindings.at(-1).id,
    });
    expect([moved.status, moved.status === 201 ? "" : moved.text]).toEqual([201, ""]);

    api.env.at("2025-01-17T09:00:00Z");
    expect(await send("late", "2025-01-15T23:59:59.999999Z", "50")).toBe("accepted");
    expect(await send("after", "2025-01-16T00:00:00Z", "200")).toBe("accepted");
    expect(await lines("acme-usd")).toEqual([["USD", "150", "15.00"]]);
    expect(await lines("acme-eur")).toEqual([["EUR", "200", "18.00"]]);
  });

  test("both invoices are issued in their own currency, terms and book, and prove themselves", async () => {
    api.env.at("2025-02-04T00:00:00Z");
    const issued = [];
    for (const account of ["acme-usd", "acme-eur"]) {
      const answer = await api.post(`${base}/accounts/${account}/invoices`, {
        period: "2025-01-20T00:00:00Z",
      });
      expect([answer.status, answer.status === 201 ? "" : answer.text]).toEqual([201, ""]);
      issued.push(answer.json);
      const { json } = await api.post(`${base}/invoices/${answer.json.id}/verify`, {});
      expect(json.is_match).toBe(true);
    }
    expect(issued.map((one) => one.total)).toEqual([
      { currency: "USD", amount: "15.00" },
      { currency: "EUR", amount: "18.00" },
    ]);
    expect(issued[1].due_on).toBe("2025-04-05");
  });

  test("the timeline shows both bindings; neither can be edited, and an account with history cannot be deleted", async () => {
    const { data } = (await api.get(`${base}/projects/web/bindings`)).json;
    expect(data).toHaveLength(2);
    const edit = await api.patch(`${base}/bindings/${data[0].id}`, {
      account: "acme-eur",
    });
    expect([405, 409]).toContain(edit.status);
    expect((await api.delete(`${base}/accounts/acme-usd`)).status).toBe(409);
  });

  test("usage nobody paid for waits, and a back-dated binding by somebody allowed lets it in, once", async () => {
    api.env.at("2025-03-01T00:00:00Z");
    expect((await api.post(`${base}/projects`, { slug: "new", name: "New" })).status).toBe(201);
    api.env.at("2025-03-02T00:00:00Z");
    const event = {
      id: "orphan",
      source: "j10",
      type: "api.called",
      subject: "new",
      time: "2025-03-01T10:00:00Z",
      data: { value: "7" },
    };
    const sent = await api.post("/v1/events", event, { key: api.keys.ingest });
    expect(sent.json.events[0]).toMatchObject({
      status: "quarantined",
      code: "attribution_failure",
    });

    const backdated = {
      account: "acme-usd",
      effective_from: "2025-03-01T00:00:00Z",
      reason: "bound too late",
    };
    expect(
      (await api.post(`${base}/projects/new/bindings`, backdated, { key: api.keys.admin })).status,
    ).toBe(403);
    const bound = await api.post(`${base}/projects/new/bindings`, backdated);
    expect([bound.status, bound.status === 201 ? "" : bound.text]).toEqual([201, ""]);
    expect((await api.get(`${base}/quarantine`)).json.data).toEqual([]);
    const march = await api.get(
      `${base}/accounts/acme-usd/upcoming-invoice?at=2025-03-10T00:00:00Z`,
    );
    expect(march.json.lines.map((line: { quantity: string }) => line.quantity)).toEqual(["7"]);
    expect((await api.post("/v1/events", event, { key: api.keys.ingest })).json.duplicates).toBe(1);
  });
});
