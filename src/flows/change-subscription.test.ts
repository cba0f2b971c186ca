import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Acme, anAccount } from "../../test/harness/billing.ts";
import { apply, exampleCatalog, yamlFile } from "../../test/harness/catalog.ts";
import { type TestEnv, testEnv } from "../../test/harness/database.ts";
import { system } from "../domain/audit/index.ts";
import type { Problem } from "../domain/refusals/index.ts";
import { decimal } from "../kit/decimal.ts";
import type { OrganizationId } from "../kit/ids.ts";
import { formatMoney } from "../kit/money.ts";
import { instant } from "../kit/time.ts";
import { type ChangeRequest, changeSubscription, subscribe } from "./change-subscription.ts";
import { previewInvoice } from "./preview-invoice.ts";

let env: TestEnv;
beforeAll(async () => {
  env = await testEnv({ at: "2025-01-01T00:00:00Z" });
  await apply(env, [...exampleCatalog(), yamlFile(more)]);
});
afterAll(() => env.close());

// Setup, a monthly fee and usage on one plan; and a plan that comes in two versions.
const more = `
services: [{ key: extra, name: Extra }]
meters: [{ key: pings, event_type: ping, aggregation: sum, unit: ping }]
skus:
  - { code: SETUP, kind: one_time }
  - { code: MONTHLY, kind: recurring }
  - { code: PINGS, kind: usage, meter: pings }
  - { code: PRO, kind: recurring }
prices: [{ book: retail-usd, sku: PINGS, model: per_unit, currency: USD, unit_amount: "0.062" }]
plans:
  - key: mixed
    product_line: mixed
    versions:
      - version: 1
        fees:
          - { sku: SETUP, kind: one_time, amounts: { USD: "10.00" } }
          - { sku: MONTHLY, amounts: { USD: "5.00" } }
        usage: [{ sku: PINGS }]
  - key: pro
    product_line: pro
    versions:
      - { version: 1, fees: [{ sku: PRO, amounts: { USD: "200.00" } }] }
      - { version: 2, effective_from: 2025-02-01T00:00:00Z, fees: [{ sku: PRO, amounts: { USD: "220.00" } }] }
`;

// 0.25 until the 15th, 0.55 after; 10 a month are included.
const pinging = `
meters: [{ key: blips, event_type: blip, aggregation: sum, unit: blip }]
skus: [{ code: BLIPS, kind: usage, meter: blips }]
prices:
  - { book: retail-usd, sku: BLIPS, model: per_unit, currency: USD, unit_amount: "0.25" }
  - { book: retail-usd, sku: BLIPS, effective_from: 2025-01-15T00:00:00Z, model: per_unit, currency: USD, unit_amount: "0.55" }
plans:
  - key: pinging
    product_line: pinging
    versions: [{ version: 1, fees: [{ sku: PRO, amounts: { USD: "1.00" } }], usage: [{ sku: BLIPS, included: "10" }] }]
`;

const author = system("test");
const orgOf = (acme: Acme) => acme.orgId as OrganizationId;
const aCustomer = async (slug: string) => {
  env.at("2025-01-01T00:00:00Z");
  return anAccount(env, { slug });
};
const begin = (acme: Acme, plan: string, rest = {}) =>
  subscribe(env, author, orgOf(acme), { account: acme.accountId, plan, ...rest });
const change = (acme: Acme, id: string, request: ChangeRequest, preview = false) =>
  changeSubscription(env, author, orgOf(acme), id, request, preview);
const toPlan = (plan: string, version?: number): ChangeRequest => ({
  kind: "change_plan",
  plan,
  version,
  restartCycle: false,
  when: { kind: "now" },
});

/** The upcoming invoice of the period around a moment: SKU and amount of each line, and the total. */
async function paper(acme: Acme, at: string): Promise<string[]> {
  const preview = await previewInvoice(env, acme.orgId, acme.accountId, instant(at));
  expect(preview.contradictions).toEqual([]);
  const { lines, total } = preview.draft.content;
  return [...lines.map((line) => `${line.sku} ${line.amount}`), `total ${total}`];
}

