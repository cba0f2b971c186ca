import fc from "fast-check";
import { expect, test } from "vitest";
import { anyDocument, anyUsage, soundPrice, usageOf } from "../../../test/harness/prices.ts";
import { currency } from "../../kit/currency.ts";
import { decimal, formatDecimal } from "../../kit/decimal.ts";
import { instant, period } from "../../kit/time.ts";
import { type FocusContext, focusRow, rate } from "./index.ts";

const context: FocusContext = {
  currency: currency("USD"),
  billingPeriod: period(instant("2025-01-01T00:00:00Z"), instant("2025-02-01T00:00:00Z")),
  charge: "usage",
  pricingUnit: "Requests",
  consumedUnit: "Requests",
  skuId: "API",
  skuPriceId: "prc_1",
};

test("a segment is a row: unit price times pricing quantity is its cost", () => {
  fc.assert(
    fc.property(anyDocument(), anyUsage(), (document, usage) => {
      const rated = rate(soundPrice(document), usageOf(usage));
      const rows = rated.segments.map((segment) => focusRow(segment, context));
      for (const row of rows) {
        if (row.ChargeCategory === "Adjustment") {
          expect([row.ListUnitPrice, row.PricingQuantity, row.PricingUnit]).toEqual([
            null,
            null,
            null,
          ]);
          continue;
        }
        expect(row.ListUnitPrice).not.toMatch(/^-/);
        const cost = segmentCost(row.ListUnitPrice, row.PricingQuantity);
        expect(formatDecimal(cost)).toBe(row.ListCost);
        expect([row.ContractedCost, row.BilledCost, row.EffectiveCost]).toEqual([
          row.ListCost,
          row.ListCost,
          row.ListCost,
        ]);
      }
    }),
  );
});

const segmentCost = (price: string | null, quantity: string | null) =>
  exact(price ?? "0").times(exact(quantity ?? "0"));
// Products have more digits than the outside may write.
const exact = (text: string) => decimal("1").times(text);

test("usage, packages, a missing minimum and an excess have the categories that FOCUS knows", () => {
  const price = { model: "package", package_size: 20, unit_amount: "10" };
  const low = rate(soundPrice({ ...price, minimum_amount: "50" }), { quantity: decimal("21") });
  expect(low.segments.map((one) => focusRow(one, context))).toMatchObject([
    {
      ChargeCategory: "Usage",
      ChargeFrequency: "Usage-Based",
      PricingQuantity: "2",
      PricingUnit: "Packages",
      ConsumedQuantity: "21",
      BilledCost: "20",
      ChargePeriodStart: "2025-01-01T00:00:00.000Z",
    },
    { ChargeCategory: "Usage", PricingQuantity: "1", PricingUnit: "Fees", ListUnitPrice: "30" },
  ]);
  const high = rate(soundPrice({ ...price, maximum_amount: "15" }), { quantity: decimal("21") });
  expect(focusRow(high.segments.at(-1) ?? never(), { ...context, correction: true })).toMatchObject(
    {
      ChargeCategory: "Adjustment",
      ChargeClass: "Correction",
      BilledCost: "-5",
    },
  );
});

test("a fee paid in advance is a purchase", () => {
  const fee = rate(soundPrice({ model: "flat_fee", amount: "50" }), { quantity: decimal("0") });
  const rows = fee.segments.map((one) => focusRow(one, { ...context, charge: "recurring" }));
  expect(rows).toMatchObject([
    { ChargeCategory: "Purchase", ChargeFrequency: "Recurring", ConsumedQuantity: null },
  ]);
});

function never(): never {
  throw new Error("there is a segment");
}
