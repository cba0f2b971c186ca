import { afterAll, beforeAll, expect, test } from "vitest";
import { type TestApi, testApi } from "../../../test/harness/api.ts";
import { aCatalog, writeUsage } from "../../../test/harness/billing.ts";

let api: TestApi;
const base = "/v1/organizations/acme";

beforeAll(async () => {
  api = await testApi({ at: "2025-01-01T00:00:00Z" });
  await aCatalog(
    api.env,
    `
meters:
  - { key: calls, name: Calls, event_type: call, aggregation: sum, value_property: n, value_kind: integer, unit: call }
price_books: [{ code: retail-usd, name: Retail, currency: USD }]
skus: [{ code: API, name: API calls, meter: calls }]
prices:
  - book: retail-usd
    sku: API
    effective_from: "2024-01-01T00:00:00Z"
    model: graduated
    currency: USD
    tiers:
      - { up_to: "10000", unit_amount: "0.001" }
      - { up_to: "100000", unit_amount: "0.0008" }
      - { up_to: null, unit_amount: "0.0006" }
`,
  );
  const of = {
    orgId: api.organization.id,
    accountId: api.accountId,
    projectId: api.projectId,
  };
  const calls = (n: string, time: string) => ({ time, type: "call", data: { n } });
  await writeUsage(
    api.env,
    of,
    [calls("100000", "2025-01-10T00:00:00Z"), calls("50000", "2025-01-20T00:00:00Z")],
    ({ data }) => ({ calls: data["n"] ?? "0" }),
  );
});
afterAll(() => api.close());

test("150,000 calls are 112.00 in three segments, before and after issue", async () => {
  const upcoming = await api.get(
    `${base}/accounts/acme-usd/upcoming-invoice?at=2025-01-15T00:00:00Z`,
  );
  expect(upcoming.json).toMatchObject({ stage: "upcoming", total: "112.00" });

  const early = await api.post(`${base}/accounts/acme-usd/invoices`, {
    period: "2025-01-15T00:00:00Z",
  });
  expect([early.status, early.json.code]).toEqual([409, "period_not_over"]);

  api.env.at("2025-02-03T00:00:00Z");
  const open = await api.post(`${base}/accounts/acme-usd/invoices`, {
    period: "2025-01-15T00:00:00Z",
  });
  expect([open.status, open.json.code]).toEqual([409, "invoice_period_not_final"]);

  api.env.at("2025-02-04T00:00:00Z");
  const issued = await api.post(
    `${base}/accounts/acme-usd/invoices`,
    { period: "2025-01-15T00:00:00Z" },
    { headers: { "idempotency-key": "january" } },
  );
  expect(issued.status).toBe(201);
  expect(issued.json).toMatchObject({ number: "INV-000001", total: { amount: "112.00" } });
  const [line] = issued.json.document.lines;
  expect(line.segments.map((s: { amount: string }) => s.amount)).toEqual(["10", "72", "30"]);

  const again = await api.post(`${base}/accounts/acme-usd/invoices`, {
    period: "2025-01-15T00:00:00Z",
  });
  expect([again.status, again.json.id]).toEqual([200, issued.json.id]);
});

test("the events of a line come page by page and sum to its quantity", async () => {
  const first = await api.get(`${base}/invoices/INV-000001/lines/1/explain?limit=1`);
  expect(first.json.events).toHaveLength(1);
  const second = await api.get(
    `${base}/invoices/INV-000001/lines/1/explain?limit=1&cursor=${first.json.next_cursor}`,
  );
  expect(second.json.next_cursor).toBeNull();
  const quantities = [...first.json.events, ...second.json.events].map((e) => Number(e.quantity));
  expect(quantities.reduce((a, b) => a + b)).toBe(150_000);
});

test("a viewer verifies, nobody next door sees anything, and customers cannot issue", async () => {
  const verified = await api.post(`${base}/invoices/INV-000001/verify`, undefined, {
    key: api.keys.viewer,
  });
  expect([verified.status, verified.json.is_match]).toEqual([200, true]);
  const foreign = await api.get(`${base}/invoices/INV-000001`, { key: api.keys.other });
  expect(foreign.status).toBe(404);
  const denied = await api.post(
    `${base}/accounts/acme-usd/invoices`,
    { period: "2025-01-15T00:00:00Z" },
    { key: api.keys.admin },
  );
  expect(denied.status).toBe(403);
  const listed = await api.get(`${base}/invoices?account=acme-usd`, { key: api.keys.viewer });
  expect(listed.json.data.map((one: { number: string }) => one.number)).toEqual(["INV-000001"]);
});
