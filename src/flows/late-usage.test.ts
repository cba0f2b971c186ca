import { afterAll, beforeAll, expect, test } from "vitest";
import { aCatalog, type Acme, anAccount, writeUsage } from "../../test/harness/billing.ts";
import { type TestEnv, testEnv } from "../../test/harness/database.ts";
import { system } from "../domain/audit/index.ts";
import { lateUsagePolicies } from "../domain/catalog/index.ts";
import { canonicalJson } from "../kit/canonical-json.ts";
import { seededRandom } from "../kit/random.ts";
import { addMonths, type Day, type Instant, instant, shift, startOfDay } from "../kit/time.ts";
import { getCatalog } from "../store/catalog.ts";
import { pageInvoices, type StoredInvoice } from "../store/invoices.ts";
import { pageLate } from "../store/late-usage.ts";
import { snapshot } from "../store/transaction.ts";
import { billLateUsage } from "./bill-late-usage.ts";
import { creditInvoice, voidInvoice } from "./correct-invoice.ts";
import { decideLateUsage } from "./decide-late-usage.ts";
import { draftInvoices } from "./draft-invoices.ts";
import { explainInvoiceLine } from "./explain-invoice-line.ts";
import { issueInvoice } from "./issue-invoice.ts";
import { issueLateUsage } from "./issue-late-usage.ts";
import { getAccountToInvoice } from "./preview-invoice.ts";
import { proveBooks } from "./prove-books.ts";
import { verifyInvoice } from "./verify-invoice.ts";

let env: TestEnv;
const policies = Object.fromEntries(lateUsagePolicies.map((policy) => [policy, policy]));
const skuOf = (policy: string) => policy.toUpperCase().replace("_", "-");
beforeAll(async () => {
  env = await testEnv();
  const each = <T>(of: (policy: string) => T) => Object.keys(policies).map(of).join("\n");
  await aCatalog(
    env,
    `
meters:
${each((key) => `  - { key: ${key}, event_type: ${key}, aggregation: sum, value_property: n, value_kind: integer, unit: message, allow_negative: true, late_usage: ${key} }`)}
price_books: [{ code: retail-usd, name: Retail, currency: USD }]
skus:
${each((key) => `  - { code: ${skuOf(key)}, name: Messages, meter: ${key} }`)}
prices:
${each((key) => `  - { book: retail-usd, sku: ${skuOf(key)}, effective_from: "2024-01-01T00:00:00Z", model: graduated, currency: USD, negative_usage: mirror, tiers: [{ up_to: "1000", unit_amount: "0.0133" }, { up_to: null, unit_amount: "0.0071" }] }`)}
`,
  );
});
afterAll(() => env.close());

const author = system("test", "because");
const use = (of: Acme, type: string, time: string | Instant, n: number) =>
  writeUsage(env, of, [{ time, type, data: { n: String(n) } }], (event) => ({
    [event.type]: event.data["n"] ?? "0",
  }));
const issue = async (of: Acme, slug: string, at: string | Instant) =>
  issueInvoice(
    env,
    {
      orgId: of.orgId,
      account: slug,
      at: typeof at === "string" ? instant(at) : at,
      createdBy: "test",
    },
    env.now(),
  );
const papers = async (of: Acme): Promise<StoredInvoice[]> =>
  (await pageInvoices(env.store.db, { orgId: of.orgId, limit: 200 })).toSorted((a, b) =>
    Number((a.sequence ?? 0n) - (b.sequence ?? 0n)),
  );
const told = (all: readonly StoredInvoice[]) =>
  all.map(
    ({ number, content }) =>
      `${number?.slice(0, 3)} ${content.lines.map((line) => `${line.description} ${line.quantity} ${line.amount}`).join(", ")}`,
  );
const open = async (of: Acme) =>
  (await pageLate(env.store.db, { orgId: of.orgId, limit: 200 })).filter(
    (one) => one.status !== "settled",
  );
const allMatch = async (of: Acme) => {
  expect(await proveBooks(env, of)).toEqual([]);
  for (const paper of await papers(of)) {
    const found = await verifyInvoice(env, of.orgId, paper.invoiceId);
    expect(
      found.checks.flatMap((one) => one.mismatches),
      paper.number ?? "",
    ).toEqual([]);
  }
};

/** January with 1,000 units under one policy, invoiced. */
async function aJanuary(slug: string, policy: string): Promise<Acme> {
  const of = await anAccount(env, { slug });
  env.at("2025-01-31T12:00:00Z");
  await use(of, policy, "2025-01-15T00:00:00Z", 1000);
  env.at("2025-02-04T00:00:00Z");
  await issue(of, slug, "2025-01-01T00:00:00Z");
  return of;
}

