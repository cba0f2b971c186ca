import { z } from "@hono/zod-openapi";
import { decideLateUsage } from "../../flows/decide-late-usage.ts";
import { issueLateUsage } from "../../flows/issue-late-usage.ts";
import { getAccountToInvoice } from "../../flows/preview-invoice.ts";
import { formatInstant } from "../../kit/time.ts";
import { pageLate } from "../../store/late-usage.ts";
import { idOrSlug, PageQuery, page, pageOf, positionOf } from "../contract/common.ts";
import { FullInvoiceView, fullInvoiceView, ReasonBody } from "../contract/invoices.ts";
import {
  ApproveLateBody,
  lateStatusQuery,
  LateUsageParam,
  LateUsageView,
  lateUsageView,
} from "../contract/late-usage.ts";
import { type Endpoint, endpoint } from "../endpoint.ts";

const group = "Late usage";
const organization = "/v1/organizations/{organization}";
const one = `${organization}/late-usage/{late_usage}`;

const list = endpoint({
  method: "GET",
  path: `${organization}/late-usage`,
  id: "listLateUsage",
  group,
  summary: "List late usage that goes another way than the next invoice, oldest first",
  description:
    "Noticed every hour, and with every invoice of its account. What its meter holds has the status `waiting`.",
  permission: "invoices.read",
  query: PageQuery.extend({
    account: idOrSlug("billing account", "acme-usd").optional(),
    status: lateStatusQuery,
  }),
  response: pageOf(LateUsageView),
  problems: ["account_not_found"],
  run: async (env, { organization: { id }, query }) => {
    const position = positionOf(query.cursor, 2);
    const of = query.account ? await getAccountToInvoice(env, id, query.account) : undefined;
    const rows = await pageLate(env.store.db, {
      orgId: id,
      accountId: of?.account.accountId,
      status: query.status,
      after: position && { noticedAt: String(position[0]), lateId: String(position[1]) },
      limit: query.limit + 1,
    });
    return page(rows, query.limit, lateUsageView, (row) => [
      formatInstant(row.noticedAt),
      row.lateId,
    ]);
  },
});

const decisions = [
  "invoice_not_verified",
  "late_usage_changed",
  "late_usage_not_found",
  "late_usage_status_conflict",
  "late_usage_without_invoice",
] as const;

const approve = endpoint({
  method: "POST",
  path: `${one}/approve`,
  id: "approveLateUsage",
  group,
  summary: "Approve held late usage",
  description:
    "What is approved is the figure that the list shows. When more has come in since, it is refused, and the new figure waits.",
  permission: "corrections.approve",
  params: LateUsageParam,
  body: ApproveLateBody,
  response: LateUsageView,
  problems: [...decisions, "invoice_contradicted"],
  atomic: false,
  run: async (env, { organization: { id }, params, body, author, now }) =>
    lateUsageView(
      await decideLateUsage(
        env,
        { orgId: id, lateId: params.late_usage, way: body.as, reason: body.reason },
        author,
        now,
      ),
    ),
});

const decline = endpoint({
  method: "POST",
  path: `${one}/decline`,
  id: "declineLateUsage",
  group,
  summary: "Decline held late usage: it is not billed, unless more comes in",
  permission: "corrections.approve",
  params: LateUsageParam,
  body: ReasonBody,
  response: LateUsageView,
  problems: [...decisions],
  atomic: false,
  run: async (env, { organization: { id }, params, body, author, now }) =>
    lateUsageView(
      await decideLateUsage(
        env,
        { orgId: id, lateId: params.late_usage, way: "decline", reason: body.reason },
        author,
        now,
      ),
    ),
});

const issue = endpoint({
  method: "POST",
  path: `${organization}/accounts/{account}/late-usage/issue`,
  id: "issueLateUsage",
  group,
  summary: "Put an account's late usage onto debit and credit notes now",
  description:
    "Those differences whose meter gives them a document of their own, without waiting for the finalization window. Each note corrects one invoice and names the events; asked again, nothing is left.",
  permission: "invoices.write",
  params: z.object({ account: idOrSlug("billing account", "acme-usd") }),
  response: z.strictObject({ object: z.literal("list"), data: z.array(FullInvoiceView) }),
  problems: ["account_not_found", "invoice_contradicted", "invoice_not_verified"],
  atomic: false,
  run: async (env, { organization: { id }, params, author, now }) => {
    const notes = await issueLateUsage(env, { orgId: id, account: params.account }, author, now);
    return { object: "list" as const, data: notes.map(fullInvoiceView) };
  },
});

export const lateUsageRoutes: readonly Endpoint[] = [list, approve, decline, issue];
