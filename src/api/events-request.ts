import { Problem } from "../domain/refusals/index.ts";
import {
  type EventReading,
  type Fate,
  readEvent,
  unwrap,
  type UsageEvent,
} from "../domain/usage/index.ts";
import { ingestOf } from "../flows/ingest-usage.ts";
import type { Env } from "../flows/env.ts";
import type { Instant } from "../kit/time.ts";

/** A request that brings usage events, once it is known who sent it. */
export type EventsRequest = {
  readonly orgId: string;
  /** Set where the key is one project's. */
  readonly projectId: string | null;
  readonly now: Instant;
  readonly contentType: string;
  readonly header: (name: string) => string | undefined;
  readonly text: string;
};

/** What became of one event, as the sender sees it. */
export type EventFateView = {
  id: string | null;
  source: string | null;
  status: Fate["kind"];
  code?: string;
  pointer?: string;
  detail?: string;
};

export type EventsAnswer = {
  readonly status: 200 | 207;
  readonly body: {
    accepted: number;
    duplicates: number;
    conflicts: number;
    quarantined: number;
    rejected: number;
    events: EventFateView[];
  };
};

const eventsMax = 1_000;

/**
 * Take in the usage of one request. Nothing is answered before what it says is durable: 200 when every event is counted,
 * 207 when some are not. Throws a Problem when none could be taken, with the same list in it.
 */
export async function takeEvents(env: Env, request: EventsRequest): Promise<EventsAnswer> {
  const wrapped = unwrap(request);
  if (wrapped.kind === "unreadable") throw new Problem(wrapped.code, sentence(wrapped.detail));
  const { values, strict, pointerOf } = wrapped;
  if (values.length > eventsMax)
    throw new Problem(
      "request_not_valid",
      `The request has ${values.length} events: send at most ${eventsMax} at once.`,
      { facts: { events_max: eventsMax } },
    );
  if (values.length === 0)
    throw new Problem("request_not_valid", "The request has no event: send at least one.");

  const readings = values.map((value) => readEvent(value, strict));
  const events: UsageEvent[] = [];
  for (const reading of readings) if (reading.kind === "event") events.push(reading.event);
  const { orgId, projectId, now } = request;
  const fates = await ingestOf(env).submit({ orgId, onlyProjectId: projectId, events, now });

  let next = 0;
  const views = readings.map((reading, index) => {
    const fate = reading.kind === "event" ? (fates[next++] as Fate) : reading;
    return viewOf(fate, reading, values[index], pointerOf(index));
  });
  return answerOf(views);
}

function viewOf(fate: Fate, reading: EventReading, value: unknown, pointer: string): EventFateView {
  const { id, source } = namesOf(reading, value);
  switch (fate.kind) {
    case "accepted":
    case "duplicate":
      return { id, source, status: fate.kind };
    case "conflict":
      return {
        id,
        source,
        status: "conflict",
        code: "event_conflict",
        pointer,
        detail: "Another event is stored under this source and id; it stays as it is.",
      };
    case "quarantined":
      return {
        id,
        source,
        status: "quarantined",
        code: fate.reason,
        pointer,
        detail: sentence(fate.detail),
      };
    case "rejected":
      return {
        id,
        source,
        status: "rejected",
        code: fate.code,
        pointer: `${pointer}${fate.pointer}`,
        detail: sentence(fate.detail),
      };
  }
}

function namesOf(
  reading: EventReading,
  value: unknown,
): { id: string | null; source: string | null } {
  if (reading.kind === "event") return reading.event;
  const given = (value ?? {}) as { id?: unknown; source?: unknown };
  const text = (name: unknown) => (typeof name === "string" ? name.slice(0, 256) : null);
  return { id: text(given.id), source: text(given.source) };
}

const sentence = (text: string): string =>
  `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;

function answerOf(events: EventFateView[]): EventsAnswer {
  const body = { accepted: 0, duplicates: 0, conflicts: 0, quarantined: 0, rejected: 0, events };
  for (const { status } of events) body[tallies[status]]++;
  const taken = body.accepted + body.duplicates;
  if (taken === events.length) return { status: 200, body };
  if (taken + body.quarantined > 0) return { status: 207, body };
  const code =
    body.rejected === 0
      ? "events_conflict"
      : events.every((event) => event.code === "project_not_yours")
        ? "events_not_yours"
        : "events_not_valid";
  throw new Problem(code, events[0]?.detail, { facts: body });
}

const tallies = {
  accepted: "accepted",
  duplicate: "duplicates",
  conflict: "conflicts",
  quarantined: "quarantined",
  rejected: "rejected",
} as const;
