import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type TestApi, testApi } from "../../../test/harness/api.ts";
import { apply, exampleCatalog } from "../../../test/harness/catalog.ts";

let api: TestApi;
beforeAll(async () => {
  api = await testApi({ at: "2025-01-01T00:00:00Z" });
  await apply(api.env, exampleCatalog());
});
afterAll(() => api.close());

const shop = async (organization: string, query = "") =>
  (await api.get(`/v1/organizations/${organization}/catalog${query}`)).json;
const skusSeen = async (organization: string): Promise<string[]> =>
  (await shop(organization)).services.flatMap((service: { skus: { code: string }[] }) =>
    service.skus.map((sku) => sku.code),
  );

describe("a product by API alone", () => {
  test("drafts are invisible; publishing with a gap between tiers is refused naming the gap", async () => {
    expect((await api.post("/v1/services", { key: "voice", name: "Voice" })).status).toBe(201);
    const meter = {
      key: "voice-seconds",
      event_type: "call.ended",
      aggregation: "sum",
      unit: "s",
      dimensions: [{ key: "region" }],
    };
    expect((await api.post("/v1/meters", meter)).status).toBe(201);
    for (const sku of [
      { code: "USAGE-VOICE-OVERAGE", kind: "usage", meter: "voice-seconds" },
      {
        code: "USAGE-VOICE-1000",
        kind: "batch",
        meter: "voice-seconds",
        units: "60000",
        validity_days: 90,
      },
    ]) {
      const made = await api.post("/v1/skus", { ...sku, service: "voice", status: "draft" });
      expect([made.status, made.json.document?.status]).toEqual([201, "draft"]);
    }
    expect(await skusSeen("acme")).not.toContain("USAGE-VOICE-OVERAGE");

    const gap = await api.post("/v1/prices", {
      book: "retail-usd",
      sku: "USAGE-VOICE-OVERAGE",
      currency: "USD",
      model: "graduated",
      tiers: [
        { up_to: "100", unit_amount: "0.05" },
        { from: "101", unit_amount: "0.04" },
      ],
    });
    expect([gap.status, gap.json.code]).toEqual([422, "catalog_not_valid"]);
    expect(gap.json.detail).toContain("starts at 101");
  });

  test("with both prices it can be published, and is seen at once", async () => {
    const perMinute = { operation: "divide", factor: "60", rounding: "half_away", digits: 6 };
    const priced = [
      {
        sku: "USAGE-VOICE-OVERAGE",
        model: "per_unit",
        unit_amount: "0.045",
        conversion: perMinute,
      },
      { sku: "USAGE-VOICE-1000", model: "flat_fee", amount: "30.00" },
    ];
    for (const price of priced)
      expect(
        (await api.post("/v1/prices", { ...price, book: "retail-usd", currency: "USD" })).status,
      ).toBe(201);
    for (const { sku } of priced)
      expect((await api.patch(`/v1/skus/${sku}`, { status: "published" })).status).toBe(200);
    expect(await skusSeen("acme")).toContain("USAGE-VOICE-1000");
    const offers = await api.get("/v1/organizations/acme/catalog");
    const voice = offers.json.services.find((one: { key: string }) => one.key === "voice");
    expect(voice.skus.map((sku: { price: { price: unknown } }) => sku.price.price)).toEqual([
      { currency: "USD", model: "flat_fee", amount: "30" },
      { currency: "USD", model: "per_unit", unit_amount: "0.045", conversion: perMinute },
    ]);
  });

  test("a batch without an overage price cannot be published", async () => {
    await api.post("/v1/meters", {
      key: "fax",
      event_type: "fax.sent",
      aggregation: "count",
      unit: "fax",
    });
    await api.post("/v1/skus", {
      code: "FAX-10",
      kind: "batch",
      meter: "fax",
      units: "10",
      validity_days: 5,
      status: "draft",
    });
    await api.post("/v1/prices", {
      book: "retail-usd",
      sku: "FAX-10",
      currency: "USD",
      model: "flat_fee",
      amount: "1.00",
    });
    const refused = await api.patch("/v1/skus/FAX-10", { status: "published" });
    expect(refused.status).toBe(422);
    expect(refused.json.detail).toContain("the batch FAX-10 has no overage price");
  });
});

