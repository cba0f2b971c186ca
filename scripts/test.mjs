// The whole check behind `npm test`: format, types, lint, dead code, then every test on the embedded PostgreSQL 18 and, where
// Debian's PostgreSQL 15 is installed, every test that touches a database once more on that. Ends with one line of sums.
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const bin = (name) => join(process.cwd(), "node_modules", ".bin", name);
const sums = { passed: 0, failed: 0, skipped: 0 };
const reports = mkdtempSync(join(tmpdir(), "tallyline-test-"));

function step(title, command, args, env = {}) {
  process.stdout.write(`\n── ${title}\n`);
  const started = Date.now();
  const result = spawnSync(command, args, { stdio: "inherit", env: { ...process.env, ...env } });
  process.stdout.write(
    `── ${title}: ${result.status === 0 ? "ok" : "FAILED"} (${((Date.now() - started) / 1000).toFixed(1)} s)\n`,
  );
  return result.status === 0;
}

function check(title, command, args) {
  sums[step(title, command, args) ? "passed" : "failed"] += 1;
}

function suite(title, args, env = {}) {
  const report = join(reports, `${title.replaceAll(/\W+/g, "-")}.json`);
  const ok = step(
    title,
    bin("vitest"),
    ["run", "--reporter=default", "--reporter=json", `--outputFile.json=${report}`, ...args],
    env,
  );
  if (!existsSync(report)) {
    sums.failed += 1;
    return;
  }
  const { numPassedTests, numFailedTests, numPendingTests, numTodoTests, numFailedTestSuites } =
    JSON.parse(readFileSync(report, "utf8"));
  sums.passed += numPassedTests;
  sums.failed += numFailedTests;
  sums.skipped += numPendingTests + numTodoTests;
  // A file that cannot even be loaded has no failed test, and still is a failure.
  if (!ok && numFailedTests === 0) sums.failed += Math.max(1, numFailedTestSuites);
}

const postgres15 = process.env.TALLYLINE_POSTGRES_15 ?? "/usr/lib/postgresql/15/bin";
const filter = process.argv.slice(2);

if (filter.length === 0) {
  check("format", bin("biome"), ["format", "."]);
  check("types", bin("tsc"), ["--noEmit"]);
  check("lint", bin("oxlint"), [
    "--type-aware",
    "--deny-warnings",
    "src",
    "test",
    "bench",
    "scripts",
  ]);
  check("unused code", bin("knip"), []);
  check("build", process.execPath, ["scripts/build.mjs"]);
}
suite("tests on embedded PostgreSQL 18", filter);
if (existsSync(join(postgres15, "postgres"))) {
  // Gateways bring their own server, or need none.
  suite(
    "tests on PostgreSQL 15",
    ["--project", "system", "--exclude", "src/gateways/**", ...filter],
    {
      TALLYLINE_TEST_POSTGRES: "15",
    },
  );
} else {
  process.stdout.write(
    `\nPostgreSQL 15 is not installed (${postgres15}): its run is left out here; .ci/run installs it.\n`,
  );
}

rmSync(reports, { recursive: true, force: true });
process.stdout.write(`\n${sums.passed} passed, ${sums.failed} failed, ${sums.skipped} skipped\n`);
process.exit(sums.failed === 0 && sums.passed > 0 ? 0 : 1);
