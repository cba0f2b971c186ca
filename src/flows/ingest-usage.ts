import { Problem } from "../domain/refusals/index.ts";
import {
  admit,
  defaultEventLimits,
  type EventLimits,
  eventKey,
  type Fate,
  type UsageEvent,
  withoutData,
} from "../domain/usage/index.ts";
import { systemClock } from "../kit/clock.ts";
import { idMaker, type MakeId } from "../kit/ids.ts";
import { systemRandom } from "../kit/random.ts";
import type { Instant } from "../kit/time.ts";
import type { Store } from "../store/connect.ts";
import { type CorrectedEvent, findCorrected } from "../store/usage-events.ts";
import type { Env } from "./env.ts";
import { type Committer, openCommitter, type Ticket } from "./usage-committer.ts";
import { openRuleBook, placeOf, type Rules } from "./usage-rules.ts";

export type IngestOptions = {
  /** Committers beside each other. Accounts are spread over them, so they never wait for each other's rows. */
  readonly lanes: number;
  /** Events that may wait or be on their way; more are refused until some are through. */
  readonly queuedEventsMax: number;
  readonly groupEventsMax: number;
  readonly limits: EventLimits;
  /** Names the movements of prepaid units. */
  readonly makeId: MakeId;
  /** For transaction poolers that know no prepared statements. */
  readonly unnamedStatements: boolean;
};

const defaultOptions: Omit<IngestOptions, "makeId"> = {
  lanes: 2,
  queuedEventsMax: 20_000,
  groupEventsMax: 4_000,
  limits: defaultEventLimits,
  unnamedStatements: false,
};

/** Usage as it came in one request. */
export type Submission = {
  readonly orgId: string;
  readonly events: readonly UsageEvent[];
  /** When it was received: the organization's own time. */
  readonly now: Instant;
  /** Set where the sender may speak of this project only. */
  readonly onlyProjectId?: string | null;
  /** Of a person who lets quarantined events in: age no longer matters, and each keeps the time it first came. */
  readonly isReplay?: boolean;
  readonly receivedAt?: readonly Instant[];
};

export type Ingest = {
  /**
   * Store usage and say what became of each event, in order. When this resolves, what it says has been committed. Throws
   * `ingest_busy` at once when too much is waiting.
   */
  submit(submission: Submission): Promise<Fate[]>;
  /** Whether a request of this many events would be refused now. */
  isFull(events: number): boolean;
  readonly queuedEvents: number;
  close(): Promise<void>;
};

const opened = new WeakMap<Store["pool"], Ingest>();

/** The pipeline of this process for a database. */
export function ingestOf(env: Pick<Env, "store" | "ingest" | "id">): Ingest {
  if (env.ingest) return env.ingest;
  let ingest = opened.get(env.store.pool);
  if (ingest === undefined) {
    ingest = openIngest(env.store, { makeId: env.id });
    opened.set(env.store.pool, ingest);
  }
  return ingest;
}

