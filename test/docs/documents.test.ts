import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type TestApi, testApi } from "../harness/api.ts";
import { aCatalog, writeUsage } from "../harness/billing.ts";

// The requests of these pages are sent as they are printed, in their order, to an organization with one invoice of 100.00.
const pages = ["invoice-documents", "taxes", "mail"];

type Request = { readonly method: string; readonly path: string; readonly body: string };
const requestsOf = (page: string): Request[] => {
  const text = readFileSync(new URL(`../../docs/${page}.md`, import.meta.url), "utf8");
  return [...text.matchAll(/```http\n([\s\S]*?)```/g)]
    .flatMap((block) => (block[1] ?? "").trim().split("\n"))
    .map((line) => {
      const [, method = "", path = "", body = ""] = /^(\S+) (\S+) ?(.*)$/.exec(line) ?? [];
      return { method, path, body };
    });
};

describe.each(pages)("docs/%s.md", (page) => {
  let api: TestApi;
  beforeAll(async () => {
    api = await testApi({ at: "2025-01-01T00:00:00Z" });
    await aCatalog(
      api.env,
      `
meters:
  - { key: calls, name: Calls, event_type: call, aggregation: sum, value_property: n, value_kind: integer, unit: call }
price_books: [{ code: retail-usd, name: Retail, currency: USD }]
skus: [{ code: API, name: API calls, meter: calls }]
prices:
  - { book: retail-usd, sku: API, effective_from: "2024-01-01T00:00:00Z", model: per_unit, currency: USD, unit_amount: "0.01" }
`,
    );
    await api.put("/v1/legal-entities/main", {
      name: "Northwind",
      country: "DK",
      registration: "13585628",
      electronic_address: { scheme: "0184", address: "DK13585628" },
      brand: { name: "Northwind", color: "#0b5cad" },
      tax: "none",
    });
    if (page !== "mail")
      await api.patch("/v1/organizations/acme/accounts/acme-usd", {
        ap_email: "ap@acme.example",
        address: {
          lines: ["1 Main St"],
          city: "Springfield",
          postal_code: "62701",
          region: "IL",
          country: "US",
        },
      });
    await writeUsage(
      api.env,
      { orgId: api.organization.id, accountId: api.accountId, projectId: api.projectId },
      [{ time: "2025-01-10T00:00:00Z", type: "call", data: { n: "10000" } }],
      () => ({ calls: "10000" }),
    );
    api.env.at("2025-02-04T00:00:00Z");
    const issued = await api.post("/v1/organizations/acme/accounts/acme-usd/invoices", {
      period: "2025-01-15T00:00:00Z",
    });
    expect(issued.json, issued.text).toMatchObject({
      number: "INV-000001",
      total: { amount: "100.00" },
    });
  });
  afterAll(() => api.close());

  test("every request works as printed", async () => {
    const requests = requestsOf(page);
    expect(requests.length).toBeGreaterThanOrEqual(3);
    let mail = "";
    for (const { method, path, body } of requests) {
      const address = path.replace("{mail}", mail);
      const answer = await api.call(method, address, body === "" ? {} : { body });
      expect(answer.status, `${method} ${path}: ${answer.text}`).toBeLessThan(300);
      if (path.includes("/mails?")) mail = answer.json.data[0].id;
    }
  });
});
