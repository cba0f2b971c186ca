import { replayQuarantine } from "../../flows/replay-quarantine.ts";
import { listEvents, listQuarantine } from "../../store/usage-events.ts";
import { page, pageOf, positionOf } from "../contract/common.ts";
import {
  EventBatch,
  EventBody,
  EventsAnswerView,
  EventsBody,
  EventsQuery,
  EventView,
  eventView,
  QuarantineQuery,
  QuarantineView,
  quarantineView,
  ReplayBody,
  ReplayView,
  replayView,
} from "../contract/usage-events.ts";
import { type Endpoint, endpoint, replyWritten } from "../endpoint.ts";
import { takeEvents } from "../events-request.ts";

const group = "Usage events";

const send = endpoint({
  method: "POST",
  path: "/v1/events",
  id: "sendEvents",
  group,
  summary: "Send usage events",
  description:
    "Up to 1,000 events or 1 MiB: CloudEvents 1.0 structured, batched or binary (headers ce-…), or plain JSON as one object, an array, or in `events`. An answer in the 200s is the truth: what it calls accepted is durable, counted once, metered, and visible to every reader. Repeat the same request when no answer came; nothing is counted twice.",
  permission: "usage.write",
  organization: "caller",
  rawBody: {
    "application/json": EventsBody,
    "application/cloudevents+json": EventBody,
    "application/cloudevents-batch+json": EventBatch,
    "*/*": "binary",
  },
  response: EventsAnswerView,
  alternatives: {
    207: {
      description: "Some events are not counted: see each one's status.",
      schema: EventsAnswerView,
    },
  },
  problems: ["events_conflict", "events_not_valid", "events_not_yours", "ingest_busy"],
  rate: "hot",
  run: async (env, { caller, organization, now, raw, headers }) => {
    const { status, json } = await takeEvents(env, {
      orgId: organization.id,
      projectId: caller.projectId,
      now,
      contentType: raw.contentType,
      header: (name) => headers.get(name) ?? undefined,
      text: Buffer.from(raw.bytes.buffer, raw.bytes.byteOffset, raw.bytes.byteLength).toString(),
    });
    return replyWritten(status, json);
  },
});

const list = endpoint({
  method: "GET",
  path: "/v1/organizations/{organization}/events",
  id: "listEvents",
  group,
  summary: "List stored events",
  description: "By account, then event time, then the account's own sequence.",
  permission: "usage.read",
  query: EventsQuery,
  response: pageOf(EventView),
  run: async (env, { organization, caller, query }) => {
    const after = positionOf(query.cursor, 3);
    const found = await listEvents(env.store.db, organization.id, {
      accountId: query.account,
      projectId: caller.projectId ?? query.project,
      type: query.type,
      source: query.source,
      id: query.id,
      from: query.from,
      to: query.to,
      after: after && {
        accountId: String(after[0]),
        time: String(after[1]),
        seq: String(after[2]),
      },
      limit: query.limit + 1,
    });
    return page(found, query.limit, eventView, (event) => [
      event.accountId,
      event.timeText,
      event.seq.toString(),
    ]);
  },
});

const quarantine = endpoint({
  method: "GET",
  path: "/v1/organizations/{organization}/quarantine",
  id: "listQuarantine",
  group,
  summary: "List events that wait for something",
  description: "Events that were understood and could not be attributed or measured, oldest first.",
  permission: "quarantine.read",
  query: QuarantineQuery,
  response: pageOf(QuarantineView),
  run: async (env, { organization, query }) => {
    const after = positionOf(query.cursor, 2);
    const found = await listQuarantine(env.store.db, organization.id, {
      status: query.status,
      reason: query.reason,
      after: after && { receivedAt: String(after[0]), key: String(after[1]) },
      limit: query.limit + 1,
    });
    return page(found, query.limit, quarantineView, (held) => [held.receivedAtText, held.key]);
  },
});

const replay = endpoint({
  method: "POST",
  path: "/v1/organizations/{organization}/quarantine/replay",
  id: "replayQuarantine",
  group,
  summary: "Try quarantined events again",
  description:
    "What can be counted now is, once, with the time at which it was received; the rest stays. Repeating changes nothing.",
  permission: "quarantine.write",
  body: ReplayBody,
  response: ReplayView,
  problems: ["ingest_busy"],
  atomic: false,
  run: async (env, { organization, now, body }) =>
    replayView(
      await replayQuarantine(env, {
        orgId: organization.id,
        now,
        reason: body.reason,
        keys: body.keys,
      }),
    ),
});

export const usageEventRoutes: readonly Endpoint[] = [send, list, quarantine, replay];
