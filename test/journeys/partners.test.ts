import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type TestApi, testApi } from "../harness/api.ts";
import { apply, yamlFile } from "../harness/catalog.ts";

// J12, the consolidated part: a partner pays for its customers; a customer sees the partner's brand.
const partner = "/v1/organizations/pax";
let api: TestApi;
let pat: string;
let ines: string;
const children = ["initech", "umbrella", "hooli"];

const created = async (path: string, body: object, key?: string) => {
  const answer = await api.post(path, body, key ? { key } : {});
  expect([answer.status, answer.text]).toEqual([201, expect.any(String)]);
  return answer.json;
};

beforeAll(async () => {
  api = await testApi({ at: "2025-01-01T00:00:00Z" });
  await apply(api.env, [
    yamlFile(`
services: [{ key: api, name: API }]
meters: [{ key: calls, name: Calls, event_type: api.called, aggregation: sum, value_kind: integer, unit: call }]
skus: [{ code: API-CALLS, name: API calls, kind: usage, service: api, meter: calls }]
price_books: [{ code: retail-eur, name: Retail, currency: EUR }]
prices: [{ book: retail-eur, sku: API-CALLS, model: per_unit, currency: EUR, unit_amount: "0.0133" }]
`),
  ]);
  const entity = {
    name: "Northwind Metering ApS",
    street: "Vesterbrogade 14",
    city: "København V",
    postcode: "1620",
    country: "DK",
    vat_id: "DK13585628",
    registration: "13585628",
    electronic_address: { scheme: "0184", address: "DK13585628" },
    brand: { name: "Northwind", color: "#0b5cad" },
    tax: "collects",
  };
  await api.put("/v1/legal-entities/main", entity);
  await api.put("/v1/legal-entities/pax", {
    ...entity,
    name: "Pax Cloud",
    brand: { name: "Pax Cloud", color: "#aa3300", footer: "Pax Cloud · help@pax.example" },
  });
  await api.post("/v1/tax-rates", {
    country: "DK",
    name: "VAT",
    percent: "25",
    from: "2020-01-01",
  });
  await api.post("/v1/tax-rates", {
    country: "DE",
    name: "VAT",
    percent: "19",
    from: "2020-01-01",
  });
  await created("/v1/organizations", { slug: "pax", name: "Pax Cloud", kind: "partner" });
  const account = (slug: string, country: string) => ({
    slug: "main",
    name: slug,
    currency: "EUR",
    terms: { net_days: 30 },
    ap_email: `ap@${slug}.example`,
    language: "de",
    address: { lines: ["Weg 3"], city: "Stadt", postal_code: "1000", region: "", country },
  });
  await created(`${partner}/accounts`, account("pax", "DK"));
  for (const slug of children) {
    await created(`${partner}/children`, { slug, name: slug });
    // The customers are in another country than the partner: that must not matter to the tax of what the partner buys.
    await created(`/v1/organizations/${slug}/accounts`, account(slug, "DE"));
    await created(`/v1/organizations/${slug}/projects`, { slug: `${slug}-web`, name: "Web" });
    await created(`/v1/organizations/${slug}/projects/${slug}-web/bindings`, { account: "main" });
  }
  pat = (await created(`${partner}/keys`, { name: "Pat", roles: ["partner_admin"] })).secret;
  ines = (
    await created("/v1/organizations/initech/keys", { name: "Ines", roles: ["customer_admin"] })
  ).secret;
});
afterAll(() => api.close());

const use = async (slug: string, time: string, value: string) => {
  const event = {
    id: `${slug}-${time}`,
    source: "j12",
    type: "api.called",
    subject: `${slug}-web`,
    time,
    data: { value },
  };
  const answer = await api.post("/v1/events", event, {
    headers: { "tallyline-organization": slug },
  });
  expect(answer.json, answer.text).toMatchObject({ accepted: 1 });
};

