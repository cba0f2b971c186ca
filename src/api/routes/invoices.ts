import { z } from "@hono/zod-openapi";
import type { CreditRequest } from "../../domain/corrections/index.ts";
import { Problem } from "../../domain/refusals/index.ts";
import { creditInvoice, voidInvoice, writeOffInvoice } from "../../flows/correct-invoice.ts";
import { debitInvoice } from "../../flows/debit-invoice.ts";
import { explainInvoiceLine } from "../../flows/explain-invoice-line.ts";
import { issueInvoice } from "../../flows/issue-invoice.ts";
import { documentForms, renderDocument } from "../../flows/render-document.ts";
import { getAccountToInvoice, previewInvoice } from "../../flows/preview-invoice.ts";
import { verifyInvoice } from "../../flows/verify-invoice.ts";
import type { Currency } from "../../kit/currency.ts";
import { encodeCursor } from "../../kit/cursor.ts";
import { decimal, isPositive } from "../../kit/decimal.ts";
import { type Money, parseMoney } from "../../kit/money.ts";
import { formatInstant } from "../../kit/time.ts";
import { findInvoice, pageInvoices } from "../../store/invoices.ts";
import { idOrSlug, InstantIn, PageQuery, page, pageOf, positionOf } from "../contract/common.ts";
import {
  CreditBody,
  DebitBody,
  ExplanationView,
  explanationView,
  FullInvoiceView,
  fullInvoiceView,
  InvoiceView,
  invoiceView,
  IssueBody,
  ReasonBody,
  UpcomingInvoiceView,
  upcomingView,
  VerificationView,
  verificationView,
} from "../contract/invoices.ts";
import { type Endpoint, endpoint, file, reply } from "../endpoint.ts";

const group = "Invoices";
const organization = "/v1/organizations/{organization}";
const AccountParam = z.object({ account: idOrSlug("billing account", "acme-usd") });
export const InvoiceParam = z.object({
  invoice: z.string().min(1).max(80).openapi({
    description: "Id or number of the document.",
    example: "INV-000042",
  }),
});

const upcoming = endpoint({
  method: "GET",
  path: `${organization}/accounts/{account}/upcoming-invoice`,
  id: "getUpcomingInvoice",
  group,
  summary: "See what the invoice would be if nothing more were used",
  description:
    "Computed from what is stored at this moment, by the same steps as the invoice itself. With `at`, the period that contains that moment.",
  permission: "invoices.read",
  params: AccountParam,
  query: z.object({ at: InstantIn.optional() }),
  response: UpcomingInvoiceView,
  problems: ["account_not_found"],
  run: async (env, { organization: { id }, params, query, now }) =>
    upcomingView(await previewInvoice(env, id, params.account, now, query.at ?? now)),
});

const issue = endpoint({
  method: "POST",
  path: `${organization}/accounts/{account}/invoices`,
  id: "issueInvoice",
  group,
  summary: "Issue the invoice of a closed period",
  description:
    "Computed twice, by two paths, and issued only when both agree. A period that has its invoice already answers with that one and status 200.",
  permission: "invoices.write",
  params: AccountParam,
  body: IssueBody,
  response: FullInvoiceView,
  success: 201,
  alternatives: {
    200: { description: "The period had its invoice already.", schema: FullInvoiceView },
  },
  problems: [
    "account_not_found",
    "invoice_contradicted",
    "invoice_not_verified",
    "invoice_period_not_final",
    "nothing_to_invoice",
    "period_not_over",
  ],
  atomic: false,
  run: async (env, { organization: { id }, params, body, author, now }) => {
    const { invoiceId, isNew } = await issueInvoice(
      env,
      {
        orgId: id,
        account: params.account,
        at: body.period,
        force: body.force,
        createdBy: author.actor.id,
      },
      now,
    );
    const view = fullInvoiceView(await getInvoice(env, id, invoiceId));
    return isNew ? view : reply(200, view);
  },
});

const list = endpoint({
  method: "GET",
  path: `${organization}/invoices`,
  id: "listInvoices",
  group,
  summary: "List invoices, credit notes and debit notes, newest first",
  permission: "invoices.read",
  query: PageQuery.extend({ account: idOrSlug("billing account", "acme-usd").optional() }),
  response: pageOf(InvoiceView),
  problems: ["account_not_found"],
  run: async (env, { organization: { id }, query }) => {
    const position = positionOf(query.cursor, 2);
    const of = query.account ? await getAccountToInvoice(env, id, query.account) : undefined;
    const rows = await pageInvoices(env.store.db, {
      orgId: id,
      accountId: of?.account.accountId,
      after: position && { issuedAt: String(position[0]), invoiceId: String(position[1]) },
      limit: query.limit + 1,
    });
    return page(rows, query.limit, invoiceView, (row) => [
      row.issuedAt === null ? "" : formatInstant(row.issuedAt),
      row.invoiceId,
    ]);
  },
});

