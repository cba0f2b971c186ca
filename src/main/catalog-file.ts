import { readFile } from "node:fs/promises";
import { type Document, isNode, LineCounter, parseDocument, type ScalarTag, type Tags } from "yaml";
import { bareNumber } from "../domain/catalog/index.ts";
import { UsageError } from "./config.ts";

/** A YAML or JSON file as a plain document, and where in the file its members stand. */
export type CatalogFile = {
  readonly name: string;
  readonly document: unknown;
  /** The line of the member a JSON pointer names, or of the nearest thing around it. */
  readonly lineOf: (pointer: string) => number | undefined;
};

/** Read a file, or standard input when its name is "-". */
export async function readCatalogFile(path: string): Promise<CatalogFile> {
  if (path === "-") return parseCatalogFile(await standardInput(), "standard input");
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    throw new UsageError(`${path}: ${reasons[error.code ?? ""] ?? error.message}`);
  });
  return parseCatalogFile(text, path);
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  EISDIR: "is a folder, not a file",
  EACCES: "may not be read",
};

async function standardInput(): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString("utf8");
}

/**
 * Parse YAML 1.2, of which JSON is a part. Numbers that a double cannot hold for certain come as `BareNumber`, with the
 * text that stands in the file: "0.10" is never silently 0.1. The same member twice is an error.
 */
export function parseCatalogFile(text: string, name: string): CatalogFile {
  const lines = new LineCounter();
  const parsed = parseDocument(text, { lineCounter: lines, customTags: withBareNumbers });
  const [error] = parsed.errors;
  if (error) {
    const { line } = lines.linePos(error.pos[0]);
    throw new UsageError(`${name}, line ${line}: ${error.message.split("\n")[0]}`);
  }
  try {
    const document: unknown = parsed.toJS();
    return { name, document, lineOf: (pointer) => lineOf(parsed, lines, pointer) };
  } catch (cause) {
    throw new UsageError(`${name}: ${cause instanceof Error ? cause.message : String(cause)}`);
  }
}

const withBareNumbers = (tags: Tags): Tags =>
  tags.map((tag) => {
    if (typeof tag === "string" || tag.collection) return tag;
    if (tag.tag === "tag:yaml.org,2002:float") return keepingText(tag, () => undefined);
    if (tag.tag === "tag:yaml.org,2002:int") return keepingText(tag, wholeNumber);
    return tag;
  });

const keepingText = (tag: ScalarTag, exact: (text: string) => number | undefined): ScalarTag => ({
  ...tag,
  resolve: (text) => exact(text) ?? bareNumber(text),
});

function wholeNumber(text: string): number | undefined {
  const value = Number(text);
  return /^-?\d+$/.test(text) && Number.isSafeInteger(value) ? value : undefined;
}

function lineOf(parsed: Document, lines: LineCounter, pointer: string): number | undefined {
  const path = pointer
    .split("/")
    .slice(1)
    .map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
  for (let length = path.length; length >= 0; length--) {
    const node: unknown = parsed.getIn(path.slice(0, length).map(keyOf), true);
    if (isNode(node) && node.range) return lines.linePos(node.range[0]).line;
  }
  return undefined;
}

const keyOf = (part: string): string | number => (/^\d+$/.test(part) ? Number(part) : part);
