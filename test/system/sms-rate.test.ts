import { afterAll, beforeAll, expect, test } from "vitest";
import { system } from "../../src/domain/audit/index.ts";
import type { BillingAccount } from "../../src/domain/accounts/index.ts";
import { buyBatch } from "../../src/flows/buy-batch.ts";
import { proveGrants } from "../../src/flows/prove-grants.ts";
import { previewInvoice } from "../../src/flows/preview-invoice.ts";
import { simulatedPayments } from "../../src/gateways/simulated-payments.ts";
import { formatMoney } from "../../src/kit/money.ts";
import { seededRandom } from "../../src/kit/random.ts";
import { findAccount } from "../../src/store/accounts.ts";
import { type TestApi, testApi } from "../harness/api.ts";
import { loadPrepaidCatalog } from "../harness/prepaid.ts";

let api: TestApi;
let account: BillingAccount;

beforeAll(async () => {
  api = await testApi({
    at: "2025-01-10T10:00:00Z",
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
    count: 4,
    settlement: "card",
    kind: "batch",
    requestKey: "four batches",
  });
});
afterAll(() => api.close());

test("5,000 SMS a minute for ten minutes: after every minute the balance is exact, then the overage is (R-222)", async () => {
  const left: string[] = [];
  for (let minute = 0; minute < 10; minute++) {
    api.env.at(`2025-01-10T10:${String(minute + 1).padStart(2, "0")}:00Z`);
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, request) =>
        api.post(
          "/v1/events",
          Array.from({ length: 500 }, (_, index) => ({
            id: `${minute}-${request}-${index}`,
            source: "carrier",
            type: "sms.sent",
            subject: "web",
            time: `2025-01-10T10:0${minute}:${String(request * 5 + (index % 5)).padStart(2, "0")}Z`,
            data: { value: "1" },
          })),
          { key: api.keys.ingest },
        ),
      ),
    );
    expect(answers.map(({ json }) => json.accepted)).toEqual(Array(10).fill(500));
    const { json } = await api.post(
      "/v1/organizations/acme/accounts/acme-usd/entitlements/check",
      { feature: "sms", quantity: "40001" },
      { key: api.keys.ingest },
    );
    left.push(String(40_001 - Number(json.overage)));
  }
  expect(left).toEqual([
    "35000",
    "30000",
    "25000",
    "20000",
    "15000",
    "10000",
    "5000",
    "0",
    "0",
    "0",
  ]);
  const { env } = api;
  const { draft } = await previewInvoice(env, account.organizationId, account.id, env.now());
  const overage = draft.lines.filter((line) => line.usageType === "overage");
  expect(overage.map((line) => [line.quantity.toFixed(), formatMoney(line.amount)])).toEqual([
    ["10000", "600.00"],
  ]);
  expect(await proveGrants(env)).toMatchObject({ eventCount: 50_000, faults: [] });
});