export function openIngest(store: Store, given: Partial<IngestOptions> = {}): Ingest {
  const makeId = given.makeId ?? idMaker(systemClock(), systemRandom());
  const options = { ...defaultOptions, ...given, makeId };
  const book = openRuleBook(store);
  let queuedEvents = 0;
  let closed = false;

  const committers: Committer[] = Array.from({ length: options.lanes }, () =>
    openCommitter({
      store,
      makeId: options.makeId,
      groupEventsMax: options.groupEventsMax,
      unnamedStatements: options.unnamedStatements,
      rejudge,
      forgetRules: (orgIds) => book.forget(orgIds),
      left(count) {
        queuedEvents -= count;
      },
    }),
  );

  /** All of an account's events take the same lane; what no account pays for goes by its identity. */
  function committerOf(ticket: Ticket): Committer {
    const { verdict } = ticket;
    const name = verdict.kind === "measured" ? verdict.accountId : ticket.key;
    return committers[hashOf(name) % committers.length] as Committer;
  }

  function judge(
    submission: Submission,
    event: UsageEvent,
    rules: Rules,
    original: CorrectedEvent | undefined,
  ) {
    const { place, isForeignProject } = placeOf(
      rules.placings.get(event.subject),
      submission.onlyProjectId ?? null,
    );
    return admit(event, {
      meters: rules.meters,
      place,
      isForeignProject,
      original,
      now: submission.now,
      limits: options.limits,
      isReplay: submission.isReplay ?? false,
    });
  }

  async function rejudge(tickets: readonly Ticket[], committer: Committer): Promise<Ticket[]> {
    if (tickets.every((ticket) => book.newest(ticket.orgId) === ticket.rules)) return [...tickets];
    for (const orgId of new Set(tickets.map((ticket) => ticket.orgId))) {
      const own = tickets.filter((ticket) => ticket.orgId === orgId);
      const subjects = own.map((ticket) => ticket.event.subject);
      const rules = book.at(orgId, subjects) ?? (await book.read(orgId, subjects));
      const originals = await correctedBy(
        orgId,
        own.map((ticket) => ticket.event),
      );
      for (const ticket of own) {
        const { event, request } = ticket;
        ticket.rules = rules;
        ticket.verdict = judge(request.submission, event, rules, originals.get(originalKey(event)));
      }
    }
    const staying: Ticket[] = [];
    for (const ticket of tickets) {
      const home = committerOf(ticket);
      if (home === committer) staying.push(ticket);
      else home.push([ticket]);
    }
    return staying;
  }

  async function correctedBy(
    orgId: string,
    events: readonly UsageEvent[],
  ): Promise<Map<string, CorrectedEvent>> {
    const keys = events.filter((event) => event.corrects !== null).map(originalKey);
    return keys.length === 0 ? new Map() : findCorrected(store.db, orgId, keys);
  }

  return {
    get queuedEvents() {
      return queuedEvents;
    },
    isFull: (events) => queuedEvents > 0 && queuedEvents + events > options.queuedEventsMax,

    async submit(submission) {
      const { orgId, events, now } = submission;
      if (closed || this.isFull(events.length)) throw busy();
      if (events.length === 0) return [];
      queuedEvents += events.length;
      let rules: Rules;
      let originals: Map<string, CorrectedEvent>;
      try {
        const subjects = events.map((event) => event.subject);
        // Somebody replays because the rules have changed. An event that stays held commits nothing, so nothing would say so.
        if (submission.isReplay) book.forget([orgId]);
        rules = book.at(orgId, subjects) ?? (await book.read(orgId, subjects));
        originals = await correctedBy(orgId, events);
      } catch (error) {
        queuedEvents -= events.length;
        throw error;
      }
      return new Promise<Fate[]>((resolve, reject) => {
        const fates: Fate[] = Array.from({ length: events.length });
        const request = { submission, fates, open: events.length, resolve, reject };
        const shares = new Map<Committer, Ticket[]>();
        events.forEach((event, index) => {
          const original = event.corrects === null ? undefined : originals.get(originalKey(event));
          const verdict = judge(submission, event, rules, original);
          const ticket: Ticket = {
            orgId,
            key: eventKey(event.source, event.id),
            event: verdict.kind === "measured" ? withoutData(event) : event,
            receivedAt: submission.receivedAt?.[index] ?? now,
            verdict,
            rules,
            request,
            index,
          };
          const home = committerOf(ticket);
          const share = shares.get(home);
          if (share) share.push(ticket);
          else shares.set(home, [ticket]);
        });
        for (const [committer, share] of shares) committer.push(share);
      });
    },

    async close() {
      closed = true;
      await Promise.all(committers.map((committer) => committer.idle()));
      for (const committer of committers) committer.close();
    },
  };
}

const originalKey = (event: UsageEvent): string => eventKey(event.source, event.corrects ?? "");

const busy = (): Problem =>
  new Problem("ingest_busy", "More usage is waiting to be stored than we hold in memory.", {
    facts: { retry_after: 1 },
  });

/** FNV-1a. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++)
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  return hash >>> 0;
}
