import { assert } from "../../kit/assert.ts";
import type { Instant } from "../../kit/time.ts";
import {
  addUnits,
  compareUnits,
  drawAndCount,
  drawFrom,
  giveBack,
  hasUnits,
  type OpenGrant,
  openPool,
  type Pool,
  type Spent,
  subtractUnits,
  writeUnits,
} from "../grants/index.ts";
import type { Measured, Quarantined, QuarantineReason, Verdict } from "./admission.ts";
import { firstLink, nextLink } from "./chain.ts";
import { netOf, type Original } from "./correction.ts";
import type { Rejection, UsageEvent } from "./event.ts";
import type { Measurement } from "./match.ts";
import { type Content, contentOf, isSameContent } from "./identity.ts";
import { noRollups, type RollupDelta, type Rollups, rollUp } from "./rollup.ts";

/** What becomes of one event. */
export type Fate =
  | { readonly kind: "accepted" }
  /** The same event is stored already. */
  | { readonly kind: "duplicate" }
  /** Another event is stored under this identity; it stays. */
  | { readonly kind: "conflict" }
  | Quarantined
  | Rejection;

/** An event that has come to be settled, with what the rules made of it. */
export type Arrival = {
  readonly orgId: string;
  readonly key: string;
  readonly event: UsageEvent;
  readonly receivedAt: Instant;
  /** Anew when the rules have changed before it was settled. */
  verdict: Verdict;
};

/** Where an account's events stand: see `usage_head`. */
export type Head = { readonly version: number; readonly seq: number; readonly link: string };
export const firstHead: Head = { version: 0, seq: 0, link: firstLink };

/** What is stored under an identity. */
export type Known = {
  readonly content: Content;
  /** Counted, or held in quarantine for this reason. */
  readonly held: QuarantineReason | null;
};

/** Everything the settlement of a group follows from. Maps by `accountName` and `eventName`. */
export type SettlementFacts = {
  readonly heads: ReadonlyMap<string, Head>;
  /** What is stored under the identities that were looked up; all others are new, or the database will say so. */
  readonly known: ReadonlyMap<string, Known>;
  readonly originals: ReadonlyMap<string, Original>;
  /** Prepaid units of the accounts, by `accountName`, as they stood at the version of their heads; absent: none. */
  readonly prepaid?: ReadonlyMap<string, Prepaid>;
};

/** The open grants of one account by the meter they pay for, each list in draw order. */
export type Prepaid = {
  readonly pools: ReadonlyMap<string, readonly OpenGrant[]>;
  /** Whether the invoice of the period of an event may still change when the event arrives. */
  readonly isPeriodOpen: (at: Instant, receivedAt: Instant) => boolean;
  /** With corrections in the group: what was used and drawn in the periods they speak of, counted on while settling. */
  readonly spentIn?: (meterKey: string, at: Instant) => Spent | undefined;
};

export const eventName = (orgId: string, key: string): string => `${orgId}\n${key}`;

/** An event to store, at its place in the account's order. */
export type SettledEvent = {
  readonly arrival: Arrival;
  readonly projectId: string;
  readonly seq: number;
  readonly link: string;
  /** The key of the corrected event. */
  readonly corrects: string | null;
};

/** One account's share of a group. `seq` and `link` are those of its last event. */
export type SettledAccount = {
  readonly orgId: string;
  readonly accountId: string;
  readonly before: Head;
  seq: number;
  link: string;
  readonly events: SettledEvent[];
  readonly rollups: Rollups;
  /** What was drawn from prepaid units, by meter. */
  readonly drawn: Map<string, Pool>;
};

/** The head as it is once the group is saved. */
export const headAfter = ({ before, seq, link }: SettledAccount): Head => ({
  version: before.version + 1,
  seq,
  link,
});

/** What a group of events comes to: the fates in the order of arrival, and everything there is to save. */
export type Settlement = {
  readonly fates: readonly Fate[];
  /** In the order in which heads are locked. */
  readonly accounts: readonly SettledAccount[];
  readonly held: readonly Arrival[];
  /** Events of the quarantine that are counted now. */
  readonly released: readonly Arrival[];
  readonly conflicts: readonly Arrival[];
};

