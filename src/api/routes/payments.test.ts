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
  - { book: retail-usd, sku: API, effective_from: "2024-01-01T00:00:00Z", model: per_unit, currency: USD, unit_amount: "0.01" }
`,
  );
  const use = (time: string) => ({ time, type: "call", data: { n: "10000" } });
  await writeUsage(
    api.env,
    { orgId: api.organization.id, accountId: api.accountId, projectId: api.projectId },
    ["01", "02", "03", "04"].map((month) => use(`2025-${month}-10T00:00:00Z`)),
    () => ({ calls: "10000" }),
  );
  const granted = await api.put(`${base}/accounts/acme-usd/terms`, {
    net_days: 30,
    early_discount: { percent: "2", days: 10 },
    late_fee: { percent_per_month: "1.5" },
  });
  expect(granted.status, granted.text).toBe(200);
  expect(granted.json.terms).toMatchObject({
    early_discount: { percent: "2", days: 10 },
    late_fee: { percent_per_month: "1.5" },
  });
});
afterAll(() => api.close());

const issue = async (month: string, at: string) => {
  api.env.at(at);
  const issued = await api.post(`${base}/accounts/acme-usd/invoices`, {
    period: `2025-${month}-15T00:00:00Z`,
  });
  expect(issued.status, issued.text).toBe(201);
  return issued.json;
};
const pay = (number: string, amount: string, on: string, reference: string) => {
  api.env.at(`${on}T12:00:00Z`);
  return api.post(`${base}/invoices/${number}/payments`, {
    amount,
    currency: "USD",
    received_on: on,
    reference,
  });
};

test("R-137: 2%/10 days: paid on day 9, $98.00 settles $100.00; the books know why", async () => {
  const january = await issue("01", "2025-02-04T00:00:00Z");
  expect(january.total.amount).toBe("100.00");
  const page = await api.get(`${base}/invoices/INV-000001/document?format=html`);
  expect(page.text).toContain(
    "Payable within 30 days. 2% discount if paid by 14 Feb 2025: $98.00. Late fee 1.5% of what is open for each month begun.",
  );
  const paid = await pay("INV-000001", "98.00", "2025-02-13", "wire 1");
  expect(paid.status, paid.text).toBe(201);
  expect(paid.json).toMatchObject({
    status: "paid",
    open: { amount: "0.00" },
    payments: [
      { applied: { amount: "98.00" }, discount: { amount: "2.00" }, excess: { amount: "0.00" } },
    ],
  });
  const { rows } = await api.env.owner.query(
    "select account, amount_minor::text as minor from ledger_posting join ledger_transaction using (org_id, transaction_id) where cause like 'invoice-payment:%' order by account, amount_minor",
  );
  expect(rows).toEqual([
    { account: `assets:cash:bank`, minor: "9800" },
    { account: `assets:receivable:${api.accountId}`, minor: "-9800" },
    { account: `assets:receivable:${api.accountId}`, minor: "-200" },
    { account: "expenses:discounts:EARLY-PAYMENT", minor: "200" },
  ]);
});

test("R-129: partial, then the rest and too much; the same reference twice is refused", async () => {
  await issue("02", "2025-03-04T00:00:00Z");
  const part = await pay("INV-000002", "60.00", "2025-03-20", "wire 2");
  expect(part.json).toMatchObject({ status: "issued", open: { amount: "40.00" } });
  const twice = await pay("INV-000002", "60.00", "2025-03-20", "wire 2");
  expect([twice.status, twice.json.code]).toEqual([409, "payment_recorded"]);
  const rest = await pay("INV-000002", "41.00", "2025-03-21", "wire 3");
  expect(rest.json).toMatchObject({ status: "paid", open: { amount: "0.00" } });
  expect(rest.json.payments[1]).toMatchObject({
    applied: { amount: "40.00" },
    excess: { amount: "1.00" },
  });
  const { rows } = await api.env.owner.query(
    "select sum(amount_minor)::text as minor from ledger_posting where account like 'liabilities:deposits:%'",
  );
  expect(rows).toEqual([{ minor: "-100" }]);
});

test("R-137: unpaid after the due date, 1.5% a month of what is open is a line on the next invoice, which proves itself", async () => {
  // Issued 4 April, due 4 May: the first month begins on 5 May, the second on 5 June.
  await issue("03", "2025-04-04T00:00:00Z");
  const april = await issue("04", "2025-05-04T00:00:00Z");
  expect(april.document.lines.map((line: { sku: string }) => line.sku)).toEqual(["API"]);
  await pay("INV-000003", "60.00", "2025-05-20", "wire 4");
  await pay("INV-000004", "100.00", "2025-05-20", "wire 5");

  const may = await issue("05", "2025-06-04T00:00:00Z");
  expect(may.document.lines).toMatchObject([
    { sku: "LATE-FEE", amount: "1.49", description: "Late fee: INV-000003, month 1" },
  ]);
  expect(may.document.lines[0].segments[0].because).toBe(
    // What was paid too much in March was taken by this one.
    "1.5% of 99.00 open on 2025-05-05, due 2025-05-04",
  );
  await pay("INV-000005", "1.49", "2025-06-20", "fee 1");
  const june = await issue("06", "2025-07-04T00:00:00Z");
  expect(june.document.lines).toMatchObject([{ sku: "LATE-FEE", amount: "0.59" }]);

  await pay("INV-000003", "39.00", "2025-07-04", "wire 6");
  await pay("INV-000006", "0.59", "2025-07-04", "fee 2");
  for (const number of ["INV-000005", "INV-000006"]) {
    const verified = await api.post(`${base}/invoices/${number}/verify`, undefined);
    expect(verified.json.match ?? verified.json.is_match, verified.text).toBe(true);
  }
});

test("what is under dispute when a month begins bears no late fee, and does again once the dispute is decided", async () => {
  await writeUsage(
    api.env,
    { orgId: api.organization.id, accountId: api.accountId, projectId: api.projectId },
    [{ time: "2025-07-10T00:00:00Z", type: "call", data: { n: "10000" } }],
    () => ({ calls: "10000" }),
  );
  const july = await issue("07", "2025-08-04T00:00:00Z");
  expect(july.document.lines.map((line: { sku: string }) => line.sku)).toContain("API");
  const { line_no } = july.document.lines.find((line: { sku: string }) => line.sku === "API");
  api.env.at("2025-08-10T00:00:00Z");
  const { json: dispute } = await api.post(`${base}/invoices/${july.number}/disputes`, {
    line_no,
    amount: "40.00",
    message: "not ours",
  });
  // Due 3 September. On the 4th 60.00 of it are asked for; a month later, after the decision, all.
  api.env.at("2025-09-20T00:00:00Z");
  await api.post(`${base}/disputes/${dispute.id}/review`, undefined);
  const decided = await api.post(`${base}/disputes/${dispute.id}/resolve`, {
    outcome: "reject",
    message: "it was yours",
  });
  expect(decided.json.status, decided.text).toBe("rejected");
  const feesOf = async (month: string, at: string) => {
    const { document, number } = await issue(month, at);
    const verified = await api.post(`${base}/invoices/${number}/verify`, undefined);
    expect(verified.json.is_match, verified.text).toBe(true);
    return document.lines
      .filter((line: { description: string }) => line.description.includes(july.number))
      .map((line: { amount: string }) => line.amount);
  };
  expect(await feesOf("09", "2025-10-04T00:00:00Z")).toEqual(["0.90"]);
  expect(await feesOf("10", "2025-11-04T00:00:00Z")).toEqual(["1.50"]);
});

test("a customer sees the balance and records nothing; another currency and nothing at all are refused", async () => {
  const address = `${base}/invoices/INV-000001/payments`;
  const body = { amount: "1.00", currency: "USD", received_on: "2025-07-06", reference: "x" };
  const seen = await api.get(address, { key: api.keys.admin });
  expect(seen.json).toMatchObject({ number: "INV-000001", total: { amount: "100.00" } });
  expect((await api.post(address, body, { key: api.keys.admin })).status).toBe(403);
  expect((await api.post(address, { ...body, currency: "EUR" })).json.errors?.[0].pointer).toBe(
    "/currency",
  );
  expect((await api.post(address, { ...body, amount: "0" })).json.errors?.[0].pointer).toBe(
    "/amount",
  );
  expect((await api.post(address, { ...body, amount: "0.001" })).json.errors?.[0].pointer).toBe(
    "/amount",
  );
});
