import { afterAll, beforeAll, expect, test } from "vitest";
import { type Acme, anAccount } from "../../test/harness/billing.ts";
import { apply, exampleCatalog } from "../../test/harness/catalog.ts";
import { type TestEnv, testEnv } from "../../test/harness/database.ts";
import { anEvent } from "../../test/harness/installation.ts";
import { system } from "../domain/audit/index.ts";
import type { OrganizationId } from "../kit/ids.ts";
import { instant } from "../kit/time.ts";
import { changeSubscription, subscribe } from "./change-subscription.ts";
import { type Ingest, openIngest } from "./ingest-usage.ts";
import { issueInvoice } from "./issue-invoice.ts";
import { previewInvoice } from "./preview-invoice.ts";
import { verifyInvoice } from "./verify-invoice.ts";

let env: TestEnv;
let ingest: Ingest;
beforeAll(async () => {
  env = await testEnv({ at: "2025-01-01T00:00:00Z" });
  ingest = openIngest(env.store, { makeId: env.id });
  await apply(env, exampleCatalog());
});
afterAll(async () => {
  await ingest.close();
  await env.close();
});

const author = system("test");
const begin = (of: Acme, plan: string) =>
  subscribe(env, author, of.orgId as OrganizationId, { account: of.accountId, plan });

let sent = 0;
async function hold(of: Acme, gb: string, time: string): Promise<void> {
  const id = `gb-${++sent}`;
  const event = { id, type: "storage.changed", subject: of.projectId, time, data: { gb } };
  const events = [anEvent(event, env.now())];
  expect(await ingest.submit({ orgId: of.orgId, events, now: env.now() })).toEqual([
    { kind: "accepted" },
  ]);
}

/** What storage costs in the month of a moment. */
async function storage(of: Acme, at: string): Promise<string> {
  const { draft } = await previewInvoice(env, of.orgId, of.accountId, env.now(), instant(at));
  return draft.content.lines.find((line) => line.sku === "PLATFORM-STORAGE")?.amount ?? "none";
}

test("10 GB held all month are 10 GB-months in every month, also where the clock is turned (R-047, D-05)", async () => {
  env.at("2025-01-01T00:00:00Z");
  const utc = await anAccount(env, { slug: "utc" });
  const berlin = await anAccount(env, { slug: "berlin", timeZone: "Europe/Berlin" });
  await hold(utc, "10", "2025-01-01T00:00:00Z");
  await hold(berlin, "10", "2024-12-31T23:00:00Z");
  env.at("2025-11-15T00:00:00Z");
  for (const month of ["01", "02", "03", "04", "10"]) {
    const at = `2025-${month}-15T00:00:00Z`;
    expect([month, await storage(utc, at), await storage(berlin, at)]).toEqual([
      month,
      "2.50",
      "2.50",
    ]);
  }
});

test("half a month is half as much (R-047), and what a plan includes is not charged: 12 of 10 cost 0.50 (R-061)", async () => {
  env.at("2025-01-01T00:00:00Z");
  const half = await anAccount(env, { slug: "half" });
  await hold(half, "10", "2025-01-01T00:00:00Z");
  const ten = await anAccount(env, { slug: "ten" });
  await begin(ten, "professional");
  await hold(ten, "10", "2025-01-01T00:00:00Z");
  const twelve = await anAccount(env, { slug: "twelve" });
  await begin(twelve, "professional");
  await hold(twelve, "12", "2025-01-01T00:00:00Z");
  env.at("2025-01-16T12:00:00Z");
  await hold(half, "-10", "2025-01-16T12:00:00Z");
  env.at("2025-03-15T00:00:00Z");
  expect(await storage(half, "2025-01-20T00:00:00Z")).toBe("1.25");
  for (const month of ["01", "02"]) {
    // Nothing is left to charge, so there is no line.
    expect(await storage(ten, `2025-${month}-15T00:00:00Z`)).toBe("none");
    expect(await storage(twelve, `2025-${month}-15T00:00:00Z`)).toBe("0.50");
  }
});

test("an upgrade in the middle of a month includes each plan's level for its own time", async () => {
  env.at("2025-04-01T00:00:00Z");
  const of = await anAccount(env, { slug: "upgrade" });
  const { stored } = await begin(of, "basic");
  await hold(of, "10", "2025-04-01T00:00:00Z");
  env.at("2025-04-16T00:00:00Z");
  await changeSubscription(env, author, of.orgId as OrganizationId, stored.subscription.id, {
    kind: "change_plan",
    plan: "professional",
    version: undefined,
    restartCycle: false,
    when: { kind: "now" },
  });
  env.at("2025-05-01T00:00:00Z");
  // 10 GB all month, less 1 GB for one half and 10 GB for the other: 4.5 GB-months.
  expect(await storage(of, "2025-04-15T00:00:00Z")).toBe("1.13");
});

test("a document with storage re-derives, also after usage that came too late for it", async () => {
  env.at("2025-06-01T00:00:00Z");
  const of = await anAccount(env, { slug: "derives" });
  await begin(of, "professional");
  await hold(of, "13", "2025-06-01T00:00:00Z");
  env.at("2025-07-04T00:00:00Z");
  const at = instant("2025-06-01T00:00:00Z");
  const request = { orgId: of.orgId, account: of.accountId, at, createdBy: "test" };
  const { invoiceId } = await issueInvoice(env, request, env.now());
  await hold(of, "5", "2025-06-20T00:00:00Z");
  const { checks, invoice } = await verifyInvoice(env, of.orgId, invoiceId);
  expect(checks.flatMap((check) => check.mismatches)).toEqual([]);
  expect(invoice.content.lines.map((line) => `${line.sku} ${line.amount}`)).toEqual([
    "PLAN-PROFESSIONAL-MONTHLY 200.00",
    "PLATFORM-STORAGE 0.75",
  ]);
});
