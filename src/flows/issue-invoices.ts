import {
  type DocumentKind,
  type Draft,
  finalize,
  finalizeStatement,
  type Issued,
  type IssuedContent,
  isEmpty,
  type Notes,
  seriesFor,
} from "../domain/invoicing/index.ts";
import { payersMark } from "../domain/accounts/index.ts";
import type { MakeId } from "../kit/ids.ts";
import { formatMoney, minus, type Money } from "../kit/money.ts";
import type { Instant } from "../kit/time.ts";
import type { Database, Tx } from "../store/connect.ts";
import { loadPayerBook } from "../store/account-payers.ts";
import { accountKeyText } from "../store/invoice-facts.ts";
import {
  insertIssued,
  listInvoiced,
  lockDocuments,
  lockSeries,
  periodKeyText,
  saveSeries,
  type ToInsert,
} from "../store/invoices.ts";
import { transaction } from "../store/transaction.ts";
import { keepCredits, takeCredits } from "./account-credit.ts";
import type { Drafted, DraftScope } from "./draft-invoices.ts";
import { recordLate } from "./notice-late-usage.ts";
import { postDocuments } from "./post-documents.ts";
import { queueDocumentMails } from "./queue-document-mails.ts";

/** What became of one draft. */
export type IssueResult =
  | { readonly kind: "issued"; readonly invoiceId: string; readonly issued: Issued }
  /** The period has its invoice already: this one, from an earlier run. */
  | { readonly kind: "already"; readonly invoiceId: string }
  /** Another document of one of the accounts came in between, or somebody else pays now: draft again. */
  | { readonly kind: "stale" }
  /** Nothing was owed, and the account wants no zero statements. */
  | { readonly kind: "empty" };

type Issuer = { readonly store: { readonly db: Database }; readonly id: MakeId };

/**
 * Issue the periodic invoices of many accounts of one legal entity in one transaction: every number follows the one before
 * it, and if anything fails no number was used. Safe to run again: what was issued stays as it is.
 */
export async function issueInvoices(
  env: Issuer,
  drafted: readonly Drafted[],
  now: Instant,
  createdBy: string,
): Promise<IssueResult[]> {
  if (drafted.length === 0) return [];
  return transaction(env.store.db, async (tx) => {
    const spans = drafted.map(({ scope }) => ({
      orgId: scope.of.account.orgId,
      accountId: scope.of.account.accountId,
      period: scope.period,
    }));
    const last = await lockDocuments(
      tx,
      drafted.flatMap(({ scope }) => [keyOf(scope), ...scope.sections.map(keyOf)]),
    );
    const invoiced = await listInvoiced(tx, spans);
    const payers = await loadPayerBook(tx, spans);
    // An account may stand on its own invoice and on its payer's: they take turns, so that its documents have an order.
    const taken = new Set<string>();
    const isStale = (one: DraftScope): boolean =>
      taken.has(textOf(one)) || (last.get(textOf(one)) ?? 0n) !== one.sequence;
    const results: IssueResult[] = [];
    const toNumber: { at: number; one: Drafted }[] = [];
    drafted.forEach((one, i) => {
      const { orgId, accountId } = one.scope.of.account;
      const there = invoiced.get(periodKeyText(orgId, accountId, one.scope.period.startsAt));
      const onPaper = [one.scope, ...billedSections(one)];
      if (there !== undefined) results[i] = { kind: "already", invoiceId: there };
      else if (
        [one.scope, ...one.scope.sections].some(isStale) ||
        payersMark(payers, textOf(one.scope)) !== one.scope.payers
      )
        results[i] = { kind: "stale" };
      else if (isEmpty(one.draft) && !wantsZeroInvoice(one.scope)) results[i] = { kind: "empty" };
      else {
        for (const scope of onPaper) taken.add(textOf(scope));
        toNumber.push({ at: i, one });
      }
    });
    const issued = await numberAndInsert(
      tx,
      toNumber.map(({ one }) => ({
        invoiceId: env.id("invoice"),
        kind: "invoice" as const,
        draft: one.draft,
        sequence: one.scope.sequence + 1n,
        statements: billedSections(one).map((scope) => ({
          id: env.id("statement"),
          sequence: scope.sequence + 1n,
        })),
        createdBy,
      })),
      now,
    );
    toNumber.forEach(({ at }, i) => {
      const document = issued[i] as Issued;
      results[at] = { kind: "issued", invoiceId: document.invoiceId, issued: document };
    });
    for (const [at, { scope, draft }] of drafted.entries()) {
      const result = results[at];
      const isDone = result?.kind === "issued" || result?.kind === "empty";
      if (!isDone || (draft.elsewhere.length === 0 && (scope.openLate ?? []).length === 0))
        continue;
      const billed =
        result.kind === "issued" ? [{ documentId: result.invoiceId, lines: draft.lines }] : [];
      await recordLate(tx, env.id, scope, { elsewhere: draft.elsewhere, billed }, now);
    }
    return results;
  });
}

