import { z } from "@hono/zod-openapi";
import type { Caller } from "../../domain/access/index.ts";
import {
  type Attachment,
  type DisputeStatus,
  readAttachment,
  type Resolution,
} from "../../domain/disputes/index.ts";
import { Problem } from "../../domain/refusals/index.ts";
import { answerDispute, moveDispute, readDispute } from "../../flows/answer-dispute.ts";
import { openDispute } from "../../flows/open-dispute.ts";
import { resolveDispute } from "../../flows/resolve-dispute.ts";
import type { Currency } from "../../kit/currency.ts";
import { decimal, isPositive } from "../../kit/decimal.ts";
import { type Money, parseMoney } from "../../kit/money.ts";
import { formatInstant } from "../../kit/time.ts";
import { findDisputeFile, pageDisputes, type Side } from "../../store/disputes.ts";
import { findInvoice } from "../../store/invoices.ts";
import { PageQuery, page, pageOf, positionOf } from "../contract/common.ts";
import {
  CaseView,
  caseView,
  DisputeMessageBody,
  DisputeParam,
  DisputeView,
  disputeView,
  OpenDisputeBody,
  ResolveBody,
} from "../contract/disputes.ts";
import { type Endpoint, endpoint, file } from "../endpoint.ts";
import { InvoiceParam } from "./invoices.ts";

const group = "Disputes";
const organization = "/v1/organizations/{organization}";
const one = `${organization}/disputes/{dispute}`;
// A file in base64, and the words around it.
const bodyBytesMax = 400 * 1024;

const open = endpoint({
  method: "POST",
  path: `${organization}/invoices/{invoice}/disputes`,
  id: "openDispute",
  group,
  summary: "Dispute a line of an invoice",
  description:
    "The events of the line are its evidence: see them under `explain`. Until the dispute is decided its amount is not asked for.",
  permission: "disputes.write",
  params: InvoiceParam,
  body: OpenDisputeBody,
  bodyBytesMax,
  response: CaseView,
  success: 201,
  problems: [
    "dispute_open_already",
    "dispute_refused",
    "invoice_line_not_found",
    "invoice_not_found",
    "invoice_paid_by_another",
    "invoice_status_conflict",
  ],
  run: async (env, { organization: { id }, params, body, caller, author, now }) => {
    const invoice = await findInvoice(env.store.db, id, params.invoice);
    if (!invoice) throw new Problem("invoice_not_found", `there is no invoice ${params.invoice}`);
    const order = {
      orgId: id,
      invoice: invoice.invoiceId,
      lineNo: body.line_no,
      amount: body.amount === undefined ? null : amountOf(body.amount, invoice.total.currency),
      text: body.message,
      file: fileOf(body.file),
      side: sideOf(caller),
    };
    const { disputeId } = await openDispute(env, order, author, now);
    return caseView(await readDispute(env.store.db, id, disputeId), now);
  },
});

const list = endpoint({
  method: "GET",
  path: `${organization}/disputes`,
  id: "listDisputes",
  group,
  summary: "List disputes, newest first",
  permission: "disputes.read",
  query: PageQuery.extend({
    invoice: z.string().max(80).optional().openapi({ description: "Id or number of a document." }),
  }),
  response: pageOf(DisputeView),
  problems: ["invoice_not_found"],
  run: async (env, { organization: { id }, query, now }) => {
    const position = positionOf(query.cursor, 2);
    const of = query.invoice && (await findInvoice(env.store.db, id, query.invoice));
    if (query.invoice && !of)
      throw new Problem("invoice_not_found", `there is no invoice ${query.invoice}`);
    const rows = await pageDisputes(env.store.db, {
      orgId: id,
      invoiceId: of ? of.invoiceId : undefined,
      after: position && { openedAt: String(position[0]), disputeId: String(position[1]) },
      limit: query.limit + 1,
    });
    return page(
      rows,
      query.limit,
      (row) => disputeView(row, now),
      (row) => [formatInstant(row.openedAt), row.disputeId],
    );
  },
});

const get = endpoint({
  method: "GET",
  path: one,
  id: "getDispute",
  group,
  summary: "See a dispute with its messages and its deadline",
  permission: "disputes.read",
  params: DisputeParam,
  response: CaseView,
  problems: ["dispute_not_found"],
  run: async (env, { organization: { id }, params, now }) =>
    caseView(await readDispute(env.store.db, id, params.dispute), now),
});