describe("on the upcoming invoice", () => {
  test("Basic to Professional on 2025-01-11 shows 16.13 + 135.48", async () => {
    const acme = await aCustomer("upgrade");
    const { stored } = await begin(acme, "basic");
    env.at("2025-01-11T00:00:00Z");
    const shown = await change(acme, stored.subscription.id, toPlan("professional"), true);
    expect(formatMoney(shown.effect.net)).toBe("101.61");
    expect(await paper(acme, "2025-01-11T00:00:00Z")).toEqual([
      "PLAN-BASIC-MONTHLY 50.00",
      "total 50.00",
    ]);

    const done = await change(acme, stored.subscription.id, toPlan("professional"));
    expect(done.effect).toEqual(shown.effect);
    expect(await paper(acme, "2025-01-11T00:00:00Z")).toEqual([
      "PLAN-BASIC-MONTHLY 16.13",
      "PLAN-PROFESSIONAL-MONTHLY 135.48",
      "total 151.61",
    ]);
    expect(await paper(acme, "2025-02-11T00:00:00Z")).toEqual([
      "PLAN-PROFESSIONAL-MONTHLY 200.00",
      "total 200.00",
    ]);
  });

  test("an annual fee that ends early comes back on the invoice of the month in which it ended", async () => {
    const acme = await aCustomer("annual");
    await apply(env, [
      ...exampleCatalog(),
      yamlFile(more),
      yamlFile(
        `
skus: [{ code: YEAR, kind: recurring }]
plans: [{ key: yearly, product_line: yearly, versions: [{ version: 1, cadence: year, fees: [{ sku: YEAR, amounts: { USD: "365.00" } }] }] }]
`,
        "yearly.yaml",
      ),
    ]);
    const { stored } = await begin(acme, "yearly");
    env.at("2025-03-02T00:00:00Z");
    await change(acme, stored.subscription.id, { kind: "cancel", when: { kind: "now" } });
    expect(await paper(acme, "2025-01-11T00:00:00Z")).toEqual(["YEAR 365.00", "total 365.00"]);
    expect(await paper(acme, "2025-02-11T00:00:00Z")).toEqual(["total 0.00"]);
    expect(await paper(acme, "2025-03-11T00:00:00Z")).toEqual(["YEAR -305.00", "total -305.00"]);
  });

  test("setup, monthly and usage stand on one invoice: 10.00 + 5.00 + 0.06 = 15.06", async () => {
    const acme = await aCustomer("mixed");
    await begin(acme, "mixed");
    await env.owner.query(
      `insert into usage_rollup (org_id, account_id, meter_key, bucket_at, project_id, dimensions, event_count, total)
       values ($1, $2, 'pings', '2025-01-10T00:00:00Z', $3, '{}', 1, 1)`,
      [acme.orgId, acme.accountId, acme.projectId],
    );
    await env.owner.query("update meter set rolled_up = true");
    expect(await paper(acme, "2025-01-11T00:00:00Z")).toEqual([
      "SETUP 10.00",
      "MONTHLY 5.00",
      "PINGS 0.06",
      "total 15.06",
    ]);
  });

  test("what a plan includes is not charged: 12 of which 10 are included cost 2; a price change cuts in time", async () => {
    await apply(env, [...exampleCatalog(), yamlFile(more), yamlFile(pinging, "pinging.yaml")]);
    const acme = await aCustomer("allowance");
    const plain = await aCustomer("no-allowance");
    await begin(acme, "pinging");
    for (const of of [acme, plain])
      await env.owner.query(
        `insert into usage_rollup (org_id, account_id, meter_key, bucket_at, project_id, dimensions, event_count, total)
         values ($1, $2, 'blips', '2025-01-10T00:00:00Z', $3, '{}', 1, 7),
                ($1, $2, 'blips', '2025-01-20T00:00:00Z', $3, '{}', 1, 5)`,
        [of.orgId, of.accountId, of.projectId],
      );
    await env.owner.query("update meter set rolled_up = true");
    expect(await paper(plain, "2025-01-11T00:00:00Z")).toEqual(["BLIPS 4.50", "total 4.50"]);
    expect(await paper(acme, "2025-01-11T00:00:00Z")).toEqual([
      "PRO 1.00",
      "BLIPS 1.10",
      "total 2.10",
    ]);
  });

  test("a fee of the first activation is charged once; activating again costs nothing", async () => {
    const acme = await aCustomer("implementation");
    const { stored } = await begin(acme, "basic", { addOns: ["implementation"] });
    const { id } = stored.subscription;
    env.at("2025-01-11T00:00:00Z");
    await change(acme, id, {
      kind: "remove_add_on",
      addOn: "implementation",
      when: { kind: "now" },
    });
    await change(acme, id, { kind: "add_add_on", addOn: "implementation", when: { kind: "now" } });
    await change(acme, id, { kind: "cancel", when: { kind: "now" } });
    await begin(acme, "professional", { addOns: ["implementation"] });
    const lines = await paper(acme, "2025-01-11T00:00:00Z");
    expect(lines.filter((line) => line.startsWith("PROSERV"))).toEqual([
      "PROSERV-IMPLEMENTATION 2500.00",
    ]);
    expect((await paper(acme, "2025-02-11T00:00:00Z")).join()).not.toContain("PROSERV");
  });
});