const keyOf = ({ of }: DraftScope) => ({
  orgId: of.account.orgId,
  accountId: of.account.accountId,
});
const textOf = (scope: DraftScope): string => {
  const { orgId, accountId } = keyOf(scope);
  return accountKeyText(orgId, accountId);
};

/** The scopes of a draft's statements, in their order. */
const billedSections = ({ scope, draft }: Drafted): DraftScope[] =>
  (draft.statements ?? []).flatMap(
    (statement) => scope.sections.find((one) => textOf(one) === keyTextOf(statement)) ?? [],
  );
const keyTextOf = ({ account }: Draft): string => accountKeyText(account.orgId, account.accountId);

// An account that others pay for throughout the period has nothing to state.
const wantsZeroInvoice = ({ of, period, periods }: DraftScope): boolean =>
  of.account.zeroInvoices && periods.some((part) => part.startsAt >= period.startsAt);

/** A document about to get its number. Its account is locked by `lockDocuments`. */
export type Numberable = {
  readonly invoiceId: string;
  readonly kind: DocumentKind;
  readonly draft: Draft;
  readonly sequence: bigint;
  readonly note?: Pick<IssuedContent, "corrects" | "reason">;
  readonly reasonCode?: string;
  /** For each statement of a consolidated draft, in their order; their accounts are locked too. */
  readonly statements?: readonly { readonly id: string; readonly sequence: bigint }[];
  /** It corrects a debt that was given up: see `postDocuments`. */
  readonly ofBadDebt?: boolean;
  readonly createdBy: string;
};

/** Give documents the next numbers of their series, store them, book them and queue their mails. Series are locked in the order of their names. */
export async function numberAndInsert(
  tx: Tx,
  documents: readonly Numberable[],
  now: Instant,
): Promise<Issued[]> {
  const bySeries = new Map<string, { at: number; one: Numberable }[]>();
  documents.forEach((one, at) => {
    const { legalEntity, series } = seriesFor(one.draft.account.legalEntity, one.kind);
    const key = `${legalEntity}\n${series}`;
    bySeries.set(key, [...(bySeries.get(key) ?? []), { at, one }]);
  });
  const taken = await takeCredits(tx, documents);
  const issued: Issued[] = [];
  const rows: ToInsert[] = [];
  for (const [, same] of [...bySeries].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    const first = same[0]?.one as Numberable;
    const series = seriesFor(first.draft.account.legalEntity, first.kind);
    let n = await lockSeries(tx, series);
    for (const { at, one } of same) {
      n += 1n;
      const { invoiceId, kind } = one;
      const document = finalize(
        one.draft,
        { invoiceId, kind, series, n },
        now,
        notesOf(one, taken[at] as Money),
      );
      issued[at] = document;
      rows.push({
        issued: document,
        sequence: one.sequence,
        createdBy: one.createdBy,
        ...(one.note?.corrects ? { correctsId: one.note.corrects.id } : {}),
        ...(one.reasonCode ? { reasonCode: one.reasonCode } : {}),
      });
      (one.statements ?? []).forEach(({ id, sequence }, index) =>
        rows.push({
          issued: finalizeStatement(document, index, id),
          sequence,
          createdBy: one.createdBy,
          statementOf: document.invoiceId,
        }),
      );
    }
    await saveSeries(tx, series, n);
  }
  await insertIssued(tx, rows);
  const ofBadDebt = documents.filter((one) => one.ofBadDebt).map((one) => one.invoiceId);
  await postDocuments(
    tx,
    rows.map((row) => row.issued),
    now,
    new Set(ofBadDebt),
  );
  await keepCredits(tx, issued, taken, { ofBadDebt: new Set(ofBadDebt), now });
  await queueDocumentMails(tx, issued, now);
  return issued;
}

function notesOf({ note = {}, draft }: Numberable, applied: Money): Notes {
  if (applied.minor === 0n) return note;
  const due = formatMoney(minus(draft.total, applied));
  return { ...note, account_credit: { applied: formatMoney(applied), due } };
}
