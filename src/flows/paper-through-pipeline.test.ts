import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type TestApi, testApi } from "../../test/harness/api.ts";
import { aCatalog, anAccount, writeUsage } from "../../test/harness/billing.ts";
import { brokenRules, moneyText, type Paper, paperAsUbl, ublTree } from "../domain/paper/index.ts";
import { currency } from "../kit/currency.ts";
import { parseMoney } from "../kit/money.ts";
import { readPaper } from "./render-document.ts";

// Everything an issuer sets up once, through the API; then invoices and credit notes of each kind of tax in three currencies.
const currencies = ["EUR", "DKK", "JPY"] as const;
const buyers = {
  standard: { country: "DK", vat: null, category: "S" },
  zero: { country: "GB", vat: null, category: "Z" },
  exempt: { country: "DK", vat: null, category: "E" },
  "reverse charge": { country: "DE", vat: "DE136695976", category: "AE" },
  export: { country: "US", vat: null, category: "G" },
  "out of scope": { country: "US", vat: null, category: "O" },
} as const;
const entity = {
  name: "Northwind Metering ApS",
  street: "Vesterbrogade 14",
  city: "København V",
  postcode: "1620",
  country: "DK",
  vat_id: "DK13585628",
  registration: "13585628",
  email: "billing@northwind.example",
  electronic_address: { scheme: "0184", address: "DK13585628" },
  bank: { iban: "DK5000400440116243", bic: "NDEADKKK", holder: "Northwind Metering ApS" },
  brand: { name: "Northwind Metering", color: "#0b5cad", footer: "Northwind Metering ApS" },
  tax: "collects",
  registered_in: [{ country: "GB" }],
  accounting_currency: "DKK",
};

let api: TestApi;
let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "tallyline-papers-"));
  api = await testApi({ at: "2025-01-01T00:00:00Z" });
  await aCatalog(
    api.env,
    `
meters:
  - { key: sms, name: SMS sent, event_type: sms, aggregation: sum, value_property: n, value_kind: integer, unit: SMS }
  - { key: calls, name: API calls, event_type: call, aggregation: sum, value_property: n, value_kind: integer, unit: call }
price_books: [${currencies.map((code) => `{ code: retail-${code.toLowerCase()}, name: Retail, currency: ${code} }`).join(", ")}]
skus: [{ code: USAGE-SMS, name: "SMS, outgoing", meter: sms }, { code: USAGE-API, name: API calls, meter: calls }]
prices:
${currencies
  .map(
    (code) => `
  - { book: retail-${code.toLowerCase()}, sku: USAGE-SMS, effective_from: "2024-01-01T00:00:00Z", model: per_unit, currency: ${code}, unit_amount: "0.0615" }
  - book: retail-${code.toLowerCase()}
    sku: USAGE-API
    effective_from: "2024-01-01T00:00:00Z"
    model: graduated
    currency: ${code}
    tiers: [{ up_to: "10000", unit_amount: "0.01" }, { up_to: null, unit_amount: "0.008" }]`,
  )
  .join("")}
`,
  );
  const put = async (path: string, body: unknown) => {
    const answer = await api.put(path, body);
    expect(answer.status, answer.text).toBe(200);
  };
  await put("/v1/legal-entities/main", entity);
  await put("/v1/legal-entities/small", {
    ...entity,
    tax: "none",
    vat_id: null,
    accounting_currency: null,
  });
  for (const [country, percent] of [
    ["DK", "25"],
    ["GB", "0"],
  ]) {
    const rate = await api.post("/v1/tax-rates", {
      country,
      name: "VAT",
      percent,
      from: "2020-01-01",
    });
    expect(rate.status, rate.text).toBe(201);
  }
  for (const [from, rate] of [
    ["EUR", "7.4605"],
    ["JPY", "0.0462"],
  ]) {
    const recorded = await api.post("/v1/fx-rates", {
      from,
      to: "DKK",
      on: "2025-01-31",
      rate,
      source: "Nationalbanken",
    });
    expect(recorded.status, recorded.text).toBe(201);
  }
});
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  await api.close();
});

