import { z } from "@hono/zod-openapi";
import { quarantineReasons } from "../../domain/usage/index.ts";
import { formatInstant } from "../../kit/time.ts";
import type { ListedEvent, QuarantinedEvent } from "../../store/usage-events.ts";
import type { ReplayReport } from "../../flows/replay-quarantine.ts";
import { InstantIn, InstantText, PageQuery } from "./common.ts";

/** One event as senders write it: a CloudEvent, or the same members in plain JSON. */
export const EventBody = z
  .looseObject({
    specversion: z.literal("1.0").optional().openapi({ description: "Required in CloudEvents." }),
    id: z.string().min(1).max(256).openapi({
      description: "Names the event within its source, for ever. Retries repeat it.",
    }),
    source: z.string().min(1).max(256).optional().openapi({
      description:
        "Where the event comes from. Required in CloudEvents; `api` when left out of plain JSON.",
    }),
    type: z.string().min(1).max(256).openapi({ description: "What meters listen to." }),
    subject: z.string().min(1).max(256).openapi({
      description: "The project that used something: its id, its slug, or a subject of it.",
    }),
    time: InstantText.openapi({ description: "When it happened." }),
    corrects: z.string().min(1).max(256).optional().openapi({
      description:
        "The id (same source) of the event to take something back from. The quantity is then below zero.",
    }),
    datacontenttype: z.string().optional(),
    data: z
      .record(z.string(), z.unknown())
      .optional()
      .openapi({
        description: "Quantities as strings of digits, dimensions, anything worth keeping.",
        example: { tokens: "1250", model: "large" },
      }),
  })
  .openapi("UsageEvent");
export const EventBatch = z.array(EventBody).min(1).max(1_000).openapi("UsageEvents");
export const EventsBody = z
  .union([EventBody, EventBatch, z.object({ events: EventBatch })])
  .openapi("UsageEventsRequest");

const count = z.number().int().nonnegative();
export const EventsAnswerView = z
  .strictObject({
    accepted: count,
    duplicates: count,
    conflicts: count,
    quarantined: count,
    rejected: count,
    events: z.array(
      z.strictObject({
        id: z.string().nullable(),
        source: z.string().nullable(),
        status: z.enum(["accepted", "duplicate", "conflict", "quarantined", "rejected"]),
        code: z.string().optional(),
        pointer: z.string().optional(),
        detail: z.string().optional(),
      }),
    ),
  })
  .openapi("EventsAnswer", { description: "What became of each event, in the order sent." });

export const EventsQuery = PageQuery.extend({
  account: z.string().max(80).optional().openapi({ description: "Only of this billing account." }),
  project: z.string().max(80).optional().openapi({ description: "Only of this project." }),
  type: z.string().max(256).optional(),
  source: z.string().max(256).optional(),
  id: z.string().max(256).optional(),
  from: InstantIn.optional().openapi({ description: "Event time from here on." }),
  to: InstantIn.optional().openapi({ description: "Event time before this." }),
});

export const EventView = z
  .strictObject({
    object: z.literal("usage_event"),
    id: z.string(),
    source: z.string(),
    type: z.string(),
    subject: z.string(),
    time: InstantText,
    received_at: InstantText,
    data: z.record(z.string(), z.unknown()),
    corrects: z.string().nullable(),
    account_id: z.string(),
    project_id: z.string(),
    sequence: z.string(),
    link: z.string().openapi({ description: "The event's link in its account's hash chain." }),
  })
  .openapi("StoredUsageEvent");

export const eventView = (event: ListedEvent): z.input<typeof EventView> => ({
  object: "usage_event",
  id: event.id,
  source: event.source,
  type: event.type,
  subject: event.subject,
  time: formatInstant(event.time),
  received_at: formatInstant(event.receivedAt),
  data: event.data,
  corrects: event.corrects,
  account_id: event.accountId,
  project_id: event.projectId,
  sequence: event.seq.toString(),
  link: event.link,
});

const Reason = z.enum(quarantineReasons);
export const QuarantineQuery = PageQuery.extend({
  status: z.enum(["open", "resolved", "all"]).default("open"),
  reason: Reason.optional(),
});
export const QuarantineView = z
  .strictObject({
    object: z.literal("quarantined_event"),
    key: z.string().openapi({ description: "Names the entry, for a replay of single ones." }),
    reason: z.string(),
    detail: z.string(),
    event: z.record(z.string(), z.unknown()),
    received_at: InstantText,
    resolved_at: InstantText.nullable(),
    resolution: z.string().nullable(),
  })
  .openapi("QuarantinedEvent");

export const quarantineView = (held: QuarantinedEvent): z.input<typeof QuarantineView> => ({
  object: "quarantined_event",
  key: held.key,
  reason: held.reason,
  detail: held.detail,
  event: held.event,
  received_at: formatInstant(held.receivedAt),
  resolved_at: held.resolvedAt === null ? null : formatInstant(held.resolvedAt),
  resolution: held.resolution,
});

export const ReplayBody = z
  .strictObject({
    reason: Reason.optional().openapi({ description: "Only entries held for this reason." }),
    keys: z
      .array(z.string().regex(/^[0-9a-f]{32}$/))
      .min(1)
      .max(1_000)
      .optional(),
  })
  .openapi("QuarantineReplay");
export const ReplayView = z
  .strictObject({
    replayed: count,
    accepted: count,
    duplicates: count,
    conflicts: count,
    rejected: count,
    still_held: count,
  })
  .openapi("QuarantineReplayResult");

export const replayView = (report: ReplayReport): z.input<typeof ReplayView> => ({
  replayed: report.replayed,
  accepted: report.accepted,
  duplicates: report.duplicates,
  conflicts: report.conflicts,
  rejected: report.rejected,
  still_held: report.stillHeld,
});
