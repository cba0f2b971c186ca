import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { aCatalog, type Acme, anAccount, writeUsage } from "../../test/harness/billing.ts";
import { type TestEnv, testEnv } from "../../test/harness/database.ts";
import type { Author } from "../domain/audit/index.ts";
import type { OrganizationId } from "../kit/ids.ts";
import { instant } from "../kit/time.ts";
import { findInvoice, listStatements, type StoredInvoice } from "../store/invoices.ts";
import { archiveAccount } from "./manage-accounts.ts";
import { choosePayer, readPayers } from "./choose-payer.ts";
import { creditInvoice, voidInvoice } from "./correct-invoice.ts";
import { explainInvoiceLine } from "./explain-invoice-line.ts";
import { issueInvoice } from "./issue-invoice.ts";
import { previewInvoice } from "./preview-invoice.ts";
import { proveBooks } from "./prove-books.ts";
import { readBalance } from "./record-payment.ts";
import { verifyInvoice } from "./verify-invoice.ts";
import { finishBillingRun, startBillingRun } from "./billing-run.ts";

// R-103, R-123, invariant 37. Calls cost 0.0133 up to 1,000 a month and 0.0071 above, each account by itself.

let env: TestEnv;
beforeAll(async () => {
  env = await testEnv();
  await aCatalog(
    env,
    `
meters:
  - { key: calls, name: Calls, event_type: call, aggregation: sum, value_property: n, value_kind: integer, unit: call, allow_negative: true }
price_books: [{ code: retail-usd, name: Retail, currency: USD }]
skus: [{ code: API, name: API calls, meter: calls }]
prices:
  - { book: retail-usd, sku: API, effective_from: "2024-01-01T00:00:00Z", model: graduated, currency: USD, negative_usage: mirror,
      tiers: [{ up_to: "1000", unit_amount: "0.0133" }, { up_to: null, unit_amount: "0.0071" }] }
`,
  );
});
afterAll(() => env.close());

const author: Author = {
  actor: { kind: "api_key", id: "key_finn", name: "Finn" },
  requestId: "req_test",
  reason: "agreed",
};
const staff = { organizationId: null, projectId: null };

const use = (of: Acme, time: string, n: number | string) =>
  writeUsage(env, of, [{ time, type: "call", data: { n: String(n) } }], ({ data }) => ({
    calls: data["n"] ?? "0",
  }));

const pays = (child: Acme, slug: string, payer: string | null, from: string) =>
  choosePayer(env, staff, author, child.orgId as OrganizationId, slug, {
    payer,
    effectiveFrom: instant(from),
  });

const issue = async (of: Acme, account: string, at: string): Promise<StoredInvoice> => {
  const { invoiceId } = await issueInvoice(
    env,
    { orgId: of.orgId, account, at: instant(at), createdBy: "test" },
    env.now(),
  );
  return (await findInvoice(env.store.db, of.orgId, invoiceId)) as StoredInvoice;
};

const sectionsOf = (invoice: StoredInvoice) =>
  (invoice.content.sections ?? []).map((one) => `${one.slug} ${one.total}`);
const linesOf = ({ content }: StoredInvoice) =>
  content.lines.map((line) => {
    const section = content.sections?.find((one) => one.account === line.section);
    return `${section ? `${section.slug}: ` : ""}${line.description} ${line.quantity} ${line.amount}`;
  });
const faults = async (of: StoredInvoice) =>
  (await verifyInvoice(env, of.orgId, of.invoiceId)).checks.flatMap((check) =>
    check.mismatches.map((one) => ({ check: check.name, ...one })),
  );

/** A parent and children in its organization, paid for since 2024. */
async function aFamily(name: string, children: readonly string[]) {
  const parent = await anAccount(env, { slug: name });
  const kids = new Map<string, Acme>();
  for (const slug of children) {
    const child = await anAccount(env, { slug, orgId: parent.orgId });
    await pays(child, slug, name, "2024-01-01T00:00:00Z");
    kids.set(slug, child);
  }
  return { parent, child: (slug: string) => kids.get(slug) as Acme };
}

