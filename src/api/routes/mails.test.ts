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
  await writeUsage(
    api.env,
    { orgId: api.organization.id, accountId: api.accountId, projectId: api.projectId },
    [{ time: "2025-01-10T00:00:00Z", type: "call", data: { n: "100" } }],
    () => ({ calls: "100" }),
  );
  api.env.at("2025-02-04T00:00:00Z");
});
afterAll(() => api.close());

test("what was not sent is listed with its reason, and sent once the account names somebody", async () => {
  const issued = await api.post(`${base}/accounts/acme-usd/invoices`, {
    period: "2025-01-15T00:00:00Z",
  });
  const listed = await api.get(`${base}/mails?status=unaddressed&invoice=${issued.json.id}`);
  expect(listed.json.data).toMatchObject([
    { invoice: issued.json.id, status: "unaddressed", recipients: [], attempts: 0, error: null },
  ]);
  const address = `${base}/mails/${listed.json.data[0].id}/resend`;
  const refused = await api.post(address, undefined);
  expect([refused.status, refused.json.code]).toEqual([409, "mail_not_resendable"]);

  const edited = await api.patch(`${base}/accounts/acme-usd`, { ap_email: "ap@acme.example" });
  expect(edited.status).toBe(200);
  const resent = await api.post(address, undefined);
  expect(resent.status).toBe(202);
  expect(resent.json).toMatchObject({ status: "queued", recipients: ["ap@acme.example"] });

  const elsewhere = await api.get("/v1/organizations/globex/mails");
  expect(elsewhere.json.data).toEqual([]);
  expect((await api.post(`${base}/mails/msg_unknown/resend`, undefined)).status).toBe(404);
  const customer = await api.post(address, undefined, { key: api.keys.admin });
  expect(customer.status).toBe(403);
});
