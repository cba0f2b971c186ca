// node bench/open-batches.mjs [--quick]: an account with 10,000 open batches of one unit draws from them, one event a request,
// and asks what is left. Promise: ≤ 50 ms a draw.
import { install } from "./installation.mjs";

const quick = process.argv.includes("--quick");
const repeats = quick ? 1 : 5;
const draws = quick ? 50 : 200;
const unitsEach = 3;
const batches = 10_000;

const at = await install();
const url = `http://127.0.0.1:${at.port}`;
const headers = { authorization: `Bearer ${at.key}`, "content-type": "application/json" };
const { account, slug } = at.rows[0];
let sent = 0;

async function timed(path, body) {
  const from = performance.now();
  const answer = await fetch(url + path, { method: "POST", headers, body: JSON.stringify(body) });
  const json = await answer.json();
  if (!answer.ok) throw new Error(JSON.stringify(json));
  return { ms: performance.now() - from, json };
}

async function draw() {
  const event = {
    id: `draw-${sent++}`,
    source: "bench",
    type: "llm.call",
    subject: slug,
    time: new Date().toISOString(),
    data: { tokens: String(unitsEach), model: "small" },
  };
  const { ms, json } = await timed("/v1/events", event);
  if (json.accepted !== 1) throw new Error(JSON.stringify(json));
  return ms;
}

async function check(left) {
  const path = `/v1/organizations/${at.orgId}/accounts/${account}/entitlements/check`;
  const { ms, json } = await timed(path, { feature: "tokens" });
  if (json.remaining !== String(left)) throw new Error(`${json.remaining} left instead of ${left}`);
  return ms;
}

const sorted = (values) => values.toSorted((a, b) => a - b);
const show = (title, values) => {
  const all = sorted(values);
  const share = (of) => all[Math.min(all.length - 1, Math.floor(of * all.length))].toFixed(1);
  process.stdout.write(
    `${title.padEnd(44)} p50 ${share(0.5)} ms  p99 ${share(0.99)} ms  slowest ${share(1)} ms\n`,
  );
};

try {
  const { pool } = at.env.store;
  await pool.query("delete from account_grant where org_id = $1 and account_id = $2", [
    at.orgId,
    account,
  ]);
  const found = { draw: [], check: [] };
  for (let repeat = 0; repeat < repeats; repeat++) {
    await pool.query(
      `insert into account_grant (org_id, grant_id, account_id, pool, denomination, sku_code, origin, draw_rank, priority,
         valid_from, expires_at, size, remaining, has_units, after_seq, created_at)
       select $1, 'grt_' || $3 || lpad(n::text, 6, '0'), $2, 'tokens', 'units', 'TOKENS', 'purchase', 1, 50, '2024-01-01',
              '2100-01-01'::timestamptz + n * interval '1 minute', 1, 1, true, 0, '2024-01-01'
       from generate_series(1, $4 - (select count(*) from account_grant where org_id = $1 and account_id = $2 and has_units)) n`,
      [at.orgId, account, `r${repeat}`, batches],
    );
    // Whoever changes grants counts the head up, in the product as here.
    await pool.query(
      "update usage_head set version = version + 1 where org_id = $1 and account_id = $2",
      [at.orgId, account],
    );
    for (let n = 1; n <= draws; n++) {
      found.draw.push(await draw());
      found.check.push(await check(batches - n * unitsEach));
    }
  }
  show(`draw of ${unitsEach} from 10,000 open batches`, found.draw);
  show("entitlement check of that account", found.check);
} finally {
  await at.remove();
}
