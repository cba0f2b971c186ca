import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Endpoint } from "../../src/api/endpoint.ts";
import { openapiDocument } from "../../src/api/openapi.ts";
import { endpoints } from "../../src/api/routes.ts";
import { type Permission, permissions } from "../../src/domain/access/index.ts";
import { createFirstKey } from "../../src/flows/manage-api-keys.ts";
import { simulatedPayments } from "../../src/gateways/simulated-payments.ts";
import type { OrganizationId, ProjectId } from "../../src/kit/ids.ts";
import { seededRandom } from "../../src/kit/random.ts";
import { type Answer, type TestApi, testApi } from "../harness/api.ts";
import { apply, exampleCatalog, yamlFile } from "../harness/catalog.ts";
import { exactDigest } from "../harness/digest.ts";

// Two organizations that have everything, and know nothing of each other: acme, whose secrets these are, and globex.
type Things = Record<string, string>;
let api: TestApi;
const of: Record<"acme" | "globex", Things> = { acme: {}, globex: {} };
/** A key of globex with everything that a key of an organization can ever hold. */
let stranger: string;

/** What no answer to globex may contain: acme's names, ids and private prices. */
const marks = (): RegExp =>
  new RegExp(
    ["hush", "HUSH", ...Object.values(of.acme).filter((one) => /^[a-z]{3}_/.test(one))].join("|"),
  );

beforeAll(async () => {
  api = await testApi({
    at: "2025-01-01T00:00:00Z",
    extend: (env) => ({ ...env, payments: simulatedPayments(seededRandom(1)) }),
  });
  await apply(api.env, [
    ...exampleCatalog(),
    yamlFile(`
price_books: [{ code: hush-usd, name: Hush prices, currency: USD, parent: retail-usd }]
skus: [{ code: HUSH-SMS, name: Hush batch, kind: batch, service: messaging, meter: sms, unit: SMS, units: "50", validity_days: 5, restricted: true }]
prices:
  - { book: hush-usd, sku: USAGE-SMS-OVERAGE, model: per_unit, currency: USD, unit_amount: "0.0123" }
  - { book: hush-usd, sku: HUSH-SMS, model: flat_fee, currency: USD, amount: "0.50" }
plans: [{ key: hush-plan, name: Hush plan, product_line: hush, restricted: true, versions: [{ version: 1, fees: [{ sku: FEATURE-SSO, amounts: { USD: "1.00" } }] }] }]
`),
  ]);
  await api.env.owner.query("update meter set rolled_up = true");
  const globex = (await api.get("/v1/organizations/globex")).json.id as string;
  of.acme = await furnish("acme", "acme-usd", "web");
  api.env.at("2025-01-01T00:00:00Z");
  await ok("POST", "/v1/organizations/globex/accounts", {
    slug: "globex-usd",
    name: "Globex",
    currency: "USD",
  });
  await api.env.owner.query("update billing_account set status = 'ready'");
  await ok("POST", "/v1/organizations/globex/projects", { slug: "shop", name: "Shop" });
  await ok("POST", "/v1/organizations/globex/projects/shop/bindings", { account: "globex-usd" });
  of.globex = await furnish("globex", "globex-usd", "shop");
  await ok("PUT", "/v1/organizations/acme/accounts/acme-usd/price-book", {
    price_book: "hush-usd",
  });
  await ok("POST", "/v1/assignments", { sku: "HUSH-SMS", organization: "acme" });
  await ok("POST", "/v1/assignments", { plan: "hush-plan", organization: "acme" });
  stranger = (
    await createFirstKey(api.env, {
      organizationId: globex as OrganizationId,
      projectId: null,
      name: "curious",
      roles: [],
      permissions: Object.keys(permissions).filter(
        (name) => permissions[name as Permission].holder !== "provider",
      ),
      expiresAt: null,
    })
  ).secret;
}, 120_000);
afterAll(() => api.close());

// oxlint-disable-next-line typescript/no-explicit-any -- answers of many shapes
async function ok(method: string, path: string, body?: unknown): Promise<any> {
  const answer = await api.call(method, path, body === undefined ? {} : { body });
  expect(answer.status, `${method} ${path}: ${answer.text}`).toBeLessThan(300);
  return answer.json;
}

