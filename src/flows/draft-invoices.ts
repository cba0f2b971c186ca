import {
  paidWithin,
  paidFor,
  payersMark,
  type Stretch,
  stretchesOf,
} from "../domain/accounts/index.ts";
import {
  type BilledPeriod,
  type Charge,
  consolidate,
  contradictions,
  type Draft,
  draft,
  edgesOf,
  expectedCharges,
  isAdditive,
  lateRoute,
  type LeaveOut,
  type Offer,
  type Parties,
  periodAt,
  priceCuts,
  pricedDimensions,
  ratePrimary,
  type Rate,
} from "../domain/invoicing/index.ts";
import { contains, type Instant, type Period } from "../kit/time.ts";
import { accountKeyOf, loadPayerBook } from "../store/account-payers.ts";
import type { StoredCatalog } from "../store/catalog.ts";
import type { Db } from "../store/connect.ts";
import {
  type AccountKey,
  type AccountToInvoice,
  accountKeyText,
  type Billed,
  loadBilled,
  loadBindings,
  listAccountsToInvoice,
  loadExisting,
  loadHeads,
  loadLateDays,
  loadVoidRestatements,
  nothingBilled,
  paidKeyText,
} from "../store/invoice-facts.ts";
import { measureWindows, type UsageWindow } from "../store/invoice-usage.ts";
import { type ChargeSpan, loadOtherCharges, type Measure } from "./charge-sources.ts";
import { type LateUsage, loadOpenLate } from "../store/late-usage.ts";
import { loadParties } from "../store/parties.ts";
import { knownBefore, loadSubscriptionHistory } from "../store/subscriptions.ts";
import {
  bookFor,
  offersOfSubscriber,
  type PlanOffers,
  readOffers,
  readPlanOffers,
} from "./read-offers.ts";

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
  /**
   * The period itself, and every closed one that late events touched; of each what the payer pays for. Empty: somebody else
   * pays for all of it.
   */
  readonly periods: readonly BilledPeriod[];
  /** Who is asked for the money: null for the account itself, else organization and account. */
  readonly paidBy: string | null;
  /** The accounts that this one pays for: each is drafted by itself, and has a section on this one's document. */
  readonly sections: readonly DraftScope[];
  /** What is known of who pays for whom, as text: when it changes, the draft is of yesterday. Empty when not yet issued. */
  readonly payers: string;
  readonly priceBook: string;
  readonly offers: readonly Offer[];
  /** The usage prices that plans bring along: they go before those of the book. */
  readonly plans: PlanOffers;
  /** Who issues to whom: today's, or those that a document was issued with. */
  readonly parties: Parties;
  readonly seq: bigint;
  /** The sequence of the account's last document when this one was drafted. */
  readonly sequence: bigint;
  /** Leave documents from this sequence on out of what was billed before. Undefined: all count. */
  readonly below?: bigint;
  /** Differences that this document leaves to others. */
  readonly leaveOut?: LeaveOut;
  /** What was seen and left to others before, and is still open. */
  readonly openLate?: readonly LateUsage[];
  /** Starts of the periods whose invoice stands. */
  readonly invoicedStarts?: ReadonlySet<Instant>;
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

/** An account to look at on a document: the one it goes to, or one of those that it pays for. */
type Leaf = {
  readonly of: AccountToInvoice;
  readonly request: DraftRequest;
  readonly paidBy: string | null;
  readonly stretches: readonly Stretch[];
};