test("a new version leaves subscribers where they are, until somebody moves them", async () => {
  const old = await aCustomer("old");
  const { stored } = await begin(old, "pro");
  const late = await aCustomer("late");
  env.at("2025-02-01T00:00:00Z");
  await begin(late, "pro");
  expect(await paper(old, "2025-02-11T00:00:00Z")).toEqual(["PRO 200.00", "total 200.00"]);
  expect(await paper(late, "2025-02-11T00:00:00Z")).toEqual(["PRO 220.00", "total 220.00"]);

  const moved = await change(old, stored.subscription.id, {
    ...(toPlan("pro") as ChangeRequest & { kind: "change_plan" }),
    when: { kind: "period_end" },
  });
  expect(formatMoney(moved.effect.net)).toBe("220.00");
  expect(await paper(old, "2025-03-11T00:00:00Z")).toEqual(["PRO 220.00", "total 220.00"]);
  const { rows } = await env.owner.query(
    "select action from audit_entry where target_id = $1 order by seq",
    [stored.subscription.id],
  );
  expect(rows.map((row: { action: string }) => row.action)).toEqual([
    "subscription.started",
    "subscription.change_later",
  ]);
});

test("fifty parallel identical subscribe calls make one subscription and one charge", async () => {
  const acme = await aCustomer("crowd");
  const answers = await Promise.allSettled(
    Array.from({ length: 50 }, () =>
      begin(acme, "basic", { quantities: new Map([["SEAT", decimal("1")]]) }),
    ),
  );
  expect(answers.filter((answer) => answer.status === "fulfilled")).toHaveLength(1);
  const refused = answers.filter((answer) => answer.status === "rejected");
  expect(new Set(refused.map(({ reason }) => (reason as Problem).code))).toEqual(
    new Set(["subscription_open_already"]),
  );
  expect(await paper(acme, "2025-01-11T00:00:00Z")).toEqual([
    "PLAN-BASIC-MONTHLY 50.00",
    "total 50.00",
  ]);
});

test("a plan without a public price needs a book that prices it", async () => {
  const acme = await aCustomer("enterprise");
  await expect(begin(acme, "enterprise")).rejects.toThrow("price on request");
  await apply(env, [
    ...exampleCatalog(),
    yamlFile(more),
    yamlFile(
      `
price_books: [{ code: big-usd, currency: USD, parent: retail-usd }]
prices: [{ book: big-usd, sku: PLAN-ENTERPRISE-MONTHLY, model: flat_fee, currency: USD, amount: "1000.00" }]
`,
      "negotiated.yaml",
    ),
  ]);
  await env.owner.query("update billing_account set price_book = 'big-usd' where account_id = $1", [
    acme.accountId,
  ]);
  const { effect } = await begin(acme, "enterprise");
  expect(formatMoney(effect.net)).toBe("1000.00");
  const other = await aCustomer("enterprise-2");
  await expect(begin(other, "enterprise")).rejects.toThrow("price on request");
});
