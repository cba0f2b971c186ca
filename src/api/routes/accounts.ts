import type { BillingAccount } from "../../domain/accounts/index.ts";
import { choosePayer, readPayers } from "../../flows/choose-payer.ts";
import { Problem } from "../../domain/refusals/index.ts";
import type { Env } from "../../flows/env.ts";
import {
  type AccountProfile,
  archiveAccount,
  assignPriceBook,
  clearSuspensionCause,
  destroyAccount,
  editAccount,
  getAccount,
  grantTerms,
  moveAccount,
  openAccount,
  reactivateAccount,
  readConditions,
  suspendAccount,
} from "../../flows/manage-accounts.ts";
import { currency } from "../../kit/currency.ts";
import { listAccounts } from "../../store/accounts.ts";
import {
  AccountEditBody,
  AccountParam,
  AccountView,
  accountView,
  NewAccountBody,
  ParentBody,
  PayerBody,
  PayersView,
  payersView,
  PriceBookBody,
  profileOf,
  ReasonBody,
  SuspendBody,
  TermsShape,
  termsOf,
} from "../contract/accounts.ts";
import { PageQuery, page, pageOf, positionOf } from "../contract/common.ts";
import { type Endpoint, endpoint } from "../endpoint.ts";

const group = "Billing accounts";
const base = "/v1/organizations/{organization}/accounts";
const one = `${base}/{account}`;

const view = async (env: Env, account: BillingAccount) =>
  accountView(account, await readConditions(env, account));

const list = endpoint({
  method: "GET",
  path: base,
  id: "listAccounts",
  group,
  summary: "List billing accounts",
  permission: "accounts.read",
  query: PageQuery,
  response: pageOf(AccountView),
  run: async (env, { organization, query }) => {
    const afterId = positionOf(query.cursor, 1)?.[0]?.toString();
    const accounts = await listAccounts(env.store.db, organization.id, {
      afterId,
      limit: query.limit + 1,
    });
    const conditions = new Map(
      await Promise.all(
        accounts
          .slice(0, query.limit)
          .map(async (account) => [account.id, await readConditions(env, account)] as const),
      ),
    );
    return page(
      accounts,
      query.limit,
      (account) => accountView(account, conditions.get(account.id) ?? []),
      (account) => [account.id],
    );
  },
});

const open = endpoint({
  method: "POST",
  path: base,
  id: "openAccount",
  group,
  summary: "Open a billing account: a payer",
  description:
    "It is `provisioning` until it can pay. With the permission accounts.terms, terms can be granted with it, and it is `ready` at once.",
  permission: "accounts.write",
  body: NewAccountBody,
  response: AccountView,
  success: 201,
  problems: ["slug_taken", "permission_missing"],
  run: async (env, { caller, author, organization, body }) => {
    if (body.terms && !caller.permissions.has("accounts.terms"))
      throw new Problem(
        "permission_missing",
        "Terms are granted by staff: leave terms out, or use a key with the permission accounts.terms.",
        {
          facts: { permission: "accounts.terms" },
        },
      );
    const { slug, terms, ...rest } = body;
    const profile = profileOf(rest) as AccountProfile;
    const given = terms ? termsOf(terms, currency(body.currency)) : null;
    return view(env, await openAccount(env, author, organization.id, { ...profile, slug }, given));
  },
});

const get = endpoint({
  method: "GET",
  path: one,
  id: "getAccount",
  group,
  summary: "See one billing account with its conditions",
  permission: "accounts.read",
  params: AccountParam,
  response: AccountView,
  problems: ["account_not_found"],
  run: async (env, { organization, params }) =>
    view(env, await getAccount(env.store.db, organization.id, params.account)),
});

const edit = endpoint({
  method: "PATCH",
  path: one,
  id: "editAccount",
  group,
  summary: "Change what an organization may say about its account",
  description:
    "The currency is fixed once the account was ready; zone, invoice day and cycle once it has usage or invoices.",
  permission: "accounts.write",
  params: AccountParam,
  body: AccountEditBody,
  response: AccountView,
  problems: [
    "account_not_found",
    "account_archived",
    "account_currency_fixed",
    "account_periods_fixed",
  ],
  run: async (env, { author, organization, params, body }) =>
    view(env, await editAccount(env, author, organization.id, params.account, profileOf(body))),
});

const terms = endpoint({
  method: "PUT",
  path: `${one}/terms`,
  id: "grantTerms",
  group,
  summary: "Grant payment terms, or change them",
  description:
    "Net 0 to 90 days and a credit limit. Later invoices follow; issued ones stay as they are.",
  permission: "accounts.terms",
  params: AccountParam,
  body: TermsShape,
  response: AccountView,
  problems: ["account_not_found", "account_archived"],
  run: async (env, { author, organization, params, body }) => {
    const account = await getAccount(env.store.db, organization.id, params.account);
    const given = termsOf(body, account.currency);
    return view(env, await grantTerms(env, author, organization.id, account.id, given));
  },
});

const book = endpoint({
  method: "PUT",
  path: `${one}/price-book`,
  id: "assignPriceBook",
  group,
  summary: "Let an account buy from another price book of its currency",
  permission: "accounts.terms",
  params: AccountParam,
  body: PriceBookBody,
  response: AccountView,
  problems: ["account_not_found", "price_book_not_found", "price_book_currency"],
  run: async (env, { author, organization, params, body }) =>
    view(env, await assignPriceBook(env, author, organization.id, params.account, body.price_book)),
});