/** One of each thing that an organization can have. */
async function furnish(slug: string, account: string, project: string): Promise<Things> {
  const { env } = api;
  const word = slug === "acme" ? "hush" : "open";
  const at = `/v1/organizations/${slug}`;
  const mine = `${at}/accounts/${account}`;
  env.at("2025-01-01T00:00:00Z");
  await env.owner.query(
    "update billing_account set terms_granted_at = created_at, status = 'ready', ap_email = $2 || '@customer.example', legal_name = $2 where slug = $1",
    [account, word],
  );
  await env.owner.query(
    "update binding set effective_from = '2024-12-01Z' where account_id = (select account_id from billing_account where slug = $1)",
    [account],
  );
  await ok("PUT", `${at}/projects/${project}/subjects/${word}-subject`);
  const subscribed = await ok("POST", `${at}/subscriptions`, { account, plan: "basic" });
  const bought = await ok("POST", `${mine}/purchases`, { sku: "USAGE-SMS-1000" });
  const reservation = await ok("POST", `${mine}/reservations`, {
    feature: "api-requests",
    quantity: "1",
    seconds: 3600,
  });
  const request = await ok("POST", `${mine}/quota-requests`, {
    quota: "users",
    limit: "60",
    reason: "growth",
  });
  env.at("2025-01-20T00:00:00Z");
  const sent = await api.post(
    "/v1/events",
    [
      {
        source: slug,
        id: "e1",
        type: "sms.sent",
        subject: project,
        time: "2025-01-10T00:00:00Z",
        data: { value: "1300" },
      },
      {
        source: slug,
        id: `${word}-held`,
        type: "sms.sent",
        subject: `${word}-nobody`,
        time: "2025-01-10T00:00:00Z",
        data: { value: "1" },
      },
    ],
    { headers: { "tallyline-organization": slug } },
  );
  expect(sent.json.accepted, sent.text).toBe(1);
  env.at("2025-02-05T00:00:00Z");
  const invoice = await ok("POST", `${mine}/invoices`, { period: "2025-01-15T00:00:00Z" });
  const line = invoice.document.lines.find(
    (one: { sku: string }) => one.sku === "USAGE-SMS-OVERAGE",
  );
  const dispute = await ok("POST", `${at}/invoices/${invoice.id}/disputes`, {
    line_no: line.line_no,
    message: word,
    file: { name: "log.txt", content: Buffer.from(word).toString("base64") },
  });
  const key = await ok("POST", `${at}/keys`, { name: `${word} key`, roles: ["ingest"] });
  const one = async (sql: string) =>
    String(Object.values((await env.owner.query(sql, [slug])).rows[0] ?? {})[0]);
  const own = "org_id = (select org_id from organization where slug = $1)";
  await env.owner.query(
    `insert into late_usage (org_id, late_id, account_id, cause, meter_key, sku_code, period_starts_at, period_ends_at,
                             currency, quantity, amount_minor, seq, because, status, noticed_at, changed_at)
     select org_id, 'lat_' || $1, account_id, 'late ' || $1, 'sms', 'USAGE-SMS-OVERAGE', '2025-01-01', '2025-02-01', 'USD', 1, 6,
            99, 'hold', 'waiting', '2025-02-05', '2025-02-05'
     from billing_account where ${own} limit 1`,
    [slug],
  );
  return {
    organization: slug,
    late_usage: `lat_${slug}`,
    account: await one(`select account_id from billing_account where ${own}`),
    project: await one(`select project_id from project where ${own}`),
    binding: await one(`select binding_id from binding where ${own}`),
    subscription: subscribed.subscription.id,
    grant: await one(`select grant_id from account_grant where ${own}`),
    purchase: bought.id,
    reservation: reservation.id,
    request: request.id,
    invoice: invoice.id,
    line: String(line.line_no),
    dispute: dispute.id,
    message: dispute.messages[0].id,
    mail: await one(`select message_id from mail_outbox where ${own}`),
    key: key.key?.id ?? key.id,
    subject: `${word}-subject`,
    pool: "sms",
    quota: "users",
    feature: "sso",
    supersedes: await one(`select binding_id from binding where ${own}`),
    parent: await one(`select account_id from billing_account where ${own}`),
  };
}

/** Names that everybody may use in an organization of their own. */
const freeNames = new Set(["organization", "subject", "pool", "quota", "feature", "line"]);
const paramsOf = (path: string) =>
  [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1] as string);

// ---- bodies that are valid, from the contract itself -------------------------------------------------------------------

