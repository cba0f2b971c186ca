import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import { parse } from "csv-parse";
import type { ImportMap, Row } from "../../domain/imports/index.ts";

/** A row of the file with the number of the line it stands on, or why it could not be read. */
export type NumberedRow =
  | { readonly line: number; readonly row: Row }
  | { readonly line: number; readonly raw: string; readonly reason: string };

/** Read a file row by row, never more than a few at once. `onBytes` hears how far the reading has come. */
export function rowsOf(
  file: string,
  map: ImportMap,
  onBytes: (bytes: number) => void,
): AsyncGenerator<NumberedRow> {
  const input = createReadStream(file);
  let read = 0;
  input.on("data", (chunk) => {
    read += chunk.length;
    onBytes(read);
  });
  return map.format === "csv" ? csvRows(input, map.delimiter) : jsonRows(input);
}

type CsvRecord = {
  record: Record<string, string>;
  info: { lines: number; error?: { message: string } };
  raw: string;
};

async function* csvRows(
  input: NodeJS.ReadableStream,
  delimiter: string,
): AsyncGenerator<NumberedRow> {
  const parser = input.pipe(
    parse({
      columns: true,
      bom: true,
      delimiter,
      info: true,
      raw: true,
      skip_empty_lines: true,
      relax_column_count: true,
      relax_quotes: false,
    }),
  );
  // A stream that fails while we wait for the parser would otherwise end the process.
  input.on("error", (error) => parser.destroy(error));
  for await (const given of parser) {
    const { record, info, raw } = given as CsvRecord;
    const line = info.lines;
    if (info.error) yield { line, raw: raw.trimEnd(), reason: info.error.message };
    else yield { line, row: record };
  }
}

async function* jsonRows(input: NodeJS.ReadableStream): AsyncGenerator<NumberedRow> {
  let line = 0;
  for await (const text of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
    line += 1;
    if (text.trim() === "") continue;
    yield jsonRow(line, text);
  }
}

/** Members become columns; a number keeps the digits it was written with, because a float would change them. */
function jsonRow(line: number, text: string): NumberedRow {
  try {
    const value: unknown = JSON.parse(quoteNumbers(text));
    if (typeof value !== "object" || value === null || Array.isArray(value))
      return { line, raw: text, reason: "the line is not a JSON object" };
    return { line, row: flat(value as Record<string, unknown>, "") };
  } catch (error) {
    return { line, raw: text, reason: `the line is not JSON: ${(error as Error).message}` };
  }
}

// Strings are matched first and kept, so that digits inside them stay what they are.
const stringOrNumber = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
const quoteNumbers = (text: string): string =>
  text.replaceAll(stringOrNumber, (found) => (found.startsWith('"') ? found : `"${found}"`));

/** Nested members get dotted column names: usage.input_tokens. */
function flat(value: Record<string, unknown>, prefix: string): Record<string, string> {
  const row: Record<string, string> = {};
  for (const [name, member] of Object.entries(value)) {
    if (typeof member === "object" && member !== null && !Array.isArray(member))
      Object.assign(row, flat(member as Record<string, unknown>, `${prefix}${name}.`));
    else if (member !== null)
      row[`${prefix}${name}`] = typeof member === "string" ? member : JSON.stringify(member);
  }
  return row;
}
