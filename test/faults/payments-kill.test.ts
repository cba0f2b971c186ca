import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { system } from "../../src/domain/audit/index.ts";
import { settlePendingPurchases } from "../../src/flows/buy-batch.ts";
import { verifyInstallation } from "../../src/flows/verify-installation.ts";
import { httpPayments } from "../../src/gateways/http-payments.ts";
import {
  type SimulatedProcessor,
  startSimulatedProcessor,
} from "../../src/gateways/simulated-processor.ts";
import { seededRandom } from "../../src/kit/random.ts";
import { type TestApi, testApi } from "../harness/api.ts";
import { loadPrepaidCatalog } from "../harness/prepaid.ts";
import { type Program, startProgram } from "../harness/program.ts";

const seed = Number(process.env["SEED"] ?? 71);
const secret = "a secret of the test";
let api: TestApi;
let processor: SimulatedProcessor;
let program: Program;
let folder: string;
let port = 0;
const notified = { url: "", times: 3 };

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "tallyline-payments-"));
  processor = await startSimulatedProcessor({
    port: 0,
    secret,
    random: seededRandom(seed),
    faults: { declinedPercent: 15, lostAnswerPercent: 20, lostRequestPercent: 15 },
    file: join(folder, "charges"),
    notify: notified,
    nowSeconds: () => Math.floor(Date.now() / 1000),
  });
  api = await testApi({ at: new Date().toISOString() });
  await loadPrepaidCatalog(api.env);
  await start();
});
afterAll(async () => {
  await program.kill();
  await processor.close();
  await api.close();
  rmSync(folder, { recursive: true, force: true });
});

async function start(): Promise<void> {
  program = await startProgram(api.env.url, api.env.pepper, port, "serve", {
    TALLYLINE_PAYMENTS_URL: processor.url,
    TALLYLINE_PAYMENTS_SECRET: secret,
  });
  port = Number(new URL(program.address).port);
  notified.url = `${program.address}/v1/payment-notifications`;
}

/** Ask until there is an answer that says what became of it: paid or declined. */
async function buy(key: string): Promise<string> {
  for (;;) {
    try {
      const answer = await fetch(
        `${program.address}/v1/organizations/acme/accounts/acme-usd/purchases`,
        {
          method: "POST",
          headers: {
            authorization: `Bearer ${api.keys.provider}`,
            "content-type": "application/json",
            "idempotency-key": key,
          },
          body: JSON.stringify({ sku: "USAGE-SMS-1000", settlement: "card" }),
          signal: AbortSignal.timeout(10_000),
        },
      );
      const { status, code } = (await answer.json()) as { status?: string; code?: string };
      if (answer.status === 201) return String(status);
      if (code === "card_declined") return "declined";
    } catch {
      // Killed, or restarting.
    }
    await sleep(30);
  }
}

test(`killed six times while buying over a processor that loses things (seed ${seed}): each purchase is charged and allocated once, or neither`, async () => {
  const total = 60;
  let done = 0;
  const outcomes = new Map<string, string>();
  const buyer = async (no: number) => {
    for (let n = no; n < total; n += 6) {
      outcomes.set(`order ${n}`, await buy(`order ${n}`));
      done += 1;
    }
  };
  const killer = async () => {
    for (let kill = 1; kill <= 6; kill++) {
      while (done < (total * kill) / 8) await sleep(5);
      await program.kill();
      // The lease of what the dead process had in hand runs out.
      await api.env.owner.query(
        "update idempotency_key set claimed_at = claimed_at - interval '1 hour' where status is null",
      );
      await start();
    }
  };
  await Promise.all([...Array.from({ length: 6 }, (_, no) => buyer(no)), killer()]);
  const env = { ...api.env, payments: httpPayments({ url: processor.url, secret }) };
  await settlePendingPurchases(env, system("test"), {});

  const { rows } = await api.env.owner.query<{
    purchase_id: string;
    request_key: string;
    status: string;
    grants: string;
    booked: string;
  }>(
    `select p.purchase_id, p.request_key, p.status,
            (select count(*) from account_grant g where g.org_id = p.org_id and g.purchase_id = p.purchase_id and g.size = 1000)::text as grants,
            (select count(*) from ledger_transaction t where t.org_id = p.org_id and t.cause = 'purchase:' || p.purchase_id)::text as booked
     from purchase p order by p.request_key`,
  );
  expect(rows).toHaveLength(total);
  for (const row of rows) {
    const charge = processor.charges.get(row.purchase_id)?.outcome.kind;
    expect([row.status, row.grants, row.booked], row.request_key).toEqual(
      charge === "succeeded" ? ["paid", "1", "1"] : ["declined", "0", "0"],
    );
    expect(outcomes.get(row.request_key)).toBe(row.status);
  }
  // No charge without an order, and both ends were met.
  expect(processor.charges.size).toBe(total);
  expect(new Set(rows.map((row) => row.status))).toEqual(new Set(["paid", "declined"]));
  expect((await verifyInstallation(api.env, undefined)).faults).toEqual([]);
}, 240_000);
