import { afterAll, beforeAll, expect, test } from "vitest";
import type { BillingAccount } from "../../src/domain/accounts/index.ts";
import { system } from "../../src/domain/audit/index.ts";
import { writeUnits } from "../../src/domain/grants/index.ts";
import { buyBatch } from "../../src/flows/buy-batch.ts";
import { previewInvoice } from "../../src/flows/preview-invoice.ts";
import { proveGrants } from "../../src/flows/prove-grants.ts";
import { simulatedPayments } from "../../src/gateways/simulated-payments.ts";
import { formatMoney } from "../../src/kit/money.ts";
import { seededRandom } from "../../src/kit/random.ts";
import { findAccount } from "../../src/store/accounts.ts";
import { listBalances } from "../../src/store/grant-lifecycle.ts";
import { type TestApi, testApi } from "../harness/api.ts";
import { loadPrepaidCatalog } from "../harness/prepaid.ts";
import { type Program, startProgram } from "../harness/program.ts";

let api: TestApi;
let programs: Program[] = [];
let account: BillingAccount;
// Events bear the instant of the purchase, and everything is looked at a second later: in one month, whenever this runs.
const start = new Date();
const time = start.toISOString();

beforeAll(async () => {
  api = await testApi({
    at: time,
    extend: (bare) => ({ ...bare, payments: simulatedPayments(seededRandom(1)) }),
  });
  await loadPrepaidCatalog(api.env);
  account = (await findAccount(
    api.env.store.db,
    api.organization.id,
    "acme-usd",
  )) as BillingAccount;
  await buyBatch(api.env, system("test"), account, {
    sku: "USAGE-SMS-10000",
    count: 1,
    settlement: "card",
    kind: "batch",
    requestKey: "the batch",
  });
  programs = await Promise.all(
    [1, 2, 3, 4].map(() => startProgram(api.env.url, api.env.pepper, 0, "serve")),
  );
});
afterAll(async () => {
  await Promise.all(programs.map((program) => program.kill()));
  await api.close();
});

test("one batch drawn through four processes, three of them killed: 10,000 drawn, 5,000 overage, not one more", async () => {
  const total = 3_000;
  const perRequest = 20;
  let next = 0;
  let acknowledged = 0;
  let unanswered = 0;

  async function writer(number: number): Promise<void> {
    while (next < total) {
      const from = next;
      next += perRequest;
      const body = JSON.stringify(
        Array.from({ length: perRequest }, (_, index) => ({
          id: `s${from + index}`,
          type: "sms.sent",
          subject: "web",
          time,
          data: { value: "5" },
        })),
      );
      // A process that does not answer is asked no more; the next one gets the very same events.
      for (let turn = number, done = false; !done; turn++) {
        const program = programs[turn % programs.length] as Program;
        try {
          const answer = await fetch(`${program.address}/v1/events`, {
            method: "POST",
            headers: {
              authorization: `Bearer ${api.keys.ingest}`,
              "content-type": "application/json",
            },
            body,
          });
          const { events } = (await answer.json()) as { events: { status: string }[] };
          const stored = events.filter((one) => /^(accepted|duplicate)$/.test(one.status));
          expect(stored).toHaveLength(perRequest);
          acknowledged += perRequest;
          done = true;
        } catch (error) {
          if ((error as Error).name === "AssertionError") throw error;
          unanswered++;
        }
      }
    }
  }
  async function killer(): Promise<void> {
    for (const [index, program] of programs.slice(1).entries()) {
      while (acknowledged < (total * (index + 1)) / 5)
        await new Promise((resolve) => setTimeout(resolve, 1));
      await program.kill();
    }
  }
  await Promise.all([killer(), ...[0, 1, 2, 3, 4, 5, 6, 7].map(writer)]);

  const { env } = api;
  env.at(new Date(start.getTime() + 1_000).toISOString());
  expect(acknowledged).toBe(total);
  expect(unanswered).toBeGreaterThan(0);
  const of = { orgId: account.organizationId, accountId: account.id, pool: "sms" };
  const [balance] = await listBalances(env.store.db, { ...of, now: env.now() });
  expect(writeUnits(balance?.available ?? 0)).toBe("0");
  const { rows } = await env.owner.query<{ drawn: string; events: bigint }>(
    `select (select drawn from account_grant) as drawn, (select count(*) from usage_event) as events`,
  );
  expect(rows).toEqual([{ drawn: "10000", events: 3_000n }]);
  const { draft } = await previewInvoice(env, account.organizationId, account.id, env.now());
  const overage = draft.lines.filter((line) => line.usageType === "overage");
  expect(overage.map((line) => [line.quantity.toFixed(), formatMoney(line.amount)])).toEqual([
    ["5000", "300.00"],
  ]);
  expect((await proveGrants(env)).faults).toEqual([]);
});