const slugOf = (code: string, kind: string) => `${code.toLowerCase()}-${kind.replaceAll(" ", "-")}`;

/** An account of one kind, two lines of January, issued: the whole invoice as the API gives it. */
async function issued(code: string, kind: keyof typeof buyers) {
  const { country, vat, category } = buyers[kind];
  const slug = slugOf(code, kind);
  const base = "/v1/organizations/acme";
  const of = await anAccount(api.env, { slug, currency: code, orgId: api.organization.id });
  await api.env.owner.query("update billing_account set legal_entity = $2 where account_id = $1", [
    of.accountId,
    category === "O" ? "small" : "main",
  ]);
  const edited = await api.patch(`${base}/accounts/${slug}`, {
    legal_name: "Müller & Söhne Großhandel GmbH",
    address: {
      lines: ["Lange Straße 7"],
      city: "Stuttgart",
      postal_code: "70173",
      region: "",
      country,
    },
    tax_ids: vat ? [{ type: "eu_vat", value: vat }] : [],
    ap_email: "ap@mueller.example",
    po_number: "PO-4471",
    language: country === "DE" ? "de" : "en",
  });
  expect(edited.status, edited.text).toBe(200);
  if (vat) await api.post(`${base}/accounts/${slug}/tax-id-checks`, { tax_id: vat });
  if (category === "E")
    await api.post(`${base}/accounts/${slug}/tax-certificates`, {
      country,
      certificate: "EX-77",
      from: "2024-01-01",
    });
  api.env.at("2025-01-20T00:00:00Z");
  const times = code === "JPY" ? 100 : 1;
  await writeUsage(
    api.env,
    of,
    [
      { time: "2025-01-10T00:00:00Z", type: "sms", data: { n: String(251 * times) } },
      { time: "2025-01-11T00:00:00Z", type: "call", data: { n: String(15_001 * times) } },
    ],
    (event): Record<string, string> =>
      event.type === "sms" ? { sms: event.data["n"] ?? "0" } : { calls: event.data["n"] ?? "0" },
  );
  api.env.at("2025-02-04T00:00:00Z");
  const invoice = await api.post(`${base}/accounts/${slug}/invoices`, {
    period: "2025-01-15T00:00:00Z",
  });
  expect(invoice.status, invoice.text).toBe(201);
  const note = await api.post(`${base}/invoices/${invoice.json.id}/credit-notes`, {
    amount: code === "JPY" ? "1001" : "10.01",
    reason: "An outage on 11 January",
    reason_code: "service_failure",
  });
  expect(note.status, note.text).toBe(201);
  return [invoice.json, note.json];
}

const textOf = async (id: string, name: string): Promise<string> => {
  const answer = await api.fetch(`/v1/organizations/acme/invoices/${id}/document`, {
    headers: { authorization: `Bearer ${api.keys.provider}` },
  });
  const path = join(folder, `${name}.pdf`);
  writeFileSync(path, Buffer.from(await answer.arrayBuffer()));
  return execFileSync("pdftotext", ["-layout", path, "-"], { encoding: "utf8" }).replaceAll(
    /\s/g,
    "",
  );
};

const shown = (paper: Paper, text: string) => {
  const amount = parseMoney(text, currency(paper.currency));
  const minor = paper.kind === "credit_note" ? -amount.minor : amount.minor;
  return moneyText(paper.language, { ...amount, minor }).replaceAll(/\s/g, "");
};

