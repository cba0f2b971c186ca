import type { Author } from "../domain/audit/index.ts";
import { address, book, move, moneyAmount } from "../domain/ledger/index.ts";
import type { ChargeOutcome } from "../domain/payments/index.ts";
import { Problem } from "../domain/refusals/index.ts";
import { assert } from "../kit/assert.ts";
import { formatMoney, type Money, money, negated } from "../kit/money.ts";
import type { Instant } from "../kit/time.ts";
import { insertCredits, loadCredits } from "../store/account-credit.ts";
import { appendAudit } from "../store/audit.ts";
import type { Tx } from "../store/connect.ts";
import { accountKeyText } from "../store/invoice-facts.ts";
import { lockDocuments } from "../store/invoices.ts";
import { appendTransactions } from "../store/journal.ts";
import {
  findRefundByKey,
  insertRefund,
  listPendingRefunds,
  lockRefund,
  markRefund,
  type Refund,
} from "../store/refunds.ts";
import { transaction } from "../store/transaction.ts";
import { derivedId } from "./account-credit.ts";
import type { Env } from "./env.ts";
import { getAccountToInvoice } from "./preview-invoice.ts";

export type RefundOrder = {
  readonly orgId: string;
  readonly account: string;
  /** Null: all the credit there is. */
  readonly amount: Money | null;
  /** How the transfer is called when it was made by hand; null: the card processor is asked. */
  readonly reference: string | null;
  readonly reason: string;
  /** Asked again under the same name, it is the same refund. */
  readonly requestKey: string;
};

/**
 * Send money back out of an account's credit. The refund is recorded, and the credit used, before anybody is asked to pay; the
 * processor is asked under the refund's own id, so that whatever answer got lost, money goes back once.
 */
export async function refundCredit(
  env: Env,
  order: RefundOrder,
  author: Author,
  now: Instant,
): Promise<Refund> {
  if (order.reference === null && !env.payments) throw new Problem("payment_not_possible");
  const { account } = await getAccountToInvoice(env, order.orgId, order.account);
  const of = { orgId: account.orgId, accountId: account.accountId };
  const refund = await transaction(env.store.db, async (tx) => {
    await lockDocuments(tx, [of]);
    const before = await findRefundByKey(tx, { ...of, requestKey: order.requestKey });
    if (before) return before;
    const credits = await loadCredits(tx, [of]);
    const available = money(
      account.currency,
      credits.get(accountKeyText(of.orgId, of.accountId)) ?? 0n,
    );
    const amount = order.amount ?? available;
    if (amount.minor <= 0n || amount.minor > available.minor)
      throw new Problem("credit_not_enough", `${formatMoney(available)} can be refunded`);
    const made: Refund = {
      ...of,
      refundId: env.id("refund"),
      amount,
      status: order.reference === null ? "pending" : "succeeded",
      via: order.reference === null ? (env.payments?.name ?? "card") : "bank",
      reference: order.reference,
      reason: order.reason,
      requestKey: order.requestKey,
      createdAt: now,
      createdBy: author.actor.id,
      settledAt: order.reference === null ? null : now,
    };
    await insertRefund(tx, made);
    await moveCredit(tx, made, "refund", now);
    await appendAudit(tx, env.id, of.orgId, [
      {
        at: now,
        author: { ...author, reason: order.reason },
        action: "refund.made",
        target: { kind: "account", id: of.accountId },
        before: null,
        after: { refund: made.refundId, amount: formatMoney(amount) },
      },
    ]);
    return made;
  });
  return refund.status === "pending" ? send(env, refund, now) : refund;
}

const refundsPerRun = 200;

/** Ask about refunds whose outcome was never heard, and ask for them again: under the same name nothing happens twice. */
export async function settlePendingRefunds(
  env: Env,
  of: { readonly orgId?: string } = {},
): Promise<number> {
  let settled = 0;
  for (const refund of await listPendingRefunds(env.store.db, { ...of, limit: refundsPerRun }))
    if ((await send(env, refund, env.now())).status !== "pending") settled += 1;
  return settled;
}

async function send(env: Env, refund: Refund, now: Instant): Promise<Refund> {
  if (!env.payments) return refund;
  const outcome =
    (await env.payments.find(refund.refundId)) ??
    (await env.payments.refund({
      key: refund.refundId,
      accountId: refund.accountId,
      amount: refund.amount,
      description: refund.reason,
    }));
  return outcome.kind === "unknown" ? refund : settle(env, refund, outcome, now);
}

async function settle(
  env: Env,
  refund: Refund,
  outcome: Exclude<ChargeOutcome, { kind: "unknown" }>,
  now: Instant,
): Promise<Refund> {
  return transaction(env.store.db, async (tx) => {
    const held = await lockRefund(tx, refund.orgId, refund.refundId);
    assert(held, "refunds are never deleted");
    if (held.status !== "pending") return held;
    const after: Refund =
      outcome.kind === "succeeded"
        ? { ...held, status: "succeeded", reference: outcome.reference, settledAt: now }
        : { ...held, status: "declined", reference: null, settledAt: now };
    await markRefund(tx, held, { status: after.status, reference: after.reference, at: now });
    if (after.status === "declined") await moveCredit(tx, held, "refund_failed", now);
    return after;
  });
}

/** Use the credit of a refund, or give it back, with the books. */
async function moveCredit(
  tx: Tx,
  refund: Refund,
  cause: "refund" | "refund_failed",
  now: Instant,
): Promise<void> {
  const { orgId, accountId, refundId, amount } = refund;
  const given = cause === "refund" ? negated(amount) : amount;
  const entryId = derivedId("crd", `${cause} ${refundId}`);
  await insertCredits(tx, [
    { orgId, accountId, entryId, amount: given, cause, sourceId: refundId, at: now },
  ]);
  await appendTransactions(
    tx,
    orgId,
    [
      book({
        id: derivedId("txn", entryId),
        cause: `${cause}:${refundId}`,
        at: now,
        description: cause === "refund" ? "refund of account credit" : "refund declined",
        policyVersion: 1,
        reverses: null,
        postings: move(
          address("deposits", accountId),
          address("cash", refund.via),
          moneyAmount(given),
        ),
      }),
    ],
    now,
  );
}
