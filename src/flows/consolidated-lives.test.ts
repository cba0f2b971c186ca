import { afterAll, beforeAll, expect, test } from "vitest";
import { aCatalog, type Acme, anAccount, writeUsage } from "../../test/harness/billing.ts";
import { type TestEnv, testEnv } from "../../test/harness/database.ts";
import { system } from "../domain/audit/index.ts";
import { canonicalJson } from "../kit/canonical-json.ts";
import type { OrganizationId } from "../kit/ids.ts";
import { seededRandom } from "../kit/random.ts";
import {
  addMonths,
  type Day,
  formatInstant,
  type Instant,
  shift,
  startOfDay,
} from "../kit/time.ts";
import { getCatalog } from "../store/catalog.ts";
import { pageInvoices } from "../store/invoices.ts";
import { snapshot } from "../store/transaction.ts";
import { choosePayer } from "./choose-payer.ts";
import { voidInvoice } from "./correct-invoice.ts";
import { draftInvoices } from "./draft-invoices.ts";
import { issueInvoice } from "./issue-invoice.ts";
import { getAccountToInvoice } from "./preview-invoice.ts";
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

const author = system("test", "by chance");
const month = (n: number): Instant => startOfDay(addMonths("2025-01-01" as Day, n), "UTC");
const hours = 3_600_000_000;
const day = 24 * hours;
const monthsMax = 6;

/** What the test itself remembers of a child: when it was given to whom, and what it used. */
type Child = {
  readonly of: Acme;
  readonly slug: string;
  readonly changes: { readonly from: Instant; readonly payer: string }[];
  readonly used: { readonly at: Instant; readonly n: number }[];
};

test.each([1, 2, 3, 4, 5, 6])(
  "life %d of a family: however children move and usage comes late, everybody is asked for exactly what it pays for",
  async (seed) => {
    const random = seededRandom(seed);
    const one = <T>(list: readonly T[]): T => list[random.below(list.length)] as T;
    const parents = [`p${seed}-a`, `p${seed}-b`];
    const first = await anAccount(env, { slug: parents[0] ?? "" });
    await anAccount(env, { slug: parents[1] ?? "", orgId: first.orgId });
    const children: Child[] = [];
    for (const slug of [`c${seed}-1`, `c${seed}-2`, `c${seed}-3`])
      children.push({
        of: await anAccount(env, { slug, orgId: first.orgId }),
        slug,
        changes: [{ from: month(-120), payer: slug }],
        used: [],
      });
    const accounts = [...parents, ...children.map((child) => child.slug)];
    const issue = (account: string, at: Instant) =>
      issueInvoice(env, { orgId: first.orgId, account, at, createdBy: "test" }, env.now()).catch(
        (error: { code?: string }) => {
          if (error.code !== "nothing_to_invoice") throw error;
          return undefined;
        },
      );

    for (let n = 0; n < monthsMax; n++) {
      env.clock.set(shift(month(n + 1), -1_000_000));
      for (const child of children) {
        await move(child, n);
        for (let i = random.below(4); i > 0; i--) {
          const back = random.below(3) === 0 ? Math.min(n, random.below(4)) : 0;
          const at = shift(month(n - back), random.below(28 * 24) * hours);
          const amount = random.below(5) === 0 ? -random.below(300) : random.below(1500);
          child.used.push({ at, n: amount });
          await writeUsage(
            env,
            child.of,
            [{ time: at, type: "call", data: { n: String(amount) } }],
            ({ data }) => ({ calls: data["n"] ?? "0" }),
          );
        }
      }
      env.clock.set(shift(month(n + 1), 73 * hours));
      await looksAtEnough(n);
      for (const account of accounts.toSorted(() => random.below(3) - 1)) {
        const issued = await issue(account, month(n));
        if (!issued?.isNew || random.below(6) > 0) continue;
        await voidInvoice(
          env,
          { orgId: first.orgId, invoice: issued.invoiceId, reason: "by chance" },
          author,
          env.now(),
        );
        await issue(account, month(n));
      }
    }

    const owed = new Map(accounts.map((account) => [account, 0n]));
    for (const child of children)
      for (const [payer, cents] of owedBy(child)) owed.set(payer, (owed.get(payer) ?? 0n) + cents);
    const papers = await pageInvoices(env.store.db, { orgId: first.orgId, limit: 500 });
    const asked = new Map(accounts.map((account) => [account, 0n]));
    for (const paper of papers)
      if (paper.kind === "invoice" && paper.status !== "void") {
        const { slug } = paper.content.account;
        asked.set(slug, (asked.get(slug) ?? 0n) + paper.total.minor);
      }
    expect(asked).toEqual(owed);
    expect(papers.some((paper) => paper.kind === "statement")).toBe(true);
    for (const paper of papers) {
      const found = await verifyInvoice(env, paper.orgId, paper.invoiceId);
      expect(
        found.checks.flatMap((check) => check.mismatches),
        paper.number ?? "",
      ).toEqual([]);
    }

    async function move(child: Child, n: number): Promise<void> {
      const payer = one([...parents, child.slug]);
      if (random.below(2) === 0 || payer === child.changes.at(-1)?.payer) return;
      const from = shift(month(n), random.below(28) * day);
      await choosePayer(
        env,
        { organizationId: null, projectId: null },
        author,
        first.orgId as OrganizationId,
        child.slug,
        { payer: payer === child.slug ? null : payer, effectiveFrom: from },
      );
      child.changes.push({ from, payer });
    }

    async function looksAtEnough(n: number): Promise<void> {
      const catalog = await getCatalog(env.store);
      for (const account of accounts) {
        const of = await getAccountToInvoice(env, first.orgId, account);
        const request = {
          of,
          period: { startsAt: month(n), endsAt: month(n + 1) },
          foldsOlder: true,
        };
        const [touched, all] = await snapshot(env.store.db, async (db) => [
          await draftInvoices(db, catalog, [request]),
          await draftInvoices(db, catalog, [request], "all"),
        ]);
        expect(canonicalJson(touched?.[0]?.draft.content)).toBe(
          canonicalJson(all?.[0]?.draft.content),
        );
      }
    }
  },
);

/** By payer: each part of each month is priced by itself, and rounded once. */
function owedBy(child: Child): [string, bigint][] {
  const parts = new Map<string, { payer: string; n: number }>();
  for (const { at, n } of child.used) {
    const held = child.changes.findLast((change) => change.from <= at) as Child["changes"][0];
    const key = `${formatInstant(at).slice(0, 7)} ${held.from}`;
    parts.set(key, { payer: held.payer, n: (parts.get(key)?.n ?? 0) + n });
  }
  return [...parts.values()].map(({ payer, n }) => [payer, centsFor(n)]);
}

// Whole ten-thousandths, so that this check does not lean on the code it checks.
function centsFor(quantity: number): bigint {
  const size = Math.abs(quantity);
  const units = BigInt(Math.min(size, 1000)) * 133n + BigInt(Math.max(size - 1000, 0)) * 71n;
  const cents = (units + 50n) / 100n;
  return quantity < 0 ? -cents : cents;
}
