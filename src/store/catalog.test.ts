import { afterAll, beforeAll, expect, test } from "vitest";
import { freshDatabase, type TestDatabase } from "../../test/harness/database.ts";
import { instant } from "../kit/time.ts";
import { bumpCatalogVersion, getCatalog, insertPrice, saveBook, saveSku } from "./catalog.ts";
import { brokenConstraint, transaction } from "./transaction.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await freshDatabase();
});
afterAll(() => database.drop());

const now = instant("2025-01-01T00:00:00Z");
const sku = {
  skuId: "sku_1",
  code: "API",
  name: "API calls",
  kind: "usage",
  status: "published",
  meterKey: "calls",
  definition: { code: "API" },
} as const;
const price = {
  priceId: "prc_1",
  book: "retail-usd",
  skuCode: "API",
  currency: "USD",
  version: 1,
  effectiveFrom: now,
  definition: { model: "per_unit", unit_amount: "0.001" },
  publishedBy: "test",
  publishedAt: now,
} as const;

test("a process keeps the catalog until somebody changes it", async () => {
  const empty = await getCatalog(database.store);
  expect(await getCatalog(database.store)).toBe(empty);

  await transaction(database.store.db, async (tx) => {
    await saveBook(tx, { code: "retail-usd", name: "Retail", currency: "USD", parent: null }, now);
    expect(await saveSku(tx, sku, now)).toBe(true);
    expect(await saveSku(tx, sku, now)).toBe(false);
    await insertPrice(tx, price);
    await bumpCatalogVersion(tx);
  });

  const catalog = await getCatalog(database.store);
  expect(catalog.version).toBe(empty.version + 1n);
  expect(catalog.prices.get("retail-usd")?.get("API")).toEqual([price]);
});

test("a price that starts at the same moment as another of its book and SKU is refused", async () => {
  const again = transaction(database.store.db, (tx) =>
    insertPrice(tx, { ...price, priceId: "prc_2", version: 2 }),
  );
  expect(brokenConstraint(await again.catch((error: unknown) => error))).toBe(
    "price_starts_once_per_book_and_sku",
  );
});
