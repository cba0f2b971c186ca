import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type TestApi, testApi } from "../harness/api.ts";
import { apply, yamlFile } from "../harness/catalog.ts";

// J17, what of it is billing: Cleo cancels at the end of the period, what is open is invoiced and settled, and the account closes.
const base = "/v1/organizations/acme";
const account = `${base}/accounts/acme-usd`;
let api: TestApi;
let invoice: string;
let subscription: string;

beforeAll(async () => {
  api = await testApi({ at: "2025-01-01T00:00:00Z" });
  await apply(api.env, [
    yamlFile(`
services: [{ key: api, name: API }]
meters: [{ key: calls, name: Calls, event_type: api.called, aggregation: sum, value_kind: integer, unit: call }]
skus:
  - { code: API-CALLS, name: API calls, kind: usage, service: api, meter: calls }
  - { code: API-BASE, name: API access, kind: recurring, service: api }
price_books: [{ code: retail-usd, name: Retail, currency: USD }]
prices: [{ book: retail-usd, sku: API-CALLS, model: per_unit, currency: USD, unit_amount: "0.10" }]
plans:
  - { key: base, product_line: api, versions: [{ version: 1, fees: [{ sku: API-BASE, amounts: { USD: "50.00" } }] }] }
`),
  ]);
  expect((await api.put(`${account}/terms`, { net_days: 30 })).status).toBe(200);
});
afterAll(() => api.close());

let sent = 0;
const use = async (time: string, value: string): Promise<string> => {
  api.env.at(time);
  const event = {
    id: `j17-${sent++}`,
    source: "j17",
    type: "api.called",
    subject: "web",
    time,
    data: { value },
  };
  const answer = await api.post("/v1/events", event, { key: api.keys.ingest });
  return answer.json.events[0].status as string;
};
const archive = () => api.post(`${account}/archive`, { reason: "Cleo left" });
const upcoming = async (at: string): Promise<string[]> =>
  (await api.get(`${account}/upcoming-invoice?at=${at}`)).json.lines.map(
    (line: { sku: string; amount: string }) => `${line.sku} ${line.amount}`,
  );

describe("J17: leaving", () => {
  test("cancelled at the period's end: service and usage go on until then, no fee comes after", async () => {
    const started = await api.post(
      `${base}/subscriptions`,
      { account: "acme-usd", plan: "base" },
      { key: api.keys.admin },
    );
    expect([started.status, started.text]).toEqual([201, expect.any(String)]);
    subscription = started.json.subscription.id;
    expect(await use("2025-01-10T00:00:00Z", "100")).toBe("accepted");

    api.env.at("2025-01-20T00:00:00Z");
    const cancelled = await api.post(
      `${base}/subscriptions/${subscription}/cancel`,
      { when: "period_end" },
      { key: api.keys.admin },
    );
    expect([cancelled.status, cancelled.text]).toEqual([200, expect.any(String)]);
    expect(await use("2025-01-31T23:59:59Z", "20")).toBe("accepted");
    expect(await upcoming("2025-01-31T00:00:00Z")).toEqual(["API-BASE 50.00", "API-CALLS 12.00"]);
    expect(await upcoming("2025-02-15T00:00:00Z")).toEqual([]);
  });

  test("it does not close while something is bound to it, used or owed", async () => {
    api.env.at("2025-02-01T00:00:00Z");
    expect((await archive()).json.code).toBe("account_has_bindings");
    const [bound] = (await api.get(`${base}/projects/web/bindings`)).json.data;
    const freed = await api.post(
      `${base}/projects/web/bindings`,
      { account: null, supersedes: bound.id, reason: "Cleo leaves" },
      { key: api.keys.admin },
    );
    expect([freed.status, freed.text]).toEqual([201, expect.any(String)]);
    expect(await use("2025-02-01T00:00:01Z", "999")).toBe("quarantined");
    expect((await archive()).json.code).toBe("account_has_balance");

    api.env.at("2025-02-04T00:00:00Z");
    const issued = await api.post(`${account}/invoices`, { period: "2025-01-15T00:00:00Z" });
    expect([issued.status, issued.text]).toEqual([201, expect.any(String)]);
    expect(issued.json.total).toEqual({ currency: "USD", amount: "62.00" });
    invoice = issued.json.number;
    // Invoiced is not settled.
    const refused = await archive();
    expect([refused.status, refused.json.code]).toEqual([409, "account_has_balance"]);
  });

  test("settled to the cent it is archived, and from then on it can only be read", async () => {
    const part = { currency: "USD", received_on: "2025-02-05", reference: "wire 1" };
    await api.post(`${base}/invoices/${invoice}/payments`, { ...part, amount: "61.99" });
    expect((await archive()).json.code).toBe("account_has_balance");
    const rest = { ...part, amount: "0.01", reference: "wire 2" };
    expect((await api.post(`${base}/invoices/${invoice}/payments`, rest)).status).toBe(201);
    expect((await archive()).json.status).toBe("archived");

    const refusals = [
      await api.patch(account, { name: "again" }),
      await api.put(`${account}/terms`, { net_days: 10 }),
      await api.post(`${account}/payers`, { payer: null }),
      await api.post(`${base}/projects/web/bindings`, { account: "acme-usd" }),
      await api.post(`${base}/subscriptions`, { account: "acme-usd", plan: "base" }),
    ];
    for (const answer of refusals)
      expect([answer.status, answer.json.code], answer.text).toEqual([409, "account_archived"]);
    expect((await api.delete(account)).json.code).toBe("account_has_history");
  });

  test("its invoices stay readable, prove themselves, and no run makes another", async () => {
    api.env.at("2025-04-10T00:00:00Z");
    expect((await api.get(account)).json.status).toBe("archived");
    const verified = await api.post(`${base}/invoices/${invoice}/verify`, {});
    expect(verified.json.is_match, verified.text).toBe(true);
    const paper = await api.get(`${base}/invoices/${invoice}/document?format=html`);
    expect(paper.text).toContain("$62.00");
    const run = await api.post("/v1/billing-runs", { organization: api.organization.id });
    expect(run.status, run.text).toBeLessThan(300);
    const { data } = (await api.get(`${base}/invoices?account=acme-usd`)).json;
    expect(data.map((one: { number: string; status: string }) => [one.number, one.status])).toEqual(
      [[invoice, "paid"]],
    );
  });
});
