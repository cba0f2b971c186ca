import { afterAll, beforeAll, expect, test } from "vitest";
import { aCatalog, type Acme, anAccount, writeUsage } from "../../test/harness/billing.ts";
import { type TestEnv, testEnv } from "../../test/harness/database.ts";
import { canonicalJson } from "../kit/canonical-json.ts";
import { seededRandom } from "../kit/random.ts";
import { addMonths, type Day, type Instant, instant, shift, startOfDay } from "../kit/time.ts";
import { getCatalog } from "../store/catalog.ts";
import { findInvoice, pageInvoices } from "../store/invoices.ts";
import { snapshot } from "../store/transaction.ts";
import { draftInvoices } from "./draft-invoices.ts";
import { explainInvoiceLine } from "./explain-invoice-line.ts";
import { issueInvoice } from "./issue-invoice.ts";
import { getAccountToInvoice, previewInvoice } from "./preview-invoice.ts";
import { verifyInvoice } from "./verify-invoice.ts";

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

const use = (of: Acme, time: string | Instant, n: number | string) =>
  writeUsage(env, of, [{ time, type: "call", data: { n: String(n) } }], ({ data }) => ({
    calls: data["n"] ?? "0",
  }));

const issue = (of: Acme, account: string, at: string | Instant) =>
  issueInvoice(
    env,
    {
      orgId: of.orgId,
      account,
      at: typeof at === "string" ? instant(at) : at,
      createdBy: "test",
    },
    env.now(),
  );

const lines = async (of: Acme, id: string) =>
  (await findInvoice(env.store.db, of.orgId, id))?.content.lines.map(
    (line) => `${line.description} ${line.quantity} ${line.amount}`,
  );

test("a late event changes the draft inside the window, and after it the next invoice", async () => {
  const of = await anAccount(env, { slug: "late" });
  env.at("2025-01-31T12:00:00Z");
  await use(of, "2025-01-15T00:00:00Z", 1000);

  env.at("2025-02-02T00:00:00Z");
  await use(of, "2025-01-31T23:59:59.999Z", 100);
  const preview = await previewInvoice(
    env,
    of.orgId,
    "late",
    env.now(),
    instant("2025-01-31T00:00:00Z"),
  );
  expect([preview.stage, preview.draft.content.total]).toEqual(["draft", "14.01"]);

  env.at("2025-02-04T00:00:00Z");
  const january = (await issue(of, "late", "2025-01-01T00:00:00Z")).invoiceId;
  expect(await lines(of, january)).toEqual(["API calls 1100 14.01"]);
  const hash = (await findInvoice(env.store.db, of.orgId, january))?.contentHash;

  env.at("2025-02-05T00:00:00Z");
  await use(of, "2025-01-31T08:00:00Z", 50);
  await use(of, "2025-02-01T00:00:00Z", 10);
  env.at("2025-03-04T00:00:00Z");
  const february = (await issue(of, "late", "2025-02-01T00:00:00Z")).invoiceId;
  expect(await lines(of, february)).toEqual([
    "API calls 10 0.13",
    "API calls: usage of 2025-01 50 0.36",
  ]);
  expect((await findInvoice(env.store.db, of.orgId, january))?.contentHash).toBe(hash);

  for (const id of [january, february])
    expect((await verifyInvoice(env, of.orgId, id)).checks.flatMap((c) => c.mismatches)).toEqual(
      [],
    );
  const { events } = await explainInvoiceLine(env, of.orgId, february, 2, { limit: 10 });
  expect(events.map((event) => event.quantity)).toEqual(["50"]);
});

test.each([1, 2, 3, 4, 5, 6, 7, 8])(
  "life %d: however late usage comes, documents sum to what was used, and looking at touched periods is enough",
  async (seed) => {
    const of = await anAccount(env, { slug: `life-${seed}` });
    const random = seededRandom(seed);
    const month = (n: number): Instant => startOfDay(addMonths("2025-01-01" as Day, n), "UTC");
    const monthsMax = 8;
    for (let n = 0; n < monthsMax; n++) {
      env.clock.set(shift(month(n + 1), -1_000_000));
      for (let i = random.below(4); i > 0; i--) {
        // Some of it belongs to months that are long on paper, and some takes back what was used.
        const of_ = Math.max(0, n - (random.below(3) === 0 ? random.below(4) : 0));
        const at = shift(month(of_), random.below(28 * 86_400) * 1_000_000);
        await use(of, at, random.below(5) === 0 ? -random.below(300) : random.below(1500));
      }
      env.clock.set(shift(month(n + 1), 73 * 3_600_000_000));
      const catalog = await getCatalog(env.store);
      const account = await getAccountToInvoice(env, of.orgId, `life-${seed}`);
      const period = { startsAt: month(n), endsAt: month(n + 1) };
      const request = { of: account, period, foldsOlder: true };
      const [touched, all] = await snapshot(env.store.db, async (db) => [
        await draftInvoices(db, catalog, [request]),
        await draftInvoices(db, catalog, [request], "all"),
      ]);
      expect(canonicalJson(touched?.[0]?.draft.content)).toBe(
        canonicalJson(all?.[0]?.draft.content),
      );
      await issue(of, `life-${seed}`, month(n)).catch((error: { code?: string }) => {
        if (error.code !== "nothing_to_invoice") throw error;
      });
    }

    const papers = await pageInvoices(env.store.db, { orgId: of.orgId, limit: 100 });
    const billed = papers.reduce((sum, paper) => sum + paper.total.minor, 0n);
    let owed = 0n;
    for (let n = 0; n < monthsMax; n++) {
      const { rows } = await env.owner.query<{ n: string }>(
        "select coalesce(sum((data->>'n')::numeric), 0) as n from usage_event where org_id = $1 and time >= $2::timestamptz and time < $2::timestamptz + interval '1 month'",
        [of.orgId, new Date(month(n) / 1000).toISOString()],
      );
      owed += centsFor(Number(rows[0]?.n));
    }
    expect(billed).toBe(owed);
    for (const paper of papers)
      expect((await verifyInvoice(env, of.orgId, paper.invoiceId)).isMatch).toBe(true);
  },
);

// Whole ten-thousandths, so that this check does not lean on the code it checks.
function centsFor(quantity: number): bigint {
  const size = Math.abs(quantity);
  const units = BigInt(Math.min(size, 1000)) * 133n + BigInt(Math.max(size - 1000, 0)) * 71n;
  const cents = (units + 50n) / 100n;
  return quantity < 0 ? -cents : cents;
}
