import { Writable } from "node:stream";
import pino from "pino";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type TestApi, testApi } from "../../test/harness/api.ts";

let api: TestApi;
const lines: string[] = [];
beforeAll(async () => {
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      lines.push(chunk.toString());
      done();
    },
  });
  api = await testApi({ app: { log: pino(sink) } });
});
afterAll(() => api.close());

const keys = "/v1/organizations/acme/keys";

describe("an API key", () => {
  test("is shown once, works, is revoked, and stops working at once", async () => {
    const made = await api.post(
      keys,
      { name: "shop", roles: ["customer_viewer"] },
      { key: api.keys.admin },
    );
    expect(made.status).toBe(201);
    const { secret, id } = made.json;
    expect(secret).toMatch(/^tl_[0-9a-z]{52}$/);
    const use = () => api.get("/v1/organizations/current", { key: secret });
    expect((await use()).status).toBe(200);
    const seen = await api.get(`${keys}/${id}`);
    expect(seen.text).not.toContain(secret);
    expect(seen.json.last4).toBe(secret.slice(-4));
    await api.app.settle();
    expect((await api.get(`${keys}/${id}`)).json.last_used_at).toBe("2025-01-01T00:00:00.000Z");
    expect((await api.delete(`${keys}/${id}`)).json.revoked_at).toBe("2025-01-01T00:00:00.000Z");
    expect((await use()).status).toBe(401);
  });

  test("is stored as an HMAC only: the secret stands nowhere in the database", async () => {
    const { secret } = (await api.post(keys, { name: "hidden", roles: ["ingest"] })).json;
    const { rows } = await api.env.owner.query("select k::text as text from api_key k");
    for (const { text } of rows) expect(text).not.toContain(secret.slice(3));
    const audit = await api.env.owner.query("select e::text as text from audit_entry e");
    for (const { text } of audit.rows) expect(text).not.toContain(secret.slice(3));
  });

  test("expires", async () => {
    const body = { name: "short", roles: ["customer_viewer"], expires_at: "2025-01-01T01:00:00Z" };
    const { secret } = (await api.post(keys, body)).json;
    expect((await api.get("/v1/key", { key: secret })).status).toBe(200);
    api.env.at("2025-01-01T01:00:00Z");
    expect((await api.get("/v1/key", { key: secret })).status).toBe(401);
  });

  test("of one project says so, and keeps project permissions only", async () => {
    const { secret } = (await api.post(keys, { name: "web", roles: ["ingest"], project: "web" }))
      .json;
    const own = (await api.get("/v1/key", { key: secret })).json;
    expect(own.project_id).toBe(api.projectId);
    expect(own.permissions).toEqual(["entitlements.read", "reservations.write", "usage.write"]);
  });

  test("cannot be given more than its maker has, nor what does not exist", async () => {
    const wide = await api.post(
      keys,
      { name: "x", roles: ["partner_admin"] },
      { key: api.keys.admin },
    );
    expect([wide.status, wide.json.code]).toEqual([403, "key_too_wide"]);
    const staff = await api.post(keys, { name: "x", roles: ["finance"] });
    expect([staff.status, staff.json.code]).toEqual([422, "role_not_fit"]);
    const none = await api.post(keys, { name: "x", roles: ["emperor"] });
    expect([none.status, none.json.code]).toEqual([422, "role_not_known"]);
  });
});

test("limits are announced, and beyond them one waits", async () => {
  const small = await testApi({
    app: {
      ratePolicies: {
        standard: { quota: 3, windowSeconds: 60 },
        hot: { quota: 10, windowSeconds: 60 },
      },
    },
  });
  const answers = [];
  for (let n = 0; n < 4; n++) answers.push(await small.get("/v1/key"));
  expect(answers.map((answer) => answer.status)).toEqual([200, 200, 200, 429]);
  expect(answers[0]?.headers.get("ratelimit-policy")).toBe('"standard";q=3;w=60');
  expect(answers[0]?.headers.get("ratelimit")).toMatch(/^"standard";r=2;t=\d+$/);
  const last = answers[3];
  expect(last?.json.code).toBe("rate_limited");
  expect(Number(last?.headers.get("retry-after"))).toBeGreaterThan(0);
  // Another key has its own bucket.
  expect((await small.get("/v1/key", { key: small.keys.admin })).status).toBe(200);
  await small.close();
});

test("each request leaves one line, with its id and outcome and no secret", async () => {
  lines.length = 0;
  const answer = await api.get(`${keys}?limit=1&cursor=&note=${api.keys.provider}`, {
    headers: { "x-request-id": "gateway-12345678" },
  });
  expect(answer.headers.get("x-request-id")).toBe("gateway-12345678");
  await api.post(keys, { name: "logged", roles: ["ingest"] });
  expect(lines).toHaveLength(2);
  expect(JSON.parse(lines[0] ?? "")).toMatchObject({
    request_id: "gateway-12345678",
    method: "GET",
    route: "/v1/organizations/{organization}/keys",
    status: 400,
    code: "request_not_valid",
  });
  expect(JSON.parse(lines[1] ?? "")).toMatchObject({
    status: 201,
    organization: api.organization.id,
  });
  expect(lines.join("")).not.toContain("tl_");
});

test("answers carry the headers that keep browsers out of trouble", async () => {
  const { headers } = await api.get("/v1/key");
  expect(headers.get("x-content-type-options")).toBe("nosniff");
  expect(headers.get("cache-control")).toBe("no-store");
  expect(headers.get("content-security-policy")).toContain("default-src 'none'");
});

test("5,000 hostile requests get answers, none of them a 500", async () => {
  const bodies = ["[[", '{"name":1}', '{"__proto__":{}}', "[".repeat(50_000), "\u0000", '"', "{}"];
  const paths = [
    keys,
    "/v1/organizations/acme/accounts",
    "/v1/organizations/acme/projects/web/bindings",
    "/v1/keys",
  ];
  const statuses = new Map<number, number>();
  for (let n = 0; n < 5_000; n += 50) {
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, k) =>
        api.post(paths[(n + k) % paths.length] ?? "", bodies[(n + k) % bodies.length], {
          key: k % 3 ? api.keys.admin : `tl_${"z".repeat(52)}`,
        }),
      ),
    );
    for (const { status } of answers) statuses.set(status, (statuses.get(status) ?? 0) + 1);
  }
  for (const status of statuses.keys()) expect(status).toBeLessThan(500);
  expect((await api.get("/v1/key")).status).toBe(200);
});
