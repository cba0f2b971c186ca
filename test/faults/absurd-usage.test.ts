import { afterAll, beforeAll, expect, test } from "vitest";
import {
  finishBillingRun,
  resumeBillingRun,
  startBillingRun,
} from "../../src/flows/billing-run.ts";
import { type Ingest, openIngest } from "../../src/flows/ingest-usage.ts";
import { proveGrants } from "../../src/flows/prove-grants.ts";
import { verifyInstallation } from "../../src/flows/verify-installation.ts";
import { pageRunItems } from "../../src/store/billing-runs.ts";
import { pageInvoices } from "../../src/store/invoices.ts";
import { type Acme, anAccount } from "../harness/billing.ts";
import { type TestEnv, testEnv } from "../harness/database.ts";
import { anEvent } from "../harness/installation.ts";
import { loadPrepaidCatalog } from "../harness/prepaid.ts";

// Quantities may have 20 digits. A customer who sends many of them hurts nobody but himself.
let env: TestEnv;
let ingest: Ingest;
let absurd: Acme;
let neighbour: Acme;
beforeAll(async () => {
  env = await testEnv({ at: "2025-01-10T00:00:00Z" });
  await loadPrepaidCatalog(env);
  await env.owner.query("update meter set rolled_up = true");
  absurd = await anAccount(env, { slug: "absurd" });
  neighbour = await anAccount(env, { slug: "neighbour", orgId: absurd.orgId });
  // One lane, so that both are in each other's way as much as they can be.
  ingest = openIngest(env.store, { makeId: env.id, lanes: 1 });
});
afterAll(async () => {
  await ingest.close();
  await env.close();
});

let serial = 0;
const sms = (of: Acme, value: string) =>
  anEvent(
    {
      id: `e${++serial}`,
      type: "sms.sent",
      subject: of.projectId,
      time: "2025-01-05T00:00:00Z",
      data: { value },
    },
    env.now(),
  );
const send = async (events: ReturnType<typeof sms>[]) =>
  (await ingest.submit({ orgId: absurd.orgId, events, now: env.now() })).map(({ kind }) => kind);
const most = "99999999999999999999";

test("sums of more digits than one event may have are received, and nobody waits for them", async () => {
  for (let n = 0; n < 3; n++) {
    const events = [...Array.from({ length: 20 }, () => sms(absurd, most)), sms(neighbour, "100")];
    expect(new Set(await send(events))).toEqual(new Set(["accepted"]));
  }
  // What is remembered of the account is forgotten: the next one reads it from the database.
  const fresh = openIngest(env.store, { makeId: env.id });
  const fates = await fresh.submit({
    orgId: absurd.orgId,
    events: [sms(absurd, "1")],
    now: env.now(),
  });
  await fresh.close();
  expect(fates.map(({ kind }) => kind)).toEqual(["accepted"]);
  expect((await proveGrants(env)).faults).toEqual([]);
  expect((await verifyInstallation(env, undefined)).faults).toEqual([]);
}, 60_000);

test("an invoice larger than money can be is parked with its reason, and the neighbour gets hers", async () => {
  env.at("2025-02-05T00:00:00Z");
  const { runId } = await startBillingRun(env, { orgId: null, asOf: env.now(), createdBy: "test" });
  expect((await finishBillingRun(env, runId)).status).toBe("blocked");
  const [item, ...others] = await pageRunItems(env.store.db, runId, {
    status: "blocked",
    limit: 10,
  });
  expect(others).toEqual([]);
  expect(item?.accountId).toBe(absurd.accountId);
  expect(item?.blockers[0]?.detail).toContain("more than can be posted");
  const issued = await pageInvoices(env.store.db, { orgId: absurd.orgId, limit: 10 });
  expect(issued.map((one) => [one.accountId, one.total.minor])).toEqual([
    [neighbour.accountId, 1800n],
  ]);
  await resumeBillingRun(env, runId, absurd, null);
  expect((await finishBillingRun(env, runId)).status).toBe("blocked");
}, 60_000);
