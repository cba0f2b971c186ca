import { afterAll, beforeAll, expect, test } from "vitest";
import { aCatalog, type Acme, anAccount, writeUsage } from "../../test/harness/billing.ts";
import { type TestEnv, testEnv } from "../../test/harness/database.ts";
import { system } from "../domain/audit/index.ts";
import { type LegalEntity, unconfiguredEntity } from "../domain/tax/index.ts";
import { decimal } from "../kit/decimal.ts";
import { dayOf, instant } from "../kit/time.ts";
import { issueInvoice } from "./issue-invoice.ts";
import { issueLateUsage } from "./issue-late-usage.ts";
import { beginTaxRate, setLegalEntity } from "./manage-taxes.ts";
import { renderDocument } from "./render-document.ts";
import { verifyInvoice } from "./verify-invoice.ts";

const author = system("test");
const entity: LegalEntity = {
  ...unconfiguredEntity,
  name: "Nordwind GmbH",
  city: "Berlin",
  postcode: "10115",
  street: "Teststraße 1",
  country: "DE",
  vatId: "DE136695976",
  electronicAddress: { scheme: "EM", address: "billing@nordwind.example" },
  tax: "collects",
};
const meters = ["a", "b", "c"];
let env: TestEnv;
let acme: Acme;

beforeAll(async () => {
  env = await testEnv({ at: "2025-01-31T00:00:00Z" });
  acme = await anAccount(env, { currency: "EUR" });
  await aCatalog(
    env,
    `
meters:
${meters.map((key) => `  - { key: ${key}, event_type: ${key}, aggregation: sum, value_property: n, unit: piece, allow_negative: true, late_usage: own_document }`).join("\n")}
price_books: [{ code: retail-eur, name: Retail, currency: EUR }]
skus:
${meters.map((key) => `  - { code: SKU-${key.toUpperCase()}, name: Pieces, meter: ${key} }`).join("\n")}
prices:
${meters.map((key) => `  - { book: retail-eur, sku: SKU-${key.toUpperCase()}, effective_from: "2023-01-01T00:00:00Z", model: per_unit, currency: EUR, unit_amount: "0.01" }`).join("\n")}
`,
  );
  await setLegalEntity(env, author, entity);
  await beginTaxRate(env, author, {
    country: "DE",
    region: null,
    productClass: "standard",
    name: "VAT",
    percent: decimal("19"),
    from: dayOf("2020-01-01"),
    until: null,
  });
  await env.owner.query(
    "update billing_account set address = $1, ap_email = 'ap@acme.example' where account_id = $2",
    [
      JSON.stringify({ country: "DE", city: "Berlin", postalCode: "10117", lines: ["Weg 2"] }),
      acme.accountId,
    ],
  );
});
afterAll(() => env.close());

const use = (n: string) =>
  writeUsage(
    env,
    acme,
    meters.map((type) => ({ time: "2025-01-10T00:00:00Z", type, data: { n } })),
    ({ type, data }) => ({ [type]: data["n"] ?? "0" }),
  );

test("a note is taxed as the invoice it corrects, by largest remainder over its lines, and says its type in UBL", async () => {
  await use("1000");
  env.at("2025-02-04T00:00:00Z");
  await issueInvoice(
    env,
    { orgId: acme.orgId, account: "acme", at: instant("2025-01-10T00:00:00Z"), createdBy: "test" },
    env.now(),
  );
  await use("-2");
  const order = { orgId: acme.orgId, account: "acme" };
  const [credit] = await issueLateUsage(env, order, author, env.now());
  // Three times −0.02 at 19 % are −0.0114: one cent, on one of the lines.
  expect([credit?.content.subtotal, credit?.content.tax, credit?.content.total]).toEqual([
    "-0.06",
    "-0.01",
    "-0.07",
  ]);
  expect(credit?.content.lines.map((line) => line.tax?.tax).toSorted()).toEqual([
    "-0.01",
    "0.00",
    "0.00",
  ]);
  await use("500");
  const [debit] = await issueLateUsage(env, order, author, env.now());
  expect([debit?.content.subtotal, debit?.content.tax, debit?.content.total]).toEqual([
    "15.00",
    "2.85",
    "17.85",
  ]);
  for (const [note, code] of [
    [credit, "381"],
    [debit, "383"],
  ] as const) {
    const found = await verifyInvoice(env, acme.orgId, note?.invoiceId ?? "");
    expect(found.checks.flatMap((one) => one.mismatches)).toEqual([]);
    const { content } = await renderDocument(env, acme.orgId, note?.invoiceId ?? "", "ubl");
    const xml = Buffer.from(content).toString("utf8");
    expect(xml).toContain(`TypeCode>${code}</cbc:`);
    expect(xml).toContain("INV-000001");
  }
});
