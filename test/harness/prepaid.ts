import { loadCatalog } from "../../src/flows/load-catalog.ts";
import type { Env } from "../../src/flows/env.ts";

/** The three products of the first source document, with their batches and overage prices. */
export const prepaidCatalog = {
  meters: [
    ["sms", "sms.sent", []],
    ["ai-tokens", "ai.tokens", []],
    ["sponsorships", "job.sponsored", ["board"]],
  ].map(([key, event_type, dimensions]) => ({
    key,
    name: key,
    event_type,
    aggregation: "sum",
    value_property: "value",
    value_kind: "integer",
    unit: "1",
    dimensions,
  })),
  price_books: [
    { code: "retail-usd", name: "Retail", currency: "USD" },
    { code: "globex", name: "Globex", currency: "USD", parent: "retail-usd" },
  ],
  skus: [
    {
      code: "USAGE-SMS-1000",
      kind: "batch",
      meter: "sms",
      units: "1000",
      validity_days: 30,
      unit: "messages",
    },
    {
      code: "USAGE-SMS-10000",
      kind: "batch",
      meter: "sms",
      units: "10000",
      validity_days: 30,
      unit: "messages",
    },
    {
      code: "PARTNER-USAGE-SMS-100000",
      kind: "batch",
      meter: "sms",
      units: "100000",
      validity_days: 365,
      unit: "messages",
    },
    {
      code: "USAGE-AI-10000",
      kind: "batch",
      meter: "ai-tokens",
      units: "10000",
      validity_days: 90,
      unit: "tokens",
    },
    {
      code: "USAGE-JOBSPONSOR-10",
      kind: "batch",
      meter: "sponsorships",
      units: "10",
      validity_days: 90,
      unit: "jobs",
    },
    { code: "USAGE-SMS-OVERAGE", kind: "usage", meter: "sms" },
    { code: "USAGE-AI-OVERAGE", kind: "usage", meter: "ai-tokens" },
    { code: "USAGE-JOBSPONSOR-OVERAGE", kind: "usage", meter: "sponsorships" },
  ],
  prices: [
    ["USAGE-SMS-1000", { model: "flat_fee", amount: "40.00" }],
    ["USAGE-SMS-10000", { model: "flat_fee", amount: "350.00" }],
    ["PARTNER-USAGE-SMS-100000", { model: "flat_fee", amount: "3000.00" }],
    ["USAGE-AI-10000", { model: "flat_fee", amount: "10.00" }],
    ["USAGE-JOBSPONSOR-10", { model: "flat_fee", amount: "100.00" }],
    ["USAGE-SMS-OVERAGE", { model: "per_unit", unit_amount: "0.06" }],
    ["USAGE-AI-OVERAGE", { model: "per_unit", unit_amount: "0.0015" }],
    ["USAGE-JOBSPONSOR-OVERAGE", { model: "per_unit", unit_amount: "15.00" }],
  ].map(([sku, price]) => ({
    book: "retail-usd",
    sku,
    currency: "USD",
    effective_from: "2024-01-01T00:00:00Z",
    ...(price as object),
  })),
};

export const loadPrepaidCatalog = (env: Env) => loadCatalog(env, prepaidCatalog, "test");
