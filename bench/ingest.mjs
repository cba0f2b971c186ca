// Ingest over HTTP against the raw limits of the same database in the same run.
import { execFile } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { fileURLToPath } from "node:url";
import pg from "pg";
import copyFrom from "pg-copy-streams";
import { cpuOf, peakMemoryOf } from "./installation.mjs";

const loader = fileURLToPath(new URL("load.mjs", import.meta.url));
let runs = 0;

/** Send this many events and say how it went. */
export function load(at, { connections, batch, events, type = "llm.call" }) {
  const order = {
    port: at.port,
    key: at.key,
    subjects: at.subjects,
    connections,
    batch,
    events,
    type,
    run: ++runs,
  };
  return new Promise((resolve, reject) => {
    execFile(
      process.execPath,
      [loader, JSON.stringify(order)],
      { maxBuffer: 1e7 },
      (error, out) => {
        if (error) return reject(new Error(error.message.slice(-2000)));
        const result = JSON.parse(out);
        if (result.refused > 0)
          return reject(new Error(`${result.refused} requests were refused: ${result.latest}`));
        resolve(result);
      },
    );
  });
}

/** COPY into a table with the same columns and the same unique key, nothing else, on two connections. */
export async function rawCopy(at, rows) {
  const half = Math.floor(rows / 2);
  const chunks = [chunksOf(at, half), chunksOf(at, half)];
  return withRawTable(at, async (clients) => {
    const started = performance.now();
    await Promise.all(
      clients.map(async (client, index) => {
        for (const chunk of chunks[index]) {
          const stream = client.query(copyFrom.from("copy raw_event from stdin"));
          await new Promise((resolve, reject) => {
            stream.on("error", reject);
            stream.on("finish", resolve);
            stream.end(chunk);
          });
        }
      }),
    );
    return (half * 2) / ((performance.now() - started) / 1000);
  });
}

/** The same rows by INSERT … SELECT FROM unnest, 4,000 at a time. */
export async function rawUnnest(at, rows) {
  const half = Math.floor(rows / 2);
  return withRawTable(at, async (clients) => {
    const batches = clients.map(() =>
      Array.from({ length: Math.ceil(half / 4_000) }, () => columnsOf(at, 4_000)),
    );
    const started = performance.now();
    await Promise.all(
      clients.map(async (client, index) => {
        for (const values of batches[index])
          await client.query({
            name: "raw",
            text: "insert into raw_event (org_id, event_key, account_id, seq, project_id, type, source, id, subject, time, received_at, data, chain) select $1, k, a, s, p, 'llm.call', 'bench/load', i, u, $2, $2, d, decode('00', 'hex') from unnest($3::uuid[], $4::text[], $5::bigint[], $6::text[], $7::text[], $8::text[], $9::json[]) as n (k, a, s, p, i, u, d) on conflict do nothing",
            values,
          });
      }),
    );
    return (Math.ceil(half / 4_000) * 8_000) / ((performance.now() - started) / 1000);
  });
}

async function withRawTable(at, work) {
  const clients = [0, 1].map(() => new pg.Client(at.ownerUrl));
  for (const client of clients) await client.connect();
  try {
    await clients[0].query("drop table if exists raw_event");
    await clients[0].query("create table raw_event (like usage_event including defaults)");
    await clients[0].query("alter table raw_event add primary key (org_id, event_key)");
    await clients[0].query("checkpoint");
    const rate = await work(clients);
    await clients[0].query("drop table raw_event");
    return rate;
  } finally {
    for (const client of clients) await client.end();
  }
}

const someRow = (at) => at.rows[Math.floor(Math.random() * at.rows.length)];

function chunksOf(at, rows) {
  const chunks = [];
  for (let left = rows; left > 0; left -= 4_000) {
    const lines = Array.from({ length: Math.min(4_000, left) }, (_, index) => {
      const { account, project, slug } = someRow(at);
      const id = randomBytes(18).toString("hex");
      const key = createHash("sha256").update(id).digest("hex").slice(0, 32);
      return `${at.orgId}\t${key}\t${account}\t${index}\t${project}\tllm.call\tbench/load\t${id}\t${slug}\t2026-01-01 00:00:00+00\t2026-01-01 00:00:00+00\t{"tokens":"1200","model":"large"}\t\\N\t\\\\x${key}\n`;
    });
    chunks.push(Buffer.from(lines.join("")));
  }
  return chunks;
}

function columnsOf(at, rows) {
  const picked = Array.from({ length: rows }, () => someRow(at));
  const ids = picked.map(() => randomBytes(18).toString("hex"));
  return [
    at.orgId,
    "2026-01-01",
    ids.map((id) => createHash("sha256").update(id).digest("hex").slice(0, 32)),
    picked.map((row) => row.account),
    picked.map((_, index) => index),
    picked.map((row) => row.project),
    ids,
    picked.map((row) => row.slug),
    picked.map(() => '{"tokens":"1200","model":"large"}'),
  ];
}

/** One sample of ours, with what it cost the server and PostgreSQL in CPU. */
export async function sample(at, shape) {
  const before = cpuOf(at.pid);
  const result = await load(at, shape);
  const perSecond = result.accepted / result.seconds;
  return {
    perSecond,
    p50: result.p50,
    p99: result.p99,
    serverMicros: ((cpuOf(at.pid) - before) * 1e6) / result.accepted,
    loaderMicros: (result.cpuSeconds * 1e6) / result.accepted,
    memory: peakMemoryOf(at.pid),
  };
}