test("late usage with a document of its own is a debit note, what is taken back a credit note, each naming its events", async () => {
  const of = await aJanuary("own", "own_document");
  const hash = (await papers(of))[0]?.contentHash;
  env.at("2025-02-05T00:00:00Z");
  await use(of, "own_document", "2025-01-31T08:00:00Z", 50);
  const [debit] = await issueLateUsage(env, { orgId: of.orgId, account: "own" }, author, env.now());
  expect(debit?.content).toMatchObject({
    kind: "debit_note",
    total: "0.36",
    corrects: { number: (await papers(of))[0]?.number },
    lines: [
      {
        description: "Messages: usage of 2025-01",
        amount: "0.36",
        cites: { event_count: "1", first: [{ source: "test", id: "event-2" }] },
      },
    ],
  });
  expect(await issueLateUsage(env, { orgId: of.orgId, account: "own" }, author, env.now())).toEqual(
    [],
  );
  await use(of, "own_document", "2025-01-20T00:00:00Z", -200);
  await use(of, "own_document", "2025-02-01T00:00:00Z", 10);
  const [credit] = await issueLateUsage(
    env,
    { orgId: of.orgId, account: "own" },
    author,
    env.now(),
  );
  expect([credit?.content.kind, credit?.content.total]).toEqual(["credit_note", "-2.35"]);
  const { events } = await explainInvoiceLine(env, of.orgId, credit?.invoiceId ?? "", 1, {
    limit: 10,
  });
  expect(events.map((event) => event.quantity)).toEqual(["-200"]);

  env.at("2025-03-04T00:00:00Z");
  await issue(of, "own", "2025-02-01T00:00:00Z");
  expect(told(await papers(of))).toEqual([
    "INV Messages 1000 13.30",
    "DN- Messages: usage of 2025-01 50 0.36",
    "CN- Messages: usage of 2025-01 -200 -2.35",
    "INV Messages 10 0.13",
  ]);
  expect((await papers(of))[0]?.contentHash).toBe(hash);
  await allMatch(of);
});

test("by itself it goes out once the finalization window has passed since it was noticed, in one note for all stragglers", async () => {
  const of = await aJanuary("patient", "own_document");
  env.at("2025-02-05T00:00:00Z");
  await use(of, "own_document", "2025-01-31T08:00:00Z", 50);
  await billLateUsage(env);
  expect((await open(of)).map((one) => [one.status, one.amount.minor])).toEqual([["due", 36n]]);
  env.at("2025-02-07T23:59:59Z");
  await use(of, "own_document", "2025-01-31T09:00:00Z", 10);
  await billLateUsage(env);
  expect(await papers(of)).toHaveLength(1);
  env.at("2025-02-08T00:00:00Z");
  await billLateUsage(env);
  await billLateUsage(env);
  expect(told(await papers(of))).toEqual([
    "INV Messages 1000 13.30",
    "DN- Messages: usage of 2025-01 60 0.43",
  ]);
  expect(await open(of)).toEqual([]);
  await allMatch(of);
});

test("R-141: forty more go onto the next invoice, forty less onto a credit note; both reach their events", async () => {
  const of = await aJanuary("both", "credit_note");
  env.at("2025-02-05T00:00:00Z");
  await use(of, "credit_note", "2025-01-20T00:00:00Z", -40);
  const notes = await issueLateUsage(env, { orgId: of.orgId, account: "both" }, author, env.now());
  expect(notes.map((note) => [note.kind, note.content.total, note.content.reason])).toEqual([
    [
      "credit_note",
      "-0.53",
      `Usage that came in or was corrected after ${(await papers(of))[0]?.number}: 1 events, the first of them event-2`,
    ],
  ]);
  await use(of, "credit_note", "2025-01-21T00:00:00Z", 140);
  expect(
    await issueLateUsage(env, { orgId: of.orgId, account: "both" }, author, env.now()),
  ).toEqual([]);
  env.at("2025-03-04T00:00:00Z");
  const { invoiceId } = await issue(of, "both", "2025-02-01T00:00:00Z");
  expect(told(await papers(of)).at(-1)).toBe("INV Messages: usage of 2025-01 140 1.24");
  const { events } = await explainInvoiceLine(env, of.orgId, invoiceId, 1, { limit: 10 });
  expect(events.map((event) => event.quantity)).toEqual(["140"]);
  await allMatch(of);

  // What the note gave back is not there to be credited again.
  const [january] = await papers(of);
  const all = await creditInvoice(
    env,
    {
      orgId: of.orgId,
      invoice: january?.invoiceId ?? "",
      request: { kind: "all" },
      reason: "goodwill",
      reasonCode: "goodwill",
    },
    author,
    env.now(),
  );
  expect(all.content.total).toBe("-12.77");
});