test("a published amount is never changed: 409; a new version with effective_from is accepted", async () => {
  const edit = await api.patch("/v1/prices/retail-usd/USAGE-SMS-OVERAGE", { unit_amount: "0.07" });
  expect([edit.status, edit.json.code]).toEqual([409, "price_published"]);
  const next = {
    book: "retail-usd",
    sku: "USAGE-SMS-OVERAGE",
    currency: "USD",
    model: "per_unit",
    unit_amount: "0.07",
    effective_from: "2025-01-16T00:00:00Z",
  };
  expect((await api.post("/v1/prices", next)).status).toBe(201);
  const past = await api.post("/v1/prices", { ...next, effective_from: "2024-12-01T00:00:00Z" });
  expect([past.status, past.json.code]).toEqual([409, "catalog_change_refused"]);
  const listed = await api.get("/v1/prices?sku=USAGE-SMS-OVERAGE&book=retail-usd");
  expect(listed.json.data).toHaveLength(2);
});

test("a restricted SKU is seen by those it is assigned to, and hidden again", async () => {
  await api.post("/v1/skus", {
    code: "PARTNER-USAGE-SMS-1000",
    kind: "batch",
    meter: "sms",
    units: "1000",
    validity_days: 30,
    restricted: true,
    status: "draft",
  });
  await api.post("/v1/prices", {
    book: "retail-usd",
    sku: "PARTNER-USAGE-SMS-1000",
    currency: "USD",
    model: "flat_fee",
    amount: "30.00",
  });
  await api.patch("/v1/skus/PARTNER-USAGE-SMS-1000", { status: "published" });
  const sees = async () => [
    (await skusSeen("globex")).includes("PARTNER-USAGE-SMS-1000"),
    (await skusSeen("acme")).includes("PARTNER-USAGE-SMS-1000"),
  ];
  expect(await sees()).toEqual([false, false]);
  const asked = { sku: "PARTNER-USAGE-SMS-1000", count: 1 };
  const shopping = "/v1/organizations/acme/accounts/acme-usd/purchases/preview";
  const refused = await api.post(shopping, asked);
  expect([refused.status, refused.json.code]).toEqual([404, "batch_not_sold"]);
  const assignment = { sku: "PARTNER-USAGE-SMS-1000", organization: "globex" };
  expect((await api.post("/v1/assignments", assignment)).status).toBe(201);
  expect(await sees()).toEqual([true, false]);
  expect((await api.delete("/v1/assignments", { body: assignment })).status).toBe(204);
  expect(await sees()).toEqual([false, false]);
});

test("customers have no way to the catalog, and see it at their own prices", async () => {
  const write = await api.post("/v1/skus", { code: "X" }, { key: api.keys.admin });
  expect(write.status).toBe(403);
  const own = await api.get("/v1/organizations/acme/catalog", { key: api.keys.viewer });
  expect(own.status).toBe(200);
  expect(own.json.plans.map((plan: { key: string }) => plan.key)).toContain("enterprise");
  expect((await shop("acme", "?currency=EUR")).book).toBe("retail-eur");
});

test("with two-person publication, the author of a price is not its approver", async () => {
  await api.put("/v1/catalog/settings", { two_person_publication: true });
  const price = {
    book: "retail-eur",
    sku: "PLATFORM-USERS",
    currency: "EUR",
    model: "per_unit",
    unit_amount: "1.80",
  };
  const alone = await api.post("/v1/prices", price);
  expect([alone.status, alone.json.code]).toEqual([409, "catalog_approval_needed"]);

  const { files } = (await api.get("/v1/catalog/files")).json;
  const wanted = [...files, { name: "eur", document: { prices: [price] } }];
  const proposed = await api.post("/v1/catalog/proposals", { files: wanted, reason: "euro users" });
  expect(proposed.json.plan.changes).toHaveLength(1);
  const address = `/v1/catalog/proposals/${proposed.json.id}/approve`;
  expect((await api.post(address, {})).json.code).toBe("catalog_self_approval");
  const second = await api.post("/v1/keys", { name: "second admin", roles: ["provider_admin"] });
  const approved = await api.post(address, {}, { key: second.json.secret });
  expect([approved.status, approved.json.status]).toEqual([200, "approved"]);
  expect((await api.post(address, {}, { key: second.json.secret })).json.code).toBe(
    "proposal_decided",
  );
  await api.put("/v1/catalog/settings", { two_person_publication: false });
});

