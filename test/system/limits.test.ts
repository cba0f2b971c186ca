import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { simulatedPayments } from "../../src/gateways/simulated-payments.ts";
import { seededRandom } from "../../src/kit/random.ts";
import { type TestApi, testApi } from "../harness/api.ts";
import { loadPrepaidCatalog } from "../harness/prepaid.ts";

let api: TestApi;
const acme = "/v1/organizations/acme/accounts/acme-usd";

beforeAll(async () => {
  api = await testApi({
    at: "2025-01-10T10:20:00Z",
    extend: (bare) => ({ ...bare, payments: simulatedPayments(seededRandom(1)) }),
  });
  await loadPrepaidCatalog(api.env);
});
afterAll(() => api.close());

const check = async (feature: string, quantity = "1", take = false) =>
  (
    await api.post(
      `${acme}/entitlements/check`,
      { feature, quantity, take },
      { key: api.keys.ingest },
    )
  ).json;
const reserve = (feature: string, quantity: string) =>
  api.post(`${acme}/reservations`, { feature, quantity }, { key: api.keys.ingest });
const send = async (id: string, type: string, value: string) => {
  const time = new Date(api.env.now() / 1000).toISOString();
  const event = { id, source: "t", type, subject: "web", time, data: { value } };
  const answer = await api.post("/v1/events", event, { key: api.keys.ingest });
  expect(answer.status).toBe(200);
};

describe("quotas", () => {
  test("100 parallel reservations of 1 on a limit of 60: exactly 60 (R-091)", async () => {
    await api.put(`${acme}/quotas/exports`, { limit: "60", window: "none" });
    const answers = await Promise.all(Array.from({ length: 100 }, () => reserve("exports", "1")));
    expect(answers.filter((one) => one.status === 201)).toHaveLength(60);
    const refused = answers.find((one) => one.status === 429);
    expect(refused?.json).toMatchObject({ code: "limit_reached", limit: "60", remaining: "0" });
    const held = answers.find((one) => one.status === 201)?.json.id;
    const commit = await api.post(`${acme}/reservations/${held}/commit`, { quantity: "1" });
    expect(commit.json).toMatchObject({ status: "committed", committed: "1" });
    expect((await reserve("exports", "1")).status).toBe(429);
    const other = answers.filter((one) => one.status === 201)[1]?.json.id;
    expect((await api.post(`${acme}/reservations/${other}/release`, undefined)).status).toBe(200);
    expect((await reserve("exports", "1")).status).toBe(201);
    const again = await api.post(`${acme}/reservations/${held}/commit`, { quantity: "2" });
    expect(again.json.code).toBe("reservation_ended");
  });

  test("5,000 an hour; the next hour passes again; holds time out by themselves (R-088)", async () => {
    await api.put(`${acme}/quotas/requests`, { limit: "5000", window: "hour" });
    expect(await check("requests", "4999", true)).toMatchObject({ allowed: true, remaining: "1" });
    expect(await check("requests", "1", true)).toMatchObject({ allowed: true, remaining: "0" });
    expect(await check("requests", "1", true)).toMatchObject({
      allowed: false,
      reason: "limit_reached",
      limit: "5000",
      remaining: "0",
      resets_at: "2025-01-10T11:00:00.000Z",
    });
    api.env.at("2025-01-10T11:00:00Z");
    expect((await reserve("requests", "5000")).status).toBe(201);
    expect(await check("requests")).toMatchObject({ allowed: false });
    api.env.at("2025-01-10T11:05:00Z");
    expect(await check("requests")).toMatchObject({ allowed: true, remaining: "5000" });
  });

  test("a higher ceiling is asked for, decided by somebody else, and ends on its day (R-093)", async () => {
    const asked = await api.post(
      `${acme}/quota-requests`,
      { quota: "requests", limit: "8000", ends_at: "2025-01-17T00:00:00Z", reason: "launch" },
      { key: api.keys.admin },
    );
    const decision = `${acme}/quota-requests/${asked.json.id}/decision`;
    expect((await api.post(decision, { status: "approved" }, { key: api.keys.admin })).status).toBe(
      403,
    );
    expect((await api.post(decision, { status: "approved" })).json.status).toBe("approved");
    expect((await api.post(decision, { status: "declined" })).json.code).toBe(
      "quota_request_not_open",
    );
    expect(await check("requests")).toMatchObject({ limit: "8000" });
    api.env.at("2025-01-17T00:00:00Z");
    expect(await check("requests")).toMatchObject({ limit: "5000" });
  });

  test("break-glass lets it through and leaves its reason in the audit trail", async () => {
    await api.put(`${acme}/quotas/locked`, { limit: "0", window: "none" });
    expect((await reserve("locked", "1")).status).toBe(429);
    const body = { feature: "locked", quantity: "1", reason: "outage" };
    expect(
      (await api.post(`${acme}/reservations/break-glass`, body, { key: api.keys.ingest })).status,
    ).toBe(403);
    expect((await api.post(`${acme}/reservations/break-glass`, body)).status).toBe(201);
    const trail = await api.get("/v1/organizations/acme/audit");
    expect(JSON.stringify(trail.json)).toContain("limit.overridden");
  });
});

