// Compiles src into dist. Runs as `npm run build`, and by itself from bin/tallyline.js in a checkout whose dist is missing
// or older than its sources, because a package must not depend on install scripts.
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, readdirSync, renameSync, rmSync, statSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const dist = join(root, "dist");
/** What the compiled program reads at run time and the compiler does not copy. */
const assets = ["store/migrations", "api/reference-assets"];

/** Whether dist is what the sources say. */
export function isBuilt() {
  const entry = join(dist, "main", "cli.js");
  if (!existsSync(entry)) return false;
  const built = statSync(entry).mtimeMs;
  const inputs = ["package.json", "tsconfig.json", "tsconfig.build.json"].map((name) =>
    join(root, name),
  );
  return newest(join(root, "src"), inputs) <= built;
}

function newest(folder, files) {
  let latest = 0;
  for (const file of files) latest = Math.max(latest, statSync(file).mtimeMs);
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    // A folder's own time changes when a file in it is removed or renamed.
    latest = Math.max(latest, statSync(path).mtimeMs, entry.isDirectory() ? newest(path, []) : 0);
  }
  return latest;
}

/** Compile beside dist and swap at the end: a program that starts meanwhile never sees half of it. */
export function build() {
  const compiler = join(root, "node_modules", "typescript", "bin", "tsc");
  if (!existsSync(compiler)) {
    throw new Error(`cannot build: ${compiler} is missing. Run npm ci in ${root}.`);
  }
  const startedAt = new Date();
  const fresh = join(root, `dist.${process.pid}`);
  try {
    const options = ["-p", join(root, "tsconfig.build.json"), "--outDir", fresh];
    const run = spawnSync(process.execPath, [compiler, ...options], {
      cwd: root,
      encoding: "utf8",
    });
    if (run.status !== 0)
      throw new Error(`the sources do not compile:\n${run.stdout}${run.stderr}`);
    for (const folder of assets) {
      if (existsSync(join(root, "src", folder))) {
        cpSync(join(root, "src", folder), join(fresh, folder), { recursive: true });
      }
    }
    // A source saved while the compiler ran is newer than this and built again next time.
    utimesSync(join(fresh, "main", "cli.js"), startedAt, startedAt);
    const old = `${dist}.old.${process.pid}`;
    if (existsSync(dist)) renameSync(dist, old);
    renameSync(fresh, dist);
    rmSync(old, { recursive: true, force: true });
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) build();
