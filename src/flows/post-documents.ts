import type { Issued } from "../domain/invoicing/index.ts";
import {
  type Address,
  address,
  book,
  type LedgerTransaction,
  move,
  moneyAmount,
  reversalOf,
} from "../domain/ledger/index.ts";
import {
  bookedDocument,
  bookedLines,
  documentCause,
  earnedAt,
  policyAt,
  postDocument,
  statements,
  transactionId,
  unearn,
} from "../domain/revenue/index.ts";
import { assert } from "../kit/assert.ts";
import type { Money } from "../kit/money.ts";
import type { Instant } from "../kit/time.ts";
import type { Tx } from "../store/connect.ts";
import { accountKeyText } from "../store/invoice-facts.ts";
import type { StoredInvoice } from "../store/invoices.ts";
import { appendBooks, appendTransactions, findTransactionByCause } from "../store/journal.ts";
import { listRecognitionPolicies } from "../store/recognition-policies.ts";
import {
  endSchedules,
  insertSchedules,
  lockSchedules,
  type StoredSchedule,
} from "../store/revenue-schedules.ts";
import {
  deleteUnbilled,
  listUnbilled,
  saveUnbilled,
  unbilledByCause,
  type UnbilledCharge,
} from "../store/unbilled.ts";

/**
 * Write the books of documents in the transaction that issues them: a handful of statements, however many there are. A
 * document that exists is in the books, once, whatever happens to the process.
 *
 * `writtenOff` names those that correct a debt which was given up: what they give back was no receivable any more.
 */
export async function postDocuments(
  tx: Tx,
  issued: readonly Issued[],
  now: Instant,
  writtenOff: ReadonlySet<string> = new Set(),
): Promise<void> {
  if (issued.length === 0) return;
  const policies = await listRecognitionPolicies(tx);
  const accrued = await listUnbilled(
    tx,
    issued.map((one) => one.draft.account),
  );
  const posted: { orgId: string; transaction: LedgerTransaction }[] = [];
  const schedules: StoredSchedule[] = [];
  const settled: UnbilledCharge[] = [];
  for (const one of issued) {
    const { account, period } = one.draft;
    const { orgId, accountId } = account;
    const policy = policyAt(policies, period.startsAt);
    const document = bookedDocument(one.content, one.issuedAt, policy);
    const causes = new Set(document.lines.map((line) => line.cause));
    // On the invoice of a period stands all that is owed for it: what was accrued beside that was accrued wrongly.
    const waiting = (accrued.get(accountKeyText(orgId, accountId)) ?? []).filter(
      (charge) =>
        causes.has(charge.cause) ||
        (document.isPeriodic && charge.periodStartsAt === period.startsAt),
    );
    const books = postDocument(
      document,
      unbilledByCause(waiting),
      policy,
      receivableOf(one, writtenOff),
    );
    settled.push(...waiting);
    posted.push(...books.transactions.map((transaction) => ({ orgId, transaction })));
    schedules.push(
      ...books.schedules.map((schedule) => ({
        ...schedule,
        orgId,
        accountId,
        invoiceId: one.invoiceId,
        timeZone: account.calendar.timeZone,
        earnedUntil: period.endsAt,
        policyVersion: policy.version,
      })),
    );
  }
  await appendBooks(tx, posted, now);
  await insertSchedules(tx, schedules);
  await deleteUnbilled(tx, settled);
}

/** Who is asked: the account; of a statement its payer's invoice, where a debt was given up nobody any more. */
function receivableOf(
  { kind, invoiceId, draft }: Issued,
  writtenOff: ReadonlySet<string>,
): Address {
  if (kind === "statement") return statements;
  return address(writtenOff.has(invoiceId) ? "bad-debt" : "receivable", draft.account.accountId);
}

/**
 * Undo the books of a document that becomes void: the posting is reversed, its deferral ends. What an invoice had earned stays
 * earned and waits, unbilled, for the next one; what a note had given back is taken again.
 */
export async function postVoid(tx: Tx, invoice: StoredInvoice, now: Instant): Promise<void> {
  const { orgId, invoiceId, accountId, kind, content, period } = invoice;
  const paper = await findTransactionByCause(tx, orgId, documentCause(invoiceId));
  const reversals: LedgerTransaction[] = [];
  const undo = (made: LedgerTransaction | undefined, role: string) => {
    if (made)
      reversals.push(
        reversalOf(made, {
          id: transactionId(invoiceId, role),
          at: now,
          description: `${invoice.number} is void`,
        }),
      );
  };
  undo(paper, "x");
  for (const schedule of await lockSchedules(tx, orgId, invoiceId)) {
    const onPaper = earnedAt(schedule.amount, schedule.over, period.endsAt);
    const taken = unearn(schedule, onPaper, now);
    if (taken.postings.length > 0) reversals.push(taken);
  }
  await endSchedules(tx, orgId, invoiceId);
  if (kind === "invoice" || kind === "statement") {
    const policy = policyAt(await listRecognitionPolicies(tx), period.startsAt);
    await saveUnbilled(
      tx,
      bookedLines(content, policy)
        .filter((line) => line.kind === "charge")
        .map((line) => ({
          orgId,
          accountId,
          cause: line.cause,
          periodStartsAt: period.startsAt,
          sku: line.sku,
          amount: line.earned,
        })),
    );
  } else {
    undo(await findTransactionByCause(tx, orgId, `earned:${invoiceId}`), "y");
  }
  await appendTransactions(tx, orgId, reversals, now);
}

/** A debt that is given up: out of the receivable, into the cost of bad debts. */
export async function postWriteOff(
  tx: Tx,
  invoice: StoredInvoice,
  open: Money,
  now: Instant,
): Promise<void> {
  const { orgId, accountId, invoiceId, number } = invoice;
  assert(open.minor >= 0n, "what is open is never below nothing");
  const given = book({
    id: transactionId(invoiceId, "w"),
    cause: `write-off:${invoiceId}`,
    at: now,
    description: `${number} is given up`,
    policyVersion: 1,
    reverses: null,
    postings: move(
      address("receivable", accountId),
      address("bad-debt", accountId),
      moneyAmount(open),
    ),
  });
  if (given.postings.length > 0) await appendTransactions(tx, orgId, [given], now);
}
