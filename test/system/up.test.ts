import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { Agent, get } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { isAlive } from "../../src/gateways/embedded-postgres/postmaster-file.ts";
import { testPrograms } from "../harness/server.ts";

const program = fileURLToPath(new URL("../../bin/tallyline.js", import.meta.url));
let folder: string;
let child: ChildProcess | undefined;
/** Shown once, at the first start. */
let key = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "tallyline-up-"));
});
afterEach(() => child?.kill("SIGKILL"));
// The database of one that was killed ends on its own, and writes until then.
afterAll(() => rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 250 }));

type Up = {
  child: ChildProcess;
  address: string;
  err: () => string;
  ended: Promise<number | null>;
};

async function up(): Promise<Up> {
  const programs = testPrograms();
  const started = spawn(process.execPath, [program, "up", "--port", "0"], {
    cwd: folder,
    env: {
      PATH: process.env["PATH"],
      TALLYLINE_LOG_LEVEL: "silent",
      ...(programs ? { TALLYLINE_POSTGRES_BIN: programs } : {}),
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  child = started;
  let err = "";
  started.stderr.setEncoding("utf8").on("data", (text: string) => {
    err += text;
  });
  const ended = new Promise<number | null>((resolve) => started.once("exit", resolve));
  const address = await new Promise<string>((resolve, reject) => {
    createInterface({ input: started.stdout }).on("line", (line) => {
      const found = /answers at (\S+)/.exec(line)?.[1];
      key = /^ +key +(\S+)/.exec(line)?.[1] ?? key;
      if (found) resolve(found);
    });
    started.once("exit", (code) => reject(new Error(`it ended with ${code}: ${err}`)));
  });
  return { child: started, address, err: () => err, ended };
}

test("up from nothing answers, ends at SIGTERM with 0, and leaves no process behind", async () => {
  const { child: process_, address, err, ended } = await up();
  const answer = await fetch(`${address}/openapi.json`);
  expect([answer.status, ((await answer.json()) as { openapi: string }).openapi]).toEqual([
    200,
    "3.1.0",
  ]);
  process_.kill("SIGTERM");
  expect(await ended).toBe(0);
  expect(err()).toContain("stopping; answering what came in");
  expect(isAlive(process_.pid as number)).toBe(false);
});

test("SIGTERM under load: what came in is answered, and connections that never rest do not keep it", async () => {
  const { child: process_, address, ended } = await up();
  const agent = new Agent({ keepAlive: true });
  const statuses = new Set<number>();
  const customers = Array.from({ length: 16 }, async () => {
    let status = 200;
    // Until nobody listens any more.
    for (; status !== 0; statuses.add(status))
      status = await ask(agent, `${address}/v1/organizations`);
  });
  await new Promise((resolve) => setTimeout(resolve, 500));
  const from = performance.now();
  process_.kill("SIGTERM");
  expect(await ended).toBe(0);
  expect(performance.now() - from).toBeLessThan(15_000);
  await Promise.all(customers);
  agent.destroy();
  expect(statuses).toEqual(new Set([200, 0]));
});

/** The status of the answer; 0 when there was none. */
const ask = (agent: Agent, address: string): Promise<number> =>
  new Promise((resolve) => {
    const headers = { authorization: `Bearer ${key}` };
    get(address, { agent, headers }, (answer) => {
      answer.resume().on("end", () => resolve(answer.statusCode ?? -1));
    }).on("error", () => resolve(0));
  });

test("killed and started again, five times, it comes back with the same database", async () => {
  for (let round = 0; round < 5; round++) {
    const { child: process_, address, ended } = await up();
    expect((await fetch(`${address}/openapi.json`)).status).toBe(200);
    process_.kill("SIGKILL");
    await ended;
  }
  const last = await up();
  last.child.kill("SIGINT");
  expect(await last.ended).toBe(0);
});
