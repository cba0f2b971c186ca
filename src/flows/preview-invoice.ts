import { type Draft, periodAt, type Stage, stageOf } from "../domain/invoicing/index.ts";
import { payerAt } from "../domain/accounts/index.ts";
import { Problem } from "../domain/refusals/index.ts";
import type { Instant, Period } from "../kit/time.ts";
import { accountKeyOf, loadPayerBook } from "../store/account-payers.ts";
import { getCatalog } from "../store/catalog.ts";
import {
  accountKeyText,
  findAccountToInvoice,
  listAccountsToInvoice,
  type AccountToInvoice,
} from "../store/invoice-facts.ts";
import { snapshot } from "../store/transaction.ts";
import { type Drafted, draftInvoices } from "./draft-invoices.ts";
import type { Env } from "./env.ts";

export type Preview = {
  readonly stage: Stage;
  readonly draft: Draft;
  readonly contradictions: readonly string[];
};

/** What the invoice of a period would be if nothing more arrived: the running period unless another moment is named. */
export async function previewInvoice(
  env: Env,
  orgId: string,
  account: string,
  now: Instant,
  at: Instant = now,
): Promise<Preview> {
  const { drafted, of } = await draftFor(env, orgId, account, now, at);
  const stage = stageOf(of.account, drafted.scope.period, now);
  const payer = await payerOf(env, of, drafted.scope.period);
  const part =
    payer &&
    (
      await draftFor(env, payer.account.orgId, payer.account.accountId, now, at)
    ).drafted.draft.statements?.find(
      (statement) => statement.account.accountId === of.account.accountId,
    );
  return { stage, draft: part ?? drafted.draft, contradictions: drafted.contradictions };
}

/** Who is asked for an account's money at the end of a period, when it is not the account itself. */
async function payerOf(
  env: Env,
  { account }: AccountToInvoice,
  period: Period,
): Promise<AccountToInvoice | undefined> {
  const key = accountKeyText(account.orgId, account.accountId);
  const book = await loadPayerBook(env.store.db, [account]);
  const payer = payerAt(book, key, (period.endsAt - 1) as Instant);
  if (payer === key) return undefined;
  const [of] = await listAccountsToInvoice(env.store.db, [accountKeyOf(payer)]);
  return of;
}

/** The draft of the period that contains a moment, for an account by id or slug. */
async function draftFor(
  env: Env,
  orgId: string,
  account: string,
  now: Instant,
  at: Instant,
): Promise<{ of: AccountToInvoice; drafted: Drafted }> {
  const catalog = await getCatalog(env.store);
  const of = await getAccountToInvoice(env, orgId, account);
  const period = periodAt(of.account.calendar, at);
  const [drafted] = await snapshot(env.store.db, (db) =>
    draftInvoices(db, catalog, [
      { of, period, foldsOlder: stageOf(of.account, period, now) === "due" },
    ]),
  );
  return { of, drafted: drafted as Drafted };
}

/** The account by id or slug, or the refusal. */
export async function getAccountToInvoice(
  env: Env,
  orgId: string,
  account: string,
): Promise<AccountToInvoice> {
  const of = await findAccountToInvoice(env.store.db, orgId, account);
  if (!of) throw new Problem("account_not_found", `there is no billing account ${account}`);
  return of;
}
