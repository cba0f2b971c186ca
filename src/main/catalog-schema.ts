import { z } from "zod";
import {
  aggregations,
  alertSubjects,
  cadences,
  lifecycle,
  lateUsagePolicies,
  meterStatuses,
  prorationUnits,
  quotaWindows,
  skuKinds,
} from "../domain/catalog/index.ts";

// What editors check while one writes. It says the form; whether a catalog is sound, `tallyline catalog plan` says.

const key = z.string().regex(/^[a-z][a-z0-9_.-]{0,62}$/);
const code = z.string().regex(/^[A-Za-z][A-Za-z0-9_.-]{0,62}$/);
const line = z.string().min(1).max(200);
const amount = z
  .string()
  .regex(/^-?\d{1,20}(\.\d{1,20})?$/)
  .describe('An exact amount in quotes: "12.50"');
const units = z.union([amount, z.int()]);
const moment = z.string().describe("RFC 3339 with a zone: 2025-02-01T00:00:00Z");

const service = z.strictObject({
  key,
  name: line.optional(),
  description: line.optional(),
  status: z.enum(lifecycle).optional(),
});

const meter = z.strictObject({
  key,
  name: line.optional(),
  event_type: z.string(),
  aggregation: z.enum(aggregations),
  value_property: z.string().optional(),
  value_kind: z.enum(["integer", "decimal"]).optional(),
  allow_negative: z.boolean().optional(),
  unit: z.string(),
  filters: z
    .array(
      z.strictObject({
        property: z.string(),
        op: z.enum(["eq", "ne", "in", "not_in", "exists"]),
        values: z.array(z.string()).optional(),
      }),
    )
    .optional(),
  dimensions: z
    .array(
      z.union([
        z.string(),
        z.strictObject({ key: z.string(), values: z.array(z.string()).optional() }),
      ]),
    )
    .optional(),
  percentile: units.optional(),
  sample_seconds: z.int().optional(),
  missing_samples_are_zero: z.boolean().optional(),
  rounding: z.strictObject({ mode: z.string(), digits: z.int() }).optional(),
  late_usage: z.enum(lateUsagePolicies).optional(),
  status: z.enum(meterStatuses).optional(),
});

const sku = z.strictObject({
  code,
  name: line.optional(),
  kind: z.enum(skuKinds).optional(),
  service: key.optional(),
  class: line.optional(),
  family: line.optional(),
  variant: line.optional(),
  pay_plan: line.optional(),
  meter: key.optional(),
  units: units.optional().describe("How many units a batch gives"),
  validity_days: z.int().min(1).optional().describe("For how many days a batch is good"),
  unit: line.optional(),
  restricted: z.boolean().optional(),
  status: z.enum(lifecycle).optional(),
});

const priceBook = z.strictObject({
  code: key,
  name: line.optional(),
  currency: z.string().regex(/^[A-Z]{3}$/),
  parent: key.optional().describe("Prices that this book does not have are the parent's"),
});

const upTo = { from: units.nullish(), up_to: units.nullish() };
const priceItself = z.strictObject({
  currency: z.string().regex(/^[A-Z]{3}$/),
  model: z.enum(["flat_fee", "per_unit", "graduated", "volume", "package", "percentage", "matrix"]),
  amount: amount.optional(),
  unit_amount: amount.optional(),
  tiers: z
    .array(
      z.strictObject({
        ...upTo,
        unit_amount: amount.optional(),
        flat_amount: amount.optional(),
        package_size: units.optional(),
        rate: amount.optional(),
      }),
    )
    .optional(),
  package_size: units.optional(),
  package_rounding: z.string().optional(),
  rate: amount.optional(),
  fixed_amount: amount.optional(),
  free_events: units.optional(),
  free_events_cover: z.enum(["fixed_amount", "whole_event"]).optional(),
  per_event_minimum: amount.optional(),
  per_event_maximum: amount.optional(),
  dimensions: z.array(z.string()).optional(),
  cells: z
    .array(z.strictObject({ match: z.record(z.string(), z.string()), unit_amount: amount }))
    .optional(),
  default_unit_amount: amount.optional(),
  free_units: units.optional(),
  conversion: z
    .strictObject({
      operation: z.enum(["divide", "multiply"]),
      factor: z.union([units, z.literal("hours_in_month")]),
      rounding: z.enum(["none", "ceiling", "floor", "half_away"]).optional(),
      digits: z.int().optional(),
    })
    .optional(),
  minimum_amount: amount.optional(),
  maximum_amount: amount.optional(),
  group_by: z.array(z.string()).optional(),
  flat_amount_at_zero: z.boolean().optional(),
  negative_usage: z.enum(["zero", "mirror"]).optional(),
});
const price = priceItself.extend({
  book: key,
  sku: code,
  effective_from: moment.optional(),
  confirm: z.array(z.enum(["batch_not_cheaper"])).optional(),
});

const fee = z.strictObject({
  sku: code,
  kind: z.enum(["recurring", "one_time"]).optional(),
  amounts: z.record(z.string().regex(/^[A-Z]{3}$/), amount).optional(),
  timing: z.enum(["in_advance", "in_arrears"]).optional(),
  per: z.enum(["subscription", "unit"]).optional(),
  included_units: units.optional(),
  once: z.enum(["subscription", "account"]).optional(),
});

const version = z.strictObject({
  version: z.int().min(1).optional(),
  status: z.enum(["draft", "published"]).optional(),
  effective_from: moment.optional(),
  cadence: z.enum(cadences).optional(),
  fees: z.array(fee).optional(),
  usage: z
    .array(
      z.strictObject({
        sku: code,
        included: units.optional(),
        included_level: units.optional(),
        beyond: z.enum(["charge", "block"]).optional(),
        prices: z
          .array(priceItself)
          .optional()
          .describe("The plan's own price, one per currency; it goes before the price book"),
      }),
    )
    .optional(),
  quotas: z
    .array(
      z.strictObject({
        key,
        limit: units,
        window: z.enum(quotaWindows).optional(),
        enforcement: z.enum(["hard", "soft"]).optional(),
      }),
    )
    .optional(),
  features: z.array(key).optional(),
  trial_days: z.int().optional(),
  proration: z.enum(prorationUnits).optional(),
  credit_unused: z.boolean().optional(),
});

const plan = z.strictObject({
  key,
  name: line.optional(),
  description: line.optional(),
  kind: z.enum(["plan", "add_on"]).optional(),
  product_line: key.optional(),
  price_on_request: z.boolean().optional(),
  restricted: z.boolean().optional(),
  default: z.boolean().optional().describe("New accounts get it"),
  versions: z.array(version).min(1),
});

const thresholds = z.array(z.int().min(1).max(200)).optional();

/** The form of one file of a catalog folder. */
export const catalogFileSchema = z
  .strictObject({
    $schema: z.string().optional(),
    services: z.array(service).optional(),
    meters: z.array(meter).optional(),
    skus: z.array(sku).optional(),
    price_books: z.array(priceBook).optional(),
    prices: z.array(price).optional(),
    plans: z.array(plan).optional(),
    assignments: z
      .array(
        z.strictObject({ sku: code.optional(), plan: key.optional(), organization: z.string() }),
      )
      .optional(),
    alerts: z
      .strictObject(Object.fromEntries(alertSubjects.map((subject) => [subject, thresholds])))
      .optional(),
  })
  .describe("A file of a Tallyline catalog: sections may be spread over files as one likes");

/** The same as JSON Schema, for editors. */
export const catalogSchemaText = (): string =>
  `${JSON.stringify(z.toJSONSchema(catalogFileSchema, { io: "input" }), null, 2)}\n`;
