import { afterAll, beforeAll, expect, test } from "vitest";
import {
  aCatalog,
  type Acme,
  anAccount,
  llmTrace,
  writeUsage,
} from "../../test/harness/billing.ts";
import { type TestEnv, testEnv } from "../../test/harness/database.ts";
import { add, type Decimal, decimal, formatDecimal, zero } from "../kit/decimal.ts";
import { formatInstant, instant } from "../kit/time.ts";
import { explainInvoiceLine } from "./explain-invoice-line.ts";
import { issueInvoice } from "./issue-invoice.ts";
import { previewInvoice } from "./preview-invoice.ts";
import { verifyInvoice } from "./verify-invoice.ts";

const trace = llmTrace();
let env: TestEnv;
let acme: Acme;
let invoiceId: string;

const catalog = `
meters:
  - { key: input-tokens, name: Input tokens, event_type: llm.request, aggregation: sum, value_property: input, value_kind: integer, unit: token }
  - { key: output-tokens, name: Output tokens, event_type: llm.request, aggregation: sum, value_property: output, value_kind: integer, unit: token }
price_books:
  - { code: retail-usd, name: Retail, currency: USD }
skus:
  - { code: LLM-INPUT, name: Input tokens, meter: input-tokens }
  - { code: LLM-OUTPUT, name: Output tokens, meter: output-tokens }
prices:
  - { book: retail-usd, sku: LLM-INPUT, effective_from: "2023-01-01T00:00:00Z", model: per_unit, currency: USD, unit_amount: "0.0000025" }
  - { book: retail-usd, sku: LLM-OUTPUT, effective_from: "2023-01-01T00:00:00Z", model: per_unit, currency: USD, unit_amount: "0.00001" }
`;

beforeAll(async () => {
  env = await testEnv({ at: "2023-11-20T00:00:00Z" });
  acme = await anAccount(env);
  await aCatalog(env, catalog);
  await writeUsage(
    env,
    acme,
    (trace ?? []).map(({ time, input, output }) => ({
      time,
      type: "llm.request",
      data: { input, output },
    })),
    ({ data }) => ({
      "input-tokens": data["input"] ?? "0",
      "output-tokens": data["output"] ?? "0",
    }),
  );
});
afterAll(() => env.close());

const sum = (values: Iterable<string>): Decimal => {
  let total: Decimal = zero;
  for (const value of values) total = add(total, decimal(value));
  return total;
};

test.skipIf(!trace)(
  "the upcoming invoice is the one issued when nothing more arrives",
  async () => {
    const preview = await previewInvoice(env, acme.orgId, "acme", env.now());
    expect(preview.stage).toBe("upcoming");
    expect(preview.draft.content.total).toBe("47.61");

    env.at("2023-12-04T00:00:00Z");
    const at = instant("2023-11-16T00:00:00Z");
    const request = { orgId: acme.orgId, account: "acme", at, createdBy: "test" };
    const first = await issueInvoice(env, request, env.now());
    expect(await issueInvoice(env, request, env.now())).toEqual({
      invoiceId: first.invoiceId,
      isNew: false,
    });
    invoiceId = first.invoiceId;

    const { isMatch, checks, invoice } = await verifyInvoice(env, acme.orgId, invoiceId);
    expect(checks.flatMap((check) => check.mismatches)).toEqual([]);
    expect(isMatch).toBe(true);
    expect(invoice.number).toBe("INV-000001");
    const { lines, total } = invoice.content;
    expect(total).toBe("47.61");
    expect(formatDecimal(sum(lines.map((line) => line.unrounded)))).toBe("47.608895");
    expect(sum(lines.map((line) => line.measured[0]?.event_count ?? "0")).toString()).toBe("17638");
  },
);

test.skipIf(!trace)(
  "explaining a line reaches every event, and they sum to its quantity",
  async () => {
    const quantities: string[] = [];
    let after: { time: string; seq: bigint } | undefined;
    for (;;) {
      const page = await explainInvoiceLine(env, acme.orgId, invoiceId, 1, { after, limit: 1000 });
      if (!after)
        expect(sum(page.buckets.map((bucket) => bucket.quantity))).toEqual(
          decimal(page.line.quantity),
        );
      quantities.push(...page.events.map((event) => event.quantity));
      const last = page.events.at(-1);
      if (!last) break;
      after = { time: formatInstant(last.time), seq: last.seq };
    }
    expect(quantities).toHaveLength(8819);
    const { line } = await explainInvoiceLine(env, acme.orgId, invoiceId, 1, { limit: 1 });
    expect(sum(quantities)).toEqual(decimal(line.quantity));
  },
);

test.skipIf(!trace).each([
  [
    "an event",
    `update usage_event set data = '{"input":"4809","output":"10"}' where seq = 1`,
    "recomputation: line 1, LLM-INPUT, quantity",
  ],
  [
    "a rollup",
    "update usage_rollup set total = total + 1 where meter_key = 'output-tokens' and bucket_at = '2023-11-16 18:15Z'",
    "rollups: rollup of output-tokens at 2023-11-16T18:15:00.000Z",
  ],
  [
    "a line",
    "update invoice_line set amount_minor = amount_minor - 1 where line_no = 2",
    "stored lines: line 2, LLM-OUTPUT, amount",
  ],
  [
    "the document",
    `update invoice set content = jsonb_set(content::jsonb, '{total}', '"47.60"')::json`,
    "content hash: content hash",
  ],
  [
    "a price",
    `update price set definition = jsonb_set(definition, '{unit_amount}', '"0.00002"') where sku_code = 'LLM-OUTPUT'`,
    "prices: price prc_",
  ],
])("changing %s by hand turns the check red and says what differs", async (_, tamper, names) => {
  const undo = await backup(env);
  await env.owner.query(tamper);
  await env.owner.query("update catalog_version set version = version + 1");
  const { isMatch, checks } = await verifyInvoice(env, acme.orgId, invoiceId);
  await undo();
  expect(isMatch).toBe(false);
  const found = checks.flatMap((check) => check.mismatches.map((m) => `${check.name}: ${m.where}`));
  expect(found.some((text) => text.startsWith(names)) ? names : found).toBe(names);
  expect((await verifyInvoice(env, acme.orgId, invoiceId)).isMatch).toBe(true);
});

async function backup(of: TestEnv): Promise<() => Promise<void>> {
  const tables = ["usage_event", "usage_rollup", "invoice_line", "invoice", "price"];
  for (const table of tables)
    await of.owner.query(`create table if not exists kept_${table} as select * from ${table}`);
  return async () => {
    await of.owner.query("set session_replication_role = replica");
    for (const table of tables) {
      await of.owner.query(`delete from ${table}`);
      await of.owner.query(`insert into ${table} select * from kept_${table}`);
      await of.owner.query(`drop table kept_${table}`);
    }
    await of.owner.query("set session_replication_role = origin");
    await of.owner.query("update catalog_version set version = version + 1");
  };
}
