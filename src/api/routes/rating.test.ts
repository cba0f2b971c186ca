import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type TestApi, testApi } from "../../../test/harness/api.ts";

let api: TestApi;
beforeAll(async () => {
  api = await testApi();
});
afterAll(() => api.close());

const price = {
  currency: "USD",
  model: "graduated",
  tiers: [
    { up_to: "10000", unit_amount: "0.001" },
    { up_to: "100000", unit_amount: "0.0008" },
    { up_to: null, unit_amount: "0.0006" },
  ],
};
const estimate = (body: unknown, key = api.keys.admin) =>
  api.post("/v1/rating/estimate", body, { key });

describe("POST /v1/rating/estimate", () => {
  test("prices a quantity in segments", async () => {
    const { status, json } = await estimate({ price, quantity: "150000" });
    expect(status).toBe(200);
    expect(json).toMatchObject({ currency: "USD", amount: "112.00", unrounded: "112" });
    expect(json.segments.map((one: { amount: string }) => one.amount)).toEqual(["10", "72", "30"]);
  });

  test("prices rows of usage together", async () => {
    const usage = [{ quantity: "100000" }, { quantity: "50000" }];
    expect((await estimate({ price, usage })).json.amount).toBe("112.00");
    const grouped = { ...price, group_by: ["region"] };
    const rows = usage.map((row, index) => ({ ...row, dimensions: { region: `r${index}` } }));
    const { json } = await estimate({ price: grouped, usage: rows });
    expect(json.amount).toBe("124.00");
    expect(json.segments[0].dimensions).toEqual({ region: "r0" });
  });

  test("names the tier of an unsound price", async () => {
    const tiers = [price.tiers[1], price.tiers[0]];
    const { status, json } = await estimate({ price: { ...price, tiers }, quantity: "1" });
    expect([status, json.code]).toEqual([422, "price_not_valid"]);
    expect(json.errors[0]).toMatchObject({ pointer: "/price/tiers/1/up_to" });
  });

  test("refuses numbers, and usage given twice or not at all", async () => {
    const number = await estimate({
      price: { currency: "USD", model: "per_unit", unit_amount: 0.1 },
      quantity: "1",
    });
    expect(number.json.errors[0].detail).toContain('write "0.1"');
    for (const body of [{ price }, { price, quantity: "1", usage: [{ quantity: "1" }] }])
      expect((await estimate(body)).json.code).toBe("request_not_valid");
    const events = { currency: "USD", model: "percentage", rate: "1", fixed_amount: "0.30" };
    expect((await estimate({ price: events, quantity: "1" })).json.code).toBe("usage_not_ratable");
  });

  test("asks for the permission", async () => {
    expect((await estimate({ price, quantity: "1" }, api.keys.ingest)).status).toBe(403);
    expect((await estimate({ price, quantity: "1" }, api.keys.provider)).status).toBe(200);
  });
});
