import { InvalidArgumentError } from "commander";
import { priceWarnings } from "../../domain/catalog/index.ts";
import {
  explain,
  explainStep,
  type Rated,
  type Segment,
  statementOf,
} from "../../domain/rating/index.ts";
import { Problem } from "../../domain/refusals/index.ts";
import { estimatePrice } from "../../flows/estimate-price.ts";
import { formatDecimal, isDecimalText } from "../../kit/decimal.ts";
import { formatMoney } from "../../kit/money.ts";
import { type CatalogFile, readCatalogFile } from "../catalog-file.ts";
import type { AddCommand } from "../command.ts";
import { UsageError } from "../config.ts";

type Options = {
  readonly price: string;
  readonly quantity?: string;
  readonly events?: string;
  readonly dimension?: Readonly<Record<string, string>>;
  readonly usage?: string;
};

/** What a quantity costs under a price file, with the segments it is made of. Needs no database. */
export const addRate: AddCommand = (program, run) => {
  program
    .command("rate")
    .description("price a quantity with a price file; needs no database")
    .requiredOption("--price <file>", "the price, YAML or JSON; - reads standard input")
    .option("--quantity <n>", "how much was used", decimalText)
    .option("--events <n>", "how many events it came from", decimalText)
    .option("--dimension <key=value>", "a dimension of the usage; may be repeated", pair, {})
    .option("--usage <file>", "a list of usage rows instead of one quantity")
    .action(
      run(async ({ print, note }, options: Options) => {
        const file = await readCatalogFile(options.price);
        const rows = await rowsOf(options);
        const { price, rated } = estimated(file, rows);
        for (const warning of priceWarnings(price)) note(`warning: ${warning.detail}`);
        print(statementOf(rated), tableOf(rated));
        return 0;
      }),
    );
};

function decimalText(text: string): string {
  if (!isDecimalText(text))
    throw new InvalidArgumentError('write digits with an optional fraction, as in "12.50".');
  return text;
}

function pair(text: string, before: Readonly<Record<string, string>>): Record<string, string> {
  const at = text.indexOf("=");
  if (at < 1) throw new InvalidArgumentError("write key=value.");
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) };
}

async function rowsOf(options: Options): Promise<unknown> {
  const { quantity, events, dimension = {}, usage } = options;
  if ((quantity === undefined) === (usage === undefined))
    throw new UsageError("give either --quantity or --usage");
  if (usage === undefined)
    return { quantity, ...(events === undefined ? {} : { events }), dimensions: dimension };
  if (usage === "-" && options.price === "-")
    throw new UsageError("standard input can be the price or the usage, not both");
  return (await readCatalogFile(usage)).document;
}

/** The same refusal, with the line of the file beside every fault. */
function estimated(file: CatalogFile, rows: unknown) {
  try {
    return estimatePrice(file.document, rows);
  } catch (error) {
    if (!(error instanceof Problem) || error.code !== "price_not_valid") throw error;
    const faults = error.faults.map((fault) => {
      const line = file.lineOf(fault.pointer);
      return { ...fault, detail: line ? `${fault.detail} (line ${line})` : fault.detail };
    });
    throw new Problem(error.code, `${file.name} is not a sound price`, { faults });
  }
}

/** The segments as a table for people, numbers to the right. */
function tableOf(rated: Rated): string {
  const rows = rated.segments.map((segment) => [
    formatDecimal(segment.quantity),
    formatDecimal(segment.unitPrice),
    formatDecimal(segment.amount),
    [explain(segment), ...groupOf(segment)].join(", "),
  ]);
  const table = [["quantity", "unit price", "amount", "because"], ...rows];
  const widths = [0, 1, 2].map((column) =>
    Math.max(...table.map((row) => (row[column] ?? "").length)),
  );
  const lines = table.map((row) =>
    row.map((cell, column) => cell.padStart(widths[column] ?? 0)).join("  "),
  );
  const total = `${formatMoney(rated.amount)} ${rated.currency}`;
  const exact = `exactly ${formatDecimal(rated.unrounded)}`;
  return [...rated.steps.map(explainStep), ...lines, `total ${total} (${exact})`].join("\n");
}

// A cell says its dimensions in its own sentence.
const groupOf = ({ because, dimensions }: Segment): string[] =>
  because.kind === "cell" ? [] : Object.entries(dimensions).map((pairs) => pairs.join("="));
