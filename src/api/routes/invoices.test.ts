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

test("credit notes never give back more than a line charged, and the invoice stays as it is", async () => {
  const before = await api.get(`${base}/invoices/INV-000001`);
  const notes = `${base}/invoices/INV-000001/credit-notes`;
  const first = await api.post(notes, {
    reason: "100 of 250 were sent twice",
    lines: [{ line_no: 1, amount: "6.00" }],
  });
  expect(first.status).toBe(201);
  expect(first.json).toMatchObject({
    number: "CN-000001",
    kind: "credit_note",
    corrects: before.json.id,
    total: { amount: "-6.00" },
  });
  const tooMuch = await api.post(notes, {
    reason: "x",
    lines: [{ line_no: 1, amount: "106.01" }],
  });
  expect([tooMuch.status, tooMuch.json.code]).toEqual([409, "credit_too_large"]);
  const rest = await api.post(notes, { reason: "goodwill", reason_code: "goodwill" });
  expect(rest.json.total.amount).toBe("-106.00");
  const nothing = await api.post(notes, { reason: "x" });
  expect(nothing.json.code).toBe("credit_too_large");

  expect((await api.get(`${base}/invoices/INV-000001`)).json).toEqual(before.json);
  for (const number of ["INV-000001", "CN-000001", "CN-000002"])
    expect((await api.post(`${base}/invoices/${number}/verify`, undefined)).json.is_match).toBe(
      true,
    );
  const voided = await api.post(`${base}/invoices/INV-000001/void`, { reason: "x" });
  expect(voided.json.code).toBe("corrections_exist");
});

test("a voided invoice keeps its number, and the month comes again under the next one, line by line", async () => {
  const of = {
    orgId: api.organization.id,
    accountId: api.accountId,
    projectId: api.projectId,
  };
  await writeUsage(
    api.env,
    of,
    [{ time: "2025-02-10T00:00:00Z", type: "call", data: { n: "12345" } }],
    ({ data }) => ({ calls: data["n"] ?? "0" }),
  );
  api.env.at("2025-03-04T00:00:00Z");
  const issue = () =>
    api.post(`${base}/accounts/acme-usd/invoices`, { period: "2025-02-15T00:00:00Z" });
  const first = await issue();
  expect(first.json.number).toBe("INV-000002");
  const voided = await api.post(`${base}/invoices/INV-000002/void`, { reason: "wrong address" });
  expect([voided.json.status, voided.json.number]).toEqual(["void", "INV-000002"]);
  const again = await issue();
  expect(again.json.number).toBe("INV-000003");
  expect(again.json.document.lines).toEqual(first.json.document.lines);
  const twice = await api.post(`${base}/invoices/INV-000002/void`, { reason: "again" });
  expect(twice.json.code).toBe("invoice_status_conflict");
});
