import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { tallyline } from "../../test/harness/cli.ts";
import { emptyDatabase, type TestDatabase } from "../../test/harness/database.ts";
import { testPrograms } from "../../test/harness/server.ts";
import { readConfig } from "./config.ts";
import { examineNode } from "./diagnosis.ts";
import { withEnv } from "./wire.ts";

let folder: string;
let database: TestDatabase;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "tallyline-cli-"));
  database = await emptyDatabase();
});
afterAll(async () => {
  await database.drop();
  rmSync(folder, { recursive: true, force: true });
});

const own = () => ({ DATABASE_URL: database.url, TALLYLINE_DATA_DIR: folder });

describe("the command line", () => {
  test("--version and version", async () => {
    const { version } = JSON.parse(
      readFileSync(new URL("../../package.json", import.meta.url), "utf8"),
    ) as { version: string };
    expect(await tallyline(["--version"])).toEqual({ code: 0, out: `${version}\n`, err: "" });
    const ran = await tallyline(["version", "--json"]);
    expect(JSON.parse(ran.out)).toEqual({ version, node: process.versions.node });
  });

  test("--help lists the commands and ends well", async () => {
    const { code, out } = await tallyline(["--help"]);
    expect(code).toBe(0);
    for (const name of ["up", "migrate", "doctor", "rate", "version"]) expect(out).toContain(name);
  });

  test.each([
    [["migrat"], /unknown command 'migrat'.*Did you mean migrate\?/s],
    [["migrate", "--chek"], /unknown option '--chek'/],
    [["migrate", "now"], /too many arguments/],
  ])("%j is called wrongly: exit 2", async (args, message) => {
    const { code, out, err } = await tallyline(args);
    expect([code, out]).toEqual([2, ""]);
    expect(err).toMatch(message);
  });

  test("a wrong variable is a usage error, as JSON when asked", async () => {
    const { code, err } = await tallyline(["migrate", "--json"], { TALLYLINE_PROT: "1" });
    expect(code).toBe(2);
    expect(JSON.parse(err)).toEqual({
      error: {
        code: "usage",
        title: "called wrongly",
        detail: "TALLYLINE_PROT is not a variable of tallyline. Did you mean TALLYLINE_PORT?",
      },
    });
  });

  test("a database that is not there: exit 3, and where to look", async () => {
    const { code, err } = await tallyline(["migrate"], {
      DATABASE_URL: "postgres://u:p@127.0.0.1:1/x",
    });
    expect(code).toBe(3);
    expect(err).toMatch(/^the database: connect ECONNREFUSED 127\.0\.0\.1:1\. Is it running/);
  });

  test("a password that is wrong: exit 3, and it is not repeated", async () => {
    const { code, err } = await tallyline(["migrate"], {
      DATABASE_URL: database.url.replace(/:[^:@/]+@/, ":hunter2@"),
    });
    expect(code).toBe(3);
    expect(err).toMatch(/password authentication failed.*Check user and password/);
    expect(err).not.toContain("hunter2");
  });
});

describe("on a database of the user's own", () => {
  test("migrate --check says no, migrate does it, then --check says yes", async () => {
    const before = await tallyline(["migrate", "--check"], own());
    expect(before.code).toBe(1);
    expect(before.out).toMatch(/pending {2}0001-directory\.sql\n/);
    const refused = await withEnv(
      { config: readConfig(own()), note: () => {} },
      async () => {},
    ).catch((error: Error) => error.message);
    expect(refused).toMatch(
      /migrations have not run yet \(first 0001-directory\.sql\). Run tallyline migrate/,
    );
    const ran = await tallyline(["migrate"], own());
    expect(ran.code).toBe(0);
    expect(ran.out).toMatch(/applied {2}0001-directory\.sql\n.*the database is up to date\n$/s);
    const after = await tallyline(["--json", "migrate", "--check"], own());
    expect(after.code).toBe(0);
    expect(JSON.parse(after.out)).toMatchObject({ pending: [] });
  });

  test("work runs as the role that cannot rewrite the past, over a secret of this installation", async () => {
    const config = readConfig(own());
    const pepper = await withEnv({ config, note: () => {} }, async (env) => {
      const { rows } = await env.store.pool.query("select current_user as who");
      expect(rows).toEqual([{ who: "tallyline_app" }]);
      return env.pepper;
    });
    expect(pepper).toHaveLength(32);
    expect(statSync(join(folder, "pepper")).mode & 0o777).toBe(0o600);
    await withEnv({ config, note: () => {} }, async (env) => {
      expect(Buffer.from(env.pepper).equals(Buffer.from(pepper))).toBe(true);
    });
  });

  test("the doctor finds the test server unsafe, and says why", async () => {
    const { code, out } = await tallyline(["doctor", "--json"], own());
    const { healthy, findings } = JSON.parse(out) as {
      healthy: boolean;
      findings: { about: string; verdict: string; found: string; mend?: string }[];
    };
    expect([code, healthy]).toEqual([1, false]);
    const verdicts = Object.fromEntries(findings.map(({ about, verdict }) => [about, verdict]));
    // How fast the server answers is the machine's mood; that the doctor minds is what counts.
    const server = findings.find(({ about }) => about === "database")?.found ?? "";
    const answersInMs = Number(/answers in ([\d.]+) ms/.exec(server)?.[1]);
    expect(verdicts).toMatchObject({
      database: answersInMs > 5 ? "warning" : "ok",
      durability: "failure",
      migrations: "ok",
      rights: "ok",
      encryption: "ok",
      clock: "ok",
    });
    expect(findings.find(({ about }) => about === "durability")).toMatchObject({
      found: expect.stringContaining("fsync off"),
      mend: expect.stringContaining("power failure"),
    });
    for (const { verdict, mend } of findings) expect(verdict === "ok").toBe(mend === undefined);
  });
});

describe("on the embedded database", () => {
  test("the doctor is content, and leaves nothing running", async () => {
    const programs = testPrograms();
    const environment = {
      TALLYLINE_DATA_DIR: join(folder, "embedded"),
      ...(programs ? { TALLYLINE_POSTGRES_BIN: programs } : {}),
    };
    expect((await tallyline(["migrate"], environment)).code).toBe(0);
    const { code, out } = await tallyline(["doctor"], environment);
    expect(out).toMatch(/ok +durability +fsync on/);
    expect(out).toMatch(/all is well enough to run\n$/);
    expect(code).toBe(0);
    expect(() => statSync(join(folder, "embedded/postgres/data/postmaster.pid"))).toThrow();
  });
});

test.each([
  ["20.18.0", "failure"],
  ["20.20.2", "warning"],
  ["22.12.0", "ok"],
  ["24.1.0", "ok"],
])("Node.js %s: %s", (version, verdict) => {
  expect(examineNode(version).verdict).toBe(verdict);
});
