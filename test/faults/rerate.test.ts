import { afterEach, beforeEach, expect, test } from "vitest";
import { system } from "../../src/domain/audit/index.ts";
import type { Env } from "../../src/flows/env.ts";
import { issueInvoice } from "../../src/flows/issue-invoice.ts";
import { previewInvoice } from "../../src/flows/preview-invoice.ts";
import {
  decideRerateProposal,
  getRerate,
  proposeRerate,
  type Rerate,
  rerateTotal,
} from "../../src/flows/rerate.ts";
import { verifyInvoice } from "../../src/flows/verify-invoice.ts";
import { formatMoney } from "../../src/kit/money.ts";
import { instant } from "../../src/kit/time.ts";
import { findInvoice } from "../../src/store/invoices.ts";
import { aCatalog, type Acme, anAccount, writeUsage } from "../harness/billing.ts";
import { type TestEnv, testEnv } from "../harness/database.ts";
import { crashAfter } from "./crash-after.ts";

const ada = system("ada");
const bob = system("bob");
const january = {
  startsAt: instant("2025-01-01T00:00:00Z"),
  endsAt: instant("2025-02-01T00:00:00Z"),
};
const order = (unitAmount: string) => ({
  book: "retail-usd",
  sku: "SMS",
  span: january,
  price: { model: "per_unit", currency: "USD", unit_amount: unitAmount },
  reason: "0.06 was a typing error",
});

let env: TestEnv;
let accounts: readonly [Acme, Acme, Acme];

const use = (of: Acme, time: string, n: number) =>
  writeUsage(env, of, [{ time, type: "sms.sent", data: { n: String(n) } }], () => ({
    sms: String(n),
  }));
const issue = (of: Acme, account: string, month: string) =>
  issueInvoice(
    env,
    { orgId: of.orgId, account, at: instant(`${month}-15T00:00:00Z`), createdBy: "test" },
    env.now(),
  );

// Three accounts used SMS in January at 0.06 a piece; "own" buys from a book of its own, at 0.04.
beforeEach(async () => {
  env = await testEnv({ at: "2025-01-20T00:00:00Z" });
  await aCatalog(
    env,
    `
meters: [{ key: sms, event_type: sms.sent, aggregation: sum, value_property: n, value_kind: integer, unit: SMS }]
price_books:
  - { code: retail-usd, currency: USD }
  - { code: own-usd, currency: USD, parent: retail-usd }
skus: [{ code: SMS, kind: usage, meter: sms }]
prices:
  - { book: retail-usd, sku: SMS, effective_from: "2024-01-01T00:00:00Z", model: per_unit, currency: USD, unit_amount: "0.06" }
  - { book: own-usd, sku: SMS, effective_from: "2024-01-01T00:00:00Z", model: per_unit, currency: USD, unit_amount: "0.04" }
`,
  );
  accounts = [
    await anAccount(env, { slug: "acme" }),
    await anAccount(env, { slug: "beta" }),
    await anAccount(env, { slug: "own" }),
  ];
  await env.owner.query("update billing_account set price_book = 'own-usd' where slug = 'own'");
  const [acme, beta, own] = accounts;
  await use(acme, "2025-01-10T00:00:00Z", 1003);
  await use(beta, "2025-01-11T00:00:00Z", 250);
  await use(own, "2025-01-12T00:00:00Z", 100);
  env.at("2025-02-04T00:00:00Z");
  await issue(acme, "acme", "2025-01");
  await issue(beta, "beta", "2025-01");
  await issue(own, "own", "2025-01");
});
afterEach(() => env.close());

const notes = async () =>
  (
    await env.owner.query<{ org_id: string; number: string; kind: string; total: string }>(
      "select org_id, number, kind, total_minor::text as total from invoice where kind <> 'invoice' order by total_minor",
    )
  ).rows;
const amounts = (found: Rerate) => found.effects.map((one) => formatMoney(one.total)).toSorted();
const approve = (by: typeof bob, id: string, on: Env = env) =>
  decideRerateProposal(on, by, id, "approved");
const refusal = (work: Promise<unknown>) =>
  work.then(
    () => "done",
    (error: unknown) => (error as { code?: string }).code ?? (error as Error).name,
  );
const verified = async (of: Acme, number: string) => {
  const { checks } = await verifyInvoice(env, of.orgId, number);
  return checks.flatMap((check) => check.mismatches);
};

test("January at 0.05: the preview says what each account gets back, a second person approves, and the notes sum to it (R-142)", async () => {
  const proposed = await proposeRerate(env, ada, order("0.05"));
  // 60.18 should have been 50.15, and 15.00 should have been 12.50; the account with its own book is not concerned.
  expect([amounts(proposed), formatMoney(rerateTotal(proposed)!)]).toEqual([
    ["-10.03", "-2.50"],
    "-12.53",
  ]);
  expect(proposed.obstacles).toEqual([]);
  expect(await notes()).toEqual([]);

  const { correctionId: id } = proposed.correction;
  expect(await refusal(approve(ada, id))).toBe("catalog_self_approval");
  const approved = await approve(bob, id);
  expect([amounts(approved), approved.correction.decidedBy]).toEqual([amounts(proposed), "bob"]);
  const made = await notes();
  expect(made.map((one) => [one.kind, one.total])).toEqual([
    ["credit_note", "-1003"],
    ["credit_note", "-250"],
  ]);
  expect(made.reduce((sum, one) => sum + BigInt(one.total), 0n)).toBe(rerateTotal(proposed)?.minor);

  const [acme] = accounts;
  const note = await findInvoice(env.store.db, acme.orgId, made[0]?.number ?? "");
  expect(note?.content).toMatchObject({
    reason: "0.06 was a typing error",
    corrects: { number: expect.stringMatching(/^INV-/) },
  });
  expect(note?.content.lines[0]?.segments.map((one) => one.unit_amount)).toEqual(["0.05", "0.06"]);
  // Both the note and the invoice it corrects still follow from the events.
  expect(await verified(acme, note?.number ?? "")).toEqual([]);
  expect(await verified(acme, note?.content.corrects?.number ?? "")).toEqual([]);
});

