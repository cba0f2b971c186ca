import { z } from "@hono/zod-openapi";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type TestApi, testApi } from "../../test/harness/api.ts";
import { endpoints } from "./routes.ts";
import { endpoint } from "./endpoint.ts";

const echo = endpoint({
  method: "POST",
  path: "/v1/organizations/{organization}/echo",
  id: "echo",
  group: "Test",
  summary: "Say it back",
  permission: "projects.write",
  body: z.strictObject({
    text: z.string(),
    tiers: z.array(z.strictObject({ up_to: z.string() })).optional(),
  }),
  response: z.strictObject({ text: z.string(), now: z.string() }),
  bodyBytesMax: 1000,
  run: (_env, { body, now }) => ({ text: body.text, now: String(now) }),
});

let api: TestApi;
beforeAll(async () => {
  api = await testApi({ app: { endpoints: [...endpoints, echo] } });
});
afterAll(() => api.close());

const address = "/v1/organizations/acme/echo";

describe("a request that is not right gets a problem that says where", () => {
  test("no key, a malformed key and an unknown key are 401 with WWW-Authenticate", async () => {
    const none = await api.post(address, {}, { key: null });
    expect(none.status).toBe(401);
    expect(none.json.code).toBe("key_missing");
    expect(none.headers.get("www-authenticate")).toContain("Bearer");
    const unknown = await api.post(address, {}, { key: `tl_${"0".repeat(52)}` });
    expect([unknown.status, unknown.json.code]).toEqual([401, "key_not_valid"]);
    const malformed = await api.post(address, {}, { key: "sk_test" });
    expect([malformed.status, malformed.json.code]).toEqual([401, "key_not_valid"]);
  });

  test("a faulty member is named by JSON pointer", async () => {
    const answer = await api.post(address, {
      text: "a",
      tiers: [{ up_to: "1" }, { up_to: 2 }],
      x: 1,
    });
    expect(answer.status).toBe(400);
    expect(answer.headers.get("content-type")).toBe("application/problem+json");
    expect(answer.json).toMatchObject({
      type: "/problems/request_not_valid",
      status: 400,
      code: "request_not_valid",
      request_id: answer.headers.get("x-request-id"),
    });
    expect(answer.json.errors.map((fault: { pointer: string }) => fault.pointer)).toEqual([
      "/tiers/1/up_to",
      "/x",
    ]);
  });

  test("another organization's things are 404, whatever the key may do", async () => {
    for (const key of [api.keys.other]) {
      const answer = await api.post(address, { text: "a" }, { key });
      expect([answer.status, answer.json.code]).toEqual([404, "organization_not_found"]);
    }
    const viewer = await api.post(address, { text: "a" }, { key: api.keys.viewer });
    expect([viewer.status, viewer.json.code]).toEqual([403, "permission_missing"]);
    expect(viewer.json.permission).toBe("projects.write");
  });

  test("current is the key's own organization; a provider key has none", async () => {
    const own = await api.post(
      "/v1/organizations/current/echo",
      { text: "a" },
      { key: api.keys.admin },
    );
    expect(own.status).toBe(200);
    const provider = await api.post("/v1/organizations/current/echo", { text: "a" });
    expect(provider.json.code).toBe("organization_required");
  });

  test("what is not JSON, too large, or of another type is refused before anything runs", async () => {
    const broken = await api.post(address, "{", {});
    expect([broken.status, broken.json.code]).toEqual([400, "body_not_json"]);
    const large = await api.post(address, { text: "x".repeat(1000) });
    expect([large.status, large.json.code]).toEqual([413, "body_too_large"]);
    const form = await api.post(address, "a=1", {
      headers: { "content-type": "application/x-www-form-urlencoded" },
    });
    expect([form.status, form.json.code]).toEqual([415, "content_type_not_supported"]);
  });

  test("an unknown address is 404, a wrong method 405 with Allow", async () => {
    const nothing = await api.get("/v1/nothing");
    expect([nothing.status, nothing.json.code]).toEqual([404, "route_not_found"]);
    const wrong = await api.get(address);
    expect([wrong.status, wrong.json.code]).toEqual([405, "method_not_allowed"]);
    expect(wrong.headers.get("allow")).toBe("POST");
  });
});

describe("an Idempotency-Key", () => {
  test("gives the first answer again, and refuses another body", async () => {
    const headers = { "idempotency-key": "once-1" };
    const path = "/v1/organizations/acme/keys";
    const first = await api.post(path, { name: "one", roles: ["ingest"] }, { headers });
    expect(first.status).toBe(201);
    const again = await api.post(path, { roles: ["ingest"], name: "one" }, { headers });
    expect(again.status).toBe(201);
    expect(again.text).toBe(first.text);
    expect(again.headers.get("idempotency-replayed")).toBe("true");
    const other = await api.post(path, { name: "two" }, { headers });
    expect([other.status, other.json.code]).toEqual([422, "idempotency_key_reused"]);
  });

  test("lets one of many parallel requests through", async () => {
    const headers = { "idempotency-key": "race-1" };
    const path = "/v1/organizations/acme/keys";
    const answers = await Promise.all(
      Array.from({ length: 30 }, () => api.post(path, { name: "raced" }, { headers })),
    );
    const made = answers.filter((answer) => answer.status === 201);
    expect(new Set(made.map((answer) => answer.json.id)).size).toBe(1);
    for (const answer of answers) expect([201, 409]).toContain(answer.status);
    const keys = await api.get(`${path}?limit=200`);
    expect(keys.json.data.filter((key: { name: string }) => key.name === "raced")).toHaveLength(1);
  });
});

test("the document describes every endpoint", async () => {
  const { json } = await api.get("/openapi.json", { key: null });
  expect(json.openapi).toBe("3.1.0");
  for (const route of endpoints)
    expect(json.paths[route.path][route.method.toLowerCase()]).toBeDefined();
});