test("the whole catalog over HTTP: exported files plan to nothing and apply to nothing", async () => {
  const { files } = (await api.get("/v1/catalog/files")).json;
  expect((await api.post("/v1/catalog/plan", { files })).json.changes).toEqual([]);
  expect((await api.post("/v1/catalog/apply", { files })).json.changes).toEqual([]);
});

test("a new account gets the default plan, when there is one in its currency", async () => {
  await api.patch("/v1/plans/basic", { default: true });
  const open = async (slug: string, currency: string) => {
    const account = { slug, name: slug, currency };
    const opened = await api.post("/v1/organizations/globex/accounts", account);
    expect(opened.status).toBe(201);
    const listed = await api.get(`/v1/organizations/globex/subscriptions?account=${slug}`);
    return listed.json.data.map((one: { phases: { plan: unknown }[] }) => one.phases[0]?.plan);
  };
  expect(await open("globex-usd", "USD")).toEqual([{ plan: "basic", version: 1 }]);
  expect(await open("globex-eur", "EUR")).toEqual([]);
  await api.patch("/v1/plans/basic", { default: false });
});

describe("subscriptions over HTTP", () => {
  const base = "/v1/organizations/acme/subscriptions";
  let id: string;

  test("fifty parallel identical calls with one key: one subscription, one answer", async () => {
    const calls = Array.from({ length: 50 }, () =>
      api.post(
        base,
        { account: "acme-usd", plan: "basic" },
        { key: api.keys.admin, headers: { "idempotency-key": "once" } },
      ),
    );
    const answers = await Promise.all(calls);
    const made = answers.filter((answer) => answer.status === 201);
    expect(new Set(made.map((answer) => answer.json.subscription.id)).size).toBe(1);
    expect(answers.every((answer) => [201, 409].includes(answer.status))).toBe(true);
    id = made[0]?.json.subscription.id;
    const listed = await api.get(`${base}?account=acme-usd`);
    expect(listed.json.data.map((one: { id: string }) => one.id)).toEqual([id]);
  });

  test("the preview of an upgrade is the upgrade", async () => {
    api.env.at("2025-01-11T00:00:00Z");
    const body = { kind: "change_plan", plan: "professional" };
    const shown = await api.post(`${base}/${id}/change?preview=true`, body);
    expect(shown.json.effect).toMatchObject({ credit: "-33.87", charge: "135.48", net: "101.61" });
    expect(
      shown.json.effect.lines.flatMap((line: { segments: { share: string }[] }) =>
        line.segments.map((one) => one.share),
      ),
    ).toEqual(["10/31", "21/31"]);
    expect((await api.get(`${base}/${id}`)).json.revision).toBe(1);
    const done = await api.post(`${base}/${id}/change`, body);
    expect(done.json.effect).toEqual(shown.json.effect);
    expect(done.json.subscription).toMatchObject({ status: "active", revision: 2 });
    const history = await api.get(`${base}/${id}/changes`);
    expect(history.json.data.map((one: { kind: string }) => one.kind)).toEqual([
      "started",
      "change_now",
    ]);
  });

  test("pause, resume, cancel at the period's end keeps access until then", async () => {
    const state = (answer: { json: { subscription: { status: string } } }) =>
      answer.json.subscription.status;
    expect(state(await api.post(`${base}/${id}/pause`, {}))).toBe("paused");
    const again = await api.post(`${base}/${id}/pause`, {});
    expect([again.status, again.json.code, again.json.reason]).toEqual([
      409,
      "subscription_change_refused",
      "already_paused",
    ]);
    expect(state(await api.post(`${base}/${id}/resume`, {}))).toBe("active");
    const cancelled = await api.post(`${base}/${id}/cancel`, {});
    expect([state(cancelled), cancelled.json.subscription.ends_at]).toEqual([
      "cancelled",
      "2025-02-01T00:00:00.000Z",
    ]);
    api.env.at("2025-02-01T00:00:00Z");
    expect((await api.get(`${base}/${id}`)).json.status).toBe("ended");
    expect((await api.post(base, { account: "acme-usd", plan: "basic" })).status).toBe(201);
  });

  test("customers cannot choose what they pay; other organizations see nothing", async () => {
    const wish = { account: "acme-usd", plan: "basic", discounts: [{ percent: "99" }] };
    const refused = await api.post(base, wish, { key: api.keys.admin });
    expect([refused.status, refused.json.code]).toEqual([403, "staff_only"]);
    const foreign = await api.get(`${base}/${id}`, { key: api.keys.other });
    expect(foreign.status).toBe(404);
  });
});
