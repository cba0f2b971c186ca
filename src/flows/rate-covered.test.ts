import { describe, expect, test } from "vitest";
import { readPrice } from "../domain/catalog/index.ts";
import { type PricedUsage, ratePrimary } from "../domain/invoicing/index.ts";
import { decimal, formatDecimal, sumOf } from "../kit/decimal.ts";
import { instant } from "../kit/time.ts";
import { rateIndependently } from "./rate-independently.ts";

/** 10 used along a dimension, 5 of them paid for by a batch. */
function tenUsedFiveCovered(document: object): PricedUsage {
  const read = readPrice(document);
  if (!("price" in read)) throw new Error(JSON.stringify(read));
  const startsAt = instant("2025-01-01T00:00:00Z");
  const slice = { startsAt, endsAt: instant("2025-02-01T00:00:00Z") };
  return {
    version: {
      priceId: "prc_1",
      version: 1,
      book: "retail-usd",
      skuCode: "JOBS",
      effectiveFrom: startsAt,
      price: read.price,
      definition: document,
    },
    slice,
    quantity: decimal("5"),
    covered: decimal("5"),
    eventCount: 10n,
    hoursInMonth: decimal("744"),
    splitsByDimension: true,
    byDimensions: [{ dimensions: '{"board":"indeed"}', quantity: decimal("10"), eventCount: 10n }],
  };
}

const prices: Record<string, object> = {
  "a price rated per group": {
    model: "per_unit",
    currency: "USD",
    unit_amount: "1",
    group_by: ["board"],
  },
  "a matrix without a catch-all": {
    model: "matrix",
    currency: "USD",
    dimensions: ["board"],
    cells: [{ match: { board: "indeed" }, unit_amount: "1" }],
    default_unit_amount: null,
  },
  "a matrix with a dearer catch-all": {
    model: "matrix",
    currency: "USD",
    dimensions: ["board"],
    cells: [{ match: { board: "indeed" }, unit_amount: "1" }],
    default_unit_amount: "5",
  },
};

describe("what a batch paid for is not charged again, whatever the price looks at", () => {
  test.each(Object.entries(prices))("%s", (_, document) => {
    const usage = [tenUsedFiveCovered(document)];
    for (const rate of [ratePrimary, rateIndependently]) {
      expect(formatDecimal(sumOf(rate(usage).map((segment) => segment.amount)))).toBe("5");
    }
  });
});
