import type { Instant, Period } from "../../kit/time.ts";
import { intersect } from "../../kit/time.ts";
import { type AccountParentRefusal, accountDepthMax } from "./account.ts";

/** An account wherever it is: "organization/account", both ids. */
export type AccountRef = string;

/**
 * From this moment on another account pays for this one, or, with null, it pays itself again. Never changed: one that is said
 * later replaces, from its own moment on, what was said before.
 */
export type PayerChange = {
  readonly account: AccountRef;
  /** 1, 2, 3 … in the order in which they were said. */
  readonly version: number;
  readonly effectiveFrom: Instant;
  readonly payer: AccountRef | null;
};

/** The changes of the accounts in question that still hold, by when they take effect. An account without any pays for itself. */
export type PayerBook = ReadonlyMap<AccountRef, readonly PayerChange[]>;

export const payerBook = (changes: readonly PayerChange[]): PayerBook => {
  const book = new Map<AccountRef, PayerChange[]>();
  for (const change of changes.toSorted((a, b) => a.version - b.version)) {
    const before = (book.get(change.account) ?? []).filter(
      (one) => one.effectiveFrom < change.effectiveFrom,
    );
    book.set(change.account, [...before, change]);
  }
  return book;
};

/** A span of time in which one account pays for another; the first has no beginning, the last no end. */
export type Stretch = Period & { readonly payer: AccountRef };

const always: Period = {
  startsAt: Number.NEGATIVE_INFINITY as Instant,
  endsAt: Number.POSITIVE_INFINITY as Instant,
};

const directPayerAt = (book: PayerBook, account: AccountRef, at: Instant): AccountRef | null =>
  book.get(account)?.findLast((change) => change.effectiveFrom <= at)?.payer ?? null;

/** An account, who pays for it at a moment, who pays for that one, and so on to whom the invoice goes. Stops at a circle. */
function chainAt(book: PayerBook, account: AccountRef, at: Instant): AccountRef[] {
  const chain = [account];
  for (;;) {
    const next = directPayerAt(book, chain.at(-1) as AccountRef, at);
    if (next === null || chain.includes(next)) return chain;
    chain.push(next);
  }
}

/** Who is asked for an account's money at a moment: the last of those who pay for one another. */
export const payerAt = (book: PayerBook, account: AccountRef, at: Instant): AccountRef =>
  chainAt(book, account, at).at(-1) as AccountRef;

/** An account and everybody who ever paid for it, or for who did. */
function everAbove(book: PayerBook, account: AccountRef): Set<AccountRef> {
  const found = new Set([account]);
  for (const one of found)
    for (const { payer } of book.get(one) ?? []) if (payer !== null) found.add(payer);
  return found;
}

/** All time, cut wherever somebody else begins to be asked for an account's money. */
export function stretchesOf(book: PayerBook, account: AccountRef): Stretch[] {
  const cuts = new Set<Instant>();
  for (const one of everAbove(book, account))
    for (const change of book.get(one) ?? []) cuts.add(change.effectiveFrom);
  const edges = [always.startsAt, ...[...cuts].toSorted((a, b) => a - b), always.endsAt];
  const stretches: Stretch[] = [];
  edges.slice(1).forEach((endsAt, i) => {
    const startsAt = edges[i] as Instant;
    const payer = payerAt(book, account, startsAt);
    const last = stretches.at(-1);
    if (last?.payer === payer) stretches[stretches.length - 1] = { ...last, endsAt };
    else stretches.push({ startsAt, endsAt, payer });
  });
  return stretches;
}

/** The parts of a period in which `payer` is asked for an account's money, oldest first. */
export const paidWithin = (
  stretches: readonly Stretch[],
  payer: AccountRef,
  period: Period,
): Period[] =>
  stretches
    .filter((stretch) => stretch.payer === payer)
    .flatMap((stretch) => {
      const part = intersect(stretch, period);
      return part ? [{ startsAt: part.startsAt, endsAt: part.endsAt }] : [];
    });

/** The accounts, beside itself, for whose money an account was ever asked before a moment. In the order of their ids. */
export const paidFor = (book: PayerBook, payer: AccountRef, before: Instant): AccountRef[] =>
  [...book.keys()]
    .filter(
      (account) =>
        account !== payer &&
        stretchesOf(book, account).some(
          (stretch) => stretch.payer === payer && stretch.startsAt < before,
        ),
    )
    .toSorted();

/** What must be equal for two accounts to stand on one invoice. */
export type Payable = {
  readonly ref: AccountRef;
  readonly currency: string;
  readonly status: string;
  readonly timeZone: string;
  readonly invoiceDay: number;
  readonly cycle: string;
  readonly legalEntity: string;
};

export type PayerRefusal =
  | AccountParentRefusal
  | "account_periods_differ"
  | "payer_change_unaligned"
  | "payer_change_too_late";

export type PayerFacts = {
  readonly account: Payable;
  readonly payer: Payable | null;
  /** The changes of everybody who pays for the payer and of everybody the account pays for. */
  readonly book: PayerBook;
  /** Where the last period of the account with a document ends: what was charged before stays with who paid it. */
  readonly billedUntil: Instant | null;
};

const quarterHour = 15 * 60 * 1_000_000;

/** Decide whether somebody may pay for an account from a moment on: null when so. */
export function mayChangePayer(facts: PayerFacts, effectiveFrom: Instant): PayerRefusal | null {
  const { account, payer, book } = facts;
  if (account.status === "archived" || payer?.status === "archived") return "account_archived";
  if (effectiveFrom % quarterHour !== 0) return "payer_change_unaligned";
  if (facts.billedUntil !== null && effectiveFrom < facts.billedUntil)
    return "payer_change_too_late";
  if (!payer) return null;
  // One invoice, one currency: nothing is ever converted behind anybody's back.
  if (payer.currency !== account.currency) return "account_parent_currency";
  if (!havePeriodsInCommon(account, payer)) return "account_periods_differ";
  const change = {
    account: account.ref,
    version: Number.MAX_SAFE_INTEGER,
    effectiveFrom,
    payer: payer.ref,
  };
  return faultOfChains(payerBook([...[...book.values()].flat(), change]), effectiveFrom);
}

const havePeriodsInCommon = (a: Payable, b: Payable): boolean =>
  a.timeZone === b.timeZone &&
  a.invoiceDay === b.invoiceDay &&
  a.cycle === b.cycle &&
  a.legalEntity === b.legalEntity;

// A change may close a circle or make a chain too long only later, when one that was recorded for then takes effect.
function faultOfChains(book: PayerBook, from: Instant): PayerRefusal | null {
  const changes = [...book.values()].flat();
  const moments = new Set(
    [from, ...changes.map((one) => one.effectiveFrom)].filter((at) => at >= from),
  );
  for (const at of moments)
    for (const account of book.keys()) {
      const chain = chainAt(book, account, at);
      if (directPayerAt(book, chain.at(-1) as AccountRef, at) !== null)
        return "account_parent_circle";
      if (chain.length > accountDepthMax) return "account_parent_too_deep";
    }
  return null;
}

/** The changes that an account's documents follow from, as text: equal texts, equal payers. */
export const payersMark = (book: PayerBook, account: AccountRef): string =>
  [account, ...paidFor(book, account, always.endsAt)]
    .map((one) =>
      stretchesOf(book, one)
        .map((stretch) => `${one}@${stretch.startsAt}=${stretch.payer}`)
        .join(","),
    )
    .join(";");