describe("a parent pays for its children", () => {
  test("one invoice with a section per account, and a statement beside each child's", async () => {
    const { parent, child } = await aFamily("globex", ["initech", "umbrella", "idle"]);
    env.at("2025-01-20T00:00:00Z");
    await use(parent, "2025-01-02T00:00:00Z", 100);
    await use(child("initech"), "2025-01-03T00:00:00Z", 1100);
    await use(child("umbrella"), "2025-01-04T00:00:00Z", 333);

    const upcoming = await previewInvoice(env, parent.orgId, "globex", env.now());
    expect(upcoming.draft.content.sections?.map((one) => one.total)).toEqual([
      "1.33",
      "14.01",
      "4.43",
    ]);
    const seen = await previewInvoice(env, parent.orgId, "initech", env.now());
    expect([seen.draft.content.total, seen.draft.content.paid_by?.slug]).toEqual([
      "14.01",
      "globex",
    ]);

    env.at("2025-02-04T00:00:00Z");
    const invoice = await issue(parent, "globex", "2025-01-15T00:00:00Z");
    expect(sectionsOf(invoice)).toEqual(["globex 1.33", "initech 14.01", "umbrella 4.43"]);
    expect(invoice.content.total).toBe("19.77");
    expect(invoice.content.total).toBe(upcoming.draft.content.total);

    const statements = await listStatements(env.store.db, invoice.invoiceId);
    expect(statements.map((one) => [one.number, one.kind, one.content.total])).toEqual([
      [`${invoice.number}.1`, "statement", "14.01"],
      [`${invoice.number}.2`, "statement", "4.43"],
    ]);
    expect(statements[0]?.content.paid_by).toMatchObject({
      slug: "globex",
      invoice: invoice.number,
    });
    for (const one of [invoice, ...statements]) expect(await faults(one)).toEqual([]);

    const [first] = statements as [StoredInvoice];
    expect((await readBalance(env.store.db, first.orgId, first.invoiceId)).open.minor).toBe(0n);
    expect((await readBalance(env.store.db, parent.orgId, invoice.invoiceId)).open.minor).toBe(
      1977n,
    );
    const { events } = await explainInvoiceLine(env, parent.orgId, invoice.invoiceId, 2, {
      limit: 5,
    });
    expect(events.map((one) => one.quantity)).toEqual(["1100"]);
    await expect(issue(child("initech"), "initech", "2025-01-15T00:00:00Z")).rejects.toThrow(
      /another account pays for initech/,
    );
  });
});