test("what is held is on no document until somebody approves it, and what grew since waits again", async () => {
  const of = await aJanuary("held", "hold");
  env.at("2025-02-05T00:00:00Z");
  await use(of, "hold", "2025-01-31T08:00:00Z", 50);
  await use(of, "hold", "2025-02-03T00:00:00Z", 10);
  env.at("2025-03-04T00:00:00Z");
  const { invoiceId } = await issue(of, "held", "2025-02-01T00:00:00Z");
  expect(told(await papers(of)).at(-1)).toBe("INV Messages 10 0.13");
  const [waiting] = await open(of);
  expect(waiting).toMatchObject({ status: "waiting", because: "hold", skuCode: "HOLD" });
  await allMatch(of);

  const lateId = waiting?.lateId ?? "";
  const decide = (way: "next_invoice" | "own_document" | "decline") =>
    decideLateUsage(env, { orgId: of.orgId, lateId, way, reason: "checked" }, author, env.now());
  await use(of, "hold", "2025-01-30T08:00:00Z", 1);
  await expect(decide("own_document")).rejects.toMatchObject({
    code: "late_usage_changed",
    message: expect.stringContaining("0.36 for 51"),
  });
  expect((await decide("decline")).status).toBe("declined");
  await billLateUsage(env);
  expect((await open(of)).map((one) => one.status)).toEqual(["declined"]);
  expect((await decide("next_invoice")).status).toBe("approved");
  await expect(decide("own_document")).rejects.toMatchObject({
    code: "late_usage_status_conflict",
  });
  // Approved was 51, not 52: nothing goes out that nobody has seen.
  await use(of, "hold", "2025-01-30T09:00:00Z", 1);
  env.at("2025-04-04T00:00:00Z");
  await use(of, "hold", "2025-03-03T00:00:00Z", 10);
  await issue(of, "held", "2025-03-01T00:00:00Z");
  expect((await open(of)).map((one) => [one.status, one.lateId])).toEqual([["waiting", lateId]]);
  expect((await decide("next_invoice")).status).toBe("approved");
  env.at("2025-05-04T00:00:00Z");
  const may = await issue(of, "held", "2025-04-01T00:00:00Z");
  expect(told(await papers(of)).at(-1)).toBe("INV Messages: usage of 2025-01 52 0.37");
  expect(await open(of)).toEqual([]);
  const { events } = await explainInvoiceLine(env, of.orgId, may.invoiceId, 1, { limit: 10 });
  expect(events.map((event) => event.quantity).toSorted()).toEqual(["1", "1", "50"]);
  const february = (await papers(of)).find((one) => one.invoiceId === invoiceId);
  expect(february?.content.left_out).toMatchObject([
    { quantity: "50", amount: "0.36", because: "hold" },
  ]);
  await allMatch(of);
});

test("four who approve the same and four who issue at once make one note", async () => {
  const of = await aJanuary("raced", "hold");
  env.at("2025-02-05T00:00:00Z");
  await use(of, "hold", "2025-01-31T08:00:00Z", 50);
  await use(of, "own_document", "2025-01-31T08:00:00Z", 70);
  await billLateUsage(env);
  const held = (await open(of)).find((one) => one.because === "hold");
  const order = { orgId: of.orgId, lateId: held?.lateId ?? "", reason: "ok" };
  const done = await Promise.allSettled([
    ...[1, 2, 3, 4].map(() =>
      decideLateUsage(env, { ...order, way: "own_document" }, author, env.now()),
    ),
    ...[1, 2, 3, 4].map(() =>
      issueLateUsage(env, { orgId: of.orgId, account: "raced" }, author, env.now()),
    ),
  ]);
  const failures = done.flatMap((one) =>
    one.status === "rejected" ? [String((one.reason as { code?: string }).code)] : [],
  );
  for (const code of failures)
    expect(["late_usage_status_conflict", "late_usage_changed", "service_busy"]).toContain(code);
  expect(told(await papers(of)).toSorted()).toEqual([
    "DN- Messages: usage of 2025-01 50 0.36",
    "DN- Messages: usage of 2025-01 70 0.93",
    "INV Messages 1000 13.30",
  ]);
  expect(await open(of)).toEqual([]);
  await allMatch(of);
});