const accepted: Fate = { kind: "accepted" };
const duplicate: Fate = { kind: "duplicate" };
const conflict: Fate = { kind: "conflict" };

/** Settle a group of events in their order of arrival. Pure: the same facts give the same sequence, chain and rollups. */
export function settle(arrivals: readonly Arrival[], facts: SettlementFacts): Settlement {
  const work: Work = {
    facts,
    accounts: new Map(),
    settled: new Map(),
    corrections: new Map(),
    held: [],
    released: [],
    conflicts: [],
  };
  const fates = arrivals.map((arrival) => settleOne(work, arrival));
  return {
    fates,
    accounts: [...work.accounts.keys()]
      .toSorted()
      .map((name) => work.accounts.get(name) as SettledAccount),
    held: work.held,
    released: work.released,
    conflicts: work.conflicts,
  };
}

type Work = {
  readonly facts: SettlementFacts;
  readonly accounts: Map<string, SettledAccount>;
  /** Stored by this very group, by organization and key. */
  readonly settled: Map<string, Map<string, Arrival>>;
  /** Corrections stored by this group, by the identity of what they correct. */
  readonly corrections: Map<string, (readonly Measurement[])[]>;
  readonly held: Arrival[];
  readonly released: Arrival[];
  readonly conflicts: Arrival[];
};

function settleOne(work: Work, arrival: Arrival): Fate {
  const known = knownAs(work, arrival.orgId, arrival.key);
  if (known !== undefined && !isSameContent(known.content, contentOf(arrival.event))) {
    work.conflicts.push(arrival);
    return conflict;
  }
  if (known !== undefined && known.held === null) return duplicate;

  const { verdict } = arrival;
  if (verdict.kind === "measured") {
    const refused = storeIn(work, arrival, verdict);
    if (refused) return refused;
    settledOf(work, arrival.orgId).set(arrival.key, arrival);
    if (known?.held) work.released.push(arrival);
    return accepted;
  }
  if (verdict.kind === "quarantined" && !known?.held) {
    settledOf(work, arrival.orgId).set(arrival.key, arrival);
    work.held.push(arrival);
  }
  return verdict;
}

function settledOf(work: Work, orgId: string): Map<string, Arrival> {
  let settled = work.settled.get(orgId);
  if (settled === undefined) {
    settled = new Map();
    work.settled.set(orgId, settled);
  }
  return settled;
}

function knownAs(work: Work, orgId: string, key: string): Known | undefined {
  const here = settledOf(work, orgId).get(key);
  if (here === undefined)
    return work.facts.known.size === 0 ? undefined : work.facts.known.get(eventName(orgId, key));
  const { verdict } = here;
  const held = verdict.kind === "quarantined" ? verdict.reason : null;
  return { content: contentOf(here.event), held };
}

function storeIn(work: Work, arrival: Arrival, verdict: Measured): Rejection | undefined {
  const { orgId, event, receivedAt } = arrival;
  const { accountId, projectId } = verdict;
  const corrects = event.corrects === null ? null : contentOf(event).corrects;
  if (corrects !== null) {
    const refused = refuseCorrection(work, arrival, verdict, corrects);
    if (refused) return refused;
    const name = eventName(orgId, corrects);
    work.corrections.set(name, [...(work.corrections.get(name) ?? []), verdict.measurements]);
  }
  const account = accountOf(work, verdict.accountName, orgId, accountId);
  const { time, dataText } = event;
  const seq = account.seq + 1;
  const stored = {
    orgId,
    accountId,
    seq,
    projectId,
    type: event.type,
    source: event.source,
    id: event.id,
    subject: event.subject,
    time,
    receivedAt,
    corrects,
    dataText,
    isCorrection: corrects !== null,
  };
  const link = nextLink(account.link, stored);
  account.seq = seq;
  account.link = link;
  account.events.push({ arrival, projectId, seq, link, corrects });
  const prepaid = work.facts.prepaid?.get(verdict.accountName);
  for (const measurement of verdict.measurements) {
    rollUp(account.rollups, stored, measurement);
    if (prepaid) drawUnits(account, prepaid, arrival, measurement);
  }
  return undefined;
}

