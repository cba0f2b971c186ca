import { earlyDiscountOf } from "../domain/accounts/index.ts";
import type { Author } from "../domain/audit/index.ts";
import {
  address,
  book,
  type LedgerTransaction,
  moneyAmount,
  move,
} from "../domain/ledger/index.ts";
import { askableOf } from "../domain/disputes/index.ts";
import { openOf, settle } from "../domain/payments/index.ts";
import { Problem } from "../domain/refusals/index.ts";
import { decimal } from "../kit/decimal.ts";
import { formatMoney, type Money, money, nothing, sumMoney } from "../kit/money.ts";
import { type Day, dayOf, type Instant } from "../kit/time.ts";
import { assert } from "../kit/assert.ts";
import { appliedMinor, insertCredits } from "../store/account-credit.ts";
import { appendAudit } from "../store/audit.ts";
import type { Db, Tx } from "../store/connect.ts";
import {
  type InvoiceStatus,
  findInvoice,
  listCorrections,
  lockDocuments,
  lockInvoice,
  markInvoice,
  type StoredInvoice,
} from "../store/invoices.ts";
import { withheldMinor } from "../store/disputes.ts";
import { appendTransactions } from "../store/journal.ts";
import { insertPayment, listPayments, type Payment } from "../store/payments.ts";
import { brokenConstraint, transaction } from "../store/transaction.ts";
import { applyCredit } from "./account-credit.ts";
import type { Env } from "./env.ts";
import { refuseStatement } from "./refuse-statement.ts";

export type PaymentOrder = {
  readonly orgId: string;
  /** Id or number. */
  readonly invoice: string;
  readonly amount: Money;
  readonly receivedOn: Day;
  readonly reference: string;
};

/** How an invoice stands: what was paid, forgiven and credited of it, and what is still open. */
export type Balance = {
  readonly invoice: StoredInvoice;
  readonly payments: readonly Payment[];
  readonly credited: Money;
  /** Taken from the account's credit. */
  readonly fromCredit: Money;
  readonly open: Money;
  /** Under dispute and undecided: not asked for until then. */
  readonly disputed: Money;
  /** What may be asked for now. */
  readonly askable: Money;
};

/**
 * Record that money for an invoice came in: all of it, a part, or too much. With the early-payment discount of the terms the
 * invoice was issued under, where it was earned. The books are written in the same transaction.
 */
export async function recordPayment(
  env: Env,
  order: PaymentOrder,
  author: Author,
  now: Instant,
): Promise<{ payment: Payment; balance: Balance }> {
  try {
    return await transaction(env.store.db, async (tx) => {
      const locked = await lockInvoice(tx, order.orgId, order.invoice);
      if (!locked || locked.number === null)
        throw new Problem("invoice_not_found", `there is no invoice ${order.invoice}`);
      refuseStatement(locked);
      refuseUnpayable(locked);
      const before = await balanceOf(tx, locked);
      const offered = discountOffered(locked, before, order.receivedOn);
      const { left, ...became } = settle(before.open, offered, order.amount);
      const payment: Payment = {
        orgId: order.orgId,
        paymentId: env.id("payment"),
        invoiceId: locked.invoiceId,
        accountId: locked.accountId,
        amount: order.amount,
        ...became,
        receivedOn: order.receivedOn,
        reference: order.reference,
        recordedAt: now,
        recordedBy: author.actor.id,
      };
      await insertPayment(tx, payment);
      await appendTransactions(tx, order.orgId, [booked(payment, locked)], env.now());
      await keepExcess(tx, payment);
      const status: InvoiceStatus = left.minor === 0n ? "paid" : locked.status;
      if (status !== locked.status) await markInvoice(tx, order.orgId, locked.invoiceId, status);
      await appendAudit(tx, env.id, order.orgId, [
        {
          at: now,
          author,
          action: "payment.recorded",
          target: { kind: "invoice", id: locked.invoiceId },
          before: { status: locked.status, open: formatMoney(before.open) },
          after: { status, open: formatMoney(left), payment: payment.paymentId },
        },
      ]);
      return { payment, balance: await balanceOf(tx, { ...locked, status }) };
    });
  } catch (error) {
    if (brokenConstraint(error) === "payment_reference_once")
      throw new Problem(
        "payment_recorded",
        `a payment "${order.reference}" of ${order.invoice} is recorded already`,
      );
    throw error;
  }
}

export async function readBalance(db: Db, orgId: string, idOrNumber: string): Promise<Balance> {
  const invoice = await findInvoice(db, orgId, idOrNumber);
  if (!invoice || invoice.number === null)
    throw new Problem("invoice_not_found", `there is no invoice ${idOrNumber}`);
  return balanceOf(db, invoice);
}