const parent = endpoint({
  method: "PUT",
  path: `${one}/parent`,
  id: "moveAccount",
  group,
  summary: "Let another account of the organization pay for this one from now on",
  description:
    "The account's usage stands in a section of its own on the parent's invoice. For another moment, or an account of the partner above, use payers.",
  permission: "accounts.write",
  params: AccountParam,
  body: ParentBody,
  response: AccountView,
  problems: [
    "account_not_found",
    "account_archived",
    "account_parent_circle",
    "account_parent_too_deep",
    "account_parent_currency",
    "account_periods_differ",
    "payer_change_too_late",
  ],
  run: async (env, { author, organization, params, body }) =>
    view(env, await moveAccount(env, author, organization.id, params.account, body.parent)),
});

const payers = endpoint({
  method: "GET",
  path: `${one}/payers`,
  id: "listPayers",
  group,
  summary: "See who is asked for an account's money, from when to when",
  permission: "accounts.read",
  params: AccountParam,
  response: PayersView,
  problems: ["account_not_found"],
  run: async (env, { organization, params }) =>
    payersView(await readPayers(env.store.db, organization.id, params.account)),
});

const pay = endpoint({
  method: "POST",
  path: `${one}/payers`,
  id: "choosePayer",
  group,
  summary: "Choose who is asked for an account's money from a moment on",
  description:
    "The payer is an account of the same organization or of one above it, with the same currency and the same periods. From then on this account " +
    "has a section on the payer's invoice, taxed as the payer is, and a statement of its own on which nothing is due. What documents charged before stays.",
  permission: "accounts.write",
  params: AccountParam,
  body: PayerBody,
  response: PayersView,
  success: 201,
  problems: [
    "account_not_found",
    "account_archived",
    "account_parent_circle",
    "account_parent_too_deep",
    "account_parent_currency",
    "account_periods_differ",
    "payer_change_too_late",
    "payer_change_unaligned",
    "payer_not_above",
  ],
  run: async (env, { caller, author, organization, params, body }) =>
    payersView(
      await choosePayer(env, caller, author, organization.id, params.account, {
        payer: body.payer,
        effectiveFrom: body.effective_from ?? null,
      }),
    ),
});

const suspend = endpoint({
  method: "POST",
  path: `${one}/suspend`,
  id: "suspendAccount",
  group,
  summary: "Suspend an account",
  description:
    "Existing bindings stay and usage is still recorded; new bindings are refused and entitlement checks deny.",
  permission: "accounts.status",
  params: AccountParam,
  body: SuspendBody,
  response: AccountView,
  problems: [
    "account_not_found",
    "account_not_ready",
    "account_already_suspended",
    "account_archived",
  ],
  run: async (env, { author, organization, params, body }) =>
    view(
      env,
      await suspendAccount(env, author, organization.id, params.account, body.code, body.reason),
    ),
});

const clear = endpoint({
  method: "POST",
  path: `${one}/clear-cause`,
  id: "clearSuspensionCause",
  group,
  summary: "Record that the cause of a suspension is gone",
  permission: "accounts.status",
  params: AccountParam,
  body: ReasonBody,
  response: AccountView,
  problems: ["account_not_found", "account_not_suspended", "account_archived"],
  run: async (env, { author, organization, params }) =>
    view(env, await clearSuspensionCause(env, author, organization.id, params.account)),
});

const reactivate = endpoint({
  method: "POST",
  path: `${one}/reactivate`,
  id: "reactivateAccount",
  group,
  summary: "Approve the reactivation of a suspended account",
  description: "Needs the cause cleared, by somebody else.",
  permission: "accounts.approve",
  params: AccountParam,
  body: ReasonBody,
  response: AccountView,
  problems: [
    "account_not_found",
    "account_not_suspended",
    "account_archived",
    "account_cause_not_cleared",
    "account_needs_other_approver",
  ],
  run: async (env, { author, organization, params, body }) =>
    view(env, await reactivateAccount(env, author, organization.id, params.account, body.reason)),
});

const archive = endpoint({
  method: "POST",
  path: `${one}/archive`,
  id: "archiveAccount",
  group,
  summary: "Close an account for good",
  description: "Nothing may be bound to it, and nothing may be owed. Its history stays readable.",
  permission: "accounts.approve",
  params: AccountParam,
  body: ReasonBody,
  response: AccountView,
  problems: [
    "account_not_found",
    "account_has_bindings",
    "account_has_balance",
    "account_has_children",
  ],
  run: async (env, { author, organization, params, body }) =>
    view(env, await archiveAccount(env, author, organization.id, params.account, body.reason)),
});

const destroy = endpoint({
  method: "DELETE",
  path: one,
  id: "destroyAccount",
  group,
  summary: "Remove an account with which nothing was ever done",
  permission: "accounts.write",
  params: AccountParam,
  response: null,
  problems: ["account_not_found", "account_has_history"],
  run: async (env, { author, organization, params }) => {
    await destroyAccount(env, author, organization.id, params.account);
    return null;
  },
});

export const accountRoutes: readonly Endpoint[] = [
  list,
  open,
  get,
  edit,
  terms,
  book,
  parent,
  payers,
  pay,
  suspend,
  clear,
  reactivate,
  archive,
  destroy,
];
