import {
  compareContents,
  type ContentLine,
  type DraftContent,
} from "../../domain/invoicing/index.ts";
import { system } from "../../domain/audit/index.ts";
import type { CreditRequest } from "../../domain/corrections/index.ts";
import { Problem } from "../../domain/refusals/index.ts";
import { creditInvoice, voidInvoice } from "../../flows/correct-invoice.ts";
import type { Env } from "../../flows/env.ts";
import { explainInvoiceLine, type LineExplanation } from "../../flows/explain-invoice-line.ts";
import { issueInvoice } from "../../flows/issue-invoice.ts";
import { previewInvoice } from "../../flows/preview-invoice.ts";
import { type Verification, verifyInvoice } from "../../flows/verify-invoice.ts";
import type { Currency } from "../../kit/currency.ts";
import { type Money, parseMoney } from "../../kit/money.ts";
import { type Instant, formatInstant, tryInstant } from "../../kit/time.ts";
import { findInvoice, type StoredInvoice } from "../../store/invoices.ts";
import { findOrganization } from "../../store/organizations.ts";
import { type AddCommand, exitCodes } from "../command.ts";
import { UsageError } from "../config.ts";
import { withEnv } from "../wire.ts";

type OfOrganization = { readonly organization: string };
type Reasoned = { readonly reason: string };
type WhatToCredit = {
  readonly amount?: string;
  readonly line?: string;
  readonly section?: string;
};
type AtMoment = OfOrganization & { readonly at?: string };
const organizationOption = ["--organization <id or slug>", "whose invoice it is"] as const;