const get = endpoint({
  method: "GET",
  path: `${organization}/invoices/{invoice}`,
  id: "getInvoice",
  group,
  summary: "See one document, whole as it was issued",
  permission: "invoices.read",
  params: InvoiceParam,
  response: FullInvoiceView,
  problems: ["invoice_not_found"],
  run: async (env, { organization: { id }, params }) =>
    fullInvoiceView(await getInvoice(env, id, params.invoice)),
});

const explain = endpoint({
  method: "GET",
  path: `${organization}/invoices/{invoice}/lines/{line}/explain`,
  id: "explainInvoiceLine",
  group,
  summary: "Take a line apart: segments, days, and the events page by page",
  description: "The quantities of all events sum to the quantity of the line.",
  permission: "invoices.read",
  params: InvoiceParam.extend({ line: z.coerce.number().int().min(1).max(1_000_000) }),
  query: PageQuery,
  response: ExplanationView,
  problems: ["invoice_not_found", "invoice_line_not_found"],
  run: async (env, { organization: { id }, params, query }) => {
    const position = positionOf(query.cursor, 2);
    const after = position && { time: String(position[0]), seq: BigInt(position[1] ?? 0) };
    const found = await explainInvoiceLine(env, id, params.invoice, params.line, {
      after,
      limit: query.limit + 1,
    });
    const events = found.events.slice(0, query.limit);
    const last = events.at(-1);
    const next =
      found.events.length > query.limit && last
        ? encodeCursor([formatInstant(last.time), last.seq.toString()])
        : null;
    return explanationView({ ...found, events }, next);
  },
});

const verify = endpoint({
  method: "POST",
  path: `${organization}/invoices/{invoice}/verify`,
  id: "verifyInvoice",
  group,
  summary: "Recompute a document from the raw events and compare",
  description:
    "Reads only. Any organization may verify its own documents, as often as it likes; what differs is named.",
  permission: "invoices.read",
  params: InvoiceParam,
  response: VerificationView,
  problems: ["invoice_not_found"],
  atomic: false,
  run: async (env, { organization: { id }, params }) =>
    verificationView(await verifyInvoice(env, id, params.invoice)),
});

const credit = endpoint({
  method: "POST",
  path: `${organization}/invoices/{invoice}/credit-notes`,
  id: "creditInvoice",
  group,
  summary: "Give back part or all of an issued invoice",
  description:
    "All that is left, an amount spread over the lines, single lines, or one section of a consolidated invoice. The invoice itself never changes; tax is that of the original lines.",
  permission: "corrections.write",
  params: InvoiceParam,
  body: CreditBody,
  response: FullInvoiceView,
  success: 201,
  problems: [
    "credit_too_large",
    "invoice_line_not_found",
    "invoice_not_found",
    "invoice_paid_by_another",
    "invoice_section_not_found",
    "invoice_status_conflict",
  ],
  run: async (env, { organization: { id }, params, body, author, now }) => {
    const of = await getInvoice(env, id, params.invoice);
    const order = {
      orgId: id,
      invoice: of.invoiceId,
      request: creditRequest(body, of.total.currency),
      reason: body.reason,
      reasonCode: body.reason_code,
    };
    return fullInvoiceView(await creditInvoice(env, order, author, now));
  },
});

const debit = endpoint({
  method: "POST",
  path: `${organization}/invoices/{invoice}/debit-notes`,
  id: "debitInvoice",
  group,
  summary: "Charge more on an issued invoice",
  description:
    "What is owed more by agreement or for a mistake, on a debit note: a document of its own number, due and paid like an invoice. Usage that came in late needs none: see late usage.",
  permission: "corrections.write",
  params: InvoiceParam,
  body: DebitBody,
  response: FullInvoiceView,
  success: 201,
  problems: [
    "invoice_contradicted",
    "invoice_line_not_found",
    "invoice_not_found",
    "invoice_paid_by_another",
    "invoice_status_conflict",
  ],
  run: async (env, { organization: { id }, params, body, author, now }) => {
    const of = await getInvoice(env, id, params.invoice);
    const order = {
      orgId: id,
      invoice: of.invoiceId,
      request: body.lines.map((line, i) => ({
        lineNo: line.line_no,
        amount: positiveMoney(line.amount, of.total.currency, `/lines/${i}/amount`),
        description: line.description,
      })),
      reason: body.reason,
      reasonCode: body.reason_code,
    };
    return fullInvoiceView(await debitInvoice(env, order, author, now));
  },
});

