import { Problem } from "../domain/refusals/index.ts";
import { type Fate, readEvent, unwrap, type UsageEvent } from "../domain/usage/index.ts";
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
type EventFateView = {
  id: string | null;
  source: string | null;
  status: Fate["kind"];
  code?: string;
  pointer?: string;
  detail?: string;
};

/** The answer as it is sent: `json` is an EventsAnswer of the contract. */
export type EventsAnswer = { readonly status: 200 | 207; readonly json: string };

const eventsMax = 1_000;

/** What was read of a request: the events in it, and what is wrong with the others at their places. */
type Sent = {
  readonly events: UsageEvent[];
  readonly count: number;
  /** Views of what is no event, by place in the request. */
  readonly refused: ReadonlyMap<number, EventFateView>;
  readonly pointerOf: (index: number) => string;
};

/**
 * Take in the usage of one request. Nothing is answered before what it says is durable: 200 when every event is counted,
 * 207 when some are not. Throws a Problem when none could be taken, with the same list in it.
 */
export async function takeEvents(env: Env, request: EventsRequest): Promise<EventsAnswer> {
  const sent = readEvents(request);
  const { orgId, projectId, now } = request;
  const { events } = sent;
  const fates = await ingestOf(env).submit({ orgId, onlyProjectId: projectId, events, now });
  if (sent.refused.size === 0 && fates.every(({ kind }) => kind === "accepted"))
    return { status: 200, json: allAccepted(events) };
  let next = 0;
  const views = Array.from({ length: sent.count }, (_, index) => {
    const refused = sent.refused.get(index);
    if (refused) return refused;
    const { id, source } = events[next] as UsageEvent;
    return viewOf(fates[next++] as Fate, { id, source }, sent.pointerOf(index));
  });
  return answerOf(views);
}

/** Nothing of the parsed body outlives this: thousands of events wait for their commit at any moment. */
function readEvents(request: EventsRequest): Sent {
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
  const events: UsageEvent[] = [];
  const refused = new Map<number, EventFateView>();
  for (const [index, value] of values.entries()) {
    const reading = readEvent(value, strict);
    if (reading.kind === "event") events.push(reading.event);
    else refused.set(index, viewOf(reading, namesIn(value), pointerOf(index)));
  }
  return { events, count: values.length, refused, pointerOf };
}

/** What almost every answer says. */
function allAccepted(events: readonly UsageEvent[]): string {
  const views = events.map(({ id, source }) => ({ id, source, status: "accepted" }));
  return `{"accepted":${events.length},"duplicates":0,"conflicts":0,"quarantined":0,"rejected":0,"events":${JSON.stringify(views)}}`;
}

type Names = { readonly id: string | null; readonly source: string | null };

function viewOf(fate: Fate, { id, source }: Names, pointer: string): EventFateView {
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

function namesIn(value: unknown): Names {
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
  if (taken === events.length) return { status: 200, json: JSON.stringify(body) };
  if (taken + body.quarantined > 0) return { status: 207, json: JSON.stringify(body) };
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