/** Work out what each draft has to look at: how far documents have come, and which closed periods late events touched. */
async function scopeDrafts(
  db: Db,
  catalog: StoredCatalog,
  requests: readonly DraftRequest[],
  history: History,
): Promise<DraftScope[]> {
  const groups = await gatherLeaves(db, requests);
  const leaves = groups.flatMap((group) => group.leaves);
  const keys = leaves.map(paidKeyOf);
  const heads = await loadHeads(db, keys);
  const billed = await loadBilled(db, keys);
  const parties = await loadParties(
    db,
    leaves.map((leaf) => leaf.of.account),
  );
  const facts = leaves.map((leaf) => ({
    leaf,
    seq: heads.get(textOf(leaf.of)) ?? 0n,
    billed: billed.get(paidKeyText(paidKeyOf(leaf))) ?? nothingBilled,
  }));
  const late = await loadLateDays(
    db,
    facts
      .filter((one) => one.billed.invoicedUntil !== null || one.leaf.request.foldsOlder)
      .filter((one) => history === "all" || one.seq > one.billed.seq)
      .map((one) => ({
        ...keyOf(one.leaf.of),
        since: history === "all" ? 0n : one.billed.seq,
        until: one.seq,
        before: one.leaf.request.period.startsAt,
      })),
  );
  const reopened = await loadVoidRestatements(db, keys);
  const openLate = await loadOpenLate(db, keys);
  const consolidated = new Set(
    groups.flatMap((group) => (group.leaves.length > 1 ? group.leaves : [])),
  );
  // Where one account pays for others, late usage goes onto the next document that does: a note would have no section.
  const isAlone = (leaf: Leaf): boolean =>
    leaf.paidBy === null && leaf.stretches.length === 0 && !consolidated.has(leaf);
  const scopes = new Map(
    facts.map(({ leaf, seq, billed: before }): [Leaf, DraftScope] => {
      const { of, request, paidBy, stretches } = leaf;
      const open = openLate.get(textOf(of)) ?? [];
      const touched = touchedPeriods(leaf, before, [
        ...(late.get(textOf(of)) ?? []),
        ...(reopened.get(textOf(of)) ?? []),
        ...open.map((one) => one.period.startsAt),
      ]);
      const priceBook = bookFor(catalog, of.priceBook, of.account.currency);
      const payer = textOf(request.of);
      const offers = readOffers(catalog, priceBook);
      const scope: DraftScope = {
        of,
        period: request.period,
        periods: [...touched, request.period].flatMap((span) => partsOf(stretches, payer, span)),
        paidBy,
        sections: [],
        payers: "",
        priceBook,
        offers,
        plans: readPlanOffers(catalog),
        parties: parties.get(textOf(of)) as Parties,
        seq,
        sequence: before.sequence,
        leaveOut: isAlone(leaf) ? leaveOutBy(request, before, offers, open) : noneLeftOut,
        openLate: open,
        invoicedStarts: before.invoicedStarts,
      };
      return [leaf, scope];
    }),
  );
  return groups.map(({ leaves: [own, ...others], payers }) => ({
    ...(scopes.get(own as Leaf) as DraftScope),
    sections: others.map((leaf) => scopes.get(leaf) as DraftScope),
    payers,
  }));
}

