import { afterAll, beforeAll, expect, test } from "vitest";
import { type Acme, anAccount } from "../../test/harness/billing.ts";
import { type TestEnv, testEnv } from "../../test/harness/database.ts";
import { anEvent } from "../../test/harness/installation.ts";
import { loadPrepaidCatalog } from "../../test/harness/prepaid.ts";
import { system } from "../domain/audit/index.ts";
import { formatInstant, instant } from "../kit/time.ts";
import { pageInvoices } from "../store/invoices.ts";
import { buyBatch } from "./buy-batch.ts";
import { creditInvoice, voidInvoice } from "./correct-invoice.ts";
import { type Ingest, openIngest } from "./ingest-usage.ts";
import { issueInvoice } from "./issue-invoice.ts";
import { getAccount } from "./manage-accounts.ts";
import { verifyInvoice } from "./verify-invoice.ts";

// Documents, and what happens to other documents after them: found by the lives of test/system/life.test.ts.
let env: TestEnv;
let ingest: Ingest;
beforeAll(async () => {
  env = await testEnv({ at: "2025-01-01T00:00:00Z" });
  ingest = openIngest(env.store, { makeId: env.id });
  await loadPrepaidCatalog(env);
  await env.owner.query("update meter set rolled_up = true");
});
afterAll(async () => {
  await ingest.close();
  await env.close();
});

const author = system("test", "wrong");

let sent = 0;
async function use(of: Acme, value: string, time: string, corrects?: string): Promise<string> {
  const id = `sms-${++sent}`;
  const event = {
    id,
    type: "sms.sent",
    subject: of.projectId,
    time,
    data: { value },
    ...(corrects ? { corrects } : {}),
  };
  const events = [anEvent(event, env.now())];
  expect(await ingest.submit({ orgId: of.orgId, events, now: env.now() })).toEqual([
    { kind: "accepted" },
  ]);
  return id;
}

const issue = async (of: Acme, month: string): Promise<string> => {
  const at = instant(`2025-${month}-01T00:00:00Z`);
  const request = { orgId: of.orgId, account: of.accountId, at, createdBy: "test" };
  return (await issueInvoice(env, request, env.now())).invoiceId;
};
const close = (of: Acme, invoice: string) =>
  voidInvoice(env, { orgId: of.orgId, invoice, reason: "wrong" }, author, env.now());

/** The sum of the documents that stand, after proving each document, also those that are void. */
async function proven(of: Acme): Promise<string> {
  const papers = await pageInvoices(env.store.db, { orgId: of.orgId, limit: 100 });
  for (const { invoiceId, number } of papers) {
    const { checks } = await verifyInvoice(env, of.orgId, invoiceId);
    expect([number, checks.flatMap((check) => check.mismatches)]).toEqual([number, []]);
  }
  const standing = papers.filter((paper) => paper.status !== "void");
  return standing.reduce((sum, paper) => sum + paper.total.minor, 0n).toString();
}

test("an older document made anew does not hide usage that came late for the months after it", async () => {
  env.at("2025-02-04T00:00:00Z");
  const of = await anAccount(env, { slug: "anew" });
  await use(of, "100", "2025-01-20T00:00:00Z");
  await use(of, "100", "2025-02-02T00:00:00Z");
  const january = await issue(of, "01");
  env.at("2025-03-04T00:00:00Z");
  await issue(of, "02");
  await use(of, "50", "2025-02-20T00:00:00Z");
  await close(of, january);
  await issue(of, "01");
  env.at("2025-04-04T00:00:00Z");
  await use(of, "1", "2025-03-20T00:00:00Z");
  await issue(of, "03");
  // 251 at 0.06
  expect(await proven(of)).toBe("1506");
});

test("a document that is void gives back also what it charged for older months", async () => {
  env.at("2025-02-04T00:00:00Z");
  const of = await anAccount(env, { slug: "older" });
  await use(of, "100", "2025-01-20T00:00:00Z");
  await issue(of, "01");
  await use(of, "7", "2025-01-21T00:00:00Z");
  await use(of, "30", "2025-02-02T00:00:00Z");
  env.at("2025-03-04T00:00:00Z");
  const february = await issue(of, "02");
  await use(of, "20", "2025-03-01T00:00:00Z");
  env.at("2025-04-04T00:00:00Z");
  await issue(of, "03");
  await close(of, february);
  await issue(of, "02");
  // 157 at 0.06
  expect(await proven(of)).toBe("942");
});

test("a document re-derives although one that it restated has become void since", async () => {
  env.at("2025-02-04T00:00:00Z");
  const of = await anAccount(env, { slug: "restated" });
  await use(of, "100", "2025-01-20T00:00:00Z");
  const january = await issue(of, "01");
  await use(of, "7", "2025-01-21T00:00:00Z");
  await use(of, "30", "2025-02-02T00:00:00Z");
  env.at("2025-03-04T00:00:00Z");
  await issue(of, "02");
  await close(of, january);
  expect(await proven(of)).toBe("222");
  await issue(of, "01");
  expect(await proven(of)).toBe("822");
});

test("a document re-derives although usage that came later drew units in its month", async () => {
  env.at("2025-01-10T00:00:00Z");
  const of = await anAccount(env, { slug: "drawn" });
  await env.owner.query("update billing_account set terms_granted_at = $2 where account_id = $1", [
    of.accountId,
    formatInstant(env.now()),
  ]);
  const account = await getAccount(env.store.db, of.orgId as never, of.accountId);
  await buyBatch(env, author, account, {
    sku: "USAGE-SMS-1000",
    count: 1,
    settlement: "invoice",
    kind: "batch",
    requestKey: "one",
  });
  env.at("2025-02-04T00:00:00Z");
  await use(of, "300", "2025-01-20T00:00:00Z");
  await issue(of, "01");
  await use(of, "200", "2025-01-21T00:00:00Z");
  expect(await proven(of)).toBe("4000");
});

test("of a credited document no more can be made void than is left", async () => {
  env.at("2025-02-04T00:00:00Z");
  const of = await anAccount(env, { slug: "credited" });
  await use(of, "100", "2025-01-20T00:00:00Z");
  const invoice = await issue(of, "01");
  const order = { orgId: of.orgId, invoice, reason: "wrong", reasonCode: "dispute" };
  await creditInvoice(env, { ...order, request: { kind: "all" } }, author, env.now());
  await expect(close(of, invoice)).rejects.toThrow("credit the rest");
  expect(await proven(of)).toBe("0");
});
