import type { ImportedEvent } from "../../domain/imports/index.ts";
import { Problem } from "../../domain/refusals/index.ts";
import { type Fate, readEvent, type UsageEvent } from "../../domain/usage/index.ts";
import type { Env } from "../../flows/env.ts";
import { ingestOf } from "../../flows/ingest-usage.ts";
import { findOrganization } from "../../store/organizations.ts";
import { retryBusy } from "./patience.ts";

/** What became of one imported event, in a word and, where it was not counted, why. */
export type Sent = {
  readonly fate: "accepted" | "duplicate" | "conflict" | "quarantined" | "rejected";
  readonly detail: string;
};
export type Sender = {
  send(events: readonly ImportedEvent[]): Promise<Sent[]>;
  close(): Promise<void>;
};

/**
 * Send into the installation at hand. A person stands behind an import, so events may be as old as they are; everything else
 * is checked as always.
 */
export function localSender(env: Env, defaultOrganization: string | undefined): Sender {
  const organizations = new Map<string, Promise<string>>();
  const idOf = (name: string): Promise<string> => {
    const known = organizations.get(name) ?? idOfOrganization(env, name);
    organizations.set(name, known);
    return known;
  };
  const ingest = ingestOf(env);
  return {
    async send(events) {
      const answers: Sent[] = Array.from({ length: events.length });
      const byOrganization = new Map<string, { at: number; event: UsageEvent }[]>();
      for (const [at, envelope] of events.entries()) {
        const name = envelope.organization ?? defaultOrganization;
        if (name === undefined)
          throw new Problem(
            "organization_required",
            "Neither the map nor --organization says whose usage this is.",
          );
        const read = readEvent(envelope, true);
        if (read.kind === "rejected") {
          answers[at] = { fate: "rejected", detail: `${read.pointer} ${read.detail}` };
          continue;
        }
        const orgId = await idOf(name);
        byOrganization.set(orgId, [
          ...(byOrganization.get(orgId) ?? []),
          { at, event: read.event },
        ]);
      }
      for (const [orgId, own] of byOrganization) {
        const submission = {
          orgId,
          events: own.map((one) => one.event),
          now: env.now(),
          isReplay: true,
        };
        const fates = await retryBusy(() => ingest.submit(submission));
        for (const [i, fate] of fates.entries())
          answers[(own[i] as { at: number }).at] = sentOf(fate);
      }
      return answers;
    },
    close: () => ingest.close(),
  };
}

async function idOfOrganization(env: Env, name: string): Promise<string> {
  const found = await findOrganization(env.store.db, name);
  if (!found) throw new Problem("organization_not_found", `There is no organization "${name}".`);
  return found.organization.id;
}

/** Send to a server over HTTP, with a key that may send usage for the organization. */
export function remoteSender(
  url: string,
  key: string,
  defaultOrganization: string | undefined,
): Sender {
  const address = new URL("/v1/events", url);
  return {
    async send(events) {
      const answers: Sent[] = Array.from({ length: events.length });
      const byOrganization = groupBy(events, (event) => event.organization ?? defaultOrganization);
      for (const [organization, places] of byOrganization) {
        const own = places.map((at) => events[at] as ImportedEvent);
        const fates = await retryBusy(() => post(address, key, organization, own));
        for (const [i, fate] of fates.entries()) answers[places[i] as number] = fate;
      }
      return answers;
    },
    close: async () => {},
  };
}

type Answer = {
  code?: string;
  detail?: string;
  events?: { status: Sent["fate"]; detail?: string }[];
};

async function post(
  address: URL,
  key: string,
  organization: string | undefined,
  events: readonly ImportedEvent[],
): Promise<Sent[]> {
  const response = await fetch(address, {
    method: "POST",
    headers: {
      authorization: `Bearer ${key}`,
      "content-type": "application/cloudevents-batch+json",
      ...(organization === undefined ? {} : { "tallyline-organization": organization }),
    },
    body: JSON.stringify(events.map((event) => ({ ...event, organization: undefined }))),
  });
  const answer = (await response.json()) as Answer;
  if (response.status === 429 || response.status === 503) throw new Problem("ingest_busy");
  if (answer.events)
    return answer.events.map((one) => ({ fate: one.status, detail: one.detail ?? "" }));
  throw new Error(
    `${address.origin} answered ${response.status}: ${answer.detail ?? answer.code ?? "no reason given"}`,
  );
}

/** Positions by what their values have in common, in order. */
function groupBy<T, K>(values: readonly T[], keyOf: (value: T) => K): Map<K, number[]> {
  const groups = new Map<K, number[]>();
  for (const [at, value] of values.entries()) {
    const key = keyOf(value);
    const group = groups.get(key) ?? [];
    group.push(at);
    groups.set(key, group);
  }
  return groups;
}

function sentOf(fate: Fate): Sent {
  return {
    fate: fate.kind,
    detail: "detail" in fate && typeof fate.detail === "string" ? fate.detail : "",
  };
}
