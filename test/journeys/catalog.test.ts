import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { apply, exampleCatalog } from "../harness/catalog.ts";
import { type TestApi, testApi } from "../harness/api.ts";

const account = "/v1/organizations/acme/accounts/acme-usd";
let api: TestApi;
beforeAll(async () => {
  api = await testApi({ at: "2025-01-01T00:00:00Z" });
  await apply(api.env, exampleCatalog());
  await api.put(`${account}/terms`, { net_days: 30 });
});
afterAll(() => api.close());

const provider = async (path: string, body: object, status = 201) => {
  const answer = await api.post(path, body);
  expect([path, answer.status, answer.status === status ? "" : answer.text]).toEqual([
    path,
    status,
    "",
  ]);
  return answer.json;
};
const upcoming = async (at: string): Promise<string[]> => {
  const { lines } = (await api.get(`${account}/upcoming-invoice?at=${at}`)).json;
  return lines.map(
    (line: { sku: string; amount: { amount: string } | string }) =>
      `${line.sku} ${typeof line.amount === "string" ? line.amount : line.amount.amount}`,
  );
};
const send = (type: string, id: string, time: string, data: object) =>
  api.post(
    "/v1/events",
    { id, source: "journey", type, subject: "web", time, data },
    { key: api.keys.ingest },
  );

describe("J1: Ada launches a product with no deployment", () => {
  test("service, meter and SKUs as drafts; both prices; published; bought; used; invoiced", async () => {
    const perMinute = { operation: "divide", factor: "60", rounding: "half_away", digits: 6 };
    const money = { book: "retail-usd", currency: "USD" };
    await provider("/v1/services", { key: "voice", name: "Voice" });
    await provider("/v1/meters", {
      key: "voice-seconds",
      event_type: "call.ended",
      aggregation: "sum",
      unit: "s",
      dimensions: [{ key: "region" }],
    });
    const sku = { service: "voice", meter: "voice-seconds", status: "draft" };
    await provider("/v1/skus", { ...sku, code: "USAGE-VOICE-OVERAGE", kind: "usage" });
    await provider("/v1/skus", {
      ...sku,
      code: "USAGE-VOICE-1000",
      kind: "batch",
      units: "60000",
      validity_days: 90,
      unit: "s",
    });
    await provider("/v1/prices", {
      ...money,
      sku: "USAGE-VOICE-OVERAGE",
      model: "per_unit",
      unit_amount: "0.045",
      conversion: perMinute,
    });
    await provider("/v1/prices", {
      ...money,
      sku: "USAGE-VOICE-1000",
      model: "flat_fee",
      amount: "30.00",
    });
    for (const code of ["USAGE-VOICE-OVERAGE", "USAGE-VOICE-1000"])
      expect((await api.patch(`/v1/skus/${code}`, { status: "published" })).status).toBe(200);

    const offers = (await api.get(`${account}/batch-offers`)).json.data;
    const voice = offers.find((offer: { sku: string }) => offer.sku === "USAGE-VOICE-1000");
    expect(voice).toMatchObject({ price: { amount: "30.00" }, validity_days: 90 });

    await provider(`${account}/purchases`, { sku: "USAGE-VOICE-1000", settlement: "invoice" });
    const sent = await send("call.ended", "call-1", "2025-01-01T00:00:00Z", {
      value: "70000",
      region: "eu",
    });
    expect(sent.json).toMatchObject({ accepted: 1 });
    // 10,000 seconds beyond the batch: 166.67 minutes at 0.045.
    expect(await upcoming("2025-01-01T00:00:00Z")).toEqual([
      "USAGE-VOICE-1000 30.00",
      "USAGE-VOICE-OVERAGE 7.50",
    ]);
  });

  test("a dearer price from tomorrow leaves what was used today as it was", async () => {
    await provider("/v1/prices", {
      book: "retail-usd",
      currency: "USD",
      sku: "USAGE-VOICE-OVERAGE",
      model: "per_unit",
      unit_amount: "0.05",
      conversion: { operation: "divide", factor: "60", rounding: "half_away", digits: 6 },
      effective_from: "2025-01-02T00:00:00Z",
    });
    api.env.at("2025-01-03T00:00:00Z");
    await send("call.ended", "call-2", "2025-01-02T00:00:00Z", { value: "600", region: "eu" });
    expect(await upcoming("2025-01-03T00:00:00Z")).toContain("USAGE-VOICE-OVERAGE 8.00");
  });
});

