import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { stringify } from "yaml";
import { Problem } from "../domain/refusals/index.ts";
import { type CatalogFile, readCatalogFile } from "./catalog-file.ts";
import { UsageError } from "./config.ts";

const isCatalogFile = (name: string) =>
  /\.(ya?ml|json)$/i.test(name) && !name.endsWith(".schema.json") && !name.startsWith(".");

/** Every YAML and JSON file of a folder, by name. */
export async function readCatalogFolder(folder: string): Promise<CatalogFile[]> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    const why = error.code === "ENOENT" ? "there is no such folder" : error.message;
    throw new UsageError(`${folder}: ${why}`);
  });
  const found = names.filter(isCatalogFile).toSorted((a, b) => (a < b ? -1 : 1));
  if (found.length === 0) throw new UsageError(`${folder}: there is no .yaml or .json file in it`);
  const files: CatalogFile[] = [];
  for (const name of found) files.push({ ...(await readCatalogFile(join(folder, name))), name });
  return files;
}

/** Write documents as YAML files: the same catalog gives the same bytes. */
export async function writeCatalogFolder(
  folder: string,
  files: readonly { readonly name: string; readonly document: unknown }[],
): Promise<string[]> {
  await mkdir(folder, { recursive: true });
  const written: string[] = [];
  for (const { name, document } of files) {
    const path = join(folder, `${name}.yaml`);
    await writeFile(path, stringify(document, { lineWidth: 0 }));
    written.push(path);
  }
  return written;
}

/** Run work on files; a refusal that names a member also names its line. */
export async function withLines<T>(
  files: readonly CatalogFile[],
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    const faults = error.faults.map((fault) => {
      const [name, pointer = ""] = fault.pointer.split("#");
      const line = files.find((file) => file.name === name)?.lineOf(pointer);
      return line === undefined ? fault : { ...fault, pointer: `${name}, line ${line}` };
    });
    const [first] = faults;
    const detail =
      error.code === "catalog_not_valid" && faults.length > 0
        ? `${faults.length === 1 ? "one mistake" : `${faults.length} mistakes`}; nothing was changed`
        : error.message;
    throw new Problem(error.code, first ? detail : error.message, { faults });
  }
}
