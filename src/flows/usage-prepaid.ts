import {
  addUnits,
  compareDrawOrder,
  compareUnits,
  grantsAfter,
  type OpenGrant,
  type Units,
} from "../domain/grants/index.ts";
import { periodAt } from "../domain/invoicing/index.ts";
import { accountName, type Head, type Prepaid, type Settlement } from "../domain/usage/index.ts";
import type { MakeId } from "../kit/ids.ts";
import { hour, type Instant } from "../kit/time.ts";
import {
  type DrawToSave,
  type LoadedPool,
  loadCalendars,
  loadPools,
  loadSpent,
  type PoolKey,
  type SpentKey,
} from "../store/usage-draws.ts";
import type { Lane } from "../store/usage-lane.ts";
import type { Ticket } from "./usage-committer.ts";

type Kept = {
  /** The version of the account's head at which all pools below were as they stand here. */
  version: number;
  readonly pools: Map<string, KeptPool>;
};
type KeptPool = {
  grants: readonly OpenGrant[];
  truncated: boolean;
  /** What lapsed after this moment is among the grants. */
  since: Instant;
};

/**
 * The open grants of the accounts of a lane, kept in memory. They are what the database holds for as long as the version
 * of the account's head is the one they are kept for; whoever changes a grant counts it up, and saving on an older version
 * is undone. So nothing is locked, and nothing is read again while only usage happens.
 */
export type PrepaidBook = {
  /** What these tickets may draw, at the versions of these heads. */
  load(
    lane: Lane,
    tickets: readonly Ticket[],
    heads: ReadonlyMap<string, Head>,
  ): Promise<Map<string, Prepaid>>;
  /** Add what corrections among the tickets need to know: call it where the heads are locked. */
  addSpent(lane: Lane, tickets: readonly Ticket[], found: Map<string, Prepaid>): Promise<void>;
  remember(settlement: Settlement): void;
  forget(accounts: Iterable<string>): void;
  clear(): void;
};

const accountsMax = 100_000;
const firstPage = 16;
const wholePage = 1_000_000;

type Need = PoolKey & { since: Instant; total: Units; until: Instant; readonly account: string };

export function openPrepaidBook(): PrepaidBook {
  const kept = new Map<string, Kept>();
  const calendars = new Map<string, Prepaid["isPeriodOpen"]>();

  function keep(need: Need, loaded: LoadedPool, head: Head): KeptPool {
    let account = kept.get(need.account);
    if (account?.version !== head.version) {
      account = { version: head.version, pools: new Map() };
      kept.set(need.account, account);
    }
    const pool = { grants: loaded.grants, truncated: loaded.truncated, since: need.since };
    account.pools.set(need.pool, pool);
    if (loaded.calendar) calendars.set(need.account, periodCheck(loaded));
    return pool;
  }

  return {
    async load(lane, tickets, heads) {
      const needs = needsOf(tickets);
      let missing = needs.filter((need) => {
        const account = kept.get(need.account);
        const pool = account?.pools.get(need.pool);
        const fits = pool && account?.version === heads.get(need.account)?.version;
        if (!fits || pool.since > need.since) return true;
        return pool.truncated && !covers(pool.grants, need);
      });
      for (const page of [firstPage, 256, wholePage]) {
        if (missing.length === 0) break;
        const now = Math.max(...missing.map((need) => need.until)) as Instant;
        const loaded = await loadPools(lane, missing, now, page);
        missing = missing.filter((need, index) => {
          const pool = keep(need, loaded[index] as LoadedPool, heads.get(need.account) as Head);
          return pool.truncated && !covers(pool.grants, need);
        });
      }
      const found = new Map<string, Prepaid>();
      for (const need of needs) {
        const account = kept.get(need.account);
        if (!account?.pools.get(need.pool)?.grants.length) continue;
        const { account: name } = need;
        const known = found.get(name);
        const pools = (known?.pools ?? new Map()) as Map<string, readonly OpenGrant[]>;
        pools.set(need.pool, account.pools.get(need.pool)?.grants ?? []);
        if (!known) found.set(name, { pools, isPeriodOpen: calendars.get(name) ?? (() => true) });
      }
      return found;
    },

    async addSpent(lane, tickets, found) {
      const corrections = tickets.filter(({ event }) => event.corrects !== null);
      const needs = needsOf(corrections);
      if (needs.length === 0) return;
      const wanted = await periodsOf(lane, needs, corrections);
      const loaded = await loadSpent(lane, wanted);
      for (const [index, { spent, grants }] of loaded.entries()) {
        const key = wanted[index] as SpentKey & { account: string };
        const before = found.get(key.account);
        // With grants of the past among them, the lists are good for this group only.
        kept.delete(key.account);
        const pools = new Map(before?.pools);
        const open = pools.get(key.pool) ?? [];
        const known = new Set(open.map((grant) => grant.id));
        const more = grants.filter((grant) => !known.has(grant.id));
        pools.set(key.pool, [...open, ...more].toSorted(compareDrawOrder));
        found.set(key.account, {
          pools,
          isPeriodOpen: before?.isPeriodOpen ?? (() => true),
          spentIn: (meter, at) =>
            meter === key.pool && at >= key.startsAt && at < key.endsAt
              ? spent
              : before?.spentIn?.(meter, at),
        });
      }
    },

    remember(settlement) {
      if (kept.size > accountsMax) this.clear();
      for (const { orgId, accountId, before, drawn } of settlement.accounts) {
        const account = kept.get(accountName(orgId, accountId));
        if (account?.version !== before.version) continue;
        account.version = before.version + 1;
        for (const [meter, pool] of drawn) {
          const keptPool = account.pools.get(meter);
          if (keptPool) keptPool.grants = grantsAfter(pool);
        }
      }
    },

    forget(accounts) {
      for (const name of accounts) kept.delete(name);
    },

    clear() {
      kept.clear();
      calendars.clear();
    },
  };
}

