import type pg from "pg";
import { sha256Hex } from "../../src/kit/hash.ts";

/** A database in few words: what every row says, and in `sameness` which of the names in them are the same. */
export type Digest = {
  readonly rows: Readonly<Record<string, readonly string[]>>;
  readonly sameness: string;
};

// Ids of ours, UUIDs, hashes and secrets: made anew by each run, so they tell only who is the same as whom.
const names =
  /\b[a-z]{3}_[0-9a-hjkmnp-tv-z]{20,22}\b|\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\\\\x[0-9a-f]{16,}|\b[0-9a-f]{64}\b|\b[0-9a-f]{32}\b/g;

/**
 * Everything in a database except how things are called: two are alike when one becomes the other by giving other ids. Ids
 * are told apart by the rows they stand in, those rows by the other ids in them, two steps far.
 */
export async function digestOf(owner: pg.Pool, without: readonly string[]): Promise<Digest> {
  const rows = await everyRow(owner, without);
  const plain: Record<string, string[]> = {};
  for (const { table, text } of rows) (plain[table] ??= []).push(text.replaceAll(names, kindOf));
  for (const texts of Object.values(plain)) texts.sort();

  // A row as the text between its names, so that it is cut up once.
  const cut = rows.map(({ table, text }) => ({
    table,
    between: text.split(names),
    found: [...text.matchAll(names)].map(([name]) => name),
  }));
  let known = new Map<string, string>();
  for (const { found } of cut) for (const name of found) known.set(name, kindOf(name));
  const told = ({ table, between, found }: (typeof cut)[number], self?: string) =>
    `${table} ${between.map((part, i) => `${part}${found[i] === undefined ? "" : found[i] === self ? "self" : known.get(found[i])}`).join("")}`;
  for (let step = 0; step < 2; step++) {
    const seen = new Map<string, string[]>();
    for (const row of cut)
      for (const name of new Set(row.found)) {
        const sayings = seen.get(name) ?? [];
        seen.set(name, sayings);
        sayings.push(told(row, name));
      }
    known = new Map(
      [...seen].map(([name, sayings]) => [name, sha256Hex(sayings.sort().join("\n"))]),
    );
  }
  return {
    rows: plain,
    sameness: sha256Hex(
      cut
        .map((row) => told(row))
        .sort()
        .join("\n"),
    ),
  };
}

/** What stands in one and not in the other, row by row. */
export function differences(was: Digest, is: Digest): string[] {
  const found: string[] = [];
  for (const table of new Set([...Object.keys(was.rows), ...Object.keys(is.rows)])) {
    const left = [...(was.rows[table] ?? [])];
    for (const row of is.rows[table] ?? []) {
      const at = left.indexOf(row);
      if (at < 0) found.push(`too much in ${table}: ${row}`);
      else left.splice(at, 1);
    }
    found.push(...left.map((row) => `missing in ${table}: ${row}`));
  }
  if (found.length === 0 && was.sameness !== is.sameness)
    found.push("the same rows, but they speak of each other differently");
  return found;
}

const kindOf = (name: string) => (/^[a-z]{3}_/.test(name) ? name.slice(0, 3) : "hash");

/** The same exactly, ids and all, as one short text: whether anything at all has changed. */
export async function exactDigest(
  owner: pg.Pool,
  without: readonly string[] = [],
): Promise<string> {
  const rows = await everyRow(owner, without);
  return sha256Hex(rows.map(({ table, text }) => `${table} ${text}`).join("\n"));
}

let tables: readonly string[] | undefined;

async function everyRow(
  owner: pg.Pool,
  without: readonly string[],
): Promise<{ table: string; text: string }[]> {
  tables ??= await listTables(owner);
  const parts = tables
    .filter((table) => !without.includes(table))
    .map((table) => `select '${table}' as "table", to_json(x)::text as text from "${table}" x`);
  const { rows } = await owner.query<{ table: string; text: string }>(
    `select * from (${parts.join(" union all ")}) all_of_it order by 1, 2`,
  );
  return rows;
}

async function listTables(owner: pg.Pool): Promise<string[]> {
  const { rows } = await owner.query<{ name: string }>(
    "select tablename as name from pg_tables where schemaname = 'public' order by 1",
  );
  return rows.map((row) => row.name);
}
