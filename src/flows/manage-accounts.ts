import {
  type AccountEvent,
  type Address,
  type BillingAccount,
  type Condition,
  type Contact,
  type Cycle,
  type EarlyDiscount,
  type LateFee,
  conditionsOf,
  hasHistory,
  mayArchive,
  mayBePaidBy,
  mayEdit,
  mayReactivate,
  type SuspensionCode,
  type TaxId,
  transitions,
} from "../domain/accounts/index.ts";
import type { Author } from "../domain/audit/index.ts";
import { Problem } from "../domain/refusals/index.ts";
import type { Currency } from "../kit/currency.ts";
import { formatDecimal } from "../kit/decimal.ts";
import type { AccountId, OrganizationId } from "../kit/ids.ts";
import type { Money } from "../kit/money.ts";
import { formatMoney } from "../kit/money.ts";
import { formatInstant } from "../kit/time.ts";
import {
  deleteAccount,
  findAccount,
  findBookCurrency,
  getAccountHeight,
  getAccountHistory,
  getClosingFacts,
  getInvoicingFacts,
  insertAccount,
  listAccountLineage,
  lockAccount,
  saveAccount,
} from "../store/accounts.ts";
import { findPayable } from "../store/account-payers.ts";
import { appendAudit } from "../store/audit.ts";
import type { Db, Tx } from "../store/connect.ts";
import { lockOrganization } from "../store/organizations.ts";
import { brokenConstraint, transaction } from "../store/transaction.ts";
import { subscribeToDefaults } from "./change-subscription.ts";
import { changePayer } from "./choose-payer.ts";
import type { Env } from "./env.ts";

/** What whoever runs an organization may say about its accounts. */
export type AccountProfile = {
  readonly name: string;
  readonly currency: Currency;
  readonly timeZone: string;
  readonly invoiceDay: number;
  readonly cycle: Cycle;
  readonly legalName: string | null;
  readonly address: Address | null;
  readonly taxIds: readonly TaxId[];
  readonly contacts: readonly Contact[];
  readonly apEmail: string | null;
  readonly poNumber: string | null;
  readonly language: string;
};

export type GivenTerms = {
  readonly netDays: number;
  readonly creditLimit: Money | null;
  readonly agreementReference: string | null;
  readonly earlyDiscount: EarlyDiscount | null;
  readonly lateFee: LateFee | null;
};

export async function getAccount(
  db: Db,
  organizationId: OrganizationId,
  reference: string,
): Promise<BillingAccount> {
  const account = await findAccount(db, organizationId, reference);
  if (!account) throw notFound(reference);
  return account;
}

const notFound = (reference: string) =>
  new Problem(
    "account_not_found",
    `There is no billing account "${reference}" in this organization.`,
  );

/** An account's conditions: ready, able to pay, invoices in order; each with its reason and since when. */
export async function readConditions(env: Env, account: BillingAccount): Promise<Condition[]> {
  const facts = await getInvoicingFacts(env.store.db, account.organizationId, account.id);
  return conditionsOf(account, facts);
}

/** Open an account. It is provisioning until it can pay; with terms, given by staff, it is ready at once. */
export async function openAccount(
  env: Env,
  author: Author,
  organizationId: OrganizationId,
  asked: AccountProfile & { readonly slug: string },
  terms: GivenTerms | null,
): Promise<BillingAccount> {
  const now = env.now();
  const account: BillingAccount = {
    ...asked,
    id: env.id("account"),
    organizationId,
    priceBook: null,
    terms: terms && { ...terms, grantedAt: now },
    parentId: null,
    status: terms ? "ready" : "provisioning",
    statusReason: terms ? "terms granted" : "waiting for a way to pay",
    statusAt: now,
    activatedAt: terms ? now : null,
    causeCleared: null,
    createdAt: now,
  };
  try {
    await transaction(env.store.db, async (tx) => {
      await insertAccount(tx, account);
      await record(env, tx, author, "account.opened", null, account);
      await subscribeToDefaults(
        { ...env, store: { ...env.store, db: tx } },
        { ...author, reason: "default plan" },
        account,
      );
    });
  } catch (error) {
    if (brokenConstraint(error) === "billing_account_slug_once_per_organization")
      throw new Problem("slug_taken", `This organization already has an account "${asked.slug}".`);
    throw error;
  }
  return account;
}

