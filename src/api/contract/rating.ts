import { z } from "@hono/zod-openapi";
import type { RatingStatement } from "../../domain/rating/index.ts";
import { CurrencyCode, DecimalText, InstantText } from "./common.ts";

/** A price document is checked by the catalog's own reader, which names the tier or cell at fault. */
const PriceDocument = z.record(z.string(), z.unknown()).openapi("PriceDocument", {
  description:
    "A price: `currency`, `model` (flat_fee, per_unit, graduated, volume, package, percentage, matrix), its members and " +
    "modifiers, as described in docs/prices.md. Amounts are decimal texts.",
  example: {
    currency: "USD",
    model: "graduated",
    tiers: [
      { up_to: "10000", unit_amount: "0.001" },
      { up_to: null, unit_amount: "0.0006" },
    ],
  },
});

const usageMembers = {
  quantity: DecimalText,
  events: DecimalText.optional().openapi({
    description: "How many events it came from; needed by prices that charge per event.",
  }),
  event_amounts: z.array(DecimalText).max(10_000).optional().openapi({
    description: "The amount of each event, for prices with rules for single events.",
  }),
  dimensions: z
    .record(z.string(), z.string())
    .optional()
    .openapi({
      description: "Dimension values of the usage, for prices that look at them.",
      example: { region: "eu" },
    }),
};

const UsageRow = z.strictObject(usageMembers).openapi("UsageToPrice");

export const EstimateBody = z
  .strictObject({
    price: PriceDocument,
    ...usageMembers,
    quantity: DecimalText.optional(),
    usage: z.array(UsageRow).min(1).max(1000).optional().openapi({
      description: "Several rows of one period instead of one quantity; they are priced together.",
    }),
  })
  .refine((body) => (body.quantity === undefined) !== (body.usage === undefined), {
    path: ["quantity"],
    message: "give either quantity or usage",
  })
  .refine(
    (body) => body.usage === undefined || !(body.events ?? body.event_amounts ?? body.dimensions),
    {
      path: ["usage"],
      message: "events, event_amounts and dimensions belong into the rows of usage",
    },
  )
  .openapi("EstimateRequest");

/** The rows to price, whichever way they were given. */
export function rowsOf(body: z.output<typeof EstimateBody>): unknown {
  const { quantity, events, event_amounts, dimensions, usage } = body;
  return usage ?? { quantity, events, event_amounts, dimensions };
}

const SegmentView = z
  .strictObject({
    tier: z
      .strictObject({
        index: z.number().int(),
        lower: DecimalText,
        upper: DecimalText.nullable(),
      })
      .nullable()
      .openapi({ description: "(lower, upper]; upper null is open. Null without tiers." }),
    quantity: z.string(),
    unit_price: z.string(),
    amount: z.string().openapi({ description: "quantity × unit_price, exactly." }),
    because: z.strictObject({ kind: z.string(), sentence: z.string() }),
    dimensions: z.record(z.string(), z.string()).optional(),
    price_version: z.string().optional(),
    period: z.strictObject({ starts_at: InstantText, ends_at: InstantText }).optional(),
  })
  .openapi("RatedSegment");

export const EstimateView = z
  .strictObject({
    currency: CurrencyCode,
    amount: z.string().openapi({
      description: "Rounded once, to the currency.",
      example: "112.00",
    }),
    unrounded: z.string().openapi({ description: "The sum of the segments, exactly." }),
    segments: z.array(SegmentView),
  })
  .openapi("Estimate");

export const estimateView = (statement: RatingStatement): z.input<typeof EstimateView> => ({
  ...statement,
  segments: statement.segments.map(({ dimensions, ...segment }) => ({
    ...segment,
    ...(dimensions ? { dimensions: { ...dimensions } } : {}),
  })),
});