test("features are on or off, and what nobody gave is denied; an unknown account too (R-086, R-095)", async () => {
  expect(await check("sso")).toMatchObject({ allowed: false, reason: "not_entitled" });
  await api.put(`${acme}/features/sso`, { allowed: true });
  expect(await check("sso")).toMatchObject({ allowed: true });
  const nobody = "/v1/organizations/acme/accounts/acc_nobody/entitlements/check";
  expect((await api.post(nobody, { feature: "sso" })).json.allowed).toBe(false);
});

describe("money", () => {
  test("holds keep others from reserving; usage that happened is recorded all the same", async () => {
    await api.put(`${acme}/spending-limit`, { credit_only: true });
    const bought = await api.post(
      `${acme}/purchases`,
      { sku: "USAGE-SMS-1000" },
      { key: api.keys.admin },
    );
    expect(bought.status).toBe(201);
    expect((await reserve("sms", "900")).status).toBe(201);
    expect((await reserve("sms", "101")).json).toMatchObject({ reason: "no_credit_left" });
    await send("u1", "sms.sent", "50");
    const balances = await api.get(`${acme}/balances`);
    expect(balances.json.data).toMatchObject([{ pool: "sms", available: "950", held: "900" }]);
  });

  test("credit only: 40.00 of credit cover 40.00 of usage and not a cent more (R-057)", async () => {
    api.env.at("2025-01-17T00:10:00Z");
    const gift = { currency: "USD", quantity: "4000", reason: "welcome" };
    expect((await api.post(`${acme}/grants`, gift)).status).toBe(201);
    expect(await check("ai-tokens", "26666")).toMatchObject({ allowed: true });
    expect(await check("ai-tokens", "26667")).toMatchObject({
      allowed: false,
      reason: "no_credit_left",
    });
    await send("u2", "ai.tokens", "20000");
    expect(await check("ai-tokens", "6666")).toMatchObject({ allowed: true });
    expect(await check("ai-tokens", "6667")).toMatchObject({ allowed: false });
    await send("u3", "ai.tokens", "100000");
    expect(await check("ai-tokens", "1")).toMatchObject({ allowed: false });
  });

  test("a cap counts what the invoice would say, and raising it unblocks at once (R-170)", async () => {
    await api.put(`${acme}/spending-limit`, { cap: "200.00" });
    expect(await check("sponsorships", "1")).toMatchObject({ allowed: true });
    expect(await check("sponsorships", "2")).toMatchObject({
      allowed: false,
      reason: "spend_cap_reached",
    });
    await api.put(`${acme}/spending-limit`, { cap: "210.00" });
    expect(await check("sponsorships", "2")).toMatchObject({ allowed: true });
  });
});
