import { afterAll, beforeAll, expect, test } from "vitest";
import { type TestApi, testApi } from "../../../test/harness/api.ts";
import { aCatalog, writeUsage } from "../../../test/harness/billing.ts";
import { tallyline } from "../../../test/harness/cli.ts";

let api: TestApi;
const base = "/v1/organizations/acme";
beforeAll(async () => {
  api = await testApi({ at: "2025-01-01T00:00:00Z" });
  await aCatalog(
    api.env,
    `
meters:
  - { key: held, event_type: held, aggregation: count, unit: call, late_usage: hold }
  - { key: own, event_type: own, aggregation: count, unit: call, late_usage: own_document }
price_books: [{ code: retail-usd, name: Retail, currency: USD }]
skus: [{ code: HELD, name: Checked calls, meter: held }, { code: OWN, name: Calls, meter: own }]
prices:
  - { book: retail-usd, sku: HELD, effective_from: "2024-01-01T00:00:00Z", model: per_unit, currency: USD, unit_amount: "0.25" }
  - { book: retail-usd, sku: OWN, effective_from: "2024-01-01T00:00:00Z", model: per_unit, currency: USD, unit_amount: "0.50" }
`,
  );
  await use("own", "held");
  api.env.at("2025-02-04T00:00:00Z");
  const issued = await api.post(`${base}/accounts/acme-usd/invoices`, {
    period: "2025-01-15T00:00:00Z",
  });
  expect(issued.json.total.amount, issued.text).toBe("0.75");
  await use("held", "held", "own");
});
afterAll(() => api.close());

const use = (...types: string[]) =>
  writeUsage(
    api.env,
    { orgId: api.organization.id, accountId: api.accountId, projectId: api.projectId },
    types.map((type) => ({ time: "2025-01-10T00:00:00Z", type, data: {} })),
    ({ type }) => ({ [type]: "1" }),
  );
const cli = (...args: string[]) =>
  tallyline(["late-usage", ...args, "--organization", "acme", "--database-url", api.env.url]);

test("a debit note has its own number, paper and type code; what is held is listed, approved, and goes out", async () => {
  const issued = await api.post(`${base}/accounts/acme-usd/late-usage/issue`, undefined);
  expect(issued.status, issued.text).toBe(200);
  expect(issued.json.data).toMatchObject([
    { number: "DN-000001", kind: "debit_note", total: { amount: "0.50" }, due_on: "2025-03-06" },
  ]);
  const html = await api.get(`${base}/invoices/DN-000001/document?format=html`);
  expect(html.text).toContain("Debit note DN-000001");
  expect(html.text).toContain("Corrects invoice INV-000001 of 4 Feb 2025");
  const pdf = await api.get(`${base}/invoices/DN-000001/document?format=pdf`);
  expect(pdf.status).toBe(200);

  const { json: listed } = await api.get(`${base}/late-usage?status=waiting`, {
    key: api.keys.viewer,
  });
  expect(listed.data).toMatchObject([
    { sku: "HELD", amount: { amount: "0.50" }, quantity: "2", because: "hold", reason: "" },
  ]);
  const [held] = listed.data;
  const foreign = await api.post(
    `/v1/organizations/globex/late-usage/${held.id}/approve`,
    { as: "own_document", reason: "mine" },
    {},
  );
  expect(foreign.status).toBe(404);
  const approved = await api.post(`${base}/late-usage/${held.id}/approve`, {
    as: "own_document",
    reason: "agreed with Cleo",
  });
  expect(approved.json, approved.text).toMatchObject({
    status: "settled",
    reason: "agreed with Cleo",
  });
  const note = await api.get(`${base}/invoices/${approved.json.document_id}`);
  expect(note.json).toMatchObject({ number: "DN-000002", total: { amount: "0.50" } });
  const explained = await api.get(`${base}/invoices/DN-000002/lines/1/explain`);
  expect(explained.json.events).toHaveLength(2);
  const again = await api.post(`${base}/late-usage/${held.id}/decline`, { reason: "no" });
  expect([again.status, again.json.code]).toEqual([409, "late_usage_status_conflict"]);
});

