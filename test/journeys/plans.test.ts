import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { decimal, formatDecimal, zero } from "../../src/kit/decimal.ts";
import { apply, exampleCatalog, yamlFile } from "../harness/catalog.ts";
import { testApi } from "../harness/api.ts";

const account = "/v1/organizations/acme/accounts/acme-usd";
const invoices = "/v1/organizations/acme/invoices";
const subscriptions = "/v1/organizations/acme/subscriptions";

// A service that only an add-on gives; ten seats more; a plan that includes no storage.
const more = `
services: [{ key: voice, name: Voice }]
meters: [{ key: calls, event_type: call.ended, aggregation: count, unit: call }]
skus:
  - { code: VOICE-CALLS, kind: usage, service: voice, meter: calls }
  - { code: VOICE-ACCESS, kind: recurring, service: voice }
  - { code: SEATS-10, kind: recurring, service: platform }
prices: [{ book: retail-usd, sku: VOICE-CALLS, model: per_unit, currency: USD, unit_amount: "0.10" }]
plans:
  - key: voice
    kind: add_on
    product_line: platform
    versions: [{ version: 1, fees: [{ sku: VOICE-ACCESS, amounts: { USD: "5.00" } }], usage: [{ sku: VOICE-CALLS, included: "3", beyond: block }] }]
  - key: ten-seats
    kind: add_on
    product_line: platform
    versions: [{ version: 1, fees: [{ sku: SEATS-10, amounts: { USD: "8.00" } }], quotas: [{ key: users, limit: "10" }] }]
  - key: professional-metered
    product_line: platform
    versions: [{ version: 1, fees: [{ sku: PLAN-PROFESSIONAL-MONTHLY, amounts: { USD: "200.00" } }], usage: [{ sku: PLATFORM-STORAGE }] }]
`;

/** An installation of one customer with the example catalog, at a moment, and its calls in short. */
async function anInstallation(at: string) {
  const api = await testApi({ at });
  await apply(api.env, [...exampleCatalog(), yamlFile(more)]);
  const cleo = { key: api.keys.admin };
  const machine = { key: api.keys.ingest };
  let sent = 0;
  const ask = async (feature: string, quantity = "1", take = false) =>
    (await api.post(`${account}/entitlements/check`, { feature, quantity, take }, machine)).json;
  return {
    api,
    cleo,
    ask,
    take: (feature: string, quantity = "1") => ask(feature, quantity, true),
    reserve: (feature: string, quantity = "1") =>
      api.post(`${account}/reservations`, { feature, quantity }, machine),
    async subscribe(plan: string, rest: object = {}): Promise<string> {
      const body = { account: "acme-usd", plan, ...rest };
      const answer = await api.post(subscriptions, body, cleo);
      expect([answer.status, answer.text]).toEqual([201, expect.any(String)]);
      return answer.json.subscription.id;
    },
    change: (id: string, body: object) => api.post(`${subscriptions}/${id}/change`, body, cleo),
    async send(type: string, data: object): Promise<void> {
      const time = new Date(api.env.now() / 1000).toISOString();
      const event = { id: `e${sent++}`, source: "journey", type, subject: "web", time, data };
      expect((await api.post("/v1/events", event, machine)).json).toMatchObject({ accepted: 1 });
    },
    async upcoming(when: string): Promise<string[]> {
      const { lines } = (await api.get(`${account}/upcoming-invoice?at=${when}`)).json;
      return lines.map((line: { sku: string; amount: { amount: string } | string }) =>
        [line.sku, typeof line.amount === "string" ? line.amount : line.amount.amount].join(" "),
      );
    },
  };
}
type Installation = Awaited<ReturnType<typeof anInstallation>>;