test("an overage price changes while events flow: no 5xx, before T at the old price, from T at the new", async () => {
  api.env.at("2025-01-10T00:00:00Z");
  const change = "2025-01-10T12:00:00Z";
  const statuses: number[] = [];
  let sent = 0;
  const flow = async (count: number) => {
    const calls = Array.from({ length: count }, () => {
      const n = sent++;
      // Half of them before noon, half from noon on.
      const time = n % 2 === 0 ? "2025-01-10T11:59:59.999999Z" : change;
      return send("sms.sent", `sms-${n}`, time, { value: "1" });
    });
    for (const answer of await Promise.all(calls)) statuses.push(answer.status);
  };
  api.env.at("2025-01-10T11:58:00Z");
  await flow(100);
  const published = api.post("/v1/prices", {
    book: "retail-usd",
    currency: "USD",
    sku: "USAGE-SMS-OVERAGE",
    model: "per_unit",
    unit_amount: "0.07",
    effective_from: change,
  });
  await Promise.all([flow(100), published]);
  expect((await published).status).toBe(201);
  api.env.at("2025-01-10T12:00:00Z");
  await flow(100);
  expect(new Set(statuses)).toEqual(new Set([200]));
  // 150 at 0.06 and 150 at 0.07.
  expect(await upcoming("2025-01-10T12:00:00Z")).toContain("USAGE-SMS-OVERAGE 19.50");
});

describe("J4: Cleo changes plan in the middle of the period", () => {
  const base = "/v1/organizations/acme/subscriptions";
  const cleo = () => ({ key: api.keys.admin });
  let id: string;

  test("Basic from the first; upgraded on the 11th: the upcoming invoice shows 16.13 + 135.48", async () => {
    api.env.at("2025-02-01T00:00:00Z");
    const started = await api.post(base, { account: "acme-usd", plan: "basic" }, cleo());
    expect(started.status).toBe(201);
    id = started.json.subscription.id;
    api.env.at("2025-03-11T00:00:00Z");
    const body = { kind: "change_plan", plan: "professional" };
    const shown = await api.post(`${base}/${id}/change?preview=true`, body, cleo());
    expect(shown.json.effect.net).toBe("101.61");
    expect((await api.post(`${base}/${id}/change`, body, cleo())).status).toBe(200);
    expect(await upcoming("2025-03-11T00:00:00Z")).toEqual([
      "PLAN-BASIC-MONTHLY 16.13",
      "PLAN-PROFESSIONAL-MONTHLY 135.48",
    ]);
  });

  test("a downgrade is scheduled for the next period, and can be taken back", async () => {
    const body = { kind: "change_plan", plan: "basic", when: "period_end" };
    const done = await api.post(`${base}/${id}/change`, body, cleo());
    expect(done.json).toMatchObject({
      effective_at: "2025-04-01T00:00:00.000Z",
      subscription: { status: "pending_change" },
    });
    expect(await upcoming("2025-04-02T00:00:00Z")).toEqual(["PLAN-BASIC-MONTHLY 50.00"]);
    await api.post(`${base}/${id}/change`, { kind: "undo_change" }, cleo());
    expect(await upcoming("2025-04-02T00:00:00Z")).toEqual(["PLAN-PROFESSIONAL-MONTHLY 200.00"]);
  });

  test("cancelling at the period's end keeps access until then", async () => {
    const cancelled = await api.post(`${base}/${id}/cancel`, {}, cleo());
    expect(cancelled.json.subscription).toMatchObject({
      status: "cancelled",
      ends_at: "2025-04-01T00:00:00.000Z",
    });
    expect(await upcoming("2025-04-02T00:00:00Z")).toEqual([]);
  });
});