export async function balanceOf(db: Db, invoice: StoredInvoice): Promise<Balance> {
  const code = invoice.total.currency;
  const payments = await listPayments(db, invoice.orgId, invoice.invoiceId);
  const notes = await listCorrections(db, invoice.orgId, invoice.invoiceId);
  const credited = sumMoney(
    code,
    notes
      .filter((note) => note.kind === "credit_note" && note.status !== "void")
      .map((note) => ({ currency: code, minor: -note.total.minor })),
  );
  const fromCredit = money(code, await appliedMinor(db, invoice.orgId, invoice.invoiceId));
  const settled = sumMoney(code, [
    ...payments.flatMap((payment) => [payment.applied, payment.discount]),
    fromCredit,
  ]);
  const isOwed =
    invoice.kind !== "credit_note" && invoice.kind !== "statement" && invoice.status !== "void";
  const open = isOwed ? openOf(invoice.total, settled, credited) : nothing(code);
  const disputed = money(code, await withheldMinor(db, invoice.orgId, invoice.invoiceId));
  return {
    invoice,
    payments,
    credited,
    fromCredit,
    open,
    disputed,
    askable: askableOf(open, disputed),
  };
}

/** What is too much stays with the account, and the next document takes it. */
const keepExcess = async (tx: Tx, payment: Payment): Promise<void> => {
  if (payment.excess.minor === 0n) return;
  await insertCredits(tx, [
    {
      orgId: payment.orgId,
      accountId: payment.accountId,
      entryId: `crd_${payment.paymentId.slice(4)}`,
      amount: payment.excess,
      cause: "payment",
      sourceId: payment.paymentId,
      at: payment.recordedAt,
    },
  ]);
};

/** Settle what is open of an invoice from its account's credit, as far as that goes. */
export async function settleFromCredit(
  env: Env,
  order: { readonly orgId: string; readonly invoice: string },
  author: Author,
  now: Instant,
): Promise<Balance> {
  return transaction(env.store.db, async (tx) => {
    const found = await findInvoice(tx, order.orgId, order.invoice);
    if (!found) throw new Problem("invoice_not_found", `there is no invoice ${order.invoice}`);
    await lockDocuments(tx, [found]);
    const locked = await lockInvoice(tx, order.orgId, found.invoiceId);
    assert(locked, "documents are never deleted");
    refuseUnpayable(locked);
    refuseStatement(locked);
    const before = await balanceOf(tx, locked);
    const used = await applyCredit(tx, () => env.id("credit"), locked, before.open, now);
    if (used.minor === 0n)
      throw new Problem(
        "credit_nothing_to_apply",
        `${locked.number} has ${formatMoney(before.open)} open`,
      );
    const status = used.minor === before.open.minor ? "paid" : locked.status;
    if (status !== locked.status) await markInvoice(tx, order.orgId, locked.invoiceId, status);
    await appendAudit(tx, env.id, order.orgId, [
      {
        at: now,
        author,
        action: "account_credit.applied",
        target: { kind: "invoice", id: locked.invoiceId },
        before: { status: locked.status, open: formatMoney(before.open) },
        after: { status, applied: formatMoney(used) },
      },
    ]);
    return balanceOf(tx, { ...locked, status });
  });
}

function refuseUnpayable({ kind, status, number }: StoredInvoice): void {
  if (kind === "credit_note" || status === "void")
    throw new Problem(
      "invoice_status_conflict",
      `${number} is ${kind === "credit_note" ? "a credit note" : "void"} and is not paid`,
    );
}

/** The discount on what the invoice came to without its credits, under the terms it was issued with. */
function discountOffered(invoice: StoredInvoice, { credited, open }: Balance, on: Day): Money {
  const { early_discount: given } = invoice.content.account;
  if (!given || open.minor === 0n) return nothing(open.currency);
  const total = openOf(invoice.total, nothing(open.currency), credited);
  const terms = { percent: decimal(given.percent), days: given.days };
  return earlyDiscountOf(total, terms, dayOf(invoice.content.issued_on), on);
}

/** Money comes in against the receivable; what was forgiven is an expense, what was too much a liability. */
function booked(payment: Payment, { number, status }: StoredInvoice): LedgerTransaction {
  // Of a debt that was given up nothing is receivable any more: what comes in all the same makes the loss smaller.
  const receivable = address(
    status === "uncollectible" ? "bad-debt" : "receivable",
    payment.accountId,
  );
  const bank = address("cash", "bank");
  return book({
    id: `txn_${payment.paymentId.slice(4)}`,
    cause: `invoice-payment:${payment.paymentId}`,
    at: payment.recordedAt,
    description: `payment of ${number}`,
    policyVersion: 1,
    reverses: null,
    postings: [
      ...move(receivable, bank, moneyAmount(payment.applied)),
      ...move(receivable, address("discounts", "EARLY-PAYMENT"), moneyAmount(payment.discount)),
      ...move(address("deposits", payment.accountId), bank, moneyAmount(payment.excess)),
    ],
  });
}