export function positiveMoney(text: string, code: Currency, pointer: string): Money {
  const fault = (detail: string) =>
    new Problem("request_not_valid", detail, { faults: [{ pointer, detail }] });
  if (!isPositive(decimal(text))) throw fault("write an amount above zero");
  try {
    return parseMoney(text, code);
  } catch (error) {
    if (error instanceof RangeError) throw fault(error.message);
    throw error;
  }
}

function creditRequest(body: z.output<typeof CreditBody>, code: Currency): CreditRequest {
  const read = (text: string, pointer: string): Money => positiveMoney(text, code, pointer);
  if (body.amount !== undefined) return { kind: "amount", amount: read(body.amount, "/amount") };
  if (body.section !== undefined) return { kind: "section", account: body.section };
  if (body.lines === undefined) return { kind: "all" };
  return {
    kind: "lines",
    lines: body.lines.map((line, i) => ({
      lineNo: line.line_no,
      amount: line.amount === undefined ? null : read(line.amount, `/lines/${i}/amount`),
    })),
  };
}

const takeBack = endpoint({
  method: "POST",
  path: `${organization}/invoices/{invoice}/void`,
  id: "voidInvoice",
  group,
  summary: "Void an invoice",
  description:
    "It keeps its number and content; its usage can be invoiced again, under a new number.",
  permission: "invoices.write",
  params: InvoiceParam,
  body: ReasonBody,
  response: InvoiceView,
  problems: [
    "corrections_exist",
    "credit_used",
    "invoice_not_found",
    "invoice_paid_by_another",
    "invoice_status_conflict",
    "payments_exist",
  ],
  run: async (env, { organization: { id }, params, body, author, now }) =>
    invoiceView(
      await voidInvoice(
        env,
        { orgId: id, invoice: params.invoice, reason: body.reason },
        author,
        now,
      ),
    ),
});

const writeOff = endpoint({
  method: "POST",
  path: `${organization}/invoices/{invoice}/write-off`,
  id: "writeOffInvoice",
  group,
  summary: "Write an invoice off as lost",
  permission: "corrections.write",
  params: InvoiceParam,
  body: ReasonBody,
  response: InvoiceView,
  problems: ["invoice_not_found", "invoice_paid_by_another", "invoice_status_conflict"],
  run: async (env, { organization: { id }, params, body, author, now }) =>
    invoiceView(
      await writeOffInvoice(
        env,
        { orgId: id, invoice: params.invoice, reason: body.reason },
        author,
        now,
      ),
    ),
});

async function getInvoice(
  env: Parameters<typeof previewInvoice>[0],
  orgId: string,
  idOrNumber: string,
) {
  const invoice = await findInvoice(env.store.db, orgId, idOrNumber);
  if (!invoice) throw new Problem("invoice_not_found", `there is no invoice ${idOrNumber}`);
  return invoice;
}

const download = endpoint({
  method: "GET",
  path: `${organization}/invoices/{invoice}/document`,
  id: "downloadInvoice",
  group,
  summary: "Download a document as PDF, HTML, CSV or electronic invoice",
  description:
    "`pdf` is PDF/A-3b with the electronic invoice inside; `ubl` is UBL 2.1 by EN 16931 (Peppol BIS Billing 3.0). The same document gives the same bytes at any time.",
  permission: "invoices.read",
  params: InvoiceParam,
  query: z.object({ format: z.enum(documentForms).default("pdf") }),
  response: z.string().openapi({ format: "binary" }),
  responseType: "application/octet-stream",
  problems: ["invoice_not_found", "electronic_invoice_impossible"],
  run: async (env, { organization: { id }, params, query }) => {
    const { content, mime, fileName } = await renderDocument(env, id, params.invoice, query.format);
    const disposition = query.format === "html" ? "inline" : "attachment";
    return file(content, mime, {
      "content-disposition": `${disposition}; filename="${fileName}"`,
    });
  },
});

export const invoiceRoutes: readonly Endpoint[] = [
  upcoming,
  issue,
  list,
  get,
  explain,
  verify,
  download,
  credit,
  debit,
  takeBack,
  writeOff,
];