describe("what comes late, moves, or closes", () => {
  test("late usage of a child is on the parent's next invoice, in the child's section", async () => {
    const { parent, child } = await aFamily("late-parent", ["late-a", "late-b"]);
    env.at("2025-01-20T00:00:00Z");
    await use(child("late-a"), "2025-01-03T00:00:00Z", 1000);
    env.at("2025-02-04T00:00:00Z");
    const january = await issue(parent, "late-parent", "2025-01-15T00:00:00Z");
    const hash = january.contentHash;
    env.at("2025-02-10T00:00:00Z");
    await use(child("late-a"), "2025-01-31T23:00:00Z", 50);
    // A child whose first usage ever comes in late has a section of its own, for the month it is of.
    await use(child("late-b"), "2025-01-30T00:00:00Z", 10);
    await use(child("late-a"), "2025-02-01T00:00:00Z", 10);
    env.at("2025-03-04T00:00:00Z");
    const february = await issue(parent, "late-parent", "2025-02-15T00:00:00Z");
    expect(linesOf(february)).toEqual([
      "late-a: API calls 10 0.13",
      "late-a: API calls: usage of 2025-01 50 0.36",
      "late-b: API calls: usage of 2025-01 10 0.13",
    ]);
    expect((await findInvoice(env.store.db, parent.orgId, january.invoiceId))?.contentHash).toBe(
      hash,
    );
    for (const one of [
      january,
      february,
      ...(await listStatements(env.store.db, february.invoiceId)),
    ])
      expect(await faults(one)).toEqual([]);
    const { events } = await explainInvoiceLine(env, parent.orgId, february.invoiceId, 2, {
      limit: 5,
    });
    expect(events.map((one) => one.quantity)).toEqual(["50"]);
  });

  test("a child that moves in the middle of a month is charged to each for its part, and late usage to who paid then", async () => {
    const { parent: a, child } = await aFamily("mover-a", ["mover"]);
    const mover = child("mover");
    const b = await anAccount(env, { slug: "mover-b", orgId: a.orgId });
    env.at("2025-01-20T00:00:00Z");
    await use(mover, "2025-01-10T00:00:00Z", 800);
    await pays(mover, "mover", "mover-b", "2025-01-16T00:00:00Z");
    await use(mover, "2025-01-16T00:00:00Z", 800);
    await pays(mover, "mover", null, "2025-01-25T00:00:00Z");
    await use(mover, "2025-01-26T00:00:00Z", 100);

    env.at("2025-02-04T00:00:00Z");
    const toA = await issue(a, "mover-a", "2025-01-15T00:00:00Z");
    const toB = await issue(b, "mover-b", "2025-01-15T00:00:00Z");
    const own = await issue(mover, "mover", "2025-01-15T00:00:00Z");
    // 800 × 0.0133 = 10.64 each: tiers begin anew with each payer, as when a project moves between accounts.
    expect([toA, toB, own].map(linesOf)).toEqual([
      ["mover: API calls 800 10.64"],
      ["mover: API calls 800 10.64"],
      ["API calls 100 1.33"],
    ]);
    expect(toA.content.lines[0]?.period.ends_at).toBe("2025-01-16T00:00:00.000Z");
    expect(toB.content.lines[0]?.period).toEqual({
      starts_at: "2025-01-16T00:00:00.000Z",
      ends_at: "2025-01-25T00:00:00.000Z",
    });

    env.at("2025-02-20T00:00:00Z");
    await use(mover, "2025-01-15T23:45:00Z", 300);
    await use(mover, "2025-01-24T00:00:00Z", 1);
    await use(mover, "2025-02-02T00:00:00Z", 7);
    env.at("2025-03-04T00:00:00Z");
    const laterA = await issue(a, "mover-a", "2025-02-15T00:00:00Z");
    const laterB = await issue(b, "mover-b", "2025-02-15T00:00:00Z");
    const laterOwn = await issue(mover, "mover", "2025-02-15T00:00:00Z");
    // 200 of the 300 fill the first tier: 2.66 + 0.71.
    expect([laterA, laterB, laterOwn].map(linesOf)).toEqual([
      ["mover: API calls: usage of 2025-01 300 3.37"],
      ["mover: API calls: usage of 2025-01 1 0.01"],
      ["API calls 7 0.09"],
    ]);
    for (const one of [toA, toB, own, laterA, laterB, laterOwn])
      expect(await faults(one)).toEqual([]);
    expect(
      (await readPayers(env.store.db, mover.orgId as OrganizationId, "mover")).stretches,
    ).toMatchObject([
      { name: "mover-a/mover" },
      { name: "mover-a/mover-a" },
      { name: "mover-a/mover-b" },
      { name: "mover-a/mover" },
    ]);
  });

  test("what was charged stays where it is, and a moment between two quarters is refused", async () => {
    const { parent, child } = await aFamily("fixed", ["fixed-child"]);
    const other = await anAccount(env, {
      slug: "other-money",
      orgId: parent.orgId,
      currency: "EUR",
    });
    const zoned = await anAccount(env, {
      slug: "zoned",
      orgId: parent.orgId,
      timeZone: "Asia/Tokyo",
    });
    env.at("2025-01-20T00:00:00Z");
    await use(child("fixed-child"), "2025-01-10T00:00:00Z", 5);
    env.at("2025-02-04T00:00:00Z");
    await issue(parent, "fixed", "2025-01-15T00:00:00Z");
    const kid = child("fixed-child");
    await expect(pays(kid, "fixed-child", null, "2025-01-31T23:45:00Z")).rejects.toMatchObject({
      code: "payer_change_too_late",
    });
    await expect(pays(kid, "fixed-child", null, "2025-02-10T00:01:00Z")).rejects.toMatchObject({
      code: "payer_change_unaligned",
    });
    await expect(
      pays(parent, "fixed", "fixed-child", "2025-02-10T00:00:00Z"),
    ).rejects.toMatchObject({
      code: "account_parent_circle",
    });
    await expect(pays(other, "other-money", "fixed", "2025-02-10T00:00:00Z")).rejects.toMatchObject(
      {
        code: "account_parent_currency",
      },
    );
    await expect(pays(zoned, "zoned", "fixed", "2025-02-10T00:00:00Z")).rejects.toMatchObject({
      code: "account_periods_differ",
    });
    await pays(kid, "fixed-child", null, "2025-02-01T00:00:00Z");
  });
});

