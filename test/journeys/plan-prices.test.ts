import { afterAll, beforeAll, expect, test } from "vitest";
import { apply, exampleCatalog, yamlFile } from "../harness/catalog.ts";
import { type TestApi, testApi } from "../harness/api.ts";
import { planWithMoney } from "../../src/flows/backtest-catalog.ts";
import { draftInvoices } from "../../src/flows/draft-invoices.ts";
import { getAccountToInvoice } from "../../src/flows/preview-invoice.ts";
import { verifyInvoice } from "../../src/flows/verify-invoice.ts";
import { periodAt } from "../../src/domain/invoicing/index.ts";
import { getCatalog } from "../../src/store/catalog.ts";
import { snapshot } from "../../src/store/transaction.ts";
import { instant } from "../../src/kit/time.ts";

const account = "/v1/organizations/acme/accounts/acme-usd";
const subscriptions = "/v1/organizations/acme/subscriptions";

// Without a plan a call costs 0.10. "talk" includes ten and has tiers of its own; in "even" each costs 0.04.
const talk = (version: number, first: string, rest = "") => `
      - version: ${version}
        ${rest}
        fees: [{ sku: TALK, amounts: { USD: "31.00" } }]
        usage:
          - sku: CALLS
            included: 10
            prices:
              - model: graduated
                currency: USD
                tiers: [{ up_to: 100, unit_amount: "${first}" }, { unit_amount: "0.02" }]
`;
const voice = (more = "") => `
meters: [{ key: calls, event_type: call.ended, aggregation: sum, unit: call }]
skus:
  - { code: CALLS, kind: usage, meter: calls }
  - { code: TALK, kind: recurring }
prices: [{ book: retail-usd, sku: CALLS, model: per_unit, currency: USD, unit_amount: "0.10" }]
plans:
  - key: talk
    product_line: voice
    versions:${talk(1, "0.05")}${more}
  - key: even
    product_line: voice
    versions:
      - version: 1
        fees: [{ sku: TALK, amounts: { USD: "31.00" } }]
        usage: [{ sku: CALLS, prices: [{ model: per_unit, currency: USD, unit_amount: "0.04" }] }]
`;

let api: TestApi;
let sent = 0;
beforeAll(async () => {
  api = await testApi({ at: "2025-01-01T00:00:00Z" });
  await apply(api.env, [...exampleCatalog(), yamlFile(voice())]);
});
afterAll(() => api.close());

const call = async (time: string, calls: string) => {
  const event = {
    id: `c${sent++}`,
    type: "call.ended",
    subject: "web",
    time,
    data: { value: calls },
  };
  const answer = await api.post("/v1/events", event, { key: api.keys.ingest });
  expect(answer.json).toMatchObject({ accepted: 1 });
};
const callLine = async (at: string) => {
  const { lines } = (await api.get(`${account}/upcoming-invoice?at=${at}`)).json;
  return lines.find((line: { sku: string }) => line.sku === "CALLS");
};
type Segment = { quantity: string; unit_amount: string; because: string };
const segmentsOf = (line: { segments: Segment[] }) =>
  line.segments.map((one) => [
    one.quantity,
    one.unit_amount,
    /by plan (\S+)$/.exec(one.because)?.[1],
  ]);

test("each call at the price of the plan in force when it was made; before the plan, at the book's", async () => {
  await call("2025-01-01T00:00:00Z", "30");
  api.env.at("2025-01-11T00:00:00Z");
  const started = await api.post(
    subscriptions,
    { account: "acme-usd", plan: "talk" },
    { key: api.keys.admin },
  );
  expect(started.status).toBe(201);
  api.env.at("2025-01-12T00:00:00Z");
  await call("2025-01-12T00:00:00Z", "130");
  api.env.at("2025-01-21T00:00:00Z");
  const changed = await api.post(
    `${subscriptions}/${started.json.subscription.id}/change`,
    { kind: "change_plan", plan: "even" },
    { key: api.keys.admin },
  );
  expect(changed.status).toBe(200);
  await call("2025-01-20T23:59:59.999999Z", "0");
  await call("2025-01-21T00:00:00Z", "25");

  // 30 × 0.10; ten of the 130 are included, 70 reach the hundredth at 0.05, 50 go on at 0.02; 25 × 0.04.
  const line = await callLine("2025-01-21T00:00:00Z");
  expect(segmentsOf(line)).toEqual([
    ["30", "0.1", undefined],
    ["70", "0.05", "talk@1"],
    ["50", "0.02", "talk@1"],
    ["25", "0.04", "even@1"],
  ]);
  expect(line.amount).toBe("8.50");
});

