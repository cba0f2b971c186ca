// node bench/entitlements.mjs [--quick]: entitlement checks and reservations over HTTP, against the server as users run it.
import autocannon from "autocannon";
import { install } from "./installation.mjs";

const quick = process.argv.includes("--quick");
const repeats = quick ? 1 : 5;
const seconds = quick ? 3 : 10;
const connections = 16;

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];

/** Ask as fast as the connections allow, spread over the accounts. */
async function ask(at, address, body) {
  const requests = at.rows.slice(0, 1_000).map((row) => ({
    method: "POST",
    path: `/v1/organizations/${at.orgId}/accounts/${row.account}/${address}`,
    headers: { authorization: `Bearer ${at.key}`, "content-type": "application/json" },
    body: JSON.stringify(body),
  }));
  const url = `http://127.0.0.1:${at.port}`;
  const result = await autocannon({ url, connections, duration: seconds, requests });
  if (result.non2xx > 0) throw new Error(`${result.non2xx} of ${result["2xx"]} were refused`);
  return { perSecond: result.requests.average, p50: result.latency.p50, p99: result.latency.p99 };
}

const at = await install();
try {
  await at.env.store.pool.query(
    `insert into quota (org_id, account_id, quota_key, ceiling, quota_window, enforcement)
     select org_id, account_id, 'seats', 1e15, 'none', 'hard' from billing_account where org_id = $1`,
    [at.orgId],
  );
  for (const { title, address, body, promise } of [
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
  ]) {
    const found = [];
    for (let repeat = 0; repeat < repeats; repeat++) found.push(await ask(at, address, body));
    const of = (name) => median(found.map((one) => one[name]));
    process.stdout.write(
      `${title.padEnd(20)} ${Math.round(of("perSecond"))}/s  p50 ${of("p50")} ms  p99 ${of("p99")} ms   ${promise}\n`,
    );
  }
} finally {
  await at.remove();
}
