import { z } from "@hono/zod-openapi";
import { windowUnits } from "../../domain/usage/index.ts";
import type { UsageAnswer, UsageOfGroup, UsageQuestion } from "../../flows/read-usage.ts";
import { encodeCursor } from "../../kit/cursor.ts";
import { formatDecimal } from "../../kit/decimal.ts";
import { formatInstant } from "../../kit/time.ts";
import { InstantIn, InstantText, idOrSlug, ZoneName } from "./common.ts";

/** Longer than what may be sent in: a sum of many, an average. */
const QuantityText = z.string().openapi("Quantity", {
  description: "An exact decimal number as text.",
  pattern: "^-?\\d+(\\.\\d+)?$",
  example: "7440",
});

export const UsageQuery = z.object({
  meter: z.string().min(1).max(80).openapi({ description: "Key or id of the meter." }),
  from: InstantIn.openapi({ description: "The first moment of the period." }),
  to: InstantIn.openapi({ description: "The first moment after it." }),
  window: z.enum(windowUnits).optional().openapi({
    description: "Split the period into a series. Days and months are those of the zone.",
  }),
  zone: ZoneName.optional().openapi({
    description: "The account's own time zone when left out; UTC for an organization.",
  }),
  group_by: z.string().max(500).optional().openapi({
    description: "Comma-separated: project, account, and dimensions of the meter.",
    example: "project,model",
  }),
  project: idOrSlug("project", "web").optional(),
  cursor: z.string().max(500).optional().openapi({
    description: "next_cursor of the page before; leave out for the first page.",
  }),
});

const usage = {
  group: z.record(z.string(), z.string()).openapi({
    description: "What the usage is split by, and its value there. Empty when it is not split.",
    example: { project: "prj_01jz8v5w9k2m4n6p8q0r", model: "large" },
  }),
  quantity: QuantityText.nullable().openapi({
    description: "Null where there is nothing to read: the highest of no values.",
  }),
  event_count: z.int(),
};
const GroupUsageView = z.strictObject(usage).openapi("GroupUsage");
const WindowUsageView = z
  .strictObject({ starts_at: InstantText, ends_at: InstantText, ...usage })
  .openapi("WindowUsage");

export const UsageView = z
  .strictObject({
    object: z.literal("usage"),
    meter: z.string(),
    aggregation: z.string(),
    unit: z.string(),
    from: InstantText,
    to: InstantText,
    window: z.enum(windowUnits).nullable(),
    zone: ZoneName,
    group_by: z.array(z.string()),
    series: z.array(WindowUsageView).openapi({
      description: "Windows and groups with usage, oldest first. Those without are left out.",
    }),
    groups: z.array(GroupUsageView).openapi({ description: "The whole period, by group." }),
    total: GroupUsageView.openapi({
      description:
        "The whole period. Measured for itself: distinct users of a month are not the sum of its days.",
    }),
    next_cursor: z.string().nullable(),
  })
  .openapi("Usage");

const usageView = ({ group, quantity, eventCount }: UsageOfGroup) => ({
  group: { ...group },
  quantity: quantity === null ? null : formatDecimal(quantity),
  event_count: eventCount,
});

export function usageAnswerView(
  { period, window, zone, groupBy }: UsageQuestion,
  { known, series, groups, total, nextStartsAt }: UsageAnswer,
): z.input<typeof UsageView> {
  return {
    object: "usage",
    meter: known.meter.key,
    aggregation: known.meter.aggregation,
    unit: known.meter.unit,
    from: formatInstant(period.startsAt),
    to: formatInstant(period.endsAt),
    window: window ?? null,
    zone,
    group_by: [...groupBy],
    series: series.map((one) => ({
      starts_at: formatInstant(one.window.startsAt),
      ends_at: formatInstant(one.window.endsAt),
      ...usageView(one),
    })),
    groups: groups.map(usageView),
    total: usageView(total),
    next_cursor: nextStartsAt === null ? null : encodeCursor([nextStartsAt]),
  };
}
