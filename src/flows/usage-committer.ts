import {
  accountName,
  type Arrival,
  eventKey,
  eventName,
  type Fate,
  type Head,
  headAfter,
  type Known,
  type MeterIndex,
  matchEvent,
  type Measurement,
  type Original,
  type Settlement,
  settle,
} from "../domain/usage/index.ts";
import type { MakeId } from "../kit/ids.ts";
import type { Store } from "../store/connect.ts";
import {
  type AccountKey,
  closeLane,
  keepAlive,
  type JudgedBy,
  type Lane,
  loadKnown,
  loadOriginals,
  lockHeads,
  objectionIn,
  openLane,
  readHeads,
  saveAtOnce,
  saveLocked,
  undo,
} from "../store/usage-lane.ts";
import type { Submission } from "./ingest-usage.ts";
import { drawsOf, openPrepaidBook } from "./usage-prepaid.ts";
import type { Rules } from "./usage-rules.ts";

/** An event on its way through a lane, with the rules it was judged by and who waits for it. */
export type Ticket = Arrival & {
  rules: Rules;
  readonly request: PendingRequest;
  readonly index: number;
};

/** A request that is answered when every one of its events has its fate. */
export type PendingRequest = {
  readonly submission: Submission;
  readonly fates: Fate[];
  open: number;
  readonly resolve: (fates: Fate[]) => void;
  readonly reject: (error: unknown) => void;
};

/** What a committer needs of the pipeline it belongs to. */
export type CommitterHost = {
  readonly store: Store;
  readonly makeId: MakeId;
  readonly groupEventsMax: number;
  readonly unnamedStatements: boolean;
  /** Judge tickets whose rules are no longer the newest; those that belong to another lane now are answered. */
  rejudge(tickets: readonly Ticket[], committer: Committer): Promise<Ticket[]>;
  forgetRules(orgIds: Iterable<string>): void;
  /** Called for every event that has left the queue for good. */
  left(count: number): void;
};

export type Committer = {
  push(tickets: readonly Ticket[]): void;
  /** Resolves when everything pushed so far is settled. */
  idle(): Promise<void>;
  close(): void;
};

/** After something was in the way, this many groups lock first and look up every identity before they trust memory again. */
const carefulGroups = 32;
const headsMax = 100_000;
/** How long a group waits for a database that does not answer before its senders are told to come again. */
const patienceMs = 15_000;