describe("taking back", () => {
  test("a section is credited as a whole; the invoice is voided with its statements and issued anew under the next number", async () => {
    const { parent, child } = await aFamily("back", ["back-a", "back-b"]);
    env.at("2025-01-20T00:00:00Z");
    await use(child("back-a"), "2025-01-03T00:00:00Z", 1000);
    await use(child("back-b"), "2025-01-03T00:00:00Z", 500);
    env.at("2025-02-04T00:00:00Z");
    const first = await issue(parent, "back", "2025-01-15T00:00:00Z");
    const [statement] = await listStatements(env.store.db, first.invoiceId);
    await expect(
      voidInvoice(
        env,
        { orgId: parent.orgId, invoice: statement?.number ?? "", reason: "no" },
        author,
        env.now(),
      ),
    ).rejects.toMatchObject({ code: "invoice_paid_by_another" });

    await voidInvoice(
      env,
      { orgId: parent.orgId, invoice: first.invoiceId, reason: "wrong month" },
      author,
      env.now(),
    );
    expect((await listStatements(env.store.db, first.invoiceId)).map((one) => one.status)).toEqual([
      "void",
      "void",
    ]);
    await use(child("back-b"), "2025-01-04T00:00:00Z", 100);
    const second = await issue(parent, "back", "2025-01-15T00:00:00Z");
    expect(sectionsOf(second)).toEqual(["back-a 13.30", "back-b 7.98"]);
    expect(second.number).not.toBe(first.number);

    const note = await creditInvoice(
      env,
      {
        orgId: parent.orgId,
        invoice: second.invoiceId,
        request: { kind: "section", account: "back-b" },
        reason: "goodwill",
        reasonCode: "goodwill",
      },
      author,
      env.now(),
    );
    expect([note.content.total, note.content.sections?.map((one) => one.slug)]).toEqual([
      "-7.98",
      ["back-b"],
    ]);
    await expect(
      creditInvoice(
        env,
        {
          orgId: parent.orgId,
          invoice: second.invoiceId,
          request: { kind: "section", account: "nobody" },
          reason: "x",
          reasonCode: "other",
        },
        author,
        env.now(),
      ),
    ).rejects.toMatchObject({ code: "invoice_section_not_found" });
    for (const one of [
      first,
      second,
      note,
      ...(await listStatements(env.store.db, first.invoiceId)),
    ])
      expect(await faults(one)).toEqual([]);

    // A concession: what was used stays charged and does not come back.
    env.at("2025-03-04T00:00:00Z");
    await expect(issue(parent, "back", "2025-02-15T00:00:00Z")).rejects.toMatchObject({
      code: "nothing_to_invoice",
    });
  });
});

test("a run bills families once: one number per family, none for a child, and nothing is left to do", async () => {
  const { parent, child } = await aFamily("run-parent", ["run-a", "run-b"]);
  const alone = await anAccount(env, { slug: "run-alone", orgId: parent.orgId });
  env.at("2025-01-20T00:00:00Z");
  for (const of of [child("run-a"), child("run-b"), alone])
    await use(of, "2025-01-03T00:00:00Z", 100);
  env.at("2025-02-04T00:00:00Z");
  const run = await startBillingRun(env, {
    orgId: parent.orgId,
    asOf: env.now(),
    createdBy: "test",
  });
  const report = await finishBillingRun(env, run.runId);
  expect([report.status, report.counts.map((one) => [one.status, one.count])]).toEqual([
    "closed",
    [["issued", 2]],
  ]);
  const { rows } = await env.owner.query<{ kind: string; n: number }>(
    "select kind, count(*)::int as n from invoice where org_id = $1 group by kind order by kind",
    [parent.orgId],
  );
  expect(rows).toEqual([
    { kind: "invoice", n: 2 },
    { kind: "statement", n: 2 },
  ]);
});