/**
 * Usage that adds up draws the account's prepaid units, event by event in their sequence; what is left is overage. What is
 * corrected away comes back.
 */
function drawUnits(
  account: SettledAccount,
  prepaid: Prepaid,
  { event, receivedAt }: Arrival,
  { meter, quantity }: Measurement,
): void {
  const grants = prepaid.pools.get(meter.key);
  if (!grants || (meter.aggregation !== "sum" && meter.aggregation !== "count")) return;
  let pool = account.drawn.get(meter.key);
  if (!pool) {
    pool = openPool(grants);
    account.drawn.set(meter.key, pool);
  }
  const { seq } = account;
  const spent = prepaid.spentIn?.(meter.key, event.time);
  if (!hasUnits(quantity)) {
    const back = subtractUnits(0, quantity);
    if (event.corrects !== null && spent && hasUnits(back))
      giveBack(pool, { quantity: back, at: event.time }, seq, spent);
    return;
  }
  const periodOpen = prepaid.isPeriodOpen(event.time, receivedAt);
  const request = { quantity, at: event.time, periodOpen, receivedAt };
  if (spent) drawAndCount(pool, request, seq, spent);
  else drawFrom(pool, request, seq);
}

function accountOf(work: Work, name: string, orgId: string, accountId: string): SettledAccount {
  const found = work.accounts.get(name);
  if (found) return found;
  const before = work.facts.heads.get(name);
  assert(before, `the head of account ${accountId} was not read before its events were settled`);
  const { seq, link } = before;
  const made: SettledAccount = {
    orgId,
    accountId,
    before,
    seq,
    link,
    events: [],
    rollups: noRollups(),
    drawn: new Map(),
  };
  work.accounts.set(name, made);
  return made;
}

/** What was counted, and what earlier corrections took back, must cover a correction for every meter. */
function refuseCorrection(
  work: Work,
  { orgId, event }: Arrival,
  verdict: Measured,
  corrects: string,
): Rejection | undefined {
  const name = eventName(orgId, corrects);
  const original = work.facts.originals.get(name) ?? originalHere(work, orgId, corrects);
  if (original === undefined || original.accountId !== verdict.accountId)
    return refused(`no event ${event.corrects} of this source has been counted`);
  if (original.isCorrection)
    return refused("a correction cannot be corrected: correct the event itself");
  if (original.type !== event.type)
    return refused(`the event to correct is of type ${original.type}`);
  const earlier = work.corrections.get(name) ?? [];
  for (const { meter, quantity } of verdict.measurements) {
    const left = netOf(original, earlier, meter.key);
    if (compareUnits(addUnits(left, quantity), 0) >= 0) continue;
    const detail = `${writeUnits(left)} is left of event ${event.corrects} for meter ${meter.key}: taking back ${writeUnits(subtractUnits(0, quantity))} would bring it below zero`;
    return { kind: "rejected", code: "correction_below_zero", pointer: "/data", detail };
  }
  return undefined;
}

const refused = (detail: string): Rejection => ({
  kind: "rejected",
  code: "original_not_found",
  pointer: "/corrects",
  detail,
});

function originalHere(work: Work, orgId: string, key: string): Original | undefined {
  const here = settledOf(work, orgId).get(key);
  if (here?.verdict.kind !== "measured") return undefined;
  const { type, corrects } = here.event;
  return { ...here.verdict, type, isCorrection: corrects !== null, corrections: [] };
}

/** Every delta of a settlement. */
export const rollupsOf = (settlement: Settlement): RollupDelta[] =>
  settlement.accounts.flatMap(({ rollups }) => rollups.deltas);