describe.each(currencies)("in %s", (code) => {
  test.each(Object.keys(buyers) as (keyof typeof buyers)[])(
    "%s: invoice and credit note keep the rules of EN 16931, and the paper says what the API says",
    async (kind) => {
      for (const document of await issued(code, kind)) {
        expect(document.document.taxes).toMatchObject([{ category: buyers[kind].category }]);
        const paper = await readPaper(api.env, api.organization.id, document.id);
        expect(brokenRules(ublTree(paperAsUbl(paper)))).toEqual([]);
        const xml = await api.get(
          `/v1/organizations/acme/invoices/${document.id}/document?format=ubl`,
        );
        expect(xml.status, xml.text).toBe(200);
        const text = xml.text;
        expect(text.match(/<cbc:PayableAmount[^>]*>([^<]*)/)?.[1]).toBe(
          document.total.amount.replace(/^-/, ""),
        );
        if (buyers[kind].category !== "O" && code !== "DKK")
          expect(text).toMatch(/<cbc:TaxCurrencyCode>DKK</);
        if (!existsSync("/usr/bin/pdftotext")) continue;
        const page = await textOf(document.id, `${slugOf(code, kind)}-${document.kind}`);
        for (const amount of [
          document.document.subtotal,
          document.document.tax,
          document.total.amount,
          ...document.document.lines.map((line: { amount: string }) => line.amount),
        ])
          expect(page, page).toContain(shown(paper, amount));
        if (document.kind === "credit_note")
          expect(page).toMatch(
            paper.language === "de"
              ? /KorrigiertRechnungINV-\d{6}vom04\.02\.2025/
              : /CorrectsinvoiceINV-\d{6}of4Feb2025/,
          );
      }
    },
  );
});

test("a partner's customers see the partner's brand; who issues stays who issues", async () => {
  const brand = { name: "Cloudhaus", color: "#1a7f37", footer: "Cloudhaus, Ihr Partner" };
  const set = await api.put("/v1/legal-entities/cloudhaus", { ...entity, brand });
  expect(set.status, set.text).toBe(200);
  await api.env.owner.query(
    "insert into organization (org_id, slug, name, kind, created_at) values ('org_cloudhaus', 'cloudhaus', 'Cloudhaus', 'partner', now())",
  );
  await api.env.owner.query(
    "insert into organization (org_id, slug, name, kind, parent_org_id, created_at) values ('org_kunde', 'kunde', 'Kunde', 'partner_customer', 'org_cloudhaus', now())",
  );
  const of = await anAccount(api.env, { slug: "kunde-dkk", currency: "DKK", orgId: "org_kunde" });
  await api.env.owner.query(
    'update billing_account set address = \'{"country":"DK"}\' where account_id = $1',
    [of.accountId],
  );
  await writeUsage(
    api.env,
    of,
    [{ time: "2025-01-10T00:00:00Z", type: "sms", data: { n: "100" } }],
    () => ({ sms: "100" }),
  );
  api.env.at("2025-02-04T00:00:00Z");
  const invoice = await api.post("/v1/organizations/kunde/accounts/kunde-dkk/invoices", {
    period: "2025-01-15T00:00:00Z",
  });
  expect(invoice.status, invoice.text).toBe(201);
  const paper = await readPaper(api.env, "org_kunde", invoice.json.id);
  expect(paper.brand).toEqual(brand);
  expect(paper.seller.name).toBe("Northwind Metering ApS");
});

test("tax is also told in the issuer's accounting currency, and without a recorded rate nothing is issued", async () => {
  const listed = await api.get("/v1/organizations/acme/invoices?account=eur-standard");
  const invoice = listed.json.data.find((one: { kind: string }) => one.kind === "invoice");
  const full = await api.get(`/v1/organizations/acme/invoices/${invoice.id}`);
  // 155.45 at 25 % is 38.86; at 7.4605 that is 289.91503.
  expect(full.json.document).toMatchObject({
    tax: "38.86",
    accounting: {
      currency: "DKK",
      tax: "289.92",
      rate: "7.4605",
      on: "2025-01-31",
      source: "Nationalbanken",
    },
  });
  api.env.at("2025-03-04T00:00:00Z");
  await writeUsage(
    api.env,
    { orgId: api.organization.id, accountId: invoice.account_id, projectId: api.projectId },
    [{ time: "2025-02-10T00:00:00Z", type: "sms", data: { n: "100" } }],
    () => ({ sms: "100" }),
  );
  const refused = await api.post("/v1/organizations/acme/accounts/eur-standard/invoices", {
    period: "2025-02-15T00:00:00Z",
  });
  expect(refused.status).toBeGreaterThanOrEqual(400);
  expect(refused.text).toContain("no rate from EUR to DKK is recorded for 2025-02-28");
});
