import {
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join, resolve } from "node:path";
import { canonicalJson } from "../../kit/canonical-json.ts";
import { sha256Hex } from "../../kit/hash.ts";

/**
 * How far an import has come, kept beside the installation's data. It only saves time: events have stable ids, so
 * starting over would change nothing.
 */
export type Checkpoint = { readonly lines: number; save(lines: number): void; done(): void };

/** The checkpoint of importing this very file (same size, same time of change) through this very map to this target. */
export function openCheckpoint(
  dataDir: string,
  file: string,
  map: unknown,
  target: string,
): Checkpoint {
  const { size, mtimeMs } = statSync(file);
  const name = sha256Hex(canonicalJson([resolve(file), size, mtimeMs, map, target])).slice(0, 24);
  const folder = join(dataDir, "imports");
  const path = join(folder, `${name}.json`);
  return {
    lines: existsSync(path) ? linesIn(path) : 0,
    save(lines) {
      mkdirSync(folder, { recursive: true });
      // Written beside and renamed: a crash in between leaves the old one whole.
      writeFileSync(`${path}.new`, JSON.stringify({ lines }));
      renameSync(`${path}.new`, path);
    },
    done: () => rmSync(path, { force: true }),
  };
}

function linesIn(path: string): number {
  try {
    const { lines } = JSON.parse(readFileSync(path, "utf8")) as { lines?: unknown };
    return typeof lines === "number" && Number.isSafeInteger(lines) && lines > 0 ? lines : 0;
  } catch {
    return 0;
  }
}