test("a note that is made void gives back what it billed, and an invoice with a note cannot be", async () => {
  const of = await aJanuary("void", "own_document");
  env.at("2025-02-05T00:00:00Z");
  await use(of, "own_document", "2025-01-31T08:00:00Z", 50);
  const issueNow = () =>
    issueLateUsage(env, { orgId: of.orgId, account: "void" }, author, env.now());
  const [note] = await issueNow();
  const [invoice] = await papers(of);
  const takeBack = (one: StoredInvoice | undefined) =>
    voidInvoice(
      env,
      { orgId: of.orgId, invoice: one?.invoiceId ?? "", reason: "wrong" },
      author,
      env.now(),
    );
  await expect(takeBack(invoice)).rejects.toMatchObject({ code: "corrections_exist" });
  await takeBack(note);
  const [again] = await issueNow();
  expect([again?.content.total, again?.number]).toEqual(["0.36", "DN-000006"]);
  await allMatch(of);
});

test.each([1, 2, 3, 4, 5, 6])(
  "life %d: by whatever ways late usage goes, documents sum to what was used, re-derive, and looking at touched periods is enough",
  async (seed) => {
    const slug = `ways-${seed}`;
    const of = await anAccount(env, { slug });
    const random = seededRandom(seed);
    const month = (n: number): Instant => startOfDay(addMonths("2025-01-01" as Day, n), "UTC");
    const months = 6;
    const types = Object.keys(policies);
    for (let n = 0; n < months; n++) {
      env.clock.set(shift(month(n + 1), -1_000_000));
      for (let i = 3 + random.below(5); i > 0; i--) {
        const of_ = Math.max(0, n - (random.below(2) === 0 ? random.below(4) : 0));
        const at = shift(month(of_), random.below(28 * 86_400) * 1_000_000);
        const type = types[random.below(types.length)] as string;
        await use(of, type, at, random.below(4) === 0 ? -random.below(300) : random.below(1500));
      }
      env.clock.set(shift(month(n + 1), 73 * 3_600_000_000));
      if (random.below(2) === 0) await billLateUsage(env);
      if (random.below(3) === 0)
        await issueLateUsage(env, { orgId: of.orgId, account: slug }, author, env.now());
      for (const held of await open(of))
        if (held.because === "hold" && held.status !== "approved" && random.below(2) === 0)
          await decideLateUsage(
            env,
            {
              orgId: of.orgId,
              lateId: held.lateId,
              way:
                (["next_invoice", "own_document", "decline"] as const)[random.below(3)] ??
                "decline",
              reason: "seen",
            },
            author,
            env.now(),
          ).catch((error: { code?: string }) => {
            if (!["late_usage_changed", "late_usage_without_invoice"].includes(error.code ?? ""))
              throw error;
          });
      const catalog = await getCatalog(env.store);
      const account = await getAccountToInvoice(env, of.orgId, slug);
      const period = { startsAt: month(n), endsAt: month(n + 1) };
      const request = { of: account, period, foldsOlder: true };
      const [touched, all] = await snapshot(env.store.db, async (db) => [
        await draftInvoices(db, catalog, [request]),
        await draftInvoices(db, catalog, [request], "all"),
      ]);
      expect(canonicalJson(touched?.[0]?.draft.content)).toBe(
        canonicalJson(all?.[0]?.draft.content),
      );
      await issue(of, slug, month(n)).catch((error: { code?: string }) => {
        if (error.code !== "nothing_to_invoice") throw error;
      });
    }
    await allMatch(of);
    for (const held of await open(of)) {
      const order = { orgId: of.orgId, lateId: held.lateId, reason: "at last" };
      if (held.because === "hold" && held.status !== "approved")
        await decideLateUsage(env, { ...order, way: "next_invoice" }, author, env.now());
    }
    await issueLateUsage(env, { orgId: of.orgId, account: slug }, author, env.now());
    env.clock.set(shift(month(months + 1), 73 * 3_600_000_000));
    await use(of, "hold", month(months), 1);
    await issue(of, slug, month(months));
    expect(await open(of)).toEqual([]);
    const billed = (await papers(of)).reduce((sum, paper) => sum + paper.total.minor, 0n);
    let owed = 0n;
    const { rows } = await env.owner.query<{ n: string }>(
      "select sum((data->>'n')::numeric) as n from usage_event where org_id = $1 group by type, date_trunc('month', time at time zone 'UTC')",
      [of.orgId],
    );
    for (const row of rows) owed += centsFor(Number(row.n));
    expect(billed).toBe(owed);
    await allMatch(of);
  },
);

// Whole ten-thousandths, so that this check does not lean on the code it checks.
function centsFor(quantity: number): bigint {
  const size = Math.abs(quantity);
  const units = BigInt(Math.min(size, 1000)) * 133n + BigInt(Math.max(size - 1000, 0)) * 71n;
  const cents = (units + 50n) / 100n;
  return quantity < 0 ? -cents : cents;
}
