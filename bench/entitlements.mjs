// node bench/entitlements.mjs [--quick]: entitlement checks and reservations over HTTP, against the server as users run it,
// beside what a bare HTTP server does that answers the same bytes. CPU is what a request costs all processes together: two
// cores have 2,000,000 µs a second.
import { execFile, spawn } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { cpuOf, install } from "./installation.mjs";

const quick = process.argv.includes("--quick");
const repeats = quick ? 3 : 5;
const seconds = quick ? 2 : 5;
const connections = 16;
const asker = fileURLToPath(new URL("ask.mjs", import.meta.url));
const rawServer = fileURLToPath(new URL("raw-http.mjs", import.meta.url));

const questions = [
  {
    title: "entitlement check",
    address: "entitlements/check",
    body: { feature: "seats" },
    promise: "≥ 8,000/s, p50 < 2 ms",
  },
  {
    title: "reservation",
    address: "reservations",
    body: { feature: "seats", quantity: "1", seconds: 1 },
    promise: "≥ 4,000/s, p50 < 4 ms",
  },
];

/** Ask as fast as the connections allow, spread over the accounts. */
function ask(order) {
  return new Promise((resolve, reject) => {
    execFile(process.execPath, [asker, JSON.stringify(order)], (error, out) => {
      if (error) return reject(new Error(error.message.slice(-2000)));
      const result = JSON.parse(out);
      if (result.refused > 0)
        return reject(new Error(`${result.refused} were refused: ${result.latest}`));
      resolve(result);
    });
  });
}

/** The process that all of PostgreSQL's are children of. */
async function postmasterOf({ env }) {
  const { rows } = await env.store.pool.query("select pg_backend_pid() as pid");
  return parentOf(rows[0].pid);
}
const fieldsOf = (pid) => readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1].split(" ");
const parentOf = (pid) => Number(fieldsOf(pid)[1]);

/** CPU seconds of a process and of all its children, also of those that have ended. */
function cpuOfFamily(pid) {
  const [user, system] = fieldsOf(pid).slice(13, 15).map(Number);
  let sum = cpuOf(pid) + (user + system) / 100;
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      if (parentOf(name) === pid) sum += cpuOf(name);
    } catch {
      // Ended meanwhile.
    }
  }
  return sum;
}

async function sample(at, question, postmaster) {
  const before = { server: cpuOf(at.pid), postgres: cpuOfFamily(postmaster) };
  const result = await ask(orderOf(at, question));
  const micros = (cpuSeconds) => (cpuSeconds * 1e6) / result.answers;
  return {
    perSecond: result.answers / result.seconds,
    p50: result.p50,
    p99: result.p99,
    server: micros(cpuOf(at.pid) - before.server),
    postgres: micros(cpuOfFamily(postmaster) - before.postgres),
    load: micros(result.cpuSeconds),
  };
}

const orderOf = (at, { address, body }) => ({
  port: at.port,
  key: at.key,
  connections,
  seconds,
  address: `/v1/organizations/${at.orgId}/accounts/{account}/${address}`,
  body,
  accounts: at.asked,
});

/** The same requests to a server that does nothing but answer, with what ours answered to the first. */
async function raw(at, question) {
  const order = orderOf(at, question);
  const first = order.address.replace("{account}", at.rows[0].account);
  const answer = await fetch(`http://127.0.0.1:${at.port}${first}`, {
    method: "POST",
    headers: { authorization: `Bearer ${at.key}`, "content-type": "application/json" },
    body: JSON.stringify(question.body),
  });
  const headers = Object.fromEntries(
    [...answer.headers].filter(([name]) => !/^(date|connection|keep-alive)$/.test(name)),
  );
  const same = { status: answer.status, headers, body: await answer.text() };
  const server = spawn(process.execPath, [rawServer, JSON.stringify(same)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  try {
    const port = await new Promise((resolve) =>
      server.stdout.once("data", (text) => resolve(Number(text))),
    );
    const result = await ask({ ...order, port });
    return { perSecond: result.answers / result.seconds, p50: result.p50 };
  } finally {
    server.kill("SIGKILL");
  }
}

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
const whole = (value) => Math.round(value).toLocaleString("en-US");

const at = await install();
try {
  at.asked = join(at.folder, "asked");
  writeFileSync(at.asked, at.rows.map((row) => row.account).join("\n"));
  const postmaster = await postmasterOf(at);
  await at.env.store.pool.query(
    `insert into quota (org_id, account_id, quota_key, ceiling, quota_window, enforcement)
     select org_id, account_id, 'seats', 1e15, 'none', 'hard' from billing_account where org_id = $1`,
    [at.orgId],
  );
  for (const question of questions) {
    await sample(at, question, postmaster);
    const found = [];
    const bare = [];
    for (let repeat = 0; repeat < repeats; repeat++) {
      bare.push(await raw(at, question));
      found.push(await sample(at, question, postmaster));
    }
    const of = (samples, name) => median(samples.map((one) => one[name]));
    const rates = found.map((one) => one.perSecond);
    process.stdout.write(
      `${question.title.padEnd(18)} ${whole(of(found, "perSecond")).padStart(7)}/s  (${whole(Math.min(...rates))} … ${whole(Math.max(...rates))})` +
        `  p50 ${of(found, "p50").toFixed(2)} ms  p99 ${of(found, "p99").toFixed(2)} ms   ${question.promise}\n` +
        `  CPU a request: server ${whole(of(found, "server"))} µs, PostgreSQL ${whole(of(found, "postgres"))} µs, load generator ${whole(of(found, "load"))} µs\n` +
        `  raw HTTP, same bytes: ${whole(of(bare, "perSecond"))}/s  p50 ${of(bare, "p50").toFixed(2)} ms\n`,
    );
  }
} finally {
  await at.remove();
}
