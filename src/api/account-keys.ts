import type { Caller } from "../domain/access/index.ts";
import type { Organization } from "../domain/accounts/index.ts";
import { Problem } from "../domain/refusals/index.ts";
import { findAccount } from "../store/accounts.ts";
import type { Db } from "../store/connect.ts";
import { findDispute } from "../store/disputes.ts";
import { findInvoice } from "../store/invoices.ts";
import { findSubscription } from "../store/subscriptions.ts";
import type { Endpoint } from "./endpoint.ts";

type Params = Readonly<Record<string, string>>;

/**
 * Keep a key of one billing account to that account. What belongs to another account is not there for it; an address that
 * names no account, and lists of everybody's, are refused, so that a new address is closed until it says whose it is.
 */
export async function keepToAccount(
  db: Db,
  route: Endpoint,
  caller: Caller,
  organization: Organization | undefined,
  params: Params,
): Promise<void> {
  const own = caller.accountId;
  if (own === null || (!organization && route.permission === "any_key")) return;
  if (!organization) throw limited();
  for (const [member, whose] of owners) {
    const named = params[member];
    if (named === undefined) continue;
    if ((await whose.find(db, organization.id, named)) === own) return;
    throw new Problem(whose.missing);
  }
  if (!namesAccount(route)) throw limited();
}

/** The query of such a key: lists that can be asked for one account are asked for its own. */
export async function queryOfAccount<Q extends object>(
  db: Db,
  route: Endpoint,
  caller: Caller,
  organization: Organization | undefined,
  query: Q,
): Promise<Q> {
  if (caller.accountId === null || !organization || !namesAccount(route)) return query;
  const asked = (query as { account?: string }).account;
  const found = asked === undefined ? undefined : await findAccount(db, organization.id, asked);
  if (asked !== undefined && found?.id !== caller.accountId) throw limited();
  return { ...query, account: caller.accountId };
}

const namesAccount = (route: Endpoint): boolean =>
  route.method === "GET" && "account" in route.query.shape;

const limited = () => new Problem("key_limited_to_account");

type Owner = {
  readonly missing:
    | "account_not_found"
    | "invoice_not_found"
    | "subscription_not_found"
    | "dispute_not_found";
  find(db: Db, orgId: Organization["id"], named: string): Promise<string | undefined>;
};

/** Whose a thing is that an address names. */
const owners: readonly (readonly [string, Owner])[] = [
  [
    "account",
    {
      missing: "account_not_found",
      find: async (db, orgId, named) => (await findAccount(db, orgId, named))?.id,
    },
  ],
  [
    "invoice",
    {
      missing: "invoice_not_found",
      find: async (db, orgId, named) => (await findInvoice(db, orgId, named))?.accountId,
    },
  ],
  [
    "subscription",
    {
      missing: "subscription_not_found",
      find: async (db, orgId, named) =>
        (await findSubscription(db, orgId, named))?.subscription.accountId,
    },
  ],
  [
    "dispute",
    {
      missing: "dispute_not_found",
      find: async (db, orgId, named) => (await findDispute(db, orgId, named))?.accountId,
    },
  ],
];
