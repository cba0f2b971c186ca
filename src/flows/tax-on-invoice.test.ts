import { afterAll, beforeAll, expect, test } from "vitest";
import { aCatalog, type Acme, anAccount, writeUsage } from "../../test/harness/billing.ts";
import { type TestEnv, testEnv } from "../../test/harness/database.ts";
import { system } from "../domain/audit/index.ts";
import { type LegalEntity, unconfiguredEntity } from "../domain/tax/index.ts";
import { decimal } from "../kit/decimal.ts";
import { dayOf, instant } from "../kit/time.ts";
import { issueInvoice } from "./issue-invoice.ts";
import { beginTaxRate, checkBuyerTaxId, setLegalEntity } from "./manage-taxes.ts";
import { previewInvoice } from "./preview-invoice.ts";
import { renderDocument } from "./render-document.ts";
import { verifyInvoice } from "./verify-invoice.ts";

let env: TestEnv;
let acme: Acme;
const author = system("test");
const entity: LegalEntity = {
  ...unconfiguredEntity,
  name: "Northwind SAS",
  city: "Paris",
  postcode: "75001",
  street: "1 rue du Test",
  country: "FR",
  vatId: "FR40303265045",
  electronicAddress: { scheme: "0009", address: "30326504500017" },
  tax: "collects",
};

beforeAll(async () => {
  env = await testEnv({ at: "2025-07-20T00:00:00Z" });
  acme = await anAccount(env, { currency: "EUR" });
  await aCatalog(
    env,
    `
meters:
  - { key: sms, name: SMS, event_type: sms.sent, aggregation: sum, value_property: value, value_kind: integer, unit: SMS }
price_books:
  - { code: retail-eur, name: Retail, currency: EUR }
skus:
  - { code: SMS, name: SMS, meter: sms }
prices:
  - { book: retail-eur, sku: SMS, effective_from: "2023-01-01T00:00:00Z", model: per_unit, currency: EUR, unit_amount: "0.05" }
`,
  );
  const use = (time: string) => ({ time, type: "sms.sent", data: { value: "2000" } });
  await writeUsage(
    env,
    acme,
    [use("2025-05-10T12:00:00Z"), use("2025-06-10T12:00:00Z"), use("2025-07-10T12:00:00Z")],
    ({ data }) => ({ sms: data["value"] ?? "0" }),
  );
});
afterAll(() => env.close());

const setAddress = (address: object, taxIds: object[] = []) =>
  env.owner.query("update billing_account set address = $1, tax_ids = $2 where account_id = $3", [
    JSON.stringify(address),
    JSON.stringify(taxIds),
    acme.accountId,
  ]);
const upcoming = async (at: string) =>
  (await previewInvoice(env, acme.orgId, "acme", env.now(), instant(at))).draft;
const issue = (at: string) =>
  issueInvoice(
    env,
    { orgId: acme.orgId, account: "acme", at: instant(at), createdBy: "test" },
    env.now(),
  );

test("an issuer that is not registered says so on the document, instead of charging nothing in silence", async () => {
  const draft = await upcoming("2025-07-15T00:00:00Z");
  expect(draft.content).toMatchObject({
    subtotal: "100.00",
    tax: "0.00",
    total: "100.00",
    taxes: [{ category: "O", reason: "Not subject to tax" }],
  });
});

test("a registered issuer refuses to issue to an account without an address, and says what to do", async () => {
  await setLegalEntity(env, author, entity);
  await expect(issue("2025-05-15T00:00:00Z")).rejects.toThrow(
    /tax on SMS: the billing account has no address: add its country/,
  );
  await setAddress({ country: "FR", city: "Lyon", postalCode: "69001", lines: ["2 rue B"] });
  await expect(issue("2025-05-15T00:00:00Z")).rejects.toThrow(
    /no rate for FR, class standard, on 2025-05-31/,
  );
});

test("R-218: a rate that changes on 1 July applies by the day of supply; both documents prove themselves", async () => {
  await beginTaxRate(env, author, {
    country: "FR",
    region: null,
    productClass: "standard",
    name: "VAT",
    percent: decimal("20"),
    from: dayOf("2014-01-01"),
    until: null,
  });
  await beginTaxRate(env, author, {
    country: "FR",
    region: null,
    productClass: "standard",
    name: "VAT",
    percent: decimal("21"),
    from: dayOf("2025-07-01"),
    until: null,
  });
  expect((await upcoming("2025-07-15T00:00:00Z")).content).toMatchObject({
    tax: "21.00",
    total: "121.00",
  });

  const may = await issue("2025-05-15T00:00:00Z");
  const verified = await verifyInvoice(env, acme.orgId, may.invoiceId);
  expect(verified.checks.flatMap((check) => check.mismatches)).toEqual([]);
  expect(verified.invoice.content).toMatchObject({
    subtotal: "100.00",
    tax: "20.00",
    total: "120.00",
    taxes: [{ category: "S", percent: "20" }],
  });
});

test("reverse charge needs a checked id of another member state; the issued past stays as it was", async () => {
  await setAddress({ country: "DE", city: "Berlin", postalCode: "10115", lines: ["Weg 3"] }, [
    { type: "eu_vat", value: "DE136695976" },
  ]);
  await expect(issue("2025-06-15T00:00:00Z")).rejects.toThrow(/no rate for DE/);
  await checkBuyerTaxId(env, author, acme.orgId as never, acme.accountId as never, "DE136695976");
  const june = await issue("2025-06-15T00:00:00Z");
  const { invoice } = await verifyInvoice(env, acme.orgId, june.invoiceId);
  expect(invoice.content).toMatchObject({
    tax: "0.00",
    total: "100.00",
    taxes: [{ category: "AE", reason: "Reverse charge" }],
  });

  const [may] = (await env.store.db
    .selectFrom("invoice")
    .select("invoice_id")
    .orderBy("created_at")
    .limit(1)
    .execute()) as { invoice_id: string }[];
  expect((await verifyInvoice(env, acme.orgId, may?.invoice_id ?? "")).isMatch).toBe(true);
});

test("the document downloads in every form, the same bytes each time, with its annex", async () => {
  const pdf = await renderDocument(env, acme.orgId, "INV-000001", "pdf");
  const again = await renderDocument(env, acme.orgId, "INV-000001", "pdf");
  expect(
    Buffer.from(pdf.content as Uint8Array).equals(Buffer.from(again.content as Uint8Array)),
  ).toBe(true);
  expect(
    Buffer.from(pdf.content as Uint8Array)
      .subarray(0, 5)
      .toString(),
  ).toBe("%PDF-");
  expect((await renderDocument(env, acme.orgId, "INV-000001", "html")).content).toContain(
    "€120.00",
  );
  expect((await renderDocument(env, acme.orgId, "INV-000001", "csv")).content).toContain(
    "INV-000001,1,,SMS,SMS,usage,,2000,SMS,0.05,2025-05-01,2025-05-31,100.00,EUR,S,20",
  );
});