/** The accounts on each document: the one it goes to, then those it pays for, in the order of their names. */
async function gatherLeaves(
  db: Db,
  requests: readonly DraftRequest[],
): Promise<{ leaves: readonly Leaf[]; payers: string }[]> {
  const book = await loadPayerBook(
    db,
    requests.map((request) => keyOf(request.of)),
  );
  const members = requests.map((request) =>
    paidFor(book, textOf(request.of), request.period.endsAt),
  );
  const accounts = new Map(
    (await listAccountsToInvoice(db, [...new Set(members.flat())].map(accountKeyOf))).map((of) => [
      textOf(of),
      of,
    ]),
  );
  return requests.map((request, i) => {
    const payer = textOf(request.of);
    const others = (members[i] ?? [])
      .flatMap((ref) => accounts.get(ref) ?? [])
      .toSorted((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
    const leaf = (of: AccountToInvoice, paidBy: string | null): Leaf => ({
      of,
      request,
      paidBy,
      stretches: book.size === 0 ? [] : stretchesOf(book, textOf(of)),
    });
    return {
      leaves: [leaf(request.of, null), ...others.map((of) => leaf(of, payer))],
      payers: payersMark(book, payer),
    };
  });
}

const nameOf = ({ account }: AccountToInvoice): string =>
  `${account.name} ${account.slug} ${account.accountId}`;

/** What of a period the payer pays for; all of it as it is, where nobody else ever does. */
export function partsOf(
  stretches: readonly Stretch[],
  payer: string,
  span: Period,
): BilledPeriod[] {
  if (stretches.length === 0) return [span];
  return paidWithin(stretches, payer, span).map((part) =>
    part.startsAt === span.startsAt && part.endsAt === span.endsAt
      ? span
      : { ...part, partOf: span },
  );
}

/** What a document leaves to others: late usage, by what its meter declares and by what was approved. */
function leaveOutBy(
  request: DraftRequest,
  billed: Billed,
  offers: readonly Offer[],
  open: readonly LateUsage[],
): LeaveOut {
  const { lateUsage } = request.of.account;
  const declared = new Map(offers.map(({ meter }) => [meter.key, meter.lateUsage]));
  const approved = new Map(
    open
      .filter((one) => one.status === "approved")
      .map((one) => [one.cause, { quantity: one.quantity, amountMinor: one.amount.minor }]),
  );
  return (line) => {
    if (line.meterKey === null || line.period.startsAt >= request.period.startsAt) return undefined;
    const route = lateRoute(line, {
      policy: declared.get(line.meterKey) ?? lateUsage,
      isClosed: line.period.endsAt <= (billed.invoicedUntil ?? 0),
      isInvoiced: billed.invoicedStarts.has(line.period.startsAt),
      approved: approved.get(line.cause),
    });
    return route === "next_invoice" ? undefined : route;
  };
}

const noneLeftOut: LeaveOut = () => undefined;

/** All differences of an account's closed periods, and the way that each of them goes. */
export type LateDraft = { readonly drafted: Drafted; readonly leaveOut: LeaveOut };

/**
 * Draft only the differences of closed periods, all of them, by the same steps as an invoice would. Accounts that have none to
 * look at are not among them. Call it in a `snapshot`.
 */
export async function draftLateUsage(
  db: Db,
  catalog: StoredCatalog,
  accounts: readonly AccountToInvoice[],
): Promise<LateDraft[]> {
  const billed = await loadBilled(
    db,
    accounts.map((of) => ({ ...keyOf(of), paidBy: null })),
  );
  const requests = accounts.flatMap((of): DraftRequest[] => {
    const until = billed.get(paidKeyText({ ...keyOf(of), paidBy: null }))?.invoicedUntil ?? null;
    return until === null ? [] : [{ of, period: periodAt(of.account.calendar, until) }];
  });
  const scopes = (await scopeDrafts(db, catalog, requests, "touched")).filter(
    (scope) => scope.periods.length > 1 && scope.sections.length === 0,
  );
  const drafted = await draftScopes(
    db,
    scopes.map((scope) => ({
      ...scope,
      leaveOut: noneLeftOut,
      periods: scope.periods.slice(0, -1),
    })),
    measureWindows,
    ratePrimary,
  );
  return drafted.map((one, i) => ({ drafted: one, leaveOut: scopes[i]?.leaveOut as LeaveOut }));
}

// A period that still waits for an invoice of its own will find the late events there.
function touchedPeriods({ of, request }: Leaf, billed: Billed, late: readonly Instant[]): Period[] {
  const { calendar } = of.account;
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
  const leaves = scopes.flatMap((scope) => [scope, ...scope.sections]);
  const drafted = await draftLeaves(db, leaves, measure, rate);
  return scopes.map((scope) => {
    const [own, ...parts] = [scope, ...scope.sections].map((one) => drafted.get(one) as LeafDraft);
    const made = consolidate(
      (own as LeafDraft).draft,
      parts.map((part) => part.draft),
      scope.parties,
    );
    const objections = [
      ...(own as LeafDraft).objections,
      ...parts.flatMap((part) =>
        part.objections.map((text) => `${part.draft.account.slug}: ${text}`),
      ),
    ];
    return {
      scope,
      draft: made,
      contradictions: made.obstacle === null ? objections : [...objections, made.obstacle],
    };
  });
}

type LeafDraft = { readonly draft: Draft; readonly objections: readonly string[] };

async function draftLeaves(
  db: Db,
  scopes: readonly DraftScope[],
  measure: Measure,
  rate: Rate,
): Promise<Map<DraftScope, LeafDraft>> {
  const spans = await withOffers(
    db,
    scopes.flatMap((scope) =>
      scope.periods.map((period) => ({
        ...keyOf(scope.of),
        period,
        below: scope.below,
        untilSeq: scope.isPast ? scope.seq : null,
        scope,
      })),
    ),
  );
  const measured = await measure(db, spans.flatMap(windowsOf));
  const existing = await loadExisting(db, spans);
  const others = await loadOtherCharges(db, spans, measure);
  const bindings = await loadBindings(
    db,
    scopes.map((scope) => ({ ...keyOf(scope.of), period: scope.period })),
  );
  const charges = new Map<DraftScope, { expected: Charge[]; objections: string[] }>();
  spans.forEach(({ scope, period, offers }, i) => {
    const facts = {
      account: scope.of.account,
      period,
      offers,
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
  return new Map(
    scopes.map((scope) => {
      const made = draft({
        account: scope.of.account,
        period: scope.period,
        expected: charges.get(scope)?.expected ?? [],
        existing: (existing.get(textOf(scope.of)) ?? []).filter((one) =>
          scope.periods.some((period) => contains(period, one.period.startsAt)),
        ),
        offers: spans.flatMap((span) => (span.scope === scope ? span.offers : [])),
        priceBook: scope.priceBook,
        parties: scope.parties,
        bindings: bindings.get(textOf(scope.of)) ?? [],
        watermark: { seq: scope.seq },
        leaveOut: scope.leaveOut,
      });
      return [scope, { draft: made, objections: charges.get(scope)?.objections ?? [] }];
    }),
  );
}

type ScopedSpan = ChargeSpan & { readonly scope: DraftScope };

/** Each span with the prices of its account in it: the book's, and those of the plans it was known to hold by the end. */
async function withOffers<T extends ScopedSpan>(
  db: Db,
  spans: readonly T[],
): Promise<(T & { readonly offers: readonly Offer[] })[]> {
  const arePriced = spans.some(({ scope }) => scope.plans.prices.size > 0);
  const histories = arePriced ? await loadSubscriptionHistory(db, spans) : undefined;
  return spans.map((span) => {
    const { offers, plans, of } = span.scope;
    const timelines = histories?.get(textOf(of))?.values() ?? [];
    const held = knownBefore(timelines, span.period.endsAt);
    return { ...span, offers: offersOfSubscriber(offers, plans, held, of.account.currency) };
  });
}

function windowsOf(span: ChargeSpan & { readonly offers: readonly Offer[] }): UsageWindow[] {
  const cuts = priceCuts(span.offers, span.period);
  return span.offers.flatMap(({ meter, versions }) => {
    const edgesOfPrices = isAdditive(meter) ? new Set(edgesOf(versions)) : new Set<Instant>();
    const own = cuts.filter((cut) => edgesOfPrices.has(cut));
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

const paidKeyOf = ({ of, paidBy }: Leaf) => ({ ...keyOf(of), paidBy });
const keyOf = (of: AccountToInvoice): AccountKey => ({
  orgId: of.account.orgId,
  accountId: of.account.accountId,
});
const textOf = (of: AccountToInvoice): string =>
  accountKeyText(of.account.orgId, of.account.accountId);
