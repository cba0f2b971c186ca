import { readFile } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { openapiText } from "../../src/api/openapi.ts";
import { endpoints } from "../../src/api/routes.ts";

const committed = await readFile(new URL("../../openapi.json", import.meta.url), "utf8");
const { version } = JSON.parse(
  await readFile(new URL("../../package.json", import.meta.url), "utf8"),
) as { version: string };

type Json = { [key: string]: Json } & Json[] & string;
const document = JSON.parse(committed) as Json;

test("openapi.json is what the endpoints say (npm run gen writes it)", () => {
  expect(openapiText(endpoints, version)).toBe(committed);
});

test("two endpoints never share an address or a name", () => {
  const addresses = endpoints.map(
    (route) => `${route.method} ${route.path.replaceAll(/\{\w+\}/g, "{}")}`,
  );
  expect(new Set(addresses).size).toBe(addresses.length);
  const ids = endpoints.map((route) => route.id);
  expect(new Set(ids).size).toBe(ids.length);
});

describe("the document is valid OpenAPI 3.1", () => {
  const operations = Object.entries(document["paths"] ?? {}).flatMap(([path, item]) =>
    Object.entries(item as Json).map(([method, operation]) => ({
      path,
      method,
      operation: operation as Json,
    })),
  );

  test("every reference leads somewhere, and every component is referred to", () => {
    const used = new Set<string>();
    walk(document, (value) => {
      const target = (value as { $ref?: unknown }).$ref;
      if (typeof target !== "string") return;
      used.add(target);
      let at: unknown = document;
      for (const part of target.slice(2).split("/")) at = (at as Record<string, unknown>)?.[part];
      expect(at, target).toBeDefined();
    });
    for (const name of Object.keys(document["components"]?.["schemas"] ?? {}))
      expect(used.has(`#/components/schemas/${name}`), name).toBe(true);
  });

  test("path parameters are declared, required, and no others", () => {
    for (const { path, operation } of operations) {
      const declared = (
        (operation["parameters"] ?? []) as unknown as {
          in: string;
          name: string;
          required: boolean;
        }[]
      ).filter((parameter) => parameter.in === "path");
      const named = [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1] ?? "");
      expect(declared.map((one) => one.name).toSorted(), path).toEqual(named.toSorted());
      for (const one of declared) expect(one.required, path).toBe(true);
    }
  });

  test("every operation has a heading, a summary, a permission or none, a success and its problems", () => {
    for (const { path, method, operation } of operations) {
      const at = `${method} ${path}`;
      expect(operation["operationId"], at).toMatch(/^[a-z][A-Za-z]+$/);
      expect(operation["tags"], at).toHaveLength(1);
      expect(operation["summary"], at).toBeTruthy();
      expect(operation["security"], at).toBeDefined();
      const statuses = Object.keys(operation["responses"] ?? {});
      expect(
        statuses.some((status) => status.startsWith("2")),
        at,
      ).toBe(true);
      for (const [status, answer] of Object.entries(operation["responses"] ?? {})) {
        expect((answer as Json)["description"], `${at} ${status}`).toBeTruthy();
        if (Number(status) >= 400)
          expect(Object.keys((answer as Json)["content"] ?? {}), at).toEqual([
            "application/problem+json",
          ]);
      }
      if (method === "get") expect(operation["requestBody"], at).toBeUndefined();
    }
  });

  test("schemas use the words of JSON Schema 2020-12: no nullable, no boolean bounds", () => {
    walk(document["components"], (value) => {
      expect(Object.hasOwn(value, "nullable")).toBe(false);
      const bound = (value as { exclusiveMinimum?: unknown }).exclusiveMinimum;
      expect(typeof bound).not.toBe("boolean");
    });
  });
});

function walk(value: unknown, visit: (value: object) => void): void {
  if (typeof value !== "object" || value === null) return;
  visit(value);
  for (const inner of Object.values(value)) walk(inner, visit);
}