type Schema = {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly allOf?: readonly Schema[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly minItems?: number;
};
type Operation = {
  readonly requestBody?: { readonly content: Record<string, { readonly schema?: Schema }> };
};
const contract = openapiDocument(endpoints, "0") as unknown as {
  readonly paths: Record<string, Record<string, Operation>>;
  readonly components: { readonly schemas: Record<string, Schema> };
};

/** What a member means by its name, where its schema alone does not say. */
const meanings: Record<string, unknown> = {
  amount: "1.00",
  as_of: "2025-02-05T00:00:00Z",
  city: "Town",
  certificate: "C-1",
  content: "aHVzaA==",
  cost: "1.00",
  country: "DE",
  currency: "USD",
  discounts: [],
  effective_from: "2025-02-06T00:00:00Z",
  email: "a@b.example",
  ends_at: "2025-03-06T00:00:00Z",
  expires_at: "2025-03-06T00:00:00Z",
  feature: "api-requests",
  from: "2025-02-06",
  limit: "100",
  line_no: 1,
  now: "2025-02-06T00:00:00Z",
  period: "2025-01-15T00:00:00Z",
  plan: "professional",
  pool: "sms",
  postcode: "12345",
  price_book: "retail-usd",
  quantity: "1",
  quota: "users",
  received_on: "2025-02-05",
  seconds: 60,
  sku: "USAGE-SMS-1000",
  slug: "another",
  starts_at: "2025-02-06T00:00:00Z",
  street: "Street 1",
  take_back: "1",
  tax_id: "DE136695976",
  trigger_at_or_below: "1",
  until: "2025-03-06T00:00:00Z",
  when: "now",
};
/** Bodies that follow from no schema. */
const bodies: Record<string, unknown> = {
  changeSubscription: { kind: "change_plan", plan: "professional" },
};

/** Members of bodies that name something of an organization. */
const references = new Set(["account", "organization", "parent", "supersedes", "project"]);

function sample(schema: Schema, name: string, things: Things): unknown {
  if (references.has(name) && name in things) return things[name];
  if (name in meanings) return meanings[name];
  if (schema.$ref) {
    const found = contract.components.schemas[schema.$ref.split("/").at(-1) ?? ""];
    return found ? sample(found, name, things) : undefined;
  }
  if (schema.const !== undefined) return schema.const;
  if (schema.enum) return schema.enum[0];
  const [choice] = schema.oneOf ?? schema.anyOf ?? [];
  if (choice) return sample(choice, name, things);
  if (schema.allOf)
    return Object.assign({}, ...schema.allOf.map((part) => sample(part, name, things)));
  const type = Array.isArray(schema.type) ? schema.type[0] : schema.type;
  switch (type) {
    case "object":
      return Object.fromEntries(
        Object.entries(schema.properties ?? {})
          .filter(([key]) => schema.required?.includes(key) || references.has(key))
          .map(([key, part]) => [key, sample(part, key, things)]),
      );
    case "array":
      return Array.from({ length: schema.minItems ?? 0 }, () =>
        sample(schema.items ?? {}, "", things),
      );
    case "integer":
    case "number":
      return 1;
    case "boolean":
      return true;
    default:
      return "something";
  }
}

function bodyOf(route: Endpoint, things: Things): unknown {
  const operation = contract.paths[route.path]?.[route.method.toLowerCase()];
  const schema = operation?.requestBody?.content["application/json"]?.schema;
  if (!route.body || !schema) return undefined;
  return bodies[route.id] ?? sample(schema, "", things);
}

const addressOf = (path: string, things: Things) =>
  path.replaceAll(/\{(\w+)\}/g, (_, name: string) => things[name] ?? "none");

/** What an address must be asked with. */
const questionOf = (route: Endpoint) =>
  "meter" in route.query.shape && "from" in route.query.shape
    ? "?meter=sms&from=2025-01-01T00:00:00Z&to=2025-02-01T00:00:00Z"
    : "?";

// May I? is answered with no, and not with 404: nobody may use what is not there.
const denied: Record<string, (answer: Answer) => boolean> = {
  checkEntitlement: ({ json }) => json.allowed === false && json.reason === "not_entitled",
  reserve: ({ json }) => json.code === "limit_reached" && json.reason === "not_entitled",
};

const acmesRows = () => exactDigest(api.env.owner, ["api_key", "idempotency_key"]);

/** Whoever asks for a thing under the wrong roof is told that it is not there. */
const foreign = endpoints
  .filter((route) => route.permission !== null && route.path.includes("{organization}"))
  .flatMap((route) =>
    paramsOf(route.path)
      .filter((param) => !freeNames.has(param))
      .map((param) => ({
        name: `${route.method} ${route.path} with another's ${param}`,
        route,
        param,
      })),
  );

describe("things of another organization are not there, under one's own roof either", () => {
  test("nothing is left out: every kind of thing in an address is known here", () => {
    expect(foreign.length).toBeGreaterThan(60);
    for (const { param, name } of foreign) expect(of.acme[param], name).toMatch(/^[a-z]{3}_|^\w+/);
    for (const { param, name } of foreign) expect(of.acme[param], name).not.toBe(of.globex[param]);
  });

  test.each(foreign)("$name", async ({ route, param }) => {
    const before = await acmesRows();
    const things = { ...of.globex, [param]: of.acme[param] as string };
    const body = bodyOf(route, of.globex);
    // With every permission there is: the roof alone must be enough.
    const answer = await api.call(
      route.method,
      `${addressOf(route.path, things)}${questionOf(route)}`,
      body === undefined ? {} : { body },
    );
    expect(await acmesRows()).toBe(before);
    const isDenied = param === "account" ? denied[route.id] : undefined;
    if (isDenied) return expect(isDenied(answer), answer.text).toBe(true);
    expect([answer.status, answer.json?.code], answer.text).toEqual([
      404,
      expect.stringMatching(/_not_found$/),
    ]);
    expect(answer.json.code).not.toMatch(/^(route|organization)_not_found$/);
  });
});

const naming = endpoints
  .filter((route) => route.permission !== null && route.path.includes("{organization}"))
  .flatMap((route) => {
    const operation = contract.paths[route.path]?.[route.method.toLowerCase()];
    const ref = operation?.requestBody?.content["application/json"]?.schema?.$ref;
    const schema = ref ? contract.components.schemas[ref.split("/").at(-1) ?? ""] : undefined;
    return Object.keys(schema?.properties ?? {})
      .filter((member) => references.has(member))
      .map((member) => ({
        name: `${route.method} ${route.path} that names another's ${member}`,
        route,
        member,
      }));
  });

describe("nor may a request name them", () => {
  test.each(naming)("$name", async ({ route, member }) => {
    const before = await acmesRows();
    const body = bodyOf(route, { ...of.globex, [member]: of.acme[member] as string });
    const answer = await api.call(route.method, addressOf(route.path, of.globex), {
      body,
      key: stranger,
    });
    expect(answer.status, answer.text).toBeGreaterThanOrEqual(400);
    expect(answer.status, answer.text).toBeLessThan(500);
    expect(answer.status, `give a valid body: ${answer.text}`).not.toBe(400);
    expect(await acmesRows()).toBe(before);
  });
});

describe("whatever a curious customer can read", () => {
  const reads = endpoints.filter((route) => route.method === "GET" && route.permission !== null);

  test.each(reads.map((route) => ({ name: route.path, route })))(
    "$name says nothing of another's",
    async ({ route }) => {
      const address = addressOf(route.path, { ...of.globex, name: "hush-usd", meter: "sms" });
      for (const name of ["", "account", "project", "grant", "invoice", "target_id"]) {
        if (name !== "" && !(name in route.query.shape)) continue;
        const thing = name === "target_id" ? of.acme["invoice"] : of.acme[name];
        const more = name === "" ? "" : `&${name}=${thing}`;
        const answer = await api.get(`${address}${questionOf(route)}${more}`, {
          key: stranger,
          headers: { "tallyline-organization": "globex" },
        });
        expect(answer.status).toBeLessThan(500);
        const said = answer.text.replaceAll(String(thing), "");
        if (answer.status < 300) expect(said, address).not.toMatch(marks());
      }
    },
  );

  test.each(["hush-usd", "HUSH-SMS", "hush-plan"])(
    "%s is not there by its name either",
    async (name) => {
      for (const room of ["price-books", "skus", "plans"]) {
        const answer = await api.get(`/v1/${room}/${name}`, { key: stranger });
        expect([403, 404]).toContain(answer.status);
      }
      for (const filter of [`sku=${name}`, `book=${name}`]) {
        const answer = await api.get(`/v1/prices?${filter}`, { key: stranger });
        expect(answer.status === 200 ? answer.json.data : []).toEqual([]);
      }
    },
  );
});

test("a key of one project asks for room with the account that pays for it, and with no other of its organization", async () => {
  const { id: orgId } = api.organization;
  const { secret } = await createFirstKey(api.env, {
    organizationId: orgId,
    projectId: of.acme["project"] as ProjectId,
    name: "of one project",
    roles: [],
    permissions: ["entitlements.read", "reservations.write"],
    expiresAt: null,
  });
  await ok("POST", "/v1/organizations/acme/accounts", {
    slug: "beside",
    name: "Beside",
    currency: "USD",
  });
  const ask = (account: string) => {
    const base = `/v1/organizations/acme/accounts/${account}`;
    const body = { feature: "api-requests", quantity: "1" };
    return Promise.all(
      ["entitlements/check", "reservations"].map((what) =>
        api.post(`${base}/${what}`, body, { key: secret }).then(({ status }) => status),
      ),
    );
  };
  expect(await ask("acme-usd")).toEqual([200, 201]);
  expect(await ask(of.acme["account"] as string)).toEqual([200, 201]);
  const beside = (await ok("GET", "/v1/organizations/acme/accounts/beside")).id as string;
  for (const other of ["beside", beside]) expect(await ask(other)).toEqual([404, 404]);
});