const answer = endpoint({
  method: "POST",
  path: `${one}/messages`,
  id: "answerDispute",
  group,
  summary: "Write to a dispute, with a file where one helps",
  permission: "disputes.write",
  params: DisputeParam,
  body: DisputeMessageBody,
  bodyBytesMax,
  response: CaseView,
  success: 201,
  problems: ["dispute_not_found", "dispute_status_conflict"],
  run: async (env, { organization: { id }, params, body, caller, author, now }) => {
    const order = {
      orgId: id,
      disputeId: params.dispute,
      side: sideOf(caller),
      text: body.message,
      file: fileOf(body.file),
    };
    return caseView(await answerDispute(env, order, author, now), now);
  },
});

const download = endpoint({
  method: "GET",
  path: `${one}/messages/{message}/file`,
  id: "downloadDisputeFile",
  group,
  summary: "Download the file of a message",
  permission: "disputes.read",
  params: DisputeParam.extend({ message: z.string().min(1).max(80) }),
  response: z.string().openapi({ format: "binary" }),
  responseType: "application/octet-stream",
  problems: ["dispute_not_found"],
  run: async (env, { organization: { id }, params }) => {
    const found = await findDisputeFile(env.store.db, id, params.dispute, params.message);
    if (!found) throw new Problem("dispute_not_found", "there is no such file");
    // Whatever was sent is never shown by a browser, only saved.
    return file(found.content, "application/octet-stream", {
      "content-disposition": `attachment; filename="${found.name}"`,
      "x-content-type-options": "nosniff",
    });
  },
});

const move = (id: string, to: DisputeStatus, verb: string, summary: string): Endpoint =>
  endpoint({
    method: "POST",
    path: `${one}/${verb}`,
    id,
    group,
    summary,
    permission: "disputes.resolve",
    params: DisputeParam,
    response: CaseView,
    problems: ["dispute_not_found", "dispute_status_conflict"],
    run: async (env, { organization, params, author, now }) => {
      const order = { orgId: organization.id, disputeId: params.dispute, to };
      return caseView(await moveDispute(env, order, author, now), now);
    },
  });

const resolve = endpoint({
  method: "POST",
  path: `${one}/resolve`,
  id: "resolveDispute",
  group,
  summary: "Decide a dispute, with a message",
  description:
    "By a credit note on the line, by what corrected usage gives back on the next invoice, or by rejecting it. The invoice itself never changes.",
  permission: "disputes.resolve",
  params: DisputeParam,
  body: ResolveBody,
  response: CaseView,
  problems: [
    "credit_too_large",
    "dispute_corrected",
    "dispute_not_corrected",
    "dispute_not_found",
    "dispute_status_conflict",
    "invoice_status_conflict",
  ],
  run: async (env, { organization: { id }, params, body, author, now }) => {
    const { dispute } = await readDispute(env.store.db, id, params.dispute);
    const order = {
      orgId: id,
      disputeId: dispute.disputeId,
      resolution: resolutionOf(body, dispute.amount.currency),
      text: body.message,
    };
    return caseView(await resolveDispute(env, order, author, now), now);
  },
});

function resolutionOf(body: z.output<typeof ResolveBody>, code: Currency): Resolution {
  if (body.outcome === "credit")
    return {
      kind: "credit",
      amount: body.amount === undefined ? null : amountOf(body.amount, code),
    };
  if (body.amount !== undefined) throw fault("/amount", "only a credit has an amount");
  return { kind: body.outcome };
}

const sideOf = (caller: Caller): Side => (caller.organizationId === null ? "provider" : "customer");

const fault = (pointer: string, detail: string) =>
  new Problem("request_not_valid", detail, { faults: [{ pointer, detail }] });

function fileOf(given: { name: string; content: string } | undefined): Attachment | null {
  if (!given) return null;
  const read = readAttachment(given.name, given.content);
  if ("attachment" in read) return read.attachment;
  const says = {
    empty: "the file is empty",
    too_large: "a file has at most 256 KiB",
    not_base64: "write the file in base64",
  };
  throw fault("/file/content", says[read.fault]);
}

function amountOf(text: string, code: Currency): Money {
  if (!isPositive(decimal(text))) throw fault("/amount", "write an amount above zero");
  try {
    return parseMoney(text, code);
  } catch (error) {
    if (error instanceof RangeError) throw fault("/amount", error.message);
    throw error;
  }
}

export const disputeRoutes: readonly Endpoint[] = [
  open,
  list,
  get,
  answer,
  download,
  move("reviewDispute", "under_review", "review", "Take a dispute under review"),
  resolve,
  move("closeDispute", "closed", "close", "Close a dispute that is decided"),
];