/** One lane: takes what has piled up, settles it as one group in one transaction, answers, and takes the next. */
export function openCommitter(host: CommitterHost): Committer {
  let queue: Ticket[] = [];
  let lane: Lane | undefined;
  let running: Promise<void> | undefined;
  let careful = 0;
  const heads = new Map<string, Head>();
  const prepaid = openPrepaidBook();

  async function connection(): Promise<Lane> {
    lane ??= await openLane(host.store.pool, host.unnamedStatements);
    return lane;
  }

  function disconnect(): void {
    if (lane) closeLane(lane);
    lane = undefined;
    heads.clear();
    prepaid.clear();
  }

  async function work(): Promise<void> {
    while (queue.length > 0) {
      const group =
        queue.length > host.groupEventsMax ? queue.slice(0, host.groupEventsMax) : queue;
      queue = queue.length > host.groupEventsMax ? queue.slice(host.groupEventsMax) : [];
      await commit(group);
    }
  }

  async function commit(group: readonly Ticket[]): Promise<void> {
    const until = performance.now() + patienceMs;
    for (let tickets = group, attempt = 0; tickets.length > 0; attempt++) {
      try {
        tickets = await host.rejudge(tickets, committer);
        if (tickets.length === 0) return;
        const current = await connection();
        if (attempt === 0) keepAlive(current, true);
        const settlement =
          careful > 0 || tickets.some(({ event }) => event.corrects !== null)
            ? await commitLocked(current, tickets)
            : await commitAtOnce(current, tickets);
        remember(settlement);
        answer(tickets, settlement);
        return;
      } catch (error) {
        const next = await recover(error, tickets, until, attempt);
        if (next === "give_up") {
          for (const ticket of tickets) ticket.request.reject(error);
          host.left(tickets.length);
          return;
        }
        if (next === "split") {
          // One of them is the cause: halves, until it stands alone and the others are through.
          const middle = tickets.length >> 1;
          await commit(tickets.slice(0, middle));
          await commit(tickets.slice(middle));
          return;
        }
      }
    }
  }

  async function recover(
    error: unknown,
    tickets: readonly Ticket[],
    until: number,
    attempt: number,
  ): Promise<"again" | "split" | "give_up"> {
    const objection = objectionIn(error);
    if (objection !== undefined && attempt < 50) {
      if (objection === "rules_moved") host.forgetRules(new Set(tickets.map((t) => t.orgId)));
      else careful = carefulGroups;
      for (const name of accountsOf(tickets).keys()) heads.delete(name);
      prepaid.forget(accountsOf(tickets).keys());
      return "again";
    }
    const { code } = error as { code?: string };
    // Five letters from PostgreSQL about the statement itself; anything else means that nobody is there to talk to.
    const isRefusal = code !== undefined && /^(?:2|3|4|54)/.test(code) && code.length === 5;
    if (isRefusal) return tickets.length > 1 ? "split" : "give_up";
    // Whether the last transaction was committed is not known: the next attempt looks before it stores.
    disconnect();
    careful = carefulGroups;
    if (performance.now() > until) return "give_up";
    await new Promise((resolve) => setTimeout(resolve, Math.min(20 * 2 ** attempt, 500)));
    return "again";
  }

  async function commitAtOnce(current: Lane, tickets: readonly Ticket[]): Promise<Settlement> {
    const missing = [...accountsOf(tickets)].filter(([name]) => !heads.has(name));
    if (missing.length > 0) {
      const read = await readHeads(
        current,
        missing.map(([, account]) => account),
      );
      for (const [name, head] of read) heads.set(name, head);
    }
    const suspects = tickets.filter(
      (t) => t.verdict.kind !== "measured" || t.rules.holdsEvents || t.request.submission.isReplay,
    );
    const known: ReadonlyMap<string, Known> =
      suspects.length > 0 ? await loadKnown(current, suspects) : new Map();
    const settlement = settle(tickets, {
      heads,
      known,
      originals: new Map(),
      prepaid: await prepaid.load(current, tickets, heads),
    });
    // Also when there is nothing to save: what the rules refused or held, the newest rules must have.
    await saveAtOnce(current, settlement, drawsOf(settlement, host.makeId), judgedBy(tickets));
    return settlement;
  }

  async function commitLocked(current: Lane, tickets: readonly Ticket[]): Promise<Settlement> {
    const accounts = [...accountsOf(tickets).values()];
    try {
      const locked = await lockHeads(current, accounts, judgedBy(tickets));
      const known = await loadKnown(current, tickets);
      const units = await prepaid.load(current, tickets, locked);
      await prepaid.addSpent(current, tickets, units);
      const settlement = settle(tickets, {
        heads: locked,
        known,
        originals: await originalsOf(current, tickets),
        prepaid: units,
      });
      await saveLocked(current, settlement, drawsOf(settlement, host.makeId));
      const quiet = settlement.fates.every(({ kind }) => kind === "accepted") && headsAgree(locked);
      careful = quiet ? careful - 1 : carefulGroups;
      for (const [name, head] of locked) heads.set(name, head);
      return settlement;
    } catch (error) {
      await undo(current).catch(() => {});
      throw error;
    }
  }

  /** Whether nobody else wrote to accounts that we remember. */
  function headsAgree(locked: ReadonlyMap<string, Head>): boolean {
    for (const [name, head] of locked) {
      const ours = heads.get(name);
      if (ours !== undefined && ours.version !== head.version) return false;
    }
    return true;
  }

  function remember(settlement: Settlement): void {
    if (heads.size > headsMax) heads.clear();
    prepaid.remember(settlement);
    for (const account of settlement.accounts)
      heads.set(accountName(account.orgId, account.accountId), headAfter(account));
  }

  function answer(tickets: readonly Ticket[], settlement: Settlement): void {
    for (const { orgId } of settlement.held) {
      const rules = tickets.find((ticket) => ticket.orgId === orgId)?.rules;
      if (rules) rules.holdsEvents = true;
    }
    host.left(tickets.length);
    tickets.forEach(({ request, index }, position) => {
      request.fates[index] = settlement.fates[position] as Fate;
      if (--request.open === 0) request.resolve(request.fates);
    });
  }

  function kick(): void {
    running ??= work().finally(() => {
      running = undefined;
      if (queue.length > 0) kick();
      else if (lane) keepAlive(lane, false);
    });
  }

  const committer: Committer = {
    push(tickets) {
      for (const ticket of tickets) queue.push(ticket);
      kick();
    },
    async idle() {
      while (running) await running;
    },
    close: disconnect,
  };
  return committer;
}

function accountsOf(tickets: readonly Ticket[]): Map<string, AccountKey> {
  const found = new Map<string, AccountKey>();
  for (const { orgId, verdict } of tickets)
    if (verdict.kind === "measured" && !found.has(verdict.accountName))
      found.set(verdict.accountName, { orgId, accountId: verdict.accountId });
  return found;
}

function judgedBy(tickets: readonly Ticket[]): JudgedBy {
  const directoryVersions = new Map<string, bigint>();
  let catalogVersion = 0n;
  for (const { rules } of tickets) {
    directoryVersions.set(rules.orgId, rules.directoryVersion);
    catalogVersion = rules.catalogVersion;
  }
  return { catalogVersion, directoryVersions };
}

/** Everything that the corrections of a group speak of, measured by today's meters. */
async function originalsOf(lane: Lane, tickets: readonly Ticket[]): Promise<Map<string, Original>> {
  const wanted = new Map<string, { orgId: string; key: string; meters: MeterIndex }>();
  for (const { orgId, event, rules } of tickets) {
    if (event.corrects === null) continue;
    const key = eventKey(event.source, event.corrects);
    wanted.set(eventName(orgId, key), { orgId, key, meters: rules.meters });
  }
  const found = new Map<string, Original>();
  if (wanted.size === 0) return found;
  for (const stored of await loadOriginals(lane, [...wanted.values()])) {
    const name = eventName(stored.orgId, stored.key);
    const meters = wanted.get(name)?.meters;
    if (!meters) continue;
    const { content, corrections, accountId, projectId } = stored;
    found.set(name, {
      accountId,
      projectId,
      type: content.type,
      isCorrection: content.corrects !== null,
      measurements: measured(meters, content),
      corrections: corrections.map((correction) => measured(meters, correction)),
    });
  }
  return found;
}

function measured(
  meters: MeterIndex,
  content: { type: string; dataText: string; corrects: string | null },
): readonly Measurement[] {
  const match = matchEvent(meters, {
    type: content.type,
    data: JSON.parse(content.dataText) as Record<string, unknown>,
    isCorrection: content.corrects !== null,
  });
  return match.kind === "measured" ? match.measurements : [];
}