/** Preview, issue, show, explain, verify, compare, credit and void invoices. */
export const addInvoice: AddCommand = (program, run) => {
  const invoice = program
    .command("invoice")
    .description("preview, issue, explain, verify invoices");

  const preview = (name: string, description: string, momentOption: [string, string]) =>
    invoice
      .command(`${name} <account>`)
      .description(description)
      .requiredOption(...organizationOption)
      [name === "draft" ? "requiredOption" : "option"](...momentOption)
      .action(
        run(async ({ config, note, print }, account: string, options: AtMoment) =>
          withEnv({ config, note }, async (env) => {
            const orgId = await organizationOf(env, options.organization);
            const now = env.now();
            const found = await previewInvoice(env, orgId, account, now, momentOf(options.at, now));
            const objections = found.contradictions.map((text) => `cannot be issued: ${text}\n`);
            print(
              { stage: found.stage, contradictions: found.contradictions, ...found.draft.content },
              `${objections.join("")}${paper(`upcoming invoice (${found.stage})`, found.draft.content)}`,
            );
            return exitCodes.done;
          }),
        ),
      );
  preview("preview", "what the invoice would be if nothing more were used", [
    "--at <moment>",
    "a moment within the period, RFC 3339 (default: now)",
  ]);
  preview("draft", "the invoice of a period that is over, as it stands before it is issued", [
    "--at <moment>",
    "a moment within the period, RFC 3339",
  ]);

  invoice
    .command("void <invoice>")
    .description("take a document back: its usage can be invoiced again, under a new number")
    .requiredOption(...organizationOption)
    .requiredOption("--reason <text>", "why; it is kept")
    .action(
      run(async ({ config, note, print }, name: string, options: OfOrganization & Reasoned) =>
        withEnv({ config, note }, async (env) => {
          const orgId = await organizationOf(env, options.organization);
          const order = { orgId, invoice: name, reason: options.reason };
          const done = await voidInvoice(
            env,
            order,
            system("command line", options.reason),
            env.now(),
          );
          print({ number: done.number, status: done.status }, `${done.number} is void`);
          return exitCodes.done;
        }),
      ),
    );

  invoice
    .command("credit <invoice>")
    .description("give back all that is left, an amount, one line, or one section")
    .requiredOption(...organizationOption)
    .requiredOption("--reason <text>", "why; it is printed on the note")
    .option("--amount <amount>", "how much, before tax; with --line of that line")
    .option("--line <n>", "of which line")
    .option("--section <account>", "of a consolidated invoice: which account's section")
    .action(
      run(
        async (
          { config, note, print },
          name: string,
          options: OfOrganization & Reasoned & WhatToCredit,
        ) =>
          withEnv({ config, note }, async (env) => {
            const orgId = await organizationOf(env, options.organization);
            const of = await getInvoice(env, orgId, name);
            const request = creditRequest(options, of.total.currency);
            const order = {
              orgId,
              invoice: of.invoiceId,
              request,
              reason: options.reason,
              reasonCode: "other",
            };
            const done = await creditInvoice(
              env,
              order,
              system("command line", options.reason),
              env.now(),
            );
            print(done.content, shown(done));
            return exitCodes.done;
          }),
      ),
    );

  invoice
    .command("issue <account>")
    .description("issue the invoice of a closed period")
    .requiredOption(...organizationOption)
    .requiredOption("--at <moment>", "a moment within the period, RFC 3339")
    .option("--force", "although the finalization window is still open")
    .action(
      run(
        async ({ config, note, print }, account: string, options: AtMoment & { force?: boolean }) =>
          withEnv({ config, note }, async (env) => {
            const orgId = await organizationOf(env, options.organization);
            const now = env.now();
            const { invoiceId, isNew } = await issueInvoice(
              env,
              {
                orgId,
                account,
                at: momentOf(options.at, now),
                force: options.force ?? false,
                createdBy: "command line",
              },
              now,
            );
            const stored = await getInvoice(env, orgId, invoiceId);
            if (!isNew) note(`the period had its invoice already: ${stored.number}`);
            print(stored.content, shown(stored));
            return exitCodes.done;
          }),
      ),
    );

  invoice
    .command("show <invoice>")
    .description("a document by id or number, as it was issued")
    .requiredOption(...organizationOption)
    .action(
      run(async ({ config, note, print }, name: string, options: OfOrganization) =>
        withEnv({ config, note }, async (env) => {
          const stored = await getInvoice(
            env,
            await organizationOf(env, options.organization),
            name,
          );
          print({ status: stored.status, ...stored.content }, shown(stored));
          return exitCodes.done;
        }),
      ),
    );

  invoice
    .command("explain <invoice> <line>")
    .description("a line's segments, days and events")
    .requiredOption(...organizationOption)
    .option("--events <n>", "how many events to show", "10")
    .action(
      run(
        async (
          { config, note, print },
          name: string,
          line: string,
          options: OfOrganization & { events: string },
        ) =>
          withEnv({ config, note }, async (env) => {
            const orgId = await organizationOf(env, options.organization);
            const limit = wholeNumber(options.events, "--events");
            const found = await explainInvoiceLine(env, orgId, name, wholeNumber(line, "<line>"), {
              limit,
            });
            const { invoice: of, ...rest } = found;
            print({ invoice: of.number, ...rest }, explained(found));
            return exitCodes.done;
          }),
      ),
    );

  invoice
    .command("verify <invoice>")
    .description("recompute a document from the raw events; exit 3 when it does not match")
    .requiredOption(...organizationOption)
    .action(
      run(async ({ config, note, print }, name: string, options: OfOrganization) =>
        withEnv({ config, note }, async (env) => {
          const orgId = await organizationOf(env, options.organization);
          const found = await verifyInvoice(env, orgId, name);
          const { isMatch, checks } = found;
          print({ invoice: found.invoice.number, is_match: isMatch, checks }, verdict(found));
          return isMatch ? exitCodes.done : exitCodes.mismatch;
        }),
      ),
    );

  invoice
    .command("diff <first> <second>")
    .description("what differs between two documents; exit 3 when anything does")
    .requiredOption(...organizationOption)
    .action(
      run(async ({ config, note, print }, first: string, second: string, options: OfOrganization) =>
        withEnv({ config, note }, async (env) => {
          const orgId = await organizationOf(env, options.organization);
          const [a, b] = [
            await getInvoice(env, orgId, first),
            await getInvoice(env, orgId, second),
          ];
          const found = compareContents(a.content, b.content);
          const rows = found.map(
            (one) => `${one.where}\n  ${a.number}  ${one.stored}\n  ${b.number}  ${one.recomputed}`,
          );
          print({ differences: found }, rows.length === 0 ? "no difference" : rows.join("\n"));
          return found.length === 0 ? exitCodes.done : exitCodes.mismatch;
        }),
      ),
    );
};

/** The id behind an organization's id or slug. */
export async function organizationOf(env: Env, name: string): Promise<string> {
  const found = await findOrganization(env.store.db, name);
  if (!found) throw new Problem("organization_not_found", `there is no organization ${name}`);
  return found.organization.id;
}

async function getInvoice(env: Env, orgId: string, name: string): Promise<StoredInvoice> {
  const found = await findInvoice(env.store.db, orgId, name);
  if (!found) throw new Problem("invoice_not_found", `there is no invoice ${name}`);
  return found;
}