/** One need per account and additive meter: how much in all, and over which event times. */
function needsOf(tickets: readonly Ticket[]): Need[] {
  const byAccount = new Map<string, Need[]>();
  const all: Need[] = [];
  for (const { orgId, event, receivedAt, request, verdict } of tickets) {
    if (verdict.kind !== "measured") continue;
    // What is let in from quarantine came before units lapsed that are written down as lapsed by now.
    const known = Math.max(event.time, receivedAt, request.submission.now) as Instant;
    const { accountId, accountName: account, measurements } = verdict;
    const { time } = event;
    let needs = byAccount.get(account);
    if (needs === undefined) {
      needs = [];
      byAccount.set(account, needs);
    }
    for (const { meter, quantity } of measurements) {
      if (meter.aggregation !== "sum" && meter.aggregation !== "count") continue;
      let need: Need | undefined;
      for (const one of needs) if (one.pool === meter.key) need = one;
      if (need === undefined) {
        const made = { orgId, accountId, pool: meter.key, account, since: time, until: known };
        const first: Need = { ...made, total: quantity };
        needs.push(first);
        all.push(first);
        continue;
      }
      if (time < need.since) need.since = time;
      if (known > need.until) need.until = known;
      need.total = addUnits(need.total, quantity);
    }
  }
  return all;
}

/** The invoice periods that corrections fall into, of accounts that ever had units to give back to. */
async function periodsOf(
  lane: Lane,
  needs: readonly Need[],
  corrections: readonly Ticket[],
): Promise<(SpentKey & { readonly account: string })[]> {
  const calendars = await loadCalendars(lane, needs);
  const wanted = new Map<string, SpentKey & { account: string }>();
  for (const [index, need] of needs.entries()) {
    const calendar = calendars[index];
    if (!calendar) continue;
    for (const { verdict, event } of corrections) {
      if (verdict.kind !== "measured" || verdict.accountName !== need.account) continue;
      const { startsAt, endsAt } = periodAt(calendar, event.time);
      wanted.set(`${need.account}\n${need.pool}\n${startsAt}`, { ...need, startsAt, endsAt });
    }
  }
  return [...wanted.values()];
}

/** Whether grants that are valid for all the event times hold what is needed: then no other grant can be reached. */
function covers(grants: readonly OpenGrant[], need: Need): boolean {
  let held: Units = 0;
  for (const grant of grants)
    if (grant.validFrom <= need.since && grant.expiresAt > need.until)
      held = addUnits(held, grant.remaining);
  return compareUnits(held, need.total) >= 0;
}

function periodCheck({ calendar, finalizationHours }: LoadedPool): Prepaid["isPeriodOpen"] {
  const window = finalizationHours * hour;
  return (at, receivedAt) =>
    // Most events are younger than the window alone.
    receivedAt - at < window ||
    calendar === undefined ||
    receivedAt < periodAt(calendar, at).endsAt + window;
}

/** What a settled group drew, ready to be saved. */
export function drawsOf(settlement: Settlement, makeId: MakeId): DrawToSave[] {
  return settlement.accounts.flatMap(({ orgId, accountId, drawn, events }) =>
    [...drawn.values()].flatMap((pool) =>
      pool.parts.map((part) => ({
        orgId,
        accountId,
        part,
        // The first is only for units taken back from expiry.
        movementIds: [
          part.fromExpired === 0 ? "" : makeId("movement"),
          makeId("movement"),
        ] as const,
        recordedAt: events.at(-1)?.arrival.receivedAt ?? part.bucketAt,
      })),
    ),
  );
}
