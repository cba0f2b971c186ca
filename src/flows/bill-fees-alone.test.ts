import { afterAll, beforeAll, expect, test } from "vitest";
import { type Acme, anAccount } from "../../test/harness/billing.ts";
import { apply, exampleCatalog } from "../../test/harness/catalog.ts";
import { type TestEnv, testEnv } from "../../test/harness/database.ts";
import { system } from "../domain/audit/index.ts";
import { instant } from "../kit/time.ts";
import { collectBillingRun, finishBillingRun, startBillingRun } from "./billing-run.ts";
import { subscribe } from "./change-subscription.ts";

let env: TestEnv;
let acme: Acme;
beforeAll(async () => {
  env = await testEnv({ at: "2025-01-01T00:00:00Z" });
  acme = await anAccount(env);
  await apply(env, exampleCatalog());
});
afterAll(() => env.close());

test("an account on a plan that never used anything is invoiced its fee by the run, month by month", async () => {
  await subscribe(env, system("test"), acme.orgId as never, {
    account: "acme",
    plan: "basic",
    startsAt: instant("2025-01-01T00:00:00Z"),
  });
  env.at("2025-03-10T00:00:00Z");
  const run = await startBillingRun(env, {
    orgId: acme.orgId,
    asOf: env.now(),
    createdBy: "test",
  });
  await collectBillingRun(env, run.runId);
  await finishBillingRun(env, run.runId);
  const invoices = await env.store.db
    .selectFrom("invoice")
    .select(["total_minor"])
    .orderBy("period_starts_at")
    .execute();
  expect(invoices.map((one) => one.total_minor)).toEqual([5000n, 5000n]);
});
