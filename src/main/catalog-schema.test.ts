import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { exampleCatalog } from "../../test/harness/catalog.ts";
import { writeCatalog, readCatalog } from "../domain/catalog/index.ts";
import { catalogFileSchema, catalogSchemaText } from "./catalog-schema.ts";

const committed = fileURLToPath(
  new URL("../../examples/catalog/catalog.schema.json", import.meta.url),
);

describe("the schema for editors", () => {
  test("is the one that is committed (npm run gen)", () => {
    expect(readFileSync(committed, "utf8")).toBe(catalogSchemaText());
  });

  test("accepts the examples and everything that export writes", () => {
    const { catalog } = readCatalog(exampleCatalog());
    const exported = catalog ? writeCatalog(catalog) : [];
    expect(exported.length).toBeGreaterThan(3);
    for (const { name, document } of [...exampleCatalog(), ...exported]) {
      const { error } = catalogFileSchema.safeParse(document);
      expect([name, error?.issues ?? []]).toEqual([name, []]);
    }
  });

  test.each([
    [
      "a number without quotes",
      { prices: [{ book: "b", sku: "S", currency: "USD", model: "flat_fee", amount: 40.5 }] },
    ],
    ["a misspelt section", { pries: [] }],
    ["an unknown cadence", { plans: [{ key: "a", versions: [{ cadence: "daily" }] }] }],
  ])("refuses %s", (_, document) => {
    expect(catalogFileSchema.safeParse(document).success).toBe(false);
  });
});