test("approved twice, asked for again, or approved by two at once: one set of documents", async () => {
  const { correction } = await proposeRerate(env, ada, order("0.05"));
  const id = correction.correctionId;
  const both = await Promise.all([approve(bob, id), approve(system("cleo"), id)].map(refusal));
  expect(both.toSorted()).toEqual(["done", "proposal_decided"]);
  expect(await refusal(approve(bob, id))).toBe("proposal_decided");
  expect(await notes()).toHaveLength(2);
  const again = await proposeRerate(env, ada, order("0.05"));
  expect([again.effects, again.obstacles]).toEqual([[], []]);
});

test("usage that comes in late is priced by the corrected price, on the next invoice", async () => {
  const [acme] = accounts;
  // Known before the preview, billed by no document yet: no business of the correction.
  await use(acme, "2025-01-30T00:00:00Z", 10);
  const proposed = await proposeRerate(env, ada, order("0.05"));
  expect(amounts(proposed)).toEqual(["-10.03", "-2.50"]);
  await approve(bob, proposed.correction.correctionId);
  await use(acme, "2025-01-31T00:00:00Z", 20);
  env.at("2025-02-10T00:00:00Z");
  const { draft } = await previewInvoice(env, acme.orgId, "acme", env.now());
  // 30 × 0.05, and nothing of the 1,003 once more.
  expect(draft.lines.map((line) => [line.description, formatMoney(line.amount)])).toEqual([
    ["SMS: usage of 2025-01", "1.50"],
  ]);
  env.at("2025-03-04T00:00:00Z");
  await use(acme, "2025-02-20T00:00:00Z", 100);
  const { invoiceId } = await issue(acme, "acme", "2025-02");
  const february = await findInvoice(env.store.db, acme.orgId, invoiceId);
  expect(february?.content.total).toBe("7.50");
  expect(await verified(acme, february?.content.number ?? "")).toEqual([]);
});

test("when an account's documents moved on since the preview, nothing happens until somebody looks again; a dearer price is a debit note", async () => {
  const [acme] = accounts;
  const proposed = await proposeRerate(env, ada, order("0.07"));
  expect(amounts(proposed)).toEqual(["10.03", "2.50"]);
  await use(acme, "2025-01-31T00:00:00Z", 100);
  env.at("2025-03-04T00:00:00Z");
  await issue(acme, "acme", "2025-02");
  expect(await refusal(approve(bob, proposed.correction.correctionId))).toBe("rerate_stale");
  expect(await notes()).toEqual([]);
  expect((await getRerate(env, proposed.correction.correctionId)).correction.status).toBe("open");

  const anew = await proposeRerate(env, ada, order("0.07"));
  expect(amounts(anew)).toEqual(["11.03", "2.50"]);
  await approve(bob, anew.correction.correctionId);
  const made = await notes();
  expect(made.map((one) => [one.kind, one.total])).toEqual([
    ["debit_note", "250"],
    ["debit_note", "1103"],
  ]);
  expect(await verified(acme, made[1]?.number ?? "")).toEqual([]);
});

test("killed after any statement of the approval, and approved again: all documents, once", async () => {
  const { correction, effects } = await proposeRerate(env, ada, order("0.05"));
  const id = correction.correctionId;
  let crashes = 0;
  for (let n = 1; ; n++) {
    const crashing = crashAfter(env.url, n);
    const outcome = await refusal(approve(bob, id, { ...env, store: crashing.store }));
    await crashing.end();
    const made = await notes();
    // A crash leaves everything or nothing.
    expect([0, effects.length]).toContain(made.length);
    if (outcome === "done" || outcome === "proposal_decided") break;
    crashes++;
    expect(n).toBeLessThan(500);
  }
  expect(crashes).toBeGreaterThan(10);
  expect((await notes()).map((one) => one.total)).toEqual(["-1003", "-250"]);
  const { correction: decided, effects: carried } = await getRerate(env, id);
  expect([decided.status, carried.every((one) => one.noteId !== null)]).toEqual(["approved", true]);
});

test.each([
  ["a time that is not over", { span: { ...january, endsAt: instant("2025-02-05T00:00:00Z") } }],
  [
    "a time before there was a price",
    { span: { ...january, startsAt: instant("2023-01-01T00:00:00Z") } },
  ],
  ["a book that is not there", { book: "retail-usdd" }],
  ["a SKU that is not there", { sku: "SMSS" }],
  [
    "a price in another currency",
    { price: { model: "per_unit", currency: "EUR", unit_amount: "1" } },
  ],
])("refused: %s", async (_, spoilt) => {
  expect(await refusal(proposeRerate(env, ada, { ...order("0.05"), ...spoilt }))).toBe(
    "price_not_valid",
  );
});
