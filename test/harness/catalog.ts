import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";
import { system } from "../../src/domain/audit/index.ts";
import type { CatalogFile } from "../../src/domain/catalog/index.ts";
import { applyCatalog, type CatalogPlan } from "../../src/flows/apply-catalog.ts";
import type { Env } from "../../src/flows/env.ts";

const folder = fileURLToPath(new URL("../../examples/catalog/", import.meta.url));

/** The example catalog as the files of its folder. */
export const exampleCatalog = (): CatalogFile[] =>
  readdirSync(folder)
    .filter((name) => name.endsWith(".yaml"))
    .toSorted()
    .map((name) => ({
      name,
      document: parse(readFileSync(`${folder}${name}`, "utf8")) as unknown,
    }));

/** One catalog file written as YAML. */
export const yamlFile = (yaml: string, name = "more.yaml"): CatalogFile => ({
  name,
  document: parse(yaml) as unknown,
});

/** Apply files as the command line does. */
export const apply = (env: Env, files: readonly CatalogFile[]): Promise<CatalogPlan> =>
  applyCatalog(env, system("test"), files);

/** Edit the text of an example file: the line as it stands there, and what stands there instead. */
export const edited = (
  files: readonly CatalogFile[],
  edit: (text: string) => string,
): CatalogFile[] =>
  files.map((file) => ({
    ...file,
    document: JSON.parse(edit(JSON.stringify(file.document))) as unknown,
  }));
