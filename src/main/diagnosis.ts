import { statfsSync, statSync } from "node:fs";
import { join } from "node:path";
import { type DatabaseFacts, inspectDatabase } from "../store/inspect.ts";
import { migrationState } from "../store/migrate.ts";
import type { Config } from "./config.ts";
import { formatInstant, second } from "../kit/time.ts";
import { isLocalDatabase } from "./config.ts";
import { outsideFailure } from "./failure.ts";
import type { Server } from "./wire.ts";
import { readJobs } from "./read-jobs.ts";

/** One thing looked at: how it is, and when it is not well, what to do. */
export type Finding = {
  readonly about: string;
  readonly verdict: "ok" | "warning" | "failure";
  readonly found: string;
  readonly mend?: string;
};

type Say = (found: string, mend?: string) => Finding;
const about = (subject: string): { ok: Say; warning: Say; failure: Say } => {
  const say =
    (verdict: Finding["verdict"]): Say =>
    (found, mend) => ({ about: subject, verdict, found, ...(mend ? { mend } : {}) });
  return { ok: say("ok"), warning: say("warning"), failure: say("failure") };
};

const gibibyte = 1024 ** 3;

export function examineNode(version: string = process.versions.node): Finding {
  const { ok, warning, failure } = about("Node.js");
  const [major = 0, minor = 0] = version.split(".").map(Number);
  if (major < 20 || (major === 20 && minor < 19))
    return failure(version, "Install Node.js 20.19 or newer, best 24.");
  if (major === 20)
    return warning(version, "It gets no security fixes since 30 April 2026: move to 22 or 24.");
  return ok(version);
}

export function examineDisk(config: Config): Finding {
  const { ok, warning, failure } = about("disk");
  const { bavail, blocks, bsize } = statfsSync(config.dataDir);
  const free = (bavail * bsize) / gibibyte;
  const share = blocks > 0 ? bavail / blocks : 1;
  const found = `${free.toFixed(1)} GiB free (${Math.round(share * 100)} %) at ${config.dataDir}`;
  if (free < 0.5) return failure(found, "Make room: a full disk stops every write.");
  if (free < 2 || share < 0.05) return warning(found, "Make room before it fills up.");
  return ok(found);
}

export function examineSecrets(config: Config): Finding {
  const { ok, warning } = about("secrets");
  if (config.pepper) return ok("the pepper of API keys comes from TALLYLINE_PEPPER");
  const file = join(config.dataDir, "pepper");
  const mode = statSync(file, { throwIfNoEntry: false })?.mode;
  if (mode === undefined) return ok("none made yet; the first tallyline up makes them");
  if (process.platform !== "win32" && (mode & 0o077) !== 0)
    return warning(`${file} can be read by other users`, `chmod 600 ${file}`);
  return ok(`${file}, which only its owner reads; keep a copy with your backups`);
}

/** Everything about the database; when it cannot be reached, that alone. */
export async function examineDatabase(config: Config, server: Server): Promise<Finding[]> {
  try {
    const facts = await inspectDatabase(server.ownerUrl, () => Date.now());
    return [
      examineServer(facts, server.embedded),
      examineDurability(facts),
      examineClock(facts),
      examineRole(facts, server.embedded),
      ...(config.databaseUrl ? [examineEncryption(facts, config.databaseUrl)] : []),
      await examineMigrations(server.ownerUrl),
      await examineJobs(server.ownerUrl),
    ];
  } catch (error) {
    return [databaseFailure(error)];
  }
}

export function databaseFailure(error: unknown): Finding {
  const { failure } = about("database");
  const known = outsideFailure(error);
  return failure(known?.detail ?? (error as Error).message);
}

function examineServer(facts: DatabaseFacts, embedded: boolean): Finding {
  const { ok, warning, failure } = about("database");
  const major = Math.floor(facts.versionNumber / 10_000);
  const found = `${embedded ? "embedded " : ""}PostgreSQL ${facts.version}, answers in ${facts.latencyMs.toFixed(2)} ms, ${facts.connectionsFree} connections free`;
  if (major < 15) return failure(found, "Tallyline needs PostgreSQL 15 to 18: upgrade the server.");
  if (facts.encoding !== "UTF8")
    return failure(
      `${found}, encoding ${facts.encoding}`,
      "Create the database with encoding UTF8.",
    );
  if (major > 18) return warning(found, "Tallyline is tested on PostgreSQL 15 to 18.");
  if (facts.latencyMs > 5)
    return warning(
      found,
      "Every request waits for this several times: move the two closer together.",
    );
  return ok(found);
}

