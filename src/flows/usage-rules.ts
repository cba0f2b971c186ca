import { type Meter, readMeter } from "../domain/catalog/index.ts";
import { indexMeters, type MeterIndex, type Place } from "../domain/usage/index.ts";
import { assert } from "../kit/assert.ts";
import { catalogVersion, getCatalog } from "../store/catalog.ts";
import type { Store } from "../store/connect.ts";
import {
  directoryVersions,
  loadPlacings,
  orgsWithHeldEvents,
  type Placing,
} from "../store/usage-directory.ts";

/**
 * What an organization's events are judged by, as of two versions that every transaction compares before it commits. An
 * event is judged again when its rules are no longer the newest.
 */
export type Rules = {
  readonly orgId: string;
  readonly catalogVersion: bigint;
  readonly directoryVersion: bigint;
  readonly meters: MeterIndex;
  /** Whether a re-sent event may be waiting in quarantine. */
  holdsEvents: boolean;
  readonly placings: Map<string, Placing>;
  /** Names asked for since everything was read: the others are forgotten when it is read again. */
  readonly asked: Set<string>;
  /** When the versions were last seen to be these, and when everything was last read. */
  seenAt: number;
  readonly readAt: number;
};

/** Between transactions, which compare the versions anyway, they are looked at this often. */
const lookAgainMs = 1_000;
/** Changes that were made behind our backs, without counting a version up, are seen after this time. */
const readAgainMs = 10_000;
/** Nothing older is used: when the database does not answer, events wait. */
const oldestMs = 5_000;
const organizationsMax = 1_000;

/** The rules of all organizations that send events, kept in memory. */
export type RuleBook = {
  /** The rules under which all these names are placed; undefined when something must be read first. */
  at(orgId: string, subjects: readonly string[]): Rules | undefined;
  read(orgId: string, subjects: readonly string[]): Promise<Rules>;
  /** The newest rules of an organization that has been asked about. */
  newest(orgId: string): Rules | undefined;
  forget(orgIds: Iterable<string>): void;
};

export function openRuleBook(store: Store): RuleBook {
  const books = new Map<string, Rules>();
  const looking = new Map<string, Promise<void>>();
  const meterIndexes = new Map<bigint, MeterIndex>();

  async function readRules(orgId: string, subjects: readonly string[]): Promise<Rules> {
    // Versions first: what is read after them is at worst newer, and then the version in the transaction differs.
    const [versions, catalog] = await Promise.all([
      directoryVersions(store.db, [orgId]),
      getCatalog(store),
    ]);
    const [holding, placings] = await Promise.all([
      orgsWithHeldEvents(store.db, [orgId]),
      place(orgId, subjects),
    ]);
    let meters = meterIndexes.get(catalog.version);
    if (meters === undefined) {
      meters = indexMeters([...catalog.meters.values()].flatMap(meterIn));
      meterIndexes.clear();
      meterIndexes.set(catalog.version, meters);
    }
    return {
      orgId,
      catalogVersion: catalog.version,
      directoryVersion: versions.get(orgId) ?? 0n,
      meters,
      holdsEvents: holding.has(orgId),
      placings,
      asked: new Set(),
      seenAt: performance.now(),
      readAt: performance.now(),
    };
  }

  async function place(orgId: string, subjects: readonly string[]): Promise<Map<string, Placing>> {
    if (subjects.length === 0) return new Map();
    const names = subjects.map((subject) => ({ orgId, subject }));
    const found = await loadPlacings(store.db, names);
    return new Map(subjects.map((subject, index) => [subject, found[index] as Placing]));
  }

  async function renew(old: Rules): Promise<void> {
    const { orgId } = old;
    if (performance.now() - old.readAt > readAgainMs || !(await isNewest(old))) {
      const fresh = await readRules(orgId, [...old.asked]);
      if (books.get(orgId) === old) books.set(orgId, fresh);
      return;
    }
    old.holdsEvents = (await orgsWithHeldEvents(store.db, [orgId])).has(orgId);
    // What was not there may be by now.
    for (const [subject, placing] of old.placings)
      if (placing.kind !== "place") old.placings.delete(subject);
    old.seenAt = performance.now();
  }

  async function isNewest(rules: Rules): Promise<boolean> {
    const [versions, catalog] = await Promise.all([
      directoryVersions(store.db, [rules.orgId]),
      catalogVersion(store.db),
    ]);
    return versions.get(rules.orgId) === rules.directoryVersion && catalog === rules.catalogVersion;
  }

  function lookAgain(rules: Rules): void {
    if (looking.has(rules.orgId)) return;
    // A look that fails is repeated by the next event; when all fail, the rules grow too old to be used.
    const look = renew(rules)
      .catch(() => {})
      .finally(() => looking.delete(rules.orgId));
    looking.set(rules.orgId, look);
  }

  function current(orgId: string): Rules | undefined {
    const rules = books.get(orgId);
    if (rules === undefined) return undefined;
    const age = performance.now() - rules.seenAt;
    if (age > lookAgainMs) lookAgain(rules);
    return age > oldestMs ? undefined : rules;
  }

  function forgetIdle(): void {
    const now = performance.now();
    for (const [orgId, rules] of books) if (now - rules.seenAt > oldestMs) books.delete(orgId);
  }

  return {
    at(orgId, subjects) {
      const rules = current(orgId);
      if (rules === undefined) return undefined;
      for (const subject of subjects) {
        if (!rules.placings.has(subject)) return undefined;
        rules.asked.add(subject);
      }
      return rules;
    },
    async read(orgId, subjects) {
      for (;;) {
        const rules = current(orgId);
        if (rules === undefined) {
          const fresh = await readRules(orgId, [...new Set(subjects)]);
          if (books.size >= organizationsMax) forgetIdle();
          books.set(orgId, fresh);
          return fresh;
        }
        // A look in between forgets names that nobody has asked for, so those known already are asked for too.
        for (const subject of subjects) rules.asked.add(subject);
        const unknown = [...new Set(subjects)].filter((subject) => !rules.placings.has(subject));
        if (unknown.length === 0) return rules;
        for (const [subject, placing] of await place(orgId, unknown))
          rules.placings.set(subject, placing);
      }
    },
    newest: (orgId) => books.get(orgId),
    forget(orgIds) {
      for (const orgId of orgIds) books.delete(orgId);
    },
  };
}

function meterIn(stored: { definition: unknown; status: Meter["status"] }): Meter[] {
  const { meter } = readMeter(stored.definition);
  return meter ? [{ ...meter, status: stored.status }] : [];
}

/** What a name stands for, for the rule of admission. A key of one project may speak of no other. */
export function placeOf(
  placing: Placing | undefined,
  onlyProjectId: string | null,
): { place: Place | undefined; isForeignProject: boolean } {
  assert(placing, "an event was judged before its subject was looked up");
  const place = placing.kind === "place" ? placing.place : undefined;
  const isOff = onlyProjectId !== null && place !== undefined && place.projectId !== onlyProjectId;
  return { place, isForeignProject: placing.kind === "foreign" || isOff };
}