describe("J12: a partner pays for its customers", () => {
  let number: string;

  test("Pat says so for each of them; a customer cannot make the partner pay, and another partner's is not there", async () => {
    const payers = (slug: string) => `/v1/organizations/${slug}/accounts/main/payers`;
    const own = await api.post(payers("initech"), { payer: "pax/main" }, { key: ines });
    expect([own.status, own.json.code]).toEqual([404, "account_not_found"]);
    const strange = await api.post(payers("initech"), { payer: "acme/acme-usd" }, { key: pat });
    expect([strange.status, strange.json.code]).toEqual([404, "account_not_found"]);
    const below = await api.post(
      `${partner}/accounts/main/payers`,
      { payer: "initech/main" },
      { key: pat },
    );
    expect([below.status, below.json.code]).toEqual([409, "payer_not_above"]);
    for (const slug of children) {
      const said = await api.post(
        payers(slug),
        { payer: "pax/main", effective_from: "2025-01-01T00:00:00Z", reason: "partner billed" },
        { key: pat },
      );
      expect([said.status, said.json?.timeline?.at(-1)?.payer], said.text).toEqual([
        201,
        "pax/main",
      ]);
    }
    expect((await api.get(payers("initech"), { key: ines })).json.changes).toHaveLength(1);
    // Periods that two accounts share cannot change for one of them alone.
    const moved = await api.patch(
      "/v1/organizations/hooli/accounts/main",
      { invoice_day: 15 },
      { key: pat },
    );
    expect(moved.json.code).toBe("account_periods_fixed");
  });

  test("one invoice, three sections that sum to it, taxed where the partner is; each customer's statement is its section", async () => {
    api.env.at("2025-01-20T00:00:00Z");
    await use("initech", "2025-01-10T00:00:00Z", "1000");
    await use("umbrella", "2025-01-11T00:00:00Z", "333");
    await use("hooli", "2025-01-12T00:00:00Z", "50");
    api.env.at("2025-02-04T00:00:00Z");
    const run = await api.post("/v1/billing-runs", {});
    expect(run.status, run.text).toBeLessThan(300);
    const [one, ...others] = (await api.get(`${partner}/invoices`)).json.data;
    expect(others).toEqual([]);
    number = one.number;
    const { document } = (await api.get(`${partner}/invoices/${number}`)).json;
    // 13.30, 4.43 and 0.67 (0.665): 18.40, at 25 % 4.60.
    expect([document.subtotal, document.tax, document.total]).toEqual(["18.40", "4.60", "23.00"]);
    expect(document.taxes.map((tax: { percent: string }) => tax.percent)).toEqual(["25"]);
    const sums = document.sections.map((part: { name: string; total: string }) => [
      part.name,
      part.total,
    ]);
    expect(sums).toEqual([
      ["hooli", "0.84"],
      ["initech", "16.62"],
      ["umbrella", "5.54"],
    ]);
    for (const slug of children) {
      const { data } = (await api.get(`/v1/organizations/${slug}/invoices`)).json;
      expect(data.map((each: { kind: string }) => each.kind)).toEqual(["statement"]);
      const section = document.sections.find((part: { name: string }) => part.name === slug);
      expect([data[0].number, data[0].total.amount]).toEqual([section.statement, section.total]);
      const verified = await api.post(
        `/v1/organizations/${slug}/invoices/${data[0].number}/verify`,
        {},
      );
      expect(verified.json.is_match, verified.text).toBe(true);
    }
    expect(
      (await api.post(`${partner}/invoices/${number}/verify`, {}, { key: pat })).json.is_match,
    ).toBe(true);
  });

  test("Ines sees her statement under the partner's brand, with nothing to pay, and not the partner's invoice", async () => {
    const statement = `/v1/organizations/initech/invoices/${number}.2`;
    const page = await api.get(`${statement}/document?format=html`, { key: ines });
    expect(page.text).toContain("Pax Cloud");
    expect(page.text).toContain("#aa3300");
    expect(page.text).not.toContain("Northwind<");
    expect(page.text).toContain(`Zahlt pax, Rechnung ${number}`);
    expect(page.text.replaceAll("\u00a0", " ")).toContain("0,00 €");
    const balance = await api.get(`${statement}/payments`, { key: ines });
    expect(balance.json.open.amount).toBe("0.00");
    expect((await api.get(`${partner}/invoices/${number}`, { key: ines })).status).toBe(404);
    expect(
      (await api.get(`/v1/organizations/umbrella/invoices/${number}.3`, { key: ines })).status,
    ).toBe(404);
    const paid = await api.post(`${statement}/payments`, {
      amount: "1.00",
      currency: "EUR",
      received_on: "2025-02-05",
      reference: "wrong",
    });
    expect(paid.json.code).toBe("invoice_paid_by_another");
    const electronic = await api.get(`${statement}/document?format=ubl`);
    expect(electronic.json.code).toBe("electronic_invoice_impossible");
  });

  test("the partner's invoice is its provider's, as PDF, table and electronic invoice, all with the same sums", async () => {
    const file = (format: string) =>
      api.fetch(`${partner}/invoices/${number}/document?format=${format}`, {
        headers: { authorization: `Bearer ${pat}` },
      });
    const xml = await (await file("ubl")).text();
    expect(xml).toContain('<cbc:PayableAmount currencyID="EUR">23.00</cbc:PayableAmount>');
    expect(xml).toContain("<cbc:Note>initech</cbc:Note>");
    const rows = (await (await file("csv")).text()).trim().split("\r\n").slice(1);
    expect(rows.map((row) => row.split(",")[2])).toEqual(["hooli", "initech", "umbrella"]);
    if (!existsSync("/usr/bin/pdftotext")) return;
    const folder = mkdtempSync(join(tmpdir(), "pax-"));
    const path = join(folder, "invoice.pdf");
    writeFileSync(path, Buffer.from(await (await file("pdf")).arrayBuffer()));
    const text = execFileSync("pdftotext", ["-layout", path, "-"], { encoding: "utf8" }).replaceAll(
      "\u00a0",
      " ",
    );
    rmSync(folder, { recursive: true });
    expect(text).toContain("Northwind");
    for (const sum of [
      "Summe hooli +0,67 €",
      "Summe initech +13,30 €",
      "Summe umbrella +4,43 €",
      "Gesamtbetrag +23,00 €",
    ])
      expect(text).toMatch(new RegExp(sum));
  });
});
