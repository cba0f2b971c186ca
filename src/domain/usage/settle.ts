import { assert } from "../../kit/assert.ts";
import { add, compare, formatDecimal, negate, zero } from "../../kit/decimal.ts";
import type { Instant } from "../../kit/time.ts";
import {
  drawFrom,
  hasUnits,
  type OpenGrant,
  openPool,
  type Pool,
  unitsOf,
} from "../grants/index.ts";
import type { Measured, Quarantined, QuarantineReason, Verdict } from "./admission.ts";
import { firstLink, nextLink } from "./chain.ts";
import { netOf, type Original } from "./correction.ts";
import type { Rejection, UsageEvent } from "./event.ts";
import type { Measurement } from "./match.ts";
import { type Content, contentOf, isSameContent } from "./identity.ts";
import { type RollupDelta, type Rollups, rollUp } from "./rollup.ts";

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
  readonly verdict: Verdict;
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
  isPeriodOpen(at: Instant, receivedAt: Instant): boolean;
};

export const accountName = (orgId: string, accountId: string): string => `${orgId}\n${accountId}`;
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

/** One account's share of a group. */
export type SettledAccount = {
  readonly orgId: string;
  readonly accountId: string;
  readonly before: Head;
  after: Head;
  readonly events: SettledEvent[];
  readonly rollups: Rollups;
  /** What was drawn from prepaid units, by meter. */
  readonly drawn: Map<string, Pool>;
};

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
  /** Stored by this very group, by identity. */
  readonly settled: Map<string, Arrival>;
  /** Corrections stored by this group, by the identity of what they correct. */
  readonly corrections: Map<string, (readonly Measurement[])[]>;
  readonly held: Arrival[];
  readonly released: Arrival[];
  readonly conflicts: Arrival[];
};

function settleOne(work: Work, arrival: Arrival): Fate {
  const name = eventName(arrival.orgId, arrival.key);
  const known = knownAs(work, name);
  if (known !== undefined && !isSameContent(known.content, contentOf(arrival.event))) {
    work.conflicts.push(arrival);
    return conflict;
  }
  if (known !== undefined && known.held === null) return duplicate;

  const { verdict } = arrival;
  if (verdict.kind === "measured") {
    const refused = storeIn(work, arrival, verdict);
    if (refused) return refused;
    work.settled.set(name, arrival);
    if (known?.held) work.released.push(arrival);
    return accepted;
  }
  if (verdict.kind === "quarantined" && !known?.held) {
    work.settled.set(name, arrival);
    work.held.push(arrival);
  }
  return verdict;
}

function knownAs(work: Work, name: string): Known | undefined {
  const here = work.settled.get(name);
  if (here === undefined) return work.facts.known.get(name);
  const { verdict } = here;
  const held = verdict.kind === "quarantined" ? verdict.reason : null;
  return { content: contentOf(here.event), held };
}

function storeIn(work: Work, arrival: Arrival, verdict: Measured): Rejection | undefined {
  const { orgId, event, receivedAt } = arrival;
  const { accountId, projectId } = verdict;
  const corrects = event.corrects === null ? null : contentOf(event).corrects;
  if (corrects !== null) {
    const name = eventName(orgId, corrects);
    const refused = refuseCorrection(work, arrival, verdict, name);
    if (refused) return refused;
    work.corrections.set(name, [...(work.corrections.get(name) ?? []), verdict.measurements]);
  }
  const account = accountOf(work, orgId, accountId);
  const seq = account.after.seq + 1;
  const link = nextLink(account.after.link, {
    orgId,
    accountId,
    seq,
    projectId,
    type: event.type,
    source: event.source,
    id: event.id,
    subject: event.subject,
    time: event.time,
    receivedAt,
    corrects,
    dataText: event.dataText,
  });
  account.after = { version: account.before.version + 1, seq, link };
  account.events.push({ arrival, projectId, seq, link, corrects });
  const rolled = {
    orgId,
    accountId,
    projectId,
    time: event.time,
    seq,
    isCorrection: corrects !== null,
  };
  const prepaid = work.facts.prepaid?.get(accountName(orgId, accountId));
  for (const measurement of verdict.measurements) {
    rollUp(account.rollups, rolled, measurement);
    if (prepaid && corrects === null) drawUnits(account, prepaid, arrival, measurement);
  }
  return undefined;
}

/** Usage that adds up draws the account's prepaid units, event by event in their sequence; what is left is overage. */
function drawUnits(
  account: SettledAccount,
  prepaid: Prepaid,
  { event, receivedAt }: Arrival,
  { meter, quantity }: Measurement,
): void {
  const grants = prepaid.pools.get(meter.key);
  if (!grants || (meter.aggregation !== "sum" && meter.aggregation !== "count")) return;
  const units = unitsOf(quantity);
  if (!hasUnits(units)) return;
  let pool = account.drawn.get(meter.key);
  if (!pool) {
    pool = openPool(grants);
    account.drawn.set(meter.key, pool);
  }
  const periodOpen = prepaid.isPeriodOpen(event.time, receivedAt);
  drawFrom(pool, { quantity: units, at: event.time, periodOpen }, account.after.seq);
}

function accountOf(work: Work, orgId: string, accountId: string): SettledAccount {
  const name = accountName(orgId, accountId);
  const found = work.accounts.get(name);
  if (found) return found;
  const before = work.facts.heads.get(name);
  assert(before, `the head of account ${accountId} was not read before its events were settled`);
  const made = {
    orgId,
    accountId,
    before,
    after: before,
    events: [],
    rollups: new Map(),
    drawn: new Map(),
  };
  work.accounts.set(name, made);
  return made;
}

/** What was counted, and what earlier corrections took back, must cover a correction for every meter. */
function refuseCorrection(
  work: Work,
  { event }: Arrival,
  verdict: Measured,
  name: string,
): Rejection | undefined {
  const original = work.facts.originals.get(name) ?? originalHere(work, name);
  if (original === undefined || original.accountId !== verdict.accountId)
    return refused(`no event ${event.corrects} of this source has been counted`);
  if (original.isCorrection)
    return refused("a correction cannot be corrected: correct the event itself");
  if (original.type !== event.type)
    return refused(`the event to correct is of type ${original.type}`);
  const earlier = work.corrections.get(name) ?? [];
  for (const { meter, quantity } of verdict.measurements) {
    const left = netOf(original, earlier, meter.key);
    if (compare(add(left, quantity), zero) >= 0) continue;
    const detail = `${formatDecimal(left)} is left of event ${event.corrects} for meter ${meter.key}: taking back ${formatDecimal(negate(quantity))} would bring it below zero`;
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

function originalHere(work: Work, name: string): Original | undefined {
  const here = work.settled.get(name);
  if (here?.verdict.kind !== "measured") return undefined;
  const { type, corrects } = here.event;
  return { ...here.verdict, type, isCorrection: corrects !== null, corrections: [] };
}

/** Every delta of a settlement. */
export const rollupsOf = (settlement: Settlement): RollupDelta[] =>
  settlement.accounts.flatMap(({ rollups }) => [...rollups.values()]);
