import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Acme, aCatalog, anAccount, writeUsage } from "../../test/harness/billing.ts";
import { apply, yamlFile } from "../../test/harness/catalog.ts";
import { type TestEnv, testEnv } from "../../test/harness/database.ts";
import { system } from "../domain/audit/index.ts";
import { balanceText } from "../domain/ledger/index.ts";
import { unconfiguredEntity } from "../domain/tax/index.ts";
import { currency } from "../kit/currency.ts";
import { decimal } from "../kit/decimal.ts";
import type { OrganizationId } from "../kit/ids.ts";
import { parseMoney } from "../kit/money.ts";
import { dayOf, instant } from "../kit/time.ts";
import { listLedgerBalances } from "../store/journal.ts";
import { accrueUsage } from "./accrue-usage.ts";
import { changeSubscription, subscribe } from "./change-subscription.ts";
import { creditInvoice, voidInvoice, writeOffInvoice } from "./correct-invoice.ts";
import { earnRevenue } from "./earn-revenue.ts";
import { issueInvoice } from "./issue-invoice.ts";
import { beginTaxRate, setLegalEntity } from "./manage-taxes.ts";
import { proveBooks } from "./prove-books.ts";
import { recordPayment } from "./record-payment.ts";
import { setRecognitionPolicy } from "./set-recognition-policy.ts";

const author = { ...system("test"), reason: "because" };
const catalog = `
meters: [{ key: calls, event_type: call, aggregation: sum, value_property: n, value_kind: integer, unit: call }]
services: [{ key: access, name: Access }]
price_books: [{ code: retail-usd, name: Retail, currency: USD }]
skus:
  - { code: API, kind: usage, meter: calls }
  - { code: YEAR, kind: recurring }
prices: [{ book: retail-usd, sku: API, model: per_unit, currency: USD, unit_amount: "0.06" }]
plans: [{ key: yearly, product_line: yearly, versions: [{ version: 1, cadence: year, fees: [{ sku: YEAR, amounts: { USD: "2400.00" } }] }] }]
`;

let env: TestEnv;
beforeAll(async () => {
  env = await testEnv({ at: "2025-01-01T00:00:00Z" });
  await apply(env, [yamlFile(catalog, "catalog.yaml")]);
  await env.owner.query("update meter set rolled_up = true");
});
afterAll(() => env.close());

/** What the books of a customer say at a moment: `receivable 15.00`, without the ids. */
const books = async (of: Acme, at?: string): Promise<string[]> => {
  const found = await listLedgerBalances(env.store.db, {
    orgId: of.orgId,
    asOf: at === undefined ? undefined : instant(at),
  });
  return found.map((one) => {
    const [, kind, owner] = one.account.split(":");
    return `${owner === of.accountId ? kind : `${kind} ${owner}`} ${balanceText(one)}`;
  });
};
const use = (of: Acme, time: string, n: string) =>
  writeUsage(env, of, [{ time, type: "call", data: { n } }], () => ({ calls: n }));
const issue = (of: Acme, at: string) =>
  issueInvoice(
    env,
    { orgId: of.orgId, account: of.accountId, at: instant(at), createdBy: "test" },
    env.now(),
  );
const usd = (text: string) => parseMoney(text, currency("USD"));
const sound = async (of: Acme) => expect(await proveBooks(env, { orgId: of.orgId })).toEqual([]);