export async function editAccount(
  env: Env,
  author: Author,
  organizationId: OrganizationId,
  reference: string,
  edit: Partial<AccountProfile>,
): Promise<BillingAccount> {
  return change(env, author, organizationId, reference, "account.edited", async (before, tx) => {
    const history = await getAccountHistory(tx, organizationId, before.id);
    const refusal = mayEdit(before, history, edit);
    if (refusal) throw new Problem(refusal);
    return { ...before, ...edit };
  });
}

/** Grant terms, or change them. Invoices already issued keep the terms they were issued under. */
export async function grantTerms(
  env: Env,
  author: Author,
  organizationId: OrganizationId,
  reference: string,
  terms: GivenTerms,
): Promise<BillingAccount> {
  return change(env, author, organizationId, reference, "account.terms_granted", (before) => {
    const granted = {
      ...before,
      terms: { ...terms, grantedAt: before.terms?.grantedAt ?? env.now() },
    };
    return step(env, granted, "become_payment_ready", "terms granted");
  });
}

/** Let an account buy from another price book of its currency; null for the retail book. */
export async function assignPriceBook(
  env: Env,
  author: Author,
  organizationId: OrganizationId,
  reference: string,
  book: string | null,
): Promise<BillingAccount> {
  return change(
    env,
    author,
    organizationId,
    reference,
    "account.price_book_set",
    async (before, tx) => {
      if (book !== null) {
        const currency = await findBookCurrency(tx, book);
        if (currency === undefined) throw new Problem("price_book_not_found");
        if (currency !== before.currency) throw new Problem("price_book_currency");
      }
      return { ...before, priceBook: book };
    },
  );
}

export async function suspendAccount(
  env: Env,
  author: Author,
  organizationId: OrganizationId,
  reference: string,
  code: SuspensionCode,
  reason: string,
): Promise<BillingAccount> {
  return change(env, author, organizationId, reference, "account.suspended", (before) => ({
    ...step(env, before, "suspend", `${code}: ${reason}`),
    causeCleared: null,
  }));
}

/** Record that the cause of a suspension is gone. Somebody else then approves the reactivation. */
export async function clearSuspensionCause(
  env: Env,
  author: Author,
  organizationId: OrganizationId,
  reference: string,
): Promise<BillingAccount> {
  return change(env, author, organizationId, reference, "account.cause_cleared", (before) => {
    step(env, before, "clear_cause", before.statusReason);
    return { ...before, causeCleared: { at: env.now(), by: author.actor.id } };
  });
}

export async function reactivateAccount(
  env: Env,
  author: Author,
  organizationId: OrganizationId,
  reference: string,
  reason: string,
): Promise<BillingAccount> {
  return change(env, author, organizationId, reference, "account.reactivated", (before) => {
    const after = step(env, before, "reactivate", reason);
    const refusal = mayReactivate(before.causeCleared, author.actor.id);
    if (refusal) throw new Problem(refusal);
    return { ...after, causeCleared: null };
  });
}

/** Close an account for good: nothing bound to it, nothing owed. Its history stays readable. */
export async function archiveAccount(
  env: Env,
  author: Author,
  organizationId: OrganizationId,
  reference: string,
  reason: string,
): Promise<BillingAccount> {
  return change(env, author, organizationId, reference, "account.archived", async (before, tx) => {
    const after = step(env, before, "archive", reason);
    if (after.status === before.status) return before;
    const facts = await getClosingFacts(tx, organizationId, before.id, env.now());
    const refusal = mayArchive(facts);
    if (refusal) throw new Problem(refusal, undefined, { facts: { standing_in_the_way: facts } });
    return after;
  });
}

/** Let a parent pay for an account from now on, or nobody but itself. */
export async function moveAccount(
  env: Env,
  author: Author,
  organizationId: OrganizationId,
  reference: string,
  parent: string | null,
): Promise<BillingAccount> {
  return transaction(env.store.db, async (tx) => {
    // Two moves at once could close a circle that neither sees: they take turns.
    await lockOrganization(tx, organizationId);
    const before = await lockAccount(tx, organizationId, reference);
    if (!before) throw notFound(reference);
    let parentId: AccountId | null = null;
    if (parent !== null) {
      const payer = await getAccount(tx, organizationId, parent);
      const lineage = await listAccountLineage(tx, organizationId, payer.id);
      const height = await getAccountHeight(tx, organizationId, before.id);
      const refusal = mayBePaidBy(before, lineage, height);
      if (refusal) throw new Problem(refusal);
      parentId = payer.id;
    } else if (before.status === "archived") {
      throw new Problem("account_archived");
    }
    const payer = parentId === null ? null : await findPayable(tx, organizationId, parentId);
    await changePayer(env, tx, author, organizationId, before.id, payer ?? null, null);
    const after = { ...before, parentId };
    await saveAccount(tx, after);
    await record(env, tx, author, "account.moved", before, after);
    return after;
  });
}