test("a child closes with nothing owed by itself; who pays for others does not close before they do", async () => {
  const { parent, child } = await aFamily("closing", ["leaver"]);
  const leaver = child("leaver");
  env.at("2025-01-20T00:00:00Z");
  await use(leaver, "2025-01-03T00:00:00Z", 100);
  env.at("2025-02-01T00:00:00Z");
  for (const of of [leaver, parent])
    await env.owner.query(
      "insert into binding (org_id, binding_id, project_id, account_id, effective_from, created_by, created_at) values ($1, $2, $3, null, $4, 'test', $4)",
      [of.orgId, env.id("binding"), of.projectId, "2025-02-01T00:00:00Z"],
    );
  const close = (slug: string) =>
    archiveAccount(env, author, parent.orgId as OrganizationId, slug, "gone");
  await expect(close("leaver")).rejects.toMatchObject({ code: "account_has_balance" });
  env.at("2025-02-04T00:00:00Z");
  const invoice = await issue(parent, "closing", "2025-01-15T00:00:00Z");
  await expect(close("closing")).rejects.toMatchObject({ code: "account_has_children" });
  expect((await close("leaver")).status).toBe("archived");
  // Now the parent's own invoice stands in its way, and nothing else.
  await expect(close("closing")).rejects.toMatchObject({ code: "account_has_balance" });

  // What arrives of the time before is still the parent's to pay.
  await use(leaver, "2025-01-30T00:00:00Z", 10);
  env.at("2025-03-04T00:00:00Z");
  const february = await issue(parent, "closing", "2025-02-15T00:00:00Z");
  expect(linesOf(february)).toEqual(["leaver: API calls: usage of 2025-01 10 0.13"]);
  for (const one of [invoice, february]) expect(await faults(one)).toEqual([]);
});

test("a payer that changes while the invoice is made is not overlooked: it is drafted again", async () => {
  const parent = await anAccount(env, { slug: "race-parent" });
  const children: Acme[] = [];
  for (const slug of ["race-1", "race-2", "race-3", "race-4"]) {
    const child = await anAccount(env, { slug, orgId: parent.orgId });
    children.push(child);
    env.at("2025-01-20T00:00:00Z");
    await use(child, "2025-01-03T00:00:00Z", 100);
  }
  env.at("2025-02-04T00:00:00Z");
  await Promise.all([
    ...children.map((child, i) =>
      pays(child, `race-${i + 1}`, "race-parent", "2025-01-01T00:00:00Z").catch(
        (error: { code?: string }) => error.code,
      ),
    ),
    ...["race-1", "race-2", "race-3", "race-4", "race-parent"].map((slug) =>
      issue(parent, slug, "2025-01-15T00:00:00Z").catch((error: { code?: string }) => {
        if (error.code !== "nothing_to_invoice" && error.code !== "service_busy") throw error;
      }),
    ),
  ]);
  env.at("2025-03-04T00:00:00Z");
  for (const slug of ["race-1", "race-2", "race-3", "race-4", "race-parent"])
    for (const at of ["2025-01-15T00:00:00Z", "2025-02-15T00:00:00Z"])
      await issue(parent, slug, at).catch((error: { code?: string }) => {
        if (error.code !== "nothing_to_invoice") throw error;
      });
  const { rows } = await env.owner.query<{ total: string }>(
    "select sum(total_minor)::text as total from invoice where org_id = $1 and kind = 'invoice' and status <> 'void'",
    [parent.orgId],
  );
  // 4 × 100 × 0.0133, each asked for once, by whoever.
  expect(rows[0]?.total).toBe("532");
});

test("after all of it, the books of payers and of those they pay for are what the documents say, and what is handed over meets", async () => {
  expect(await proveBooks(env)).toEqual([]);
  const { rows } = await env.owner.query<{ count: string; sum: string }>(
    "select count(*)::text as count, sum(amount_minor)::text as sum from ledger_posting where account = 'equity:moved:statements'",
  );
  expect(Number(rows[0]?.count)).toBeGreaterThan(4);
  expect(rows[0]?.sum).toBe("0");
});
