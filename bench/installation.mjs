// A server as users run it (`tallyline up`, embedded PostgreSQL, durable commits) in a folder of its own, and what the
// measurements need in it. Everything is gone afterwards.
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const program = join(root, "bin", "tallyline.js");
const dist = (path) => import(new URL(`../dist/${path}`, import.meta.url).href);

export const accounts = 5_000;

export async function install() {
  const folder = mkdtempSync(join(tmpdir(), "tallyline-bench-"));
  const port = await freePort();
  const environment = {
    ...process.env,
    TALLYLINE_DATA_DIR: join(folder, "data"),
    TALLYLINE_PORT: String(port),
    TALLYLINE_LOG_LEVEL: "warn",
  };
  let server = await start(environment, folder);
  const { open } = await dist("main/wire.js");
  const { readConfig } = await dist("main/config.js");
  const config = readConfig(environment);
  const opened = await open({ config, note: () => {} });
  const { subjects: names, ...prepared } = await prepare(opened.env);
  const subjects = join(folder, "subjects");
  writeFileSync(subjects, names.join("\n"));
  return {
    port,
    folder,
    subjects,
    ownerUrl: opened.server.ownerUrl,
    env: opened.env,
    ...prepared,
    /** The server's process: read its memory and its time from /proc. */
    get pid() {
      return server.pid;
    },
    /** Stop it the hard way and measure how long until the next one has accepted an event. */
    async restart(firstEvent) {
      server.kill("SIGKILL");
      await new Promise((resolve) => server.once("exit", resolve));
      const from = performance.now();
      server = await start(environment, folder);
      await firstEvent();
      return (performance.now() - from) / 1000;
    },
    async remove() {
      await opened.close();
      const gone = new Promise((resolve) => server.once("exit", resolve));
      server.kill("SIGTERM");
      await gone;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function start(environment, folder) {
  // The program's first line says how it is run; BENCH_NODE_FLAGS adds a profiler.
  const [, ownFlags = ""] = /^#!.* node (.*)\n/.exec(readFileSync(program, "utf8")) ?? [];
  const flags = [...ownFlags.split(" "), ...(process.env.BENCH_NODE_FLAGS?.split(" ") ?? [])];
  const server = spawn(process.execPath, [...flags, program, "up"], {
    env: environment,
    cwd: folder,
    stdio: ["ignore", "pipe", "inherit"],
  });
  await new Promise((resolve, reject) => {
    server.once("exit", (code) => reject(new Error(`the server ended with ${code}`)));
    server.stdout.on("data", (text) => {
      if (text.includes("answers at")) resolve();
    });
  });
  server.removeAllListeners("exit");
  return server;
}

async function prepare(env) {
  const { pool } = env.store;
  const { createFirstKey } = await dist("flows/manage-api-keys.js");
  const { readMeter, writeMeter } = await dist("domain/catalog/index.js");
  const { bumpCatalogVersion, saveMeter } = await dist("store/catalog.js");
  const orgId = env.id("organization");
  const rows = Array.from({ length: accounts }, (_, index) => ({
    account: env.id("account"),
    project: env.id("project"),
    binding: env.id("binding"),
    grant: env.id("grant"),
    slug: `project-${index}`,
  }));
  await pool.query(
    "insert into organization (org_id, slug, name, created_at) values ($1, 'bench', 'Bench', '2024-01-01')",
    [orgId],
  );
  const columns = [
    rows.map((r) => r.account),
    rows.map((r) => r.project),
    rows.map((r) => r.binding),
    rows.map((r) => r.slug),
  ];
  const from =
    "unnest($2::text[], $3::text[], $4::text[], $5::text[]) as n (account, project, binding, slug)";
  await pool.query(
    `insert into billing_account (org_id, account_id, slug, name, currency, created_at) select $1, account, slug, slug, 'USD', '2024-01-01' from ${from}`,
    [orgId, ...columns],
  );
  await pool.query(
    `insert into project (org_id, project_id, slug, name, created_at) select $1, project, slug, slug, '2024-01-01' from ${from}`,
    [orgId, ...columns],
  );
  await pool.query(
    `insert into binding (org_id, binding_id, project_id, account_id, effective_from, created_by, created_at) select $1, binding, project, account, '2024-01-01', 'bench', '2024-01-01' from ${from}`,
    [orgId, ...columns],
  );
  // A batch of its own for every account, which no measurement uses up: usage of `llm.call` draws from it.
  const units = "1000000000000";
  await pool.query(
    `insert into account_grant (org_id, grant_id, account_id, pool, denomination, sku_code, origin, draw_rank, priority, valid_from, expires_at, size, remaining, has_units, after_seq, created_at) select $1, g, a, 'tokens', 'units', 'TOKENS', 'purchase', 1, 50, '2024-01-01', '2100-01-01', ${units}, ${units}, true, 0, '2024-01-01' from unnest($2::text[], $3::text[]) as n (g, a)`,
    [orgId, rows.map((r) => r.grant), rows.map((r) => r.account)],
  );
  for (const [key, eventType] of [
    ["tokens", "llm.call"],
    ["tokens_unpaid", "llm.call.unpaid"],
  ]) {
    const { meter } = readMeter({
      key,
      name: "Tokens",
      event_type: eventType,
      aggregation: "sum",
      value_property: "tokens",
      unit: "token",
    });
    await env.store.db.transaction().execute(async (tx) => {
      const stored = {
        meterId: env.id("meter"),
        key,
        eventType,
        status: "published",
        definition: writeMeter(meter),
      };
      await saveMeter(tx, stored, env.now());
      await bumpCatalogVersion(tx);
    });
  }
  const { secret } = await createFirstKey(env, {
    organizationId: orgId,
    projectId: null,
    name: "bench",
    roles: ["ingest"],
    permissions: [],
    expiresAt: null,
  });
  // The most active account must not be the first row of every table.
  const subjects = rows.map((row) => row.slug).toSorted((a, b) => mixed(a) - mixed(b));
  return { orgId, key: secret, subjects, rows };
}

function mixed(text) {
  let hash = 0x811c9dc5;
  for (const char of text) hash = Math.imul(hash ^ char.charCodeAt(0), 0x01000193);
  return hash >>> 0;
}

function freePort() {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

/** CPU seconds that a process has used. */
export function cpuOf(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1].split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** The most memory that a process has held, in MB. */
export const peakMemoryOf = (pid) =>
  Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))[1]) / 1024;