describe("J4: Cleo changes plan in the middle of the period and meets limits", () => {
  let at: Installation;
  let id: string;
  beforeAll(async () => {
    at = await anInstallation("2025-01-01T00:00:00Z");
    id = await at.subscribe("basic");
  });
  afterAll(() => at.api.close());

  test("1: of 5,001 requests in an hour the last is refused with the time of the next; billing is unaffected", async () => {
    at.api.env.at("2025-01-01T10:20:00Z");
    expect(await at.take("api-requests", "4999")).toMatchObject({ allowed: true, remaining: "1" });
    expect(await at.take("api-requests")).toMatchObject({ allowed: true, remaining: "0" });
    const refused = {
      reason: "limit_reached",
      limit: "5000",
      remaining: "0",
      resets_at: "2025-01-01T11:00:00.000Z",
    };
    expect(await at.take("api-requests")).toMatchObject({ allowed: false, ...refused });
    const held = await at.reserve("api-requests");
    expect([held.status, held.json]).toEqual([429, expect.objectContaining(refused)]);
    expect(await at.upcoming("2025-01-01T10:20:00Z")).toEqual(["PLAN-BASIC-MONTHLY 50.00"]);
    at.api.env.at("2025-01-01T11:00:00Z");
    expect(await at.take("api-requests")).toMatchObject({ allowed: true, remaining: "4999" });
  });

  test("2: 0.99 GB are held, 0.02 more are refused, 0.01 fit; reading always works", async () => {
    expect(await at.ask("storage", "0.99")).toMatchObject({ allowed: true, limit: "1" });
    await at.send("storage.changed", { gb: "0.99" });
    expect(await at.ask("storage", "0.02")).toMatchObject({
      allowed: false,
      reason: "limit_reached",
      remaining: "0.01",
      resets_at: null,
    });
    expect((await at.reserve("storage", "0.02")).status).toBe(429);
    expect(await at.ask("storage", "0.01")).toMatchObject({ allowed: true });
    await at.send("storage.changed", { gb: "0.5" });
    expect(await at.ask("storage", "0")).toMatchObject({ allowed: true, remaining: "0" });
  });

  test("users: the fiftieth is invited, the fifty-first is not; a feature is what the plan says", async () => {
    expect(await at.take("users", "50")).toMatchObject({ allowed: true, remaining: "0" });
    expect(await at.take("users")).toMatchObject({ allowed: false, limit: "50" });
    expect(await at.ask("advanced")).toMatchObject({ allowed: false, reason: "not_entitled" });
    expect(await at.ask("sso")).toMatchObject({ allowed: false, reason: "not_entitled" });
    expect(await at.ask("standard")).toMatchObject({ allowed: true, limit: null });
  });

  test("3: upgraded on the 11th: new limits at once, and 16.13 + 135.48 upcoming", async () => {
    at.api.env.at("2025-01-11T00:00:00Z");
    await at.take("api-requests", "5000");
    expect(await at.take("api-requests")).toMatchObject({ allowed: false });
    expect((await at.change(id, toPlan("professional"))).status).toBe(200);
    expect(await at.take("api-requests", "15000")).toMatchObject({
      allowed: true,
      limit: "20000",
      remaining: "0",
    });
    expect(await at.take("api-requests")).toMatchObject({ allowed: false });
    expect(await at.ask("advanced")).toMatchObject({ allowed: true });
    expect(await at.ask("sso")).toMatchObject({ allowed: true });
    expect(await at.ask("storage", "100")).toMatchObject({ allowed: true, limit: null });
    expect(await at.upcoming("2025-01-11T00:00:00Z")).toEqual(
      expect.arrayContaining(["PLAN-BASIC-MONTHLY 16.13", "PLAN-PROFESSIONAL-MONTHLY 135.48"]),
    );
  });

  test("4: 25,000 an hour for seven days, approved by Ada; on the eighth day 20,000", async () => {
    const asked = await at.api.post(
      `${account}/quota-requests`,
      { quota: "api-requests", limit: "25000", ends_at: "2025-01-18T00:00:00Z", reason: "launch" },
      at.cleo,
    );
    expect(asked.status).toBe(201);
    expect(await at.ask("api-requests")).toMatchObject({ limit: "20000" });
    const decision = `${account}/quota-requests/${asked.json.id}/decision`;
    expect((await at.api.post(decision, { status: "approved" })).status).toBe(200);
    at.api.env.at("2025-01-17T23:00:00Z");
    expect(await at.take("api-requests", "25000")).toMatchObject({ allowed: true, limit: "25000" });
    at.api.env.at("2025-01-18T00:00:00Z");
    expect(await at.ask("api-requests", "20001")).toMatchObject({ allowed: false, limit: "20000" });
  });

  test("5: a downgrade with 60 users is refused by name; after ten have left it is scheduled", async () => {
    await at.take("users", "10");
    await at.send("storage.changed", { gb: "-1" });
    for (const when of ["now", "period_end"]) {
      const refused = await at.change(id, { ...toPlan("basic"), when });
      expect([refused.status, refused.json]).toEqual([
        409,
        expect.objectContaining({
          code: "subscription_change_refused",
          exceeds: ["60 of 50 users"],
          detail: expect.stringContaining("60 of 50 users"),
        }),
      ]);
    }
    expect(await at.ask("users")).toMatchObject({ limit: "200" });
    await at.take("users", "-10");
    const done = await at.change(id, { ...toPlan("basic"), when: "period_end" });
    expect(done.json).toMatchObject({ effective_at: "2025-02-01T00:00:00.000Z" });
    at.api.env.at("2025-01-31T23:59:59.999999Z");
    expect(await at.ask("advanced")).toMatchObject({ allowed: true });
    at.api.env.at("2025-02-01T00:00:00Z");
    expect(await at.ask("advanced")).toMatchObject({ allowed: false });
    expect(await at.ask("users")).toMatchObject({ allowed: false, limit: "50", remaining: "0" });
  });
});