function creditRequest({ amount, line, section }: WhatToCredit, code: Currency): CreditRequest {
  if (section !== undefined) return { kind: "section", account: section };
  const money = amount === undefined ? null : amountOf(amount, code);
  if (line !== undefined)
    return { kind: "lines", lines: [{ lineNo: wholeNumber(line, "--line"), amount: money }] };
  return money === null ? { kind: "all" } : { kind: "amount", amount: money };
}

function amountOf(text: string, code: Currency): Money {
  try {
    const amount = parseMoney(text, code);
    if (amount.minor > 0n) return amount;
  } catch {
    // The same advice for every way in which it may be wrong.
  }
  throw new UsageError(`--amount ${text}: write an amount above zero in ${code}, as in 12.50`);
}

function momentOf(text: string | undefined, now: Instant): Instant {
  if (text === undefined) return now;
  const at = tryInstant(text);
  if (at === undefined)
    throw new UsageError(`--at ${text}: write RFC 3339 with a zone, as in 2025-01-15T00:00:00Z`);
  return at;
}

function wholeNumber(text: string, name: string): number {
  if (!/^[1-9]\d{0,5}$/.test(text)) throw new UsageError(`${name} ${text}: write a whole number`);
  return Number(text);
}

const shown = ({ number, status, content }: StoredInvoice): string =>
  `${paper(`${content.kind.replace("_", " ")} ${number} (${status}), issued ${content.issued_on}, due ${content.due_on}`, content)}`;

/** A document as a table, amounts under each other. */
function paper(title: string, content: DraftContent): string {
  const { account, period, currency } = content;
  const head = `${title}\n${account.name} (${account.slug})  ${period.starts_at} to ${period.ends_at}\n`;
  const slugs = new Map(content.sections?.map((one) => [one.account, one.slug]));
  const rows = content.lines.flatMap((line) => [
    lineRow(line, slugs.get(line.section ?? "")),
    ...segmentRows(line),
  ]);
  const sums = [
    ...(content.sections ?? []).map((one) => [
      "",
      `section ${one.slug}${one.statement ? `, statement ${one.statement}` : ""}`,
      "",
      one.subtotal,
    ]),
    ["", "subtotal", "", content.subtotal],
    ...content.taxes.map((tax) => ["", `${tax.name} ${tax.percent} %`, "", tax.tax]),
    ["", `total ${currency}`, "", content.total],
  ];
  return `${head}\n${table([["#", "what", "quantity", currency], ...rows, ...sums])}`;
}

const lineRow = (line: ContentLine, section: string | undefined): string[] => [
  String(line.line_no),
  `${line.sku}  ${line.description}${section ? `  (${section})` : ""}`,
  `${line.quantity} ${line.unit}`,
  line.amount,
];

const segmentRows = (line: ContentLine): string[][] =>
  line.segments.map((segment) => [
    "",
    `  ${segment.because}`,
    `${segment.quantity} × ${segment.unit_amount}`,
    segment.amount,
  ]);

/** Columns as wide as their widest cell; the last two to the right. */
function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, i) =>
    Math.max(...rows.map((row) => (row[i] ?? "").length)),
  );
  return rows
    .map((row) =>
      row
        .map((cell, i) =>
          i < row.length - 2 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0),
        )
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

function explained({ invoice, line, buckets, events }: LineExplanation): string {
  const head = `line ${line.line_no} of ${invoice.number}: ${line.sku}, ${line.quantity} ${line.unit} = ${line.unrounded} → ${line.amount}`;
  const segments = table([
    ["segments", "quantity", "amount"],
    ...segmentRows(line).map((row) => row.slice(1)),
  ]);
  const days = table([
    ["day", "project", "events", "quantity"],
    ...buckets.map((one) => [one.day, one.projectId, String(one.eventCount), one.quantity]),
  ]);
  const list = table([
    ["time", "id", "source", "quantity"],
    ...events.map((one) => [formatInstant(one.time), one.id, one.source, one.quantity]),
  ]);
  return `${head}\n\n${segments}\n\n${days}\n\n${list}`;
}

function verdict({ invoice, isMatch, checks }: Verification): string {
  const rows = checks.flatMap(({ name, mismatches }) => [
    `${mismatches.length === 0 ? "match  " : "DIFFERS"}  ${name}`,
    ...mismatches.map(
      (one) =>
        `           ${one.where}\n             stored      ${one.stored}\n             recomputed  ${one.recomputed}`,
    ),
  ]);
  return `${rows.join("\n")}\n${invoice.number} ${isMatch ? "re-derives to the last digit" : "does not re-derive"}`;
}
