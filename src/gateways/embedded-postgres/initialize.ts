import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  appendFileSync,
  chownSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { diagnose, EmbeddedPostgresError } from "./error.ts";
import { canDieWithParent, type Identity, launchAs } from "./identity.ts";
import { type Programs, programIn } from "./programs.ts";
import { initialSettings } from "./settings.ts";

/** `owner` may do everything (migrations, backup); `application` is the role that serves requests. */
export type Secrets = { readonly owner: string; readonly application: string };
export const roles = { owner: "tallyline", application: "tallyline_app" } as const;
export const databaseName = "tallyline";

/** The child's whole environment: nothing of ours leaks in, and libpq inside does not look into the home of root. */
export const childEnvironment = (home: string): NodeJS.ProcessEnv => ({
  PATH: process.env["PATH"],
  HOME: home,
  LC_ALL: "C",
  TZ: "UTC",
});

/** Create a database in `folder/data`, whole or not at all. */
export function initialize(
  folder: string,
  programs: Programs,
  identity: Identity,
  durable: boolean,
): void {
  const data = join(folder, "data");
  // Left by a process that was killed while it did this.
  for (const name of readdirSync(folder)) {
    if (/^(data|password)\.new-/.test(name)) removeLeftover(join(folder, name));
  }
  const suffix = `new-${randomBytes(6).toString("hex")}`;
  const fresh = `${data}.${suffix}`;
  const secrets = newSecrets();
  const passwordFile = join(folder, `password.${suffix}`);
  writePrivately(passwordFile, `${secrets.owner}\n`, identity);
  const result = runToEnd(folder, identity, programIn(programs.bin, "initdb"), [
    `--pgdata=${fresh}`,
    `--username=${roles.owner}`,
    `--pwfile=${passwordFile}`,
    "--auth=scram-sha-256",
    "--encoding=UTF8",
    "--locale=C",
    "--data-checksums",
    "--no-instructions",
    ...(durable ? [] : ["--no-sync"]),
  ]);
  rmSync(passwordFile);
  if (result.status !== 0) {
    rmSync(fresh, { recursive: true, force: true });
    throw diagnose(result.log, data);
  }
  appendFileSync(join(fresh, "postgresql.conf"), initialSettings(folder));
  administer(folder, fresh, programs, identity, [
    `create role ${roles.application} login password '${secrets.application}'`,
    `create database ${databaseName}`,
  ]);
  writeSecrets(folder, secrets, identity);
  renameSync(fresh, data);
}

/** What was killed may still write for a moment; what cannot be removed now is removed next time. */
function removeLeftover(path: string): void {
  try {
    rmSync(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  } catch {
    // Next time.
  }
}

/** The passwords of an existing database; when their file is gone, new ones are set. */
export function readSecrets(folder: string, programs: Programs, identity: Identity): Secrets {
  if (!existsSync(secretsFile(folder))) {
    const secrets = newSecrets();
    administer(folder, join(folder, "data"), programs, identity, [
      `alter role ${roles.owner} password '${secrets.owner}'`,
      `alter role ${roles.application} password '${secrets.application}'`,
    ]);
    writeSecrets(folder, secrets, identity);
  }
  return readSecretsFile(folder);
}

export function readSecretsFile(folder: string): Secrets {
  return JSON.parse(readFileSync(secretsFile(folder), "utf8")) as Secrets;
}

const secretsFile = (folder: string) => join(folder, "secrets.json");

const newSecrets = (): Secrets => ({
  owner: randomBytes(24).toString("base64url"),
  application: randomBytes(24).toString("base64url"),
});

function writeSecrets(folder: string, secrets: Secrets, identity: Identity): void {
  const part = `${secretsFile(folder)}.part`;
  writePrivately(part, JSON.stringify(secrets), identity);
  renameSync(part, secretsFile(folder));
}

function writePrivately(path: string, text: string, identity: Identity): void {
  rmSync(path, { force: true });
  writeFileSync(path, text, { mode: 0o600, flag: "wx" });
  if (identity.kind === "user") chownSync(path, identity.uid, identity.gid);
}

/** Statements in a single-user session: no server, no password, nobody else. One line each. */
function administer(
  folder: string,
  data: string,
  programs: Programs,
  identity: Identity,
  statements: readonly string[],
): void {
  const args = ["--single", "-D", data, "-c", "exit_on_error=on", "postgres"];
  const input = statements.map((statement) => `${statement};\n`).join("");
  const result = runToEnd(folder, identity, programIn(programs.bin, "postgres"), args, input);
  if (result.status !== 0) throw diagnose(result.log, data);
}

function runToEnd(
  folder: string,
  identity: Identity,
  program: string,
  programArgs: readonly string[],
  input = "",
): { status: number | null; log: string } {
  const { file, args, ...as } = launchAs(identity, program, programArgs, {
    dieWithParent: canDieWithParent(),
  });
  const result = spawnSync(file, args, {
    ...as,
    cwd: folder,
    env: childEnvironment(folder),
    input,
    encoding: "utf8",
  });
  if (result.error)
    throw new EmbeddedPostgresError(`${program} cannot be run: ${result.error.message}`);
  return { status: result.status, log: `${result.stdout}${result.stderr}` };
}
