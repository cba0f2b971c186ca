import { afterAll, beforeAll, expect, test } from "vitest";
import { type TestApi, testApi } from "../../../test/harness/api.ts";
import { instant, shift } from "../../kit/time.ts";
import { aCatalog, writeUsage } from "../../../test/harness/billing.ts";

let api: TestApi;
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

test("a run parks whom it cannot prove, and an operator goes on with a reason that is kept", async () => {
  await api.env.owner.query("update usage_rollup set total = total + 1");
  const started = await api.post("/v1/billing-runs", {});
  expect([started.status, started.json.status]).toEqual([201, "blocked"]);
  const run = `/v1/billing-runs/${started.json.id}`;
  const { data } = (await api.get(`${run}/items?status=blocked`)).json;
  expect(data[0]).toMatchObject({ step: "verify", account_id: api.accountId });
  expect(data[0].blockers[0].detail).toContain("account acme-usd, line 1, API");

  const override = { kind: "mismatch", reason: "counted by hand" };
  const everybody = await api.post(`${run}/resume`, { override });
  expect(everybody.status).toBe(400);
  const resumed = await api.post(`${run}/resume`, {
    organization_id: api.organization.id,
    account_id: api.accountId,
    override,
  });
  expect(resumed.json.status).toBe("closed");
  expect((await api.get(`${run}/items`)).json.data[0]).toMatchObject({
    status: "issued",
    overrides: [{ kind: "mismatch", reason: "counted by hand" }],
  });
  // What went out is what the raw events say, and it verifies.
  const issued = await api.get("/v1/organizations/acme/invoices/INV-000001");
  expect(issued.json.total.amount).toBe("1.00");
  const verified = await api.post("/v1/organizations/acme/invoices/INV-000001/verify", undefined);
  expect(verified.json.is_match, verified.text).toBe(true);
  const audit = await api.get("/v1/organizations/acme/audit?target_kind=account");
  expect(audit.json.data).toEqual(
    expect.arrayContaining([
      expect.objectContaining({
        action: "usage.rollups_mended",
        reason: "counted by hand",
        after: { count: 1, first: ["calls 2025-01-10T00:00:00.000Z {}: 100 from 1 events"] },
      }),
    ]),
  );
});

test("a meter that was steady and stopped sending blocks the run by name, until somebody says why", async () => {
  await writeUsage(
    api.env,
    { orgId: api.organization.id, accountId: api.accountId, projectId: api.projectId },
    Array.from({ length: 240 }, (_, hour) => ({
      time: shift(instant("2025-02-10T00:30:00Z"), hour * 3_600_000_000),
      type: "call",
      data: { n: "1" },
    })),
    () => ({ calls: "1" }),
  );
  api.env.at("2025-03-04T00:00:00Z");
  const started = await api.post("/v1/billing-runs", {});
  const run = `/v1/billing-runs/${started.json.id}`;
  const { data } = (await api.get(`${run}/items?status=blocked`)).json;
  expect(data).toMatchObject([
    {
      step: "collect",
      blockers: [
        {
          kind: "stale_meter",
          detail:
            "meter calls was used steadily by acme-usd and sent nothing from 2025-02-19T23:30:00.000Z on: find out why, or override with the reason",
        },
      ],
    },
  ]);
  const resumed = await api.post(`${run}/resume`, {
    organization_id: api.organization.id,
    account_id: api.accountId,
    override: { kind: "stale_meter", reason: "the campaign is over" },
  });
  expect(resumed.json.status).toBe("closed");
  // The month after is quiet from its first day, which is nothing new.
  api.env.at("2025-04-04T00:00:00Z");
  expect((await api.post("/v1/billing-runs", {})).json.status).toBe("closed");
});

test("customers have no billing runs", async () => {
  const answer = await api.post("/v1/billing-runs", {}, { key: api.keys.admin });
  expect(answer.status).toBe(403);
});
