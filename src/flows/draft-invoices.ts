import {
  type Charge,
  contradictions,
  type Draft,
  draft,
  expectedCharges,
  isAdditive,
  type Measured,
  type Offer,
  type Parties,
  periodAt,
  priceCuts,
  pricedDimensions,
  ratePrimary,
  type Rate,
} from "../domain/invoicing/index.ts";
import { contains, type Instant, type Period } from "../kit/time.ts";
import type { StoredCatalog } from "../store/catalog.ts";
import type { Db } from "../store/connect.ts";
import {
  type AccountKey,
  type AccountToInvoice,
  accountKeyText,
  type Billed,
  loadBilled,
  loadBindings,
  loadExisting,
  loadHeads,
  loadLateDays,
  loadVoidRestatements,
  nothingBilled,
} from "../store/invoice-facts.ts";
import { measureWindows, type UsageWindow } from "../store/invoice-usage.ts";
import { type ChargeSpan, loadOtherCharges } from "./charge-sources.ts";
import { loadParties } from "../store/parties.ts";
import { bookFor, readOffers } from "./read-offers.ts";

/** One document wanted: an account, and the period it is for. */
export type DraftRequest = {
  readonly of: AccountToInvoice;
  readonly period: Period;
  /** Take up usage of older periods that have no invoice of their own. For a document about to be issued: they are all due. */
  readonly foldsOlder?: boolean;
};

/** What a draft looked at, so that a second path can look at the same. */
export type DraftScope = {
  readonly of: AccountToInvoice;
  readonly period: Period;
  /** The period itself, and every closed one that late events touched. */
  readonly periods: readonly Period[];
  readonly priceBook: string;
  readonly offers: readonly Offer[];
  /** Who issues to whom: today's, or those that a document was issued with. */
  readonly parties: Parties;
  readonly seq: bigint;
  /** The sequence of the account's last document when this one was drafted. */
  readonly sequence: bigint;
  /** Leave documents from this sequence on out of what was billed before. Undefined: all count. */
  readonly below?: bigint;
  /** Leave events after `seq` out. False in the snapshot that `seq` was read from: there are none. */
  readonly isPast?: boolean;
};

export type Drafted = {
  readonly scope: DraftScope;
  readonly draft: Draft;
  /** Why this document cannot be right, whoever computes it. */
  readonly contradictions: readonly string[];
};

/**
 * Which closed periods to look at beside the one asked for: those that events came in for since the last document and those
 * that documents made void had restated, or, as proof that this was enough, every one there ever was.
 */
export type History = "touched" | "all";

/**
 * Draft many documents from one moment of the database: a handful of queries for all of them together. Call it in a
 * `snapshot`, so that usage, documents and sequences belong together.
 */
export async function draftInvoices(
  db: Db,
  catalog: StoredCatalog,
  requests: readonly DraftRequest[],
  history: History = "touched",
): Promise<Drafted[]> {
  const scopes = await scopeDrafts(db, catalog, requests, history);
  return draftScopes(db, scopes, measureWindows, ratePrimary);
}

/** How usage is measured: from the rollups, or by the second path from the raw events. */
export type Measure = (
  db: Db,
  windows: readonly UsageWindow[],
) => Promise<ReadonlyMap<string, readonly Measured[]>>;

/** Work out what each draft has to look at: how far documents have come, and which closed periods late events touched. */
async function scopeDrafts(
  db: Db,
  catalog: StoredCatalog,
  requests: readonly DraftRequest[],
  history: History,
): Promise<DraftScope[]> {
  const keys = requests.map((request) => keyOf(request.of));
  const heads = await loadHeads(db, keys);
  const billed = await loadBilled(db, keys);
  const parties = await loadParties(
    db,
    requests.map((request) => request.of.account),
  );
  const facts = requests.map((request) => {
    const key = textOf(request.of);
    return { request, seq: heads.get(key) ?? 0n, billed: billed.get(key) ?? nothingBilled };
  });
  const late = await loadLateDays(
    db,
    facts
      .filter((one) => one.billed.invoicedUntil !== null || one.request.foldsOlder)
      .filter((one) => history === "all" || one.seq > one.billed.seq)
      .map((one) => ({
        ...keyOf(one.request.of),
        since: history === "all" ? 0n : one.billed.seq,
        until: one.seq,
        before: one.request.period.startsAt,
      })),
  );
  const reopened = await loadVoidRestatements(db, keys);
  return facts.map(({ request, seq, billed: before }) => {
    const touched = touchedPeriods(request, before, [
      ...(late.get(textOf(request.of)) ?? []),
      ...(reopened.get(textOf(request.of)) ?? []),
    ]);
    const priceBook = bookFor(catalog, request.of.priceBook, request.of.account.currency);
    return {
      of: request.of,
      period: request.period,
      periods: [...touched, request.period],
      priceBook,
      offers: readOffers(catalog, priceBook),
      parties: parties.get(textOf(request.of)) as Parties,
      seq,
      sequence: before.sequence,
    };
  });
}

