import { afterAll, beforeAll, expect, test } from "vitest";
import { type TestApi, testApi } from "../../../test/harness/api.ts";

let api: TestApi;
beforeAll(async () => {
  api = await testApi({ at: "2025-06-01T00:00:00Z" });
});
afterAll(() => api.close());

const entity = {
  name: "Northwind Metering ApS",
  country: "DK",
  vat_id: "DK13585628",
  brand: { name: "Northwind", color: "#0b5cad" },
  tax: "collects",
};

test("a legal entity is set up, seen, and its change is audited", async () => {
  expect((await api.get("/v1/legal-entities/main")).json).toMatchObject({
    code: "main",
    tax: "none",
  });
  expect((await api.put("/v1/legal-entities/main", entity)).status).toBe(200);
  expect((await api.get("/v1/legal-entities")).json.data).toMatchObject([
    { code: "main", vat_id: "DK13585628", rounding: "document" },
  ]);
  expect((await api.put("/v1/legal-entities/main", entity, { key: api.keys.admin })).status).toBe(
    403,
  );
});

test("a tax rate begins on a day, ends the one before it, and never overlaps", async () => {
  const rate = { country: "DE", name: "VAT", percent: "19", from: "2007-01-01" };
  expect((await api.post("/v1/tax-rates", rate)).status).toBe(201);
  expect(
    (await api.post("/v1/tax-rates", { ...rate, percent: "21", from: "2025-07-01" })).status,
  ).toBe(201);
  expect(
    (await api.post("/v1/tax-rates", { ...rate, percent: "16", from: "2025-01-01" })).json,
  ).toMatchObject({ code: "tax_rate_overlaps" });
  expect((await api.get("/v1/tax-rates")).json.data).toMatchObject([
    { percent: "19", from: "2007-01-01", until: "2025-07-01" },
    { percent: "21", from: "2025-07-01", until: null },
  ]);
});

test("a tax id is checked by form and check digit, and the answer is kept", async () => {
  const path = "/v1/organizations/acme/accounts/acme-usd/tax-id-checks";
  expect((await api.post(path, { tax_id: "DE136695976" })).json).toMatchObject({
    valid: true,
    evidence: { country: "DE", check_digit: true },
  });
  expect((await api.post(path, { tax_id: "DE136695977" })).json).toMatchObject({ valid: false });
  const kept = await api.env.store.db
    .selectFrom("tax_id_check")
    .select(["tax_id", "is_valid"])
    .orderBy("tax_id")
    .execute();
  expect(kept).toEqual([
    { tax_id: "DE136695976", is_valid: true },
    { tax_id: "DE136695977", is_valid: false },
  ]);
});

test("an exchange rate is recorded once and never changed", async () => {
  const rate = { from: "EUR", to: "USD", on: "2025-01-06", rate: "1.0426", source: "ECB" };
  expect((await api.post("/v1/fx-rates", rate)).status).toBe(201);
  expect((await api.post("/v1/fx-rates", { ...rate, rate: "1.05" })).json).toMatchObject({
    code: "fx_rate_recorded",
  });
  expect((await api.get("/v1/fx-rates?from=2025-01-01&to=2025-01-31")).json.data).toEqual([rate]);
});