function examineDurability(facts: DatabaseFacts): Finding {
  const { ok, warning, failure } = about("durability");
  const { fsync, full_page_writes, synchronous_commit, data_checksums } = facts.settings;
  const found = `fsync ${fsync}, full_page_writes ${full_page_writes}, synchronous_commit ${synchronous_commit}, checksums ${data_checksums}`;
  if (fsync !== "on" || full_page_writes !== "on")
    return failure(found, "A power failure would lose data: switch both on in postgresql.conf.");
  if (synchronous_commit === "off")
    return failure(
      found,
      "An acknowledged event could be lost: alter system set synchronous_commit = on.",
    );
  if (data_checksums !== "on")
    return warning(
      found,
      "Damage on disk would go unnoticed: stop the server and run pg_checksums --enable.",
    );
  return ok(found);
}

function examineClock(facts: DatabaseFacts): Finding {
  const { ok, warning } = about("clock");
  const found = `the database is ${Math.abs(facts.clockAheadMs)} ms ${facts.clockAheadMs < 0 ? "behind" : "ahead of"} this process`;
  return Math.abs(facts.clockAheadMs) > 1_000
    ? warning(found, "Set both machines by NTP: late and future usage is told apart by the clock.")
    : ok(found);
}

function examineRole(facts: DatabaseFacts, embedded: boolean): Finding {
  const { ok, warning } = about("rights");
  if (facts.hasApplicationRole || embedded)
    return ok("requests run as tallyline_app, which cannot change what is written once");
  return warning(
    "requests run as the owner of the tables",
    "As an administrator: create role tallyline_app; grant tallyline_app to the user in DATABASE_URL. Then run tallyline migrate.",
  );
}

function examineEncryption(facts: DatabaseFacts, url: string): Finding {
  const { ok, warning } = about("encryption");
  if (facts.encrypted) return ok("TLS to the database");
  return isLocalDatabase(url)
    ? ok("none needed: the database is on this machine")
    : warning("no TLS to the database", "Add ?sslmode=verify-full to DATABASE_URL.");
}

/** Whether what runs by the clock does run, and how it goes. */
async function examineJobs(url: string): Promise<Finding> {
  const { ok, warning } = about("jobs");
  const known = await readJobs(url);
  if (known === undefined) return ok("none yet: the migrations come first");
  const { states, workerCount, clockAt } = known;
  const [failing] = states.filter((state) => state.failuresInRow >= 3);
  if (failing)
    return warning(
      `${failing.name} has failed ${failing.failuresInRow} times in a row: ${failing.failure?.split("\n")[0]}`,
      `Mend what it says, then tallyline jobs --run ${failing.name}.`,
    );
  const [late] = states.filter(
    ({ everySeconds, nextAt }) =>
      nextAt !== null && clockAt > nextAt + 2 * (everySeconds ?? 0) * second,
  );
  if (workerCount === 0 && late)
    return warning(
      "no process runs them: nothing lapses, renews or is invoiced by itself",
      "Run tallyline up, or tallyline work beside tallyline serve.",
    );
  const [ahead] = states.filter(
    ({ everySeconds, nextAt }) =>
      nextAt !== null && nextAt > clockAt + 2 * (everySeconds ?? 0) * second,
  );
  if (ahead?.nextAt)
    return warning(
      `${ahead.name} waits until ${formatInstant(ahead.nextAt)}: the clock was once far ahead of now`,
      `Run it by hand until then: tallyline jobs --run ${ahead.name}.`,
    );
  return ok(
    workerCount === 0
      ? "no process runs them at the moment"
      : `${states.length} known, run by ${workerCount} ${workerCount === 1 ? "process" : "processes"}`,
  );
}

async function examineMigrations(url: string): Promise<Finding> {
  const { ok, warning, failure } = about("migrations");
  try {
    const { applied, pending } = await migrationState(url);
    const found = `${applied.length} applied, ${pending.length} pending`;
    return pending.length > 0 ? warning(found, "Run tallyline migrate.") : ok(found);
  } catch (error) {
    return failure((error as Error).message);
  }
}
