// Writes what is derived from the sources and committed: the table types, the readable schema, the API's contract.
// `npm run gen -- --check` writes nothing and fails when something is out of date.
import { readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { openapiText } from "../src/api/openapi.ts";
import { endpoints } from "../src/api/routes.ts";
import { catalogSchemaText } from "../src/main/catalog-schema.ts";
import { migrate } from "../src/store/migrate.ts";
import { createDatabase } from "../test/harness/databases.ts";
import { startTestServer } from "../test/harness/server.ts";
import { describeSchema } from "./gen/describe.ts";
import { schemaSql } from "./gen/schema-sql.ts";
import { tablesTs } from "./gen/tables-ts.ts";

const check = process.argv.includes("--check");

async function fromDatabase(): Promise<Map<string, string>> {
  const server = await startTestServer();
  try {
    await createDatabase(server.url("postgres"), "gen");
    await migrate(server.url("gen"));
    const schema = await describeSchema(server.url("gen"));
    return new Map([
      ["src/store/tables.ts", tablesTs(schema)],
      ["src/store/schema.sql", schemaSql(schema)],
    ]);
  } finally {
    await server.stop();
  }
}

const { version } = JSON.parse(
  await readFile(new URL("../package.json", import.meta.url), "utf8"),
) as { version: string };
const files = await fromDatabase();
files.set("openapi.json", openapiText(endpoints, version));
files.set("examples/catalog/catalog.schema.json", catalogSchemaText());

let outdated = 0;
for (const [path, text] of files) {
  const file = fileURLToPath(new URL(`../${path}`, import.meta.url));
  const before = await readFile(file, "utf8").catch(() => "");
  if (before === text) continue;
  outdated += 1;
  if (!check) await writeFile(file, text);
  console.log(check ? `${path} is out of date: run npm run gen` : `wrote ${path}`);
}
if (check && outdated > 0) process.exitCode = 1;