const toPlan = (plan: string) => ({ kind: "change_plan", plan });

describe("what a plan gives", () => {
  let at: Installation;
  let id: string;
  beforeAll(async () => {
    at = await anInstallation("2025-01-01T00:00:00Z");
  });
  afterAll(() => at.api.close());

  test("without a plan nothing that plans sell may be used, whatever its price in the book", async () => {
    for (const feature of ["storage", "api-requests", "users", "calls", "voice", "standard"])
      expect([feature, (await at.ask(feature)).reason]).toEqual([feature, "not_entitled"]);
    expect(await at.ask("sms")).toMatchObject({ allowed: true });
  });

  test("a service that the plan does not contain is denied; adding it grants at once, as far as it is included", async () => {
    id = await at.subscribe("basic");
    for (const feature of ["voice", "calls"])
      expect(await at.ask(feature)).toMatchObject({ allowed: false, reason: "not_entitled" });
    expect((await at.change(id, { kind: "add_add_on", add_on: "voice" })).status).toBe(200);
    expect(await at.ask("voice")).toMatchObject({ allowed: true });
    expect(await at.ask("calls", "4")).toMatchObject({ allowed: false, limit: "3" });
    await at.send("call.ended", {});
    await at.send("call.ended", {});
    expect(await at.ask("calls", "1")).toMatchObject({ allowed: true, remaining: "1" });
    expect(await at.ask("calls", "2")).toMatchObject({
      allowed: false,
      resets_at: "2025-02-01T00:00:00.000Z",
    });
    at.api.env.at("2025-02-01T00:00:00Z");
    expect(await at.ask("calls", "3")).toMatchObject({ allowed: true });
  });

  test("an add-on adds its seats, and is not taken away while they are taken", async () => {
    expect(await at.ask("users", "51")).toMatchObject({ allowed: false, limit: "50" });
    await at.change(id, { kind: "add_add_on", add_on: "ten-seats" });
    expect(await at.take("users", "60")).toMatchObject({ allowed: true, limit: "60" });
    const removal = { kind: "remove_add_on", add_on: "ten-seats" };
    expect((await at.change(id, removal)).json).toMatchObject({ exceeds: ["60 of 50 users"] });
    await at.take("users", "-61");
    expect(await at.ask("users")).toMatchObject({ remaining: "60" });
  });

  test("100 parallel claims of 1 on a limit of 60 that the plan gives: exactly 60, taken or reserved", async () => {
    const taken = await Promise.all(Array.from({ length: 100 }, () => at.take("users")));
    expect(taken.filter((answer) => answer.allowed)).toHaveLength(60);
    await at.take("users", "-60");
    const held = await Promise.all(Array.from({ length: 100 }, () => at.reserve("users")));
    expect(held.filter((answer) => answer.status === 201)).toHaveLength(60);
    expect(held.filter((answer) => answer.status === 429)).toHaveLength(40);
  });

  test("what staff sets comes before the plan; a right is worked out anew each time and is the same", async () => {
    await at.api.put(`${account}/quotas/api-requests`, { limit: "7", window: "hour" });
    expect(await at.ask("api-requests")).toMatchObject({ limit: "7" });
    await at.api.put(`${account}/features/advanced`, { allowed: true });
    expect(await at.ask("advanced")).toMatchObject({ allowed: true });
    await at.api.put(`${account}/features/standard`, { allowed: false });
    expect(await at.ask("standard")).toMatchObject({ allowed: false });
    const features = ["users", "voice", "calls", "storage", "email-support", "sso"];
    const first = await Promise.all(features.map((feature) => at.ask(feature)));
    expect(await Promise.all(features.map((feature) => at.ask(feature)))).toEqual(first);
  });

  test("pausing and ending take the rights of the plan away", async () => {
    await at.api.post(`${subscriptions}/${id}/pause`, {}, at.cleo);
    expect(await at.ask("email-support")).toMatchObject({ allowed: false });
    await at.api.post(`${subscriptions}/${id}/resume`, {}, at.cleo);
    expect(await at.ask("email-support")).toMatchObject({ allowed: true });
    await at.api.post(`${subscriptions}/${id}/cancel`, { when: "now" }, at.cleo);
    expect(await at.ask("email-support")).toMatchObject({ reason: "not_entitled" });
    expect(await at.ask("storage")).toMatchObject({ reason: "not_entitled" });
  });
});