test("the invoice quotes the plan's price, is issued by two paths, and proves itself; a price changed behind it shows", async () => {
  api.env.at("2025-02-04T00:00:00Z");
  const issued = await api.post(`${account}/invoices`, { period: "2025-01-15T00:00:00Z" });
  expect([issued.status, issued.status === 201 ? "" : issued.text]).toEqual([201, ""]);
  const { number, document } = issued.json;
  expect(
    document.prices
      .map((price: { id: string }) => price.id)
      .filter((id: string) => id.includes(":")),
  ).toEqual(["plan:even@1:CALLS:USD", "plan:talk@1:CALLS:USD"]);
  const verified = () => verifyInvoice(api.env, api.organization.id, number);
  expect(await verified()).toMatchObject({ isMatch: true });

  const spoil = (from: string, to: string) =>
    api.env.owner.query(
      "update plan_version set definition = replace(definition::text, $1, $2)::jsonb where plan = 'even'",
      [from, to],
    );
  const bump = () => api.env.owner.query("update catalog_version set version = version + 1");
  await spoil('"0.04"', '"0.03"');
  await bump();
  const { checks } = await verified();
  expect(checks.filter((check) => check.mismatches.length > 0).map((check) => check.name)).toEqual([
    "prices",
  ]);
  await spoil('"0.03"', '"0.04"');
  await bump();
  expect(await verified()).toMatchObject({ isMatch: true });
});

test("a call reported late is priced by the plan of its time, step by step and from scratch alike", async () => {
  api.env.at("2025-02-10T00:00:00Z");
  await call("2025-01-15T00:00:00Z", "20");
  const line = await callLine("2025-02-10T00:00:00Z");
  expect(line).toMatchObject({ description: "CALLS: usage of 2025-01", amount: "0.40" });
  expect(segmentsOf(line)).toEqual([["20", "0.02", "talk@1"]]);

  const of = await getAccountToInvoice(api.env, api.organization.id, "acme-usd");
  const period = periodAt(of.account.calendar, instant("2025-02-10T00:00:00Z"));
  const catalog = await getCatalog(api.env.store);
  const drafts = await Promise.all(
    (["touched", "all"] as const).map((history) =>
      snapshot(api.env.store.db, (db) => draftInvoices(db, catalog, [{ of, period }], history)),
    ),
  );
  const [step, scratch] = drafts.map(([one]) => one?.draft.content);
  expect(step).toEqual(scratch);
});

test("a new version shows in money whom it would have changed, and leaves its subscribers as they are", async () => {
  await call("2025-02-02T00:00:00Z", "100");
  const next = talk(2, "0.01", 'effective_from: "2025-03-01T00:00:00Z"');
  const files = [...exampleCatalog(), yamlFile(voice(next))];
  const before = await planWithMoney(api.env, files);
  // The account is on "even": nothing of it would change.
  expect(before.backtest?.affected).toEqual([]);

  const cheaper = voice().replace(
    'unit_amount: "0.04" }] }]',
    `unit_amount: "0.04" }] }]
      - version: 2
        effective_from: "2025-03-01T00:00:00Z"
        fees: [{ sku: TALK, amounts: { USD: "31.00" } }]
        usage: [{ sku: CALLS, prices: [{ model: per_unit, currency: USD, unit_amount: "0.03" }] }]`,
  );
  const { backtest } = await planWithMoney(api.env, [...exampleCatalog(), yamlFile(cheaper)]);
  expect(backtest?.affected).toMatchObject([
    { slug: "acme-usd", difference: "-1", lines: [{ sku: "CALLS", before: "4", after: "3" }] },
  ]);
  await apply(api.env, [...exampleCatalog(), yamlFile(cheaper)]);
  api.env.at("2025-03-02T00:00:00Z");
  await call("2025-03-02T00:00:00Z", "100");
  expect(await callLine("2025-03-02T00:00:00Z")).toMatchObject({ amount: "4.00" });
});

test("when the plan is over, the book decides again", async () => {
  api.env.at("2025-03-02T12:00:00Z");
  const { data } = (await api.get(`${subscriptions}?account=acme-usd`)).json;
  const cancelled = await api.post(
    `${subscriptions}/${data[0].id}/cancel`,
    { when: "now" },
    { key: api.keys.admin },
  );
  expect([cancelled.status, cancelled.status === 200 ? "" : cancelled.text]).toEqual([200, ""]);
  api.env.at("2025-03-03T00:00:00Z");
  await call("2025-03-03T00:00:00Z", "10");
  expect(segmentsOf(await callLine("2025-03-03T00:00:00Z"))).toEqual([
    ["100", "0.04", "even@1"],
    ["10", "0.1", undefined],
  ]);
});
