import { describe, expect, test } from "vitest";
import { refusals } from "../domain/refusals/index.ts";
import type { Env } from "../flows/env.ts";
import { openapiDocument } from "./openapi.ts";
import { referenceAssets, referencePaths } from "./reference.ts";
import { exampleOf, smallestExample, typeOf } from "./reference-schema.ts";
import { endpoints } from "./routes.ts";
import { buildApp } from "./server.ts";

const assets = referenceAssets(openapiDocument(endpoints, "0.0.0"));
const page = assets.get("/docs")?.body ?? "";

describe("the reference page", () => {
  test("has every endpoint, every problem, and no link that leads nowhere", () => {
    const ids = new Set([...page.matchAll(/ id="([^"]+)"/g)].map((match) => match[1]));
    for (const { id } of endpoints) expect(ids).toContain(id);
    for (const code of Object.keys(refusals)) expect(ids).toContain(`problem-${code}`);
    for (const [, anchor] of page.matchAll(/href="#([^"]+)"/g)) expect(ids).toContain(anchor);
    expect([...page.matchAll(/ id="([^"]+)"/g)]).toHaveLength(ids.size);
  });

  test("takes nothing from elsewhere, and runs no inline script or style", () => {
    for (const [, address] of page.matchAll(/(?:src|href)="([^"#][^"]*)"/g))
      expect([
        ...referencePaths,
        "/openapi.json",
        "https://www.rfc-editor.org/rfc/rfc9457",
      ]).toContain(address);
    expect(page).not.toMatch(/<script(?! src=)|<style|\son\w+=|\sstyle=/);
    for (const path of ["/docs/reference.css", "/docs/reference.js"])
      expect(assets.get(path)?.body).not.toMatch(/https?:|@import|url\(/);
  });

  test("is well formed: what opens closes", () => {
    const open: string[] = [];
    for (const [, slash, name] of page.matchAll(/<(\/?)([a-z][a-z0-9]*)\b[^>]*>/g)) {
      if (/^(meta|link|img|input|wbr)$/.test(name ?? "")) continue;
      if (slash) expect(open.pop()).toBe(name);
      else open.push(name ?? "");
    }
    expect(open).toEqual([]);
  });

  test("is served with a policy that allows only ourselves, and an ETag", async () => {
    const app = buildApp({ id: () => "req_1" } as unknown as Env);
    const get = (path: string, headers = {}) =>
      app.fetch(new Request(`http://tallyline.test${path}`, { headers }));
    const first = await get("/docs");
    expect(first.status).toBe(200);
    expect(first.headers.get("content-security-policy")).toContain("script-src 'self'");
    const again = await get("/docs", { "if-none-match": first.headers.get("etag") ?? "" });
    expect(again.status).toBe(304);
    const problem = await get("/problems/account_not_found");
    expect([problem.status, problem.headers.get("location")]).toEqual([
      302,
      "/docs#problem-account_not_found",
    ]);
  });
});

describe("examples", () => {
  const schemas = {
    Money: {
      type: "object",
      properties: { currency: { type: "string", example: "USD" }, amount: { type: "string" } },
      required: ["currency", "amount"],
    },
    Tree: {
      type: "object",
      properties: { children: { type: "array", items: { $ref: "#/components/schemas/Tree" } } },
    },
  };

  test("use what the schema says, and end in circles", () => {
    expect(exampleOf({ $ref: "#/components/schemas/Money" }, schemas)).toEqual({
      currency: "USD",
      amount: "…",
    });
    expect(() => exampleOf({ $ref: "#/components/schemas/Tree" }, schemas)).not.toThrow();
    expect(exampleOf({ anyOf: [{ type: "null" }, { type: "integer", minimum: 3 }] }, schemas)).toBe(
      3,
    );
  });

  test("of a request start with what is required", () => {
    const schema = {
      type: "object",
      properties: { slug: { type: "string" }, name: { type: "string" }, zone: { type: "string" } },
      required: ["slug", "name"],
    };
    expect(smallestExample(schema, {})).toEqual({ slug: "…", name: "…" });
  });

  test("types are told in words, and never break out of the page", () => {
    expect(typeOf({ type: ["string", "null"] })).toBe("string or null");
    expect(typeOf({ enum: ["<b>"] })).toBe("<code>&lt;b&gt;</code>");
  });
});
