#!/usr/bin/env -S node --single-threaded-gc --min-semi-space-size=32 --max-semi-space-size=32 --heap-growing-percent=60
// The cores belong to PostgreSQL too, and memory to the machine: one collector, room for what waits for its commit, no more.
// Starts the compiled program; in a checkout, compiles it first when that is due.
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  process.stderr.write(
    `tallyline needs Node.js 20.19 or newer; this is ${process.versions.node}. Install a newer one from https://nodejs.org.\n`,
  );
  process.exit(2);
}

const at = (path) => new URL(`../${path}`, import.meta.url);
try {
  if (
    existsSync(fileURLToPath(at("tsconfig.build.json"))) &&
    existsSync(fileURLToPath(at("src")))
  ) {
    const { build, isBuilt } = await import(at("scripts/build.mjs").href);
    const compiler = fileURLToPath(at("node_modules/typescript/bin/tsc"));
    // Installed without development packages: what is there runs.
    const usable = existsSync(fileURLToPath(at("dist/main/cli.js"))) && !existsSync(compiler);
    if (!usable && !isBuilt()) {
      if (process.stderr.isTTY) process.stderr.write("compiling tallyline …\n");
      build();
    }
  }
} catch (error) {
  process.stderr.write(`tallyline: ${error.message}\n`);
  process.exit(3);
}
const { main } = await import(at("dist/main/cli.js").href);
process.exitCode = await main(process.argv.slice(2));