// A period that still waits for an invoice of its own will find the late events there.
function touchedPeriods(request: DraftRequest, billed: Billed, late: readonly Instant[]): Period[] {
  const { calendar } = request.of.account;
  const touched = new Map<Instant, Period>();
  for (const at of late) {
    const span = periodAt(calendar, at);
    const isClosed = request.foldsOlder || span.endsAt <= (billed.invoicedUntil ?? 0);
    const isOlder = span.startsAt < request.period.startsAt;
    if (isClosed && isOlder && !billed.voidStarts.has(span.startsAt))
      touched.set(span.startsAt, span);
  }
  return [...touched.values()].toSorted((a, b) => a.startsAt - b.startsAt);
}

/** Measure, rate and difference what the scopes say, by whichever pair of paths. */
export async function draftScopes(
  db: Db,
  scopes: readonly DraftScope[],
  measure: Measure,
  rate: Rate,
): Promise<Drafted[]> {
  const spans = scopes.flatMap((scope) =>
    scope.periods.map((period) => ({
      ...keyOf(scope.of),
      period,
      below: scope.below,
      untilSeq: scope.isPast ? scope.seq : null,
      scope,
    })),
  );
  const measured = await measure(db, spans.flatMap(windowsOf));
  const existing = await loadExisting(db, spans);
  const others = await loadOtherCharges(db, spans);
  const bindings = await loadBindings(
    db,
    scopes.map((scope) => ({ ...keyOf(scope.of), period: scope.period })),
  );
  const charges = new Map<DraftScope, { expected: Charge[]; objections: string[] }>();
  spans.forEach(({ scope, period }, i) => {
    const facts = {
      account: scope.of.account,
      period,
      offers: scope.offers,
      measured: (measured.get(textOf(scope.of)) ?? []).filter((part) =>
        contains(period, part.slice.startsAt),
      ),
      fixed: others[i]?.fixed ?? [],
      covered: others[i]?.covered ?? [],
      bindings: [],
    };
    const found = charges.get(scope) ?? { expected: [], objections: [] };
    charges.set(scope, found);
    const objections = contradictions(facts);
    found.objections.push(...objections);
    if (objections.length === 0) found.expected.push(...expectedCharges(facts, rate));
  });
  return scopes.map((scope) => {
    const made = draft({
      account: scope.of.account,
      period: scope.period,
      expected: charges.get(scope)?.expected ?? [],
      existing: (existing.get(textOf(scope.of)) ?? []).filter((one) =>
        scope.periods.some((period) => contains(period, one.period.startsAt)),
      ),
      offers: scope.offers,
      priceBook: scope.priceBook,
      parties: scope.parties,
      bindings: bindings.get(textOf(scope.of)) ?? [],
      watermark: { seq: scope.seq },
    });
    const objections = charges.get(scope)?.objections ?? [];
    return {
      scope,
      draft: made,
      contradictions: made.obstacle === null ? objections : [...objections, made.obstacle],
    };
  });
}

function windowsOf(span: ChargeSpan & { scope: DraftScope }): UsageWindow[] {
  const cuts = priceCuts(span.scope.offers, span.period);
  return span.scope.offers.flatMap(({ meter, versions }) => {
    const own = isAdditive(meter)
      ? cuts.filter((cut) => versions.some((version) => version.effectiveFrom === cut))
      : [];
    const edges = [span.period.startsAt, ...own, span.period.endsAt];
    return edges.slice(1).map((endsAt, i) => ({
      orgId: span.orgId,
      accountId: span.accountId,
      meter,
      slice: { startsAt: edges[i] as Instant, endsAt },
      dimensions: pricedDimensions(versions),
      untilSeq: span.untilSeq,
    }));
  });
}

const keyOf = (of: AccountToInvoice): AccountKey => ({
  orgId: of.account.orgId,
  accountId: of.account.accountId,
});
const textOf = (of: AccountToInvoice): string =>
  accountKeyText(of.account.orgId, of.account.accountId);