/** Remove an account with which nothing was ever done. */
export async function destroyAccount(
  env: Env,
  author: Author,
  organizationId: OrganizationId,
  reference: string,
): Promise<void> {
  await transaction(env.store.db, async (tx) => {
    const account = await lockAccount(tx, organizationId, reference);
    if (!account) throw notFound(reference);
    if (hasHistory(await getAccountHistory(tx, organizationId, account.id)))
      throw new Problem("account_has_history");
    try {
      await transaction(tx, () => deleteAccount(tx, organizationId, account.id));
    } catch (error) {
      // Something of another kind still refers to it: a grant, a subscription, a child.
      if (brokenConstraint(error)) throw new Problem("account_has_history");
      throw error;
    }
    await record(env, tx, author, "account.destroyed", account, null);
  });
}

/** Take one step of the life cycle, or refuse with its reason. */
function step(
  env: Env,
  account: BillingAccount,
  event: AccountEvent,
  reason: string,
): BillingAccount {
  const outcome = transitions[account.status][event];
  if (typeof outcome === "object") throw new Problem(outcome.refused);
  if (outcome === "same" || outcome === account.status) return account;
  const now = env.now();
  return {
    ...account,
    status: outcome,
    statusReason: reason,
    statusAt: now,
    activatedAt: outcome === "ready" ? (account.activatedAt ?? now) : account.activatedAt,
  };
}

async function change(
  env: Env,
  author: Author,
  organizationId: OrganizationId,
  reference: string,
  action: string,
  edit: (before: BillingAccount, tx: Tx) => BillingAccount | Promise<BillingAccount>,
): Promise<BillingAccount> {
  return transaction(env.store.db, async (tx) => {
    const before = await lockAccount(tx, organizationId, reference);
    if (!before) throw notFound(reference);
    const after = await edit(before, tx);
    if (after === before) return before;
    await saveAccount(tx, after);
    await record(env, tx, author, action, before, after);
    return after;
  });
}

async function record(
  env: Env,
  tx: Tx,
  author: Author,
  action: string,
  before: BillingAccount | null,
  after: BillingAccount | null,
): Promise<void> {
  const account = after ?? before;
  if (!account) return;
  const at = env.now();
  const target = { kind: "account", id: account.id };
  const change = { at, author, action, target, before: described(before), after: described(after) };
  await appendAudit(tx, env.id, account.organizationId, [change]);
}

const described = (account: BillingAccount | null) =>
  account && {
    slug: account.slug,
    name: account.name,
    currency: account.currency,
    time_zone: account.timeZone,
    price_book: account.priceBook,
    invoice_day: account.invoiceDay,
    cycle: account.cycle,
    net_days: account.terms?.netDays ?? null,
    credit_limit: account.terms?.creditLimit ? formatMoney(account.terms.creditLimit) : null,
    agreement_reference: account.terms?.agreementReference ?? null,
    early_discount: account.terms?.earlyDiscount
      ? `${formatDecimal(account.terms.earlyDiscount.percent)}% within ${account.terms.earlyDiscount.days} days`
      : null,
    late_fee_percent: account.terms?.lateFee
      ? formatDecimal(account.terms.lateFee.percentPerMonth)
      : null,
    parent_id: account.parentId,
    status: account.status,
    status_reason: account.statusReason,
    cause_cleared_at: account.causeCleared ? formatInstant(account.causeCleared.at) : null,
    cause_cleared_by: account.causeCleared?.by ?? null,
    legal_name: account.legalName,
    address: account.address,
    tax_ids: account.taxIds,
    contacts: account.contacts,
    ap_email: account.apEmail,
    po_number: account.poNumber,
    language: account.language,
  };
