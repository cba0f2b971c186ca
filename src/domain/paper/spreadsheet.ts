import { formatDecimal } from "../../kit/decimal.ts";
import { formatMoney } from "../../kit/money.ts";
import type { Paper } from "./paper.ts";

// A cell that begins like a formula would be run by spreadsheet programs: such text gets an apostrophe in front.
const formulaStart = /^[=+\-@\t\r]/;

/** The lines as CSV (RFC 4180): one row a line, plain numbers, so that the sum of `amount` is the subtotal. */
export function paperAsCsv(paper: Paper): string {
  const header = [
    "document",
    "line",
    "section",
    "sku",
    "item",
    "usage_type",
    "note",
    "quantity",
    "unit",
    "rate",
    "from",
    "to",
    "amount",
    "currency",
    "tax_category",
    "tax_percent",
  ];
  const rows = paper.lines.map((line) => [
    text(paper.number),
    String(line.no),
    text(line.section ?? ""),
    text(line.sku),
    text(line.name),
    line.usageType,
    text(line.note ?? ""),
    formatDecimal(line.quantity),
    text(line.unit),
    line.rate ? formatDecimal(line.rate) : "",
    line.from,
    line.to,
    formatMoney(line.net),
    paper.currency,
    line.category,
    formatDecimal(line.percent),
  ]);
  return `${[header, ...rows].map((row) => row.map(quoted).join(",")).join("\r\n")}\r\n`;
}

const text = (value: string): string => (formulaStart.test(value) ? `'${value}` : value);
const quoted = (value: string): string =>
  /[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value;
