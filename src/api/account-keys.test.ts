import { afterAll, beforeAll, expect, test } from "vitest";
import { type TestApi, testApi } from "../../test/harness/api.ts";
import { apply, exampleCatalog } from "../../test/harness/catalog.ts";
import { endpoints } from "./routes.ts";

// Two departments with an account each, and a project that each pays for.
const base = "/v1/organizations/acme";
const departments = ["research", "sales"] as const;
type Department = (typeof departments)[number];
let api: TestApi;
const viewers = {} as Record<Department, string>;
const invoices = {} as Record<Department, string>;

const made = async (path: string, body: object) => {
  const answer = await api.post(path, body);
  expect([path, answer.status, answer.status < 300 ? "" : answer.text]).toEqual([
    path,
    expect.any(Number),
    "",
  ]);
  return answer.json;
};
const keyFor = async (account: Department, role: string): Promise<string> =>
  (await made(`${base}/keys`, { name: `${role} of ${account}`, account, roles: [role] })).secret;

beforeAll(async () => {
  api = await testApi({ at: "2025-01-01T00:00:00Z" });
  await apply(api.env, exampleCatalog());
  for (const name of departments) {
    await made(`${base}/accounts`, { slug: name, name, currency: "USD" });
    await api.put(`${base}/accounts/${name}/terms`, { net_days: 30 });
    await made(`${base}/projects`, { slug: `web-${name}`, name });
    await made(`${base}/projects/web-${name}/bindings`, { account: name });
    const time = "2025-01-01T00:00:00Z";
    const data = { value: "100" };
    const event = { id: name, type: "sms.sent", subject: `web-${name}`, time, data };
    const sent = await api.post("/v1/events", event, { key: api.keys.ingest });
    expect(sent.json).toMatchObject({ accepted: 1 });
    viewers[name] = await keyFor(name, "customer_viewer");
  }
  api.env.at("2025-02-04T00:00:00Z");
  for (const name of departments)
    invoices[name] = (
      await made(`${base}/accounts/${name}/invoices`, { period: "2025-01-15T00:00:00Z" })
    ).number;
});
afterAll(() => api.close());

const listed = async (key: string, query = "") => {
  const answer = await api.get(`${base}/invoices${query}`, { key });
  const data = answer.json.data as { number: string }[] | undefined;
  return [answer.status, data?.map((one) => one.number).toSorted()];
};

test("neither department's viewer sees the other's invoices; the organization's finance sees both (R-104)", async () => {
  expect(await listed(viewers.research)).toEqual([200, [invoices.research]]);
  expect(await listed(viewers.sales)).toEqual([200, [invoices.sales]]);
  expect(await listed(viewers.sales, "?account=sales")).toEqual([200, [invoices.sales]]);
  expect(await listed(viewers.sales, "?account=research")).toEqual([403, undefined]);
  expect(await listed(api.keys.viewer)).toEqual([200, Object.values(invoices).toSorted()]);

  const own = await api.get(`${base}/invoices/${invoices.sales}`, { key: viewers.sales });
  expect([own.status, own.json.number]).toEqual([200, invoices.sales]);
  for (const path of [
    `/invoices/${invoices.research}`,
    `/invoices/${invoices.research}/document?format=html`,
    `/invoices/${invoices.research}/lines/1/explain`,
    "/accounts/research",
    "/accounts/research/upcoming-invoice",
  ]) {
    const theirs = await api.get(`${base}${path}`, { key: viewers.sales });
    // As if it were not there.
    expect([path, theirs.status]).toEqual([path, 404]);
    const there = await api.get(`${base}${path}`, { key: api.keys.viewer });
    expect([path, there.status]).toEqual([path, 200]);
  }
});

test("a key of one account, whatever its roles, gets nothing at any address of the organization that is not its account's", async () => {
  const key = await keyFor("sales", "customer_admin");
  const names: Record<string, string> = {
    organization: "acme",
    account: "research",
    invoice: invoices.research,
    project: "web-research",
  };
  const answered: string[] = [];
  for (const route of endpoints) {
    if (!route.hasOrganization || "account" in route.query.shape) continue;
    const path = route.path.replaceAll(/\{(\w+)\}/g, (_, name: string) => names[name] ?? "nothing");
    const headers = { "tallyline-organization": "acme" };
    const body = route.method === "GET" || route.method === "DELETE" ? {} : { body: {} };
    const { status } = await api.call(route.method, path, { key, headers, ...body });
    if (status !== 403 && status !== 404) answered.push(`${route.method} ${route.path}: ${status}`);
  }
  expect(answered).toEqual([]);
});

test("it can neither make itself a wider key nor be limited twice", async () => {
  const admin = await keyFor("sales", "customer_admin");
  const wider = await api.post(`${base}/keys`, { name: "wide", roles: [] }, { key: admin });
  expect([wider.status, wider.json.code]).toEqual([403, "key_limited_to_account"]);
  const own = await api.get("/v1/key", { key: admin });
  expect(own.json).toMatchObject({ account_id: expect.stringMatching(/^acc_/) });
  const both = await api.post(`${base}/keys`, {
    name: "both",
    account: "sales",
    project: "web-sales",
  });
  expect(both.status).toBe(400);
});
