import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { system } from "../../src/domain/audit/index.ts";
import { closeBooks } from "../../src/flows/close-books.ts";
import { postSupplyCost } from "../../src/flows/keep-supply.ts";
import { postBooks } from "../../src/flows/post-books.ts";
import { simulatedPayments } from "../../src/gateways/simulated-payments.ts";
import { seededRandom } from "../../src/kit/random.ts";
import { instant } from "../../src/kit/time.ts";
import { type TestApi, testApi } from "../harness/api.ts";
import { loadPrepaidCatalog } from "../harness/prepaid.ts";

// J7, steps 4, 5 and 7: the books of January tie, are closed, and stay what they are whatever comes later.
let api: TestApi;
const account = "/v1/organizations/acme/accounts/acme-usd";
const january = "from=2025-01-01T00:00:00Z&until=2025-02-01T00:00:00Z";

beforeAll(async () => {
  const payments = simulatedPayments(seededRandom(1));
  api = await testApi({ at: "2025-01-10T00:00:00Z", extend: (bare) => ({ ...bare, payments }) });
  await loadPrepaidCatalog(api.env);
  const lot = await api.post("/v1/supply-lots", {
    pool: "sms",
    supplier: "carrier",
    size: "10000",
    currency: "USD",
    cost: "200.00",
    bought_at: "2025-01-02T00:00:00Z",
  });
  expect(lot.status, lot.text).toBe(201);
  const bought = await api.post(
    `${account}/purchases`,
    { sku: "USAGE-SMS-1000" },
    { headers: { "idempotency-key": "batch" } },
  );
  expect(bought.json, bought.text).toMatchObject({ status: "paid", total: { amount: "40.00" } });
  api.env.at("2025-01-20T00:00:00Z");
  await sms("january", 1250, "2025-01-20T00:00:00Z");
  // The hourly job: what was used is taken out of stock in the hour in which it is known.
  api.env.at("2025-01-20T01:05:00Z");
  await postSupplyCost(api.env);
  api.env.at("2025-02-04T00:00:00Z");
  const run = await api.post("/v1/billing-runs", {});
  expect(run.json.status, run.text).toBe("closed");
});
afterAll(() => api.close());

async function sms(id: string, count: number, time: string): Promise<void> {
  const event = {
    id,
    source: "j7",
    type: "sms.sent",
    subject: "web",
    time,
    data: { value: String(count) },
  };
  const answer = await api.post("/v1/events", event, {
    headers: { "tallyline-organization": "acme" },
  });
  expect(answer.status, answer.text).toBe(200);
}

const rolled = async (kind?: string) =>
  (await api.get(`/v1/ledger/roll-forward?${january}${kind ? `&kind=${kind}` : ""}`)).json.data;
const close = (until: string) => api.post("/v1/ledger/closings", { until, reason: "month end" });

describe("J7: Finn closes the books of January", () => {
  test("the books are closed once, at a moment that has passed, and not opened again", async () => {
    const early = await close("2025-02-05T00:00:00Z");
    expect([early.status, early.json.code]).toEqual([409, "books_not_closable"]);
    const closed = await close("2025-02-01T00:00:00Z");
    expect(closed.status, closed.text).toBe(201);
    const again = await close("2025-02-01T00:00:00Z");
    expect(again.json).toEqual(closed.json);
    const back = await close("2025-01-15T00:00:00Z");
    expect([back.status, back.json.code]).toEqual([409, "books_not_closable"]);
    expect((await api.get("/v1/ledger/closings")).json.data).toHaveLength(1);
  });

  test("the deferred revenue of the batch rolls forward from nothing to nothing, and the trial balance is 0", async () => {
    expect(await rolled("deferred")).toEqual([
      {
        account: "liabilities:deferred:USAGE-SMS-1000",
        kind: "money",
        commodity: "USD",
        opening: "0.00",
        debits: "40.00",
        credits: "-40.00",
        closing: "0.00",
      },
    ]);
    const all = (await rolled()).filter((one: { kind: string }) => one.kind === "money");
    for (const { opening, debits, credits, closing } of all)
      expect(cents(opening) + cents(debits) + cents(credits)).toBe(cents(closing));
    const trial = all.reduce(
      (sum: bigint, one: { closing: string }) => sum + cents(one.closing),
      0n,
    );
    expect([all.length > 4, trial]).toEqual([true, 0n]);
  });

  test("SMS brought in 55.00, cost 25.00, and left 30.00", async () => {
    const { json } = await api.get(`/v1/reports/margins?${january}`);
    expect(json.data).toMatchObject([
      {
        pool: "sms",
        revenue: { amount: "55.00" },
        cost: { amount: "25.00" },
        margin: { amount: "30.00" },
      },
    ]);
  });

  test("usage of January that comes after the close is dated in February; January stays to the cent", async () => {
    const before = await rolled();
    api.env.at("2025-02-05T00:00:00Z");
    await sms("late", 100, "2025-01-25T00:00:00Z");
    api.env.at("2025-03-05T00:00:00Z");
    const run = await api.post("/v1/billing-runs", {});
    expect(run.json.status, run.text).toBe("closed");
    const march = await close("2025-03-01T00:00:00Z");
    expect(march.status, march.text).toBe(201);
    expect(await rolled()).toEqual(before);
    const february = "from=2025-02-01T00:00:00Z&until=2025-03-01T00:00:00Z";
    const { json } = await api.get(`/v1/reports/margins?${february}`);
    expect(json.data).toMatchObject([{ pool: "sms", revenue: { amount: "6.00" } }]);
  });

  test("nothing is posted into a month while it is being closed", async () => {
    api.env.at("2025-04-02T00:00:00Z");
    await api.post(`${account}/purchases`, { sku: "USAGE-SMS-1000" });
    for (let i = 0; i < 8; i++) await sms(`race-${i}`, 10, "2025-03-20T00:00:00Z");
    const until = instant("2025-04-01T00:00:00Z");
    await Promise.all([
      closeBooks(api.env, system("finn"), until),
      ...Array.from({ length: 6 }, () => postBooks(api.env)),
    ]);
    const seen = await api.get("/v1/ledger/balances?as_of=2025-03-31T23:59:59.999999Z");
    await sms("race-late", 10, "2025-03-21T00:00:00Z");
    await postBooks(api.env);
    const after = await api.get("/v1/ledger/balances?as_of=2025-03-31T23:59:59.999999Z");
    expect(after.json).toEqual(seen.json);
  });
});

const cents = (text: string): bigint => BigInt(text.replace(".", ""));