test("a debit note is paid like an invoice and leaves the invoice's own balance alone", async () => {
  const paid = await api.post(`${base}/invoices/DN-000001/payments`, {
    amount: "0.50",
    currency: "USD",
    received_on: "2025-02-10",
    reference: "wire",
  });
  expect(paid.json, paid.text).toMatchObject({ status: "paid", open: { amount: "0.00" } });
  const { json } = await api.get(`${base}/invoices/INV-000001/payments`);
  expect(json).toMatchObject({ open: { amount: "0.75" }, credited: { amount: "0.00" } });
});

test("the command line lists, declines, approves and issues", async () => {
  await use("held", "own");
  const listed = await cli("list", "--account", "acme-usd", "--status", "waiting");
  expect(listed.out).toMatch(/^lat_\w+ {2}waiting {2}HELD {2}2025-01-01 {2}1 {2}0.25 USD\n$/);
  const id = listed.out.split(" ")[0] ?? "";
  const declined = await cli("decline", id, "--reason", "not ours");
  expect([declined.err, declined.out]).toEqual(["", expect.stringContaining("declined")]);
  const wrong = await cli("approve", id, "--reason", "ours", "--as", "post");
  expect([wrong.code, wrong.err]).toEqual([
    2,
    "called wrongly: --as is next_invoice or own_document\n",
  ]);
  const done = await cli("approve", id, "--reason", "ours after all", "--as", "next_invoice");
  expect(done.out).toContain("approved");
  expect((await cli("issue", "acme-usd")).out).toContain("DN-000003  0.50");
  expect((await cli("issue", "acme-usd")).out).toBe("nothing to issue\n");
  const { json } = await api.get(`${base}/accounts/acme-usd/upcoming-invoice`);
  expect(json.lines).toMatchObject([{ sku: "HELD", amount: "0.25" }]);
});

test("a debit note by agreement is owed beside the usage: taxed and numbered by itself, proved, and billed once", async () => {
  const order = {
    reason: "the offer said 0.30",
    reason_code: "price_difference",
    lines: [{ line_no: 1, amount: "5.00", description: "Checked calls: price as offered" }],
  };
  const address = `${base}/invoices/INV-000001/debit-notes`;
  const refused = await api.post(address, order, { key: api.keys.admin });
  expect(refused.status).toBe(403);
  const nowhere = { ...order, lines: [{ ...order.lines[0], line_no: 9 }] };
  expect((await api.post(address, nowhere)).json.code).toBe("invoice_line_not_found");
  const issued = await api.post(address, order);
  expect(issued.status, issued.text).toBe(201);
  expect(issued.json).toMatchObject({
    kind: "debit_note",
    number: "DN-000004",
    total: { amount: "5.00" },
    reason: "the offer said 0.30",
    document: { lines: [{ basis: "agreed", sku: "HELD" }], corrects: { number: "INV-000001" } },
  });
  const onCredit = await api.post(`${base}/invoices/DN-000004/credit-notes`, {
    reason: "half of it was right",
    reason_code: "goodwill",
    amount: "2.50",
  });
  expect(onCredit.json.total.amount, onCredit.text).toBe("-2.50");
  const { json: balance } = await api.get(`${base}/invoices/DN-000004/payments`);
  expect(balance).toMatchObject({ open: { amount: "2.50" }, credited: { amount: "2.50" } });
  const note = await api.post(`${base}/invoices/${onCredit.json.number}/debit-notes`, order);
  expect(note.json.code).toBe("invoice_status_conflict");
  for (const number of ["DN-000004", onCredit.json.number]) {
    const verified = await api.post(`${base}/invoices/${number}/verify`, undefined);
    expect(verified.json.is_match, verified.text).toBe(true);
  }
  const { json: upcoming } = await api.get(`${base}/accounts/acme-usd/upcoming-invoice`);
  expect(upcoming.lines).toHaveLength(1);
});