describe("the calculation of the example, on an invoice (R-060)", () => {
  let at: Installation;
  beforeAll(async () => {
    at = await anInstallation("2025-03-31T00:00:00Z");
  });
  afterAll(() => at.api.close());

  test("2.50 + 125.00 + 84.00 + 30.00 = 241.50, and 441.50 with the base of Professional", async () => {
    at.api.env.at("2025-04-01T00:00:00Z");
    await at.subscribe("professional-metered", { add_ons: ["sso", "audit-export"] });
    // 10 GB for the 720 hours of April.
    await at.send("storage.changed", { gb: "10" });
    await at.send("api.requested", { value: "1250000" });
    for (let user = 0; user < 42; user++)
      await at.send("session.started", { user: `user-${user}` });
    at.api.env.at("2025-05-04T00:00:00Z");
    const run = await at.api.post("/v1/billing-runs", {});
    expect(run.json.status).toBe("closed");
    const list = await at.api.get(`${invoices}?limit=10`);
    const issued = (await at.api.get(`${invoices}/${list.json.data[0].id}`)).json;
    type Line = { sku: string; amount: string };
    const lines = (issued.document.lines as Line[]).map((line) => `${line.sku} ${line.amount}`);
    expect(lines.toSorted()).toEqual([
      "FEATURE-AUDIT-EXPORT 15.00",
      "FEATURE-SSO 15.00",
      "PLAN-PROFESSIONAL-MONTHLY 200.00",
      "PLATFORM-API 125.00",
      "PLATFORM-STORAGE 2.50",
      "PLATFORM-USERS 84.00",
    ]);
    const beside = (issued.document.lines as Line[])
      .filter((line) => line.sku !== "PLAN-PROFESSIONAL-MONTHLY")
      .reduce((sum, line) => sum.plus(decimal(line.amount)), zero);
    expect([formatDecimal(beside), issued.total.amount]).toEqual(["241.5", "441.50"]);
  });
});