describe("usage", () => {
  test("R-147: $15.00 of January is accrued at its end; the invoice of 4 February moves it, and revenue stays", async () => {
    const acme = await anAccount(env, { slug: "accrued" });
    await use(acme, "2025-01-10T00:00:00Z", "200");
    env.at("2025-02-01T00:10:00Z");
    await accrueUsage(env);
    expect(await books(acme, "2025-01-31T23:59:59.999999Z")).toEqual([
      "unbilled 12.00",
      "revenue API -12.00",
    ]);
    expect(await books(acme, "2025-01-31T23:59:59Z")).toEqual([]);
    // An event of January that comes in on the 2nd: still January's.
    env.at("2025-02-02T00:00:00Z");
    await use(acme, "2025-01-20T00:00:00Z", "50");
    await accrueUsage(env);
    expect(await accrueUsage(env)).toEqual({ periodCount: 0 });
    expect(await books(acme, "2025-01-31T23:59:59.999999Z")).toEqual([
      "unbilled 15.00",
      "revenue API -15.00",
    ]);
    await sound(acme);
    env.at("2025-02-04T00:00:00Z");
    const { invoiceId } = await issue(acme, "2025-01-10T00:00:00Z");
    expect(await books(acme)).toEqual(["receivable 15.00", "revenue API -15.00"]);
    expect(await books(acme, "2025-02-03T00:00:00Z")).toContain("unbilled 15.00");

    const order = { orgId: acme.orgId, invoice: invoiceId, reason: "wrong" };
    await voidInvoice(env, order, author, env.now());
    expect(await books(acme)).toEqual(["unbilled 15.00", "revenue API -15.00"]);
    await sound(acme);
    await issue(acme, "2025-01-10T00:00:00Z");
    expect(await books(acme)).toEqual(["receivable 15.00", "revenue API -15.00"]);
    await sound(acme);
  });

  test("never accrued, the invoice says what January earned; paid in part, credited, the rest given up, and then half of it paid", async () => {
    env.at("2025-01-05T00:00:00Z");
    const acme = await anAccount(env, { slug: "given-up" });
    await use(acme, "2025-01-10T00:00:00Z", "1000");
    env.at("2025-02-04T00:00:00Z");
    const { invoiceId } = await issue(acme, "2025-01-10T00:00:00Z");
    expect(await books(acme, "2025-01-31T23:59:59.999999Z")).toEqual([
      "unbilled 60.00",
      "revenue API -60.00",
    ]);
    const pay = (amount: string, reference: string) =>
      recordPayment(
        env,
        {
          orgId: acme.orgId,
          invoice: invoiceId,
          amount: usd(amount),
          receivedOn: dayOf("2025-02-20"),
          reference,
        },
        author,
        env.now(),
      );
    await pay("20.00", "wire 1");
    const order = { orgId: acme.orgId, invoice: invoiceId, reason: "goodwill" };
    const request = { kind: "amount" as const, amount: usd("10.00") };
    await creditInvoice(env, { ...order, request, reasonCode: "goodwill" }, author, env.now());
    expect(await books(acme)).toEqual([
      "cash bank 20.00",
      "receivable 30.00",
      "refunds API 10.00",
      "revenue API -60.00",
    ]);
    await sound(acme);
    await writeOffInvoice(env, order, author, env.now());
    await sound(acme);
    await pay("15.00", "wire 2");
    expect(await books(acme)).toEqual([
      "cash bank 35.00",
      "bad-debt 15.00",
      "refunds API 10.00",
      "revenue API -60.00",
    ]);
    await sound(acme);
  });

  test("tax is owed to its state, added or inside the price", async () => {
    const other = await testEnv({ at: "2025-01-01T00:00:00Z" });
    try {
      await aCatalog(
        other,
        catalog.replace(/plans:.*\n/u, "").replace(/ {2}- \{ code: YEAR.*\n/u, ""),
      );
      const entity = { ...unconfiguredEntity, name: "N", country: "DE", tax: "collects" as const };
      const rate = {
        country: "DE",
        region: null,
        productClass: "standard",
        name: "USt",
        percent: decimal("19"),
      };
      await beginTaxRate(other, author, { ...rate, from: dayOf("2020-01-01") } as never);
      for (const [slug, included] of [
        ["added", false],
        ["inside", true],
      ] as const) {
        await setLegalEntity(other, author, { ...entity, pricesIncludeTax: included });
        const acme = await anAccount(other, { slug });
        await other.owner.query("update billing_account set address = $1 where account_id = $2", [
          JSON.stringify({ country: "DE", city: "Berlin", postcode: "10115", street: "Weg 1" }),
          acme.accountId,
        ]);
        await writeUsage(
          other,
          acme,
          [{ time: "2025-01-10T00:00:00Z", type: "call", data: { n: "1000" } }],
          () => ({ calls: "1000" }),
        );
        other.at("2025-02-04T00:00:00Z");
        await issueInvoice(
          other,
          {
            orgId: acme.orgId,
            account: slug,
            at: instant("2025-01-10T00:00:00Z"),
            createdBy: "test",
          },
          other.now(),
        );
        const found = await listLedgerBalances(other.store.db, { orgId: acme.orgId });
        expect(found.map(balanceText)).toEqual(
          included ? ["60.00", "-50.42", "-9.58"] : ["71.40", "-60.00", "-11.40"],
        );
        expect(found.map((one) => one.account)).toContain("liabilities:tax:DE-19");
        expect(await proveBooks(other, { orgId: acme.orgId })).toEqual([]);
        other.at("2025-01-01T00:00:00Z");
      }
    } finally {
      await other.close();
    }
  });
});

describe("fees", () => {
  const subscribed = async (slug: string) => {
    env.at("2025-01-01T00:00:00Z");
    const acme = await anAccount(env, { slug });
    const { stored } = await subscribe(env, author, acme.orgId as OrganizationId, {
      account: slug,
      plan: "yearly",
    });
    env.at("2025-02-04T00:00:00Z");
    const { invoiceId } = await issue(acme, "2025-01-10T00:00:00Z");
    return { acme, invoiceId, subscription: stored.subscription.id };
  };

  test("R-148: $2,400.00 for a year is earned day by day, and after 365 days exactly", async () => {
    const { acme } = await subscribed("annual");
    expect(await books(acme, "2025-01-31T23:59:59.999999Z")).toEqual([
      "unbilled 203.84",
      "revenue YEAR -203.84",
    ]);
    expect(await books(acme)).toEqual([
      "receivable 2400.00",
      "revenue YEAR -203.84",
      "deferred YEAR -2196.16",
    ]);
    env.at("2025-07-01T00:00:00Z");
    await earnRevenue(env);
    // 181 of 365 days.
    expect(await books(acme)).toContain("revenue YEAR -1190.14");
    expect(await books(acme, "2025-03-01T00:00:00Z")).toContain("revenue YEAR -387.95");
    await sound(acme);
    env.at("2026-01-01T00:00:00Z");
    await Promise.all([earnRevenue(env), earnRevenue(env)]);
    expect(await books(acme)).toEqual(["receivable 2400.00", "revenue YEAR -2400.00"]);
    await sound(acme);
  });

  test("credited in July, what is not earned is not deferred any more; void, nothing was ever earned", async () => {
    const { acme, invoiceId } = await subscribed("credited");
    env.at("2025-07-01T00:00:00Z");
    await earnRevenue(env);
    const order = { orgId: acme.orgId, invoice: invoiceId, reason: "wrong" };
    const request = { kind: "all" as const };
    await creditInvoice(env, { ...order, request, reasonCode: "other" }, author, env.now());
    await earnRevenue(env);
    expect(await books(acme)).toEqual(["refunds YEAR 1190.14", "revenue YEAR -1190.14"]);
    await sound(acme);

    const second = await subscribed("voided");
    env.at("2025-07-01T00:00:00Z");
    await earnRevenue(env);
    await voidInvoice(
      env,
      { ...order, orgId: second.acme.orgId, invoice: second.invoiceId },
      author,
      env.now(),
    );
    expect(await books(second.acme)).toEqual(["unbilled 203.84", "revenue YEAR -203.84"]);
    env.at("2025-12-31T00:00:00Z");
    await earnRevenue(env);
    expect(await books(second.acme)).toEqual(["unbilled 203.84", "revenue YEAR -203.84"]);
    await sound(second.acme);
  });

  test("cancelled on 2 March, the rest of the year comes back and nothing stays deferred", async () => {
    const { acme, subscription } = await subscribed("cancelled");
    env.at("2025-03-02T00:00:00Z");
    await changeSubscription(env, author, acme.orgId as OrganizationId, subscription, {
      kind: "cancel",
      when: { kind: "now" },
    });
    env.at("2025-04-04T00:00:00Z");
    await issue(acme, "2025-03-10T00:00:00Z");
    await earnRevenue(env);
    // 60 of 365 days were used: 394.52. What was deferred for later months and what is given back for them cancel out.
    const after = await books(acme);
    // What the negative invoice gives back is the account's until a document takes it.
    expect(after).toContain("receivable 2400.00");
    expect(after.filter((line) => line.endsWith(" -2005.48"))).toHaveLength(1);
    expect(after.filter((line) => line.startsWith("deferred"))).toEqual([]);
    expect(after).toContain("revenue YEAR -394.52");
    await sound(acme);
  });

  test("R-149: a rule that begins in June books what begins from then on, and every posting names its version", async () => {
    env.at("2025-05-15T00:00:00Z");
    const before = await subscribed("by-the-old-rule");
    env.at("2025-05-15T00:00:00Z");
    await setRecognitionPolicy(env, author, {
      effectiveFrom: instant("2025-06-01T00:00:00Z"),
      fees: "when_billed",
      usage: "when_billed",
    });
    await expect(
      setRecognitionPolicy(env, author, {
        effectiveFrom: instant("2025-05-20T00:00:00Z"),
        fees: "straight_line",
        usage: "accrued",
      }),
    ).rejects.toMatchObject({ code: "recognition_policy_not_ahead" });
    env.at("2025-06-10T00:00:00Z");
    const later = await anAccount(env, { slug: "by-the-new-rule" });
    await subscribe(env, author, later.orgId as OrganizationId, {
      account: "by-the-new-rule",
      plan: "yearly",
    });
    env.at("2025-07-04T00:00:00Z");
    await accrueUsage(env);
    expect(await books(later)).toEqual([]);
    await issue(later, "2025-06-15T00:00:00Z");
    await earnRevenue(env);
    // From the 10th on: the rest of a year that is counted from 1 June.
    expect(await books(later)).toEqual(["receivable 2340.82", "revenue YEAR -2340.82"]);
    expect(await books(before.acme)).toContain("revenue YEAR -1190.14");
    const { rows } = await env.owner.query<{ org_id: string; version: number }>(
      "select distinct org_id, policy_version as version from ledger_transaction where org_id = any($1) and cause like any('{document:%,earned:%}')",
      [[later.orgId, before.acme.orgId]],
    );
    expect(rows.toSorted((a, b) => a.version - b.version)).toEqual([
      { org_id: before.acme.orgId, version: 1 },
      { org_id: later.orgId, version: 2 },
    ]);
    await sound(later);
    await sound(before.acme);
  });
});

test("a posting that was changed, and a document that is not in the books, are found and named", async () => {
  env.at("2025-01-05T00:00:00Z");
  const acme = await anAccount(env, { slug: "tampered" });
  await use(acme, "2025-01-10T00:00:00Z", "1000");
  env.at("2025-02-04T00:00:00Z");
  await issue(acme, "2025-01-10T00:00:00Z");
  await sound(acme);
  await env.owner.query(
    "update ledger_posting set amount_minor = amount_minor + 100 * sign(amount_minor) where org_id = $1 and transaction_id like '%e'",
    [acme.orgId],
  );
  expect((await proveBooks(env, { orgId: acme.orgId })).map((fault) => fault.where)).toEqual([
    `unbilled of ${acme.accountId}`,
    "revenue + breakage + refunds + deferred of API",
  ]);
  await env.owner.query("delete from ledger_posting where org_id = $1", [acme.orgId]);
  await env.owner.query("delete from ledger_transaction where org_id = $1", [acme.orgId]);
  const [first] = await proveBooks(env, { orgId: acme.orgId });
  expect(first).toMatchObject({ stored: "nothing", recomputed: "60.00" });
});
