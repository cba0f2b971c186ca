import { z } from "@hono/zod-openapi";
import {
  aggregations,
  filterOps,
  lateUsagePolicies,
  meterRoundings,
  meterStatuses,
  writeMeter,
} from "../../domain/catalog/index.ts";
import type { MeterHealth } from "../../domain/usage/index.ts";
import type { BackfillState } from "../../flows/backfill-meter.ts";
import { formatDecimal } from "../../kit/decimal.ts";
import { formatInstant } from "../../kit/time.ts";
import type { KnownMeter } from "../../store/meters.ts";
import { DecimalText, InstantText } from "./common.ts";

export const MeterParam = z.object({
  meter: z
    .string()
    .min(1)
    .max(80)
    .openapi({ description: "Key or id of the meter.", example: "llm.tokens" }),
});

const FilterShape = z
  .strictObject({
    property: z.string().openapi({ description: "A property of the event's data." }),
    op: z.enum(filterOps),
    values: z.array(z.string()).optional(),
  })
  .openapi("MeterFilter");

const DimensionShape = z
  .strictObject({
    key: z.string().openapi({ example: "model" }),
    values: z.array(z.string()).optional().openapi({ description: "The only values accepted." }),
  })
  .openapi("Dimension");

const RoundingShape = z
  .strictObject({ mode: z.enum(meterRoundings), digits: z.int() })
  .openapi("MeterRounding");

/** The definition in its written form. What each member may be, `readMeter` decides and explains. */
const definition = {
  key: z.string().openapi({ example: "llm.tokens" }),
  name: z.string(),
  event_type: z.string().openapi({ example: "llm.call" }),
  aggregation: z.enum(aggregations),
  value_property: z.string().openapi({
    description: "The property of data with the quantity (for unique: the thing to tell apart).",
  }),
  value_kind: z.enum(["integer", "decimal"]),
  allow_negative: z.boolean(),
  unit: z.string().openapi({ example: "token" }),
  filters: z.array(FilterShape),
  dimensions: z.array(DimensionShape),
  percentile: DecimalText.optional().openapi({ example: "95" }),
  sample_seconds: z.int().optional(),
  missing_samples_are_zero: z.boolean().optional(),
  rounding: RoundingShape.optional(),
  late_usage: z.enum(lateUsagePolicies).optional().openapi({
    description:
      "What becomes of usage that arrives after the invoice of its period: a line on the next invoice, the same with credit notes for what is owed less, a debit or credit note of its own, or nothing until it is approved.",
  }),
  status: z.enum(meterStatuses),
};

export const MeterView = z
  .strictObject({
    id: z.string().openapi({ example: "mtr_01jz8v5w9k2m4n6p8q0r" }),
    object: z.literal("meter"),
    created_at: InstantText,
    revision: z.int().openapi({ description: "Counts the changes, from 1." }),
    rolled_up: z.boolean().openapi({
      description:
        "Whether events that were there before the meter are counted. Figures are right either way; before, they take longer.",
    }),
    ...definition,
  })
  .openapi("Meter");

export const NewMeterBody = z
  .strictObject({
    ...z.object(definition).partial().shape,
    key: definition.key,
    event_type: definition.event_type,
    aggregation: definition.aggregation,
    unit: definition.unit,
  })
  .openapi("NewMeter");

export const MeterEditBody = z
  .strictObject(z.object(definition).partial().shape)
  .openapi("MeterEdit");

export function meterView(known: KnownMeter): z.input<typeof MeterView> {
  return {
    id: known.id,
    object: "meter",
    created_at: formatInstant(known.createdAt),
    revision: known.revision,
    rolled_up: known.rolledUp,
    ...(writeMeter(known.meter) as z.input<z.ZodObject<typeof definition>>),
  };
}

export const MeterHealthView = z
  .strictObject({
    object: z.literal("meter_health"),
    meter: z.string(),
    status: z.enum(["live", "stale", "idle", "silent"]).openapi({
      description:
        "stale: no event for an hour, on a meter that had some in most hours of the day before. idle: none lately, as usual. silent: never any.",
    }),
    last_event_at: InstantText.nullable(),
    events_per_minute: DecimalText.openapi({
      description: "Over the last hour, by event time, to the quarter of an hour.",
    }),
    quarantined_count: z.int().openapi({
      description: "Events of the meter's type that wait in quarantine.",
    }),
  })
  .openapi("MeterHealth");

export const meterHealthView = (
  meter: string,
  health: MeterHealth,
): z.input<typeof MeterHealthView> => ({
  object: "meter_health",
  meter,
  status: health.status,
  last_event_at: health.lastEventAt === null ? null : formatInstant(health.lastEventAt),
  events_per_minute: formatDecimal(health.eventsPerMinute),
  quarantined_count: health.quarantinedCount,
});

export const BackfillBody = z
  .strictObject({
    restart: z.boolean().default(false).openapi({
      description: "Count everything anew although the rollups are thought to be whole.",
    }),
  })
  .openapi("Backfill");

export const BackfillView = z
  .strictObject({
    object: z.literal("meter_backfill"),
    meter: z.string(),
    status: z.enum(["finished", "running"]).openapi({
      description: "running: call again to go on; nothing is counted twice.",
    }),
    account_count: z.int(),
    finished_count: z.int(),
  })
  .openapi("MeterBackfill");

export const backfillView = (state: BackfillState): z.input<typeof BackfillView> => ({
  object: "meter_backfill",
  meter: state.meterKey,
  status: state.finished ? "finished" : "running",
  account_count: state.accountCount,
  finished_count: state.finishedCount,
});
