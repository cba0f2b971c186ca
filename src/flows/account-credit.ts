import type { Draft, Issued } from "../domain/invoicing/index.ts";
import {
  address,
  book,
  type LedgerTransaction,
  move,
  moneyAmount,
} from "../domain/ledger/index.ts";
import { creditArisen, creditTaken } from "../domain/payments/index.ts";
import { Problem } from "../domain/refusals/index.ts";
import { sha256Hex } from "../kit/hash.ts";
import { formatMoney, type Money, money, negated, nothing } from "../kit/money.ts";
import type { Instant } from "../kit/time.ts";
import {
  appliedMinor,
  arisenMinor,
  type CreditEntry,
  insertCredits,
  loadCredits,
  loadUnsettled,
} from "../store/account-credit.ts";
import type { Tx } from "../store/connect.ts";
import { accountKeyText } from "../store/invoice-facts.ts";
import { markInvoice, type StoredInvoice } from "../store/invoices.ts";
import { appendTransactions } from "../store/journal.ts";

type Numbered = { readonly kind: string; readonly draft: Draft };

/** What each of these documents takes of its account's credit, in their order. Their accounts are held. */
export async function takeCredits(tx: Tx, documents: readonly Numbered[]): Promise<Money[]> {
  const left = await loadCredits(
    tx,
    documents.map((one) => one.draft.account),
  );
  return documents.map(({ kind, draft }) => {
    const { total, account } = draft;
    const key = accountKeyText(account.orgId, account.accountId);
    const available = left.get(key) ?? 0n;
    if (kind === "credit_note" || available <= 0n) return nothing(total.currency);
    const taken = creditTaken(total, money(total.currency, available));
    left.set(key, available - taken.minor);
    return taken;
  });
}

/**
 * Keep the accounts' credit in step with documents that were just stored: what they took is used, and what they give back on
 * something that was settled already, or come to below zero, is the payer's. With the books, in the same transaction.
 */
export async function keepCredits(
  tx: Tx,
  issued: readonly Issued[],
  taken: readonly Money[],
  { ofBadDebt, now }: { readonly ofBadDebt: ReadonlySet<string>; readonly now: Instant },
): Promise<void> {
  const changes: CreditEntry[] = [];
  for (const [i, one] of issued.entries()) {
    const { orgId, accountId } = one.draft.account;
    const of = { orgId, accountId, sourceId: one.invoiceId, at: now };
    const used = taken[i];
    if (used && used.minor > 0n) {
      const entryId = derivedId("crd", `applied ${one.invoiceId}`);
      changes.push({ ...of, entryId, amount: negated(used), cause: "applied" });
      if (used.minor === one.draft.total.minor) await markInvoice(tx, orgId, one.invoiceId, "paid");
    }
    const arisen = await arisenFrom(tx, one);
    if (arisen.minor > 0n)
      changes.push({
        ...of,
        entryId: derivedId("crd", `arisen ${one.invoiceId}`),
        amount: arisen,
        cause: "document",
      });
  }
  await change(tx, changes, ofBadDebt);
}

async function arisenFrom(tx: Tx, { kind, draft, content }: Issued): Promise<Money> {
  const given = negated(draft.total);
  if (given.minor <= 0n) return nothing(given.currency);
  if (kind !== "credit_note" || !content.corrects) return given;
  const unsettled = await loadUnsettled(tx, draft.account.orgId, content.corrects.id);
  return creditArisen(given, money(given.currency, unsettled));
}

/** Use an account's credit for a document that is open, as far as it goes. Returns what was used. */
export async function applyCredit(
  tx: Tx,
  makeId: () => string,
  invoice: StoredInvoice,
  open: Money,
  now: Instant,
): Promise<Money> {
  const { orgId, accountId, invoiceId } = invoice;
  const credits = await loadCredits(tx, [invoice]);
  const available = money(open.currency, credits.get(accountKeyText(orgId, accountId)) ?? 0n);
  const used = creditTaken(open, available);
  if (used.minor === 0n) return used;
  const of = { orgId, accountId, sourceId: invoiceId, at: now };
  await change(tx, [{ ...of, entryId: makeId(), amount: negated(used), cause: "applied" }]);
  return used;
}

/** What a document that is made void leaves behind: the credit it took is free again, what it gave is taken back. */
export async function releaseCredit(tx: Tx, invoice: StoredInvoice, now: Instant): Promise<void> {
  const { orgId, accountId, invoiceId } = invoice;
  const code = invoice.total.currency;
  const applied = await appliedMinor(tx, orgId, invoiceId);
  const amount = money(code, applied - (await arisenMinor(tx, orgId, invoiceId)));
  if (amount.minor === 0n) return;
  const credits = await loadCredits(tx, [invoice]);
  const available = credits.get(accountKeyText(orgId, accountId)) ?? 0n;
  if (available + amount.minor < 0n)
    throw new Problem(
      "credit_used",
      `${formatMoney(negated(amount))} of ${invoice.number} are used already`,
    );
  const entryId = derivedId("crd", `void ${invoiceId}`);
  await change(tx, [
    { orgId, accountId, entryId, amount, cause: "void", sourceId: invoiceId, at: now },
  ]);
}

/** `ofBadDebt` names those sources that correct a debt which was given up: what they give back is no receivable any more. */
async function change(
  tx: Tx,
  entries: readonly CreditEntry[],
  ofBadDebt: ReadonlySet<string> = new Set(),
): Promise<void> {
  if (entries.length === 0) return;
  await insertCredits(tx, entries);
  for (const orgId of new Set(entries.map((entry) => entry.orgId)))
    await appendTransactions(
      tx,
      orgId,
      entries
        .filter((entry) => entry.orgId === orgId)
        .map((entry) => booked(entry, ofBadDebt.has(entry.sourceId) ? "bad-debt" : "receivable")),
      entries[0]?.at as Instant,
    );
}

/** An id that follows from what it is for: the same thing cannot be there twice. */
export const derivedId = (prefix: string, text: string): string =>
  `${prefix}_${sha256Hex(text).slice(0, 20)}`;

/** Credit is a liability; it arises from what is receivable, and what is used of it settles that. */
const booked = (entry: CreditEntry, from: "receivable" | "bad-debt"): LedgerTransaction =>
  book({
    id: derivedId("txn", entry.entryId),
    cause: `account-credit:${entry.entryId}`,
    at: entry.at,
    description: `account credit: ${entry.cause}`,
    policyVersion: 1,
    reverses: null,
    postings: move(
      address("deposits", entry.accountId),
      address(from, entry.accountId),
      moneyAmount(entry.amount),
    ),
  });
