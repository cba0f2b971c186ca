import { writeFile } from "node:fs/promises";
import { balanceText, type ExportFormat, exportFormats } from "../../domain/ledger/index.ts";
import { bringUpToDate, exportLedger } from "../../flows/export-books.ts";
import { type Instant, instant } from "../../kit/time.ts";
import { findOrganization } from "../../store/organizations.ts";
import { listLedgerBalances } from "../../store/journal.ts";
import type { Env } from "../../flows/env.ts";
import type { AddCommand } from "../command.ts";
import { UsageError } from "../config.ts";
import { open } from "../wire.ts";

type ExportOptions = {
  format: string;
  organization?: string;
  from?: string;
  until?: string;
  output?: string;
};
type BalanceOptions = { organization?: string; asOf?: string };

export const addBooks: AddCommand = (program, run) => {
  const books = program.command("books").description("the double-entry books");

  books
    .command("export")
    .description("write the books for hledger, ledger or beancount, or as JSON")
    .option("--format <format>", exportFormats.join(", "), "hledger")
    .option("--organization <id>", "only one organization (id or slug)")
    .option("--from <instant>", "from this moment on")
    .option("--until <instant>", "up to, and without, this moment")
    .option("--output <file>", "write to a file instead of the screen")
    .action(
      run(async ({ config, note, print }, options: ExportOptions) => {
        if (!isFormat(options.format))
          throw new UsageError(`--format is one of ${exportFormats.join(", ")}`);
        const format = options.format;
        const opened = await open({ config, note });
        try {
          const text = await exportLedger(
            opened.env,
            {
              orgId: await organizationId(opened.env, options.organization),
              from: instantOf(options.from),
              until: instantOf(options.until),
            },
            format,
          );
          if (options.output) await writeFile(options.output, text);
          print({ format, books: options.output ?? text }, options.output ? "" : text);
          return 0;
        } finally {
          await opened.close();
        }
      }),
    );

  books
    .command("balance")
    .description("what stands on each account")
    .option("--organization <id>", "only one organization (id or slug)")
    .option("--as-of <instant>", "at this moment instead of now")
    .action(
      run(async ({ config, note, print }, options: BalanceOptions) => {
        const opened = await open({ config, note });
        try {
          await bringUpToDate(opened.env);
          const balances = await listLedgerBalances(opened.env.store.db, {
            orgId: await organizationId(opened.env, options.organization),
            asOf: instantOf(options.asOf),
          });
          const rows = balances.map((one) => ({
            account: one.account,
            commodity: one.commodity,
            amount: balanceText(one),
          }));
          const width = Math.max(0, ...rows.map((row) => row.amount.length));
          print(
            rows,
            rows
              .map(
                (row) => `${row.amount.padStart(width)} ${row.commodity.padEnd(12)} ${row.account}`,
              )
              .join("\n"),
          );
          return 0;
        } finally {
          await opened.close();
        }
      }),
    );
};

const isFormat = (text: string): text is ExportFormat =>
  (exportFormats as readonly string[]).includes(text);

const instantOf = (text: string | undefined): Instant | undefined =>
  text === undefined ? undefined : instant(text);

async function organizationId(
  env: Env,
  reference: string | undefined,
): Promise<string | undefined> {
  if (reference === undefined) return undefined;
  const placed = await findOrganization(env.store.db, reference);
  if (!placed) throw new UsageError(`there is no organization ${reference}`);
  return placed.organization.id;
}
