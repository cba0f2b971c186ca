import { z } from "@hono/zod-openapi";
import { getAccountToInvoice } from "../../flows/preview-invoice.ts";
import { settleFromCredit } from "../../flows/record-payment.ts";
import { refundCredit } from "../../flows/refund-credit.ts";
import { money } from "../../kit/money.ts";
import { formatInstant } from "../../kit/time.ts";
import { loadCredits, pageCredits } from "../../store/account-credit.ts";
import { accountKeyText } from "../../store/invoice-facts.ts";
import {
  AccountCreditView,
  creditEntryView,
  RefundBody,
  RefundView,
  refundView,
} from "../contract/account-credit.ts";
import { idOrSlug, moneyView, PageQuery, page, positionOf } from "../contract/common.ts";
import { BalanceView, balanceView } from "../contract/payments.ts";
import { type Endpoint, endpoint } from "../endpoint.ts";
import { InvoiceParam, positiveMoney } from "./invoices.ts";

const group = "Payments";
const organization = "/v1/organizations/{organization}";
const AccountParam = z.object({ account: idOrSlug("billing account", "acme-usd") });

const list = endpoint({
  method: "GET",
  path: `${organization}/accounts/{account}/credit`,
  id: "getAccountCredit",
  group,
  summary: "See money of an account that no document has taken yet, and where it came from",
  description:
    "What was paid too much, or credited on something that was paid. The next invoice or debit note takes it.",
  permission: "payments.read",
  params: AccountParam,
  query: PageQuery,
  response: AccountCreditView,
  problems: ["account_not_found"],
  run: async (env, { organization: { id }, params, query }) => {
    const position = positionOf(query.cursor, 2);
    const { account } = await getAccountToInvoice(env, id, params.account);
    const credits = await loadCredits(env.store.db, [account]);
    const rows = await pageCredits(env.store.db, {
      orgId: id,
      accountId: account.accountId,
      after: position && { at: String(position[0]), entryId: String(position[1]) },
      limit: query.limit + 1,
    });
    const balance = credits.get(accountKeyText(id, account.accountId)) ?? 0n;
    return {
      ...page(rows, query.limit, creditEntryView, (row) => [formatInstant(row.at), row.entryId]),
      balance: moneyView(money(account.currency, balance)),
    };
  },
});

const apply = endpoint({
  method: "POST",
  path: `${organization}/invoices/{invoice}/apply-credit`,
  id: "applyCredit",
  group,
  summary: "Settle what is open of a document from its account's credit",
  description: "As far as the credit goes. New documents take it by themselves.",
  permission: "payments.write",
  params: InvoiceParam,
  response: BalanceView,
  problems: [
    "credit_nothing_to_apply",
    "invoice_not_found",
    "invoice_paid_by_another",
    "invoice_status_conflict",
  ],
  run: async (env, { organization: { id }, params, author, now }) =>
    balanceView(await settleFromCredit(env, { orgId: id, invoice: params.invoice }, author, now)),
});

const refund = endpoint({
  method: "POST",
  path: `${organization}/accounts/{account}/credit/refunds`,
  id: "refundCredit",
  group,
  summary: "Send an account's credit back to the payer",
  description:
    "Once, whatever got lost on the way: send an Idempotency-Key, and the same key finds the same refund. To give back a paid invoice, credit it first.",
  permission: "payments.write",
  params: AccountParam,
  body: RefundBody,
  response: RefundView,
  success: 201,
  problems: ["account_not_found", "credit_not_enough", "payment_not_possible"],
  atomic: false,
  run: async (env, { organization: { id }, params, body, headers, author, now }) => {
    const { account } = await getAccountToInvoice(env, id, params.account);
    return refundView(
      await refundCredit(
        env,
        {
          orgId: id,
          account: account.accountId,
          amount:
            body.amount === undefined
              ? null
              : positiveMoney(body.amount, account.currency, "/amount"),
          reference: body.reference ?? null,
          reason: body.reason,
          requestKey: headers.get("idempotency-key") ?? env.id("request"),
        },
        author,
        now,
      ),
    );
  },
});

export const accountCreditRoutes: readonly Endpoint[] = [list, apply, refund];
