import { afterAll, beforeAll, expect, test } from "vitest";
import { readImportMap } from "../../src/domain/imports/index.ts";
import { periodAt } from "../../src/domain/invoicing/index.ts";
import { planCatalog } from "../../src/flows/apply-catalog.ts";
import { backtestCatalog } from "../../src/flows/backtest-catalog.ts";
import { openIngest } from "../../src/flows/ingest-usage.ts";
import { issueInvoice } from "../../src/flows/issue-invoice.ts";
import { verifyInvoice } from "../../src/flows/verify-invoice.ts";
import { decimal, formatDecimal, sumOf } from "../../src/kit/decimal.ts";
import { instant } from "../../src/kit/time.ts";
import { importFile } from "../../src/main/import/import-file.ts";
import { localSender } from "../../src/main/import/send.ts";
import { progress } from "../../src/main/progress.ts";
import { anAccount } from "../harness/billing.ts";
import { apply, yamlFile } from "../harness/catalog.ts";
import { type TestEnv, testEnv } from "../harness/database.ts";
import { sharedData } from "../oracle/cases.ts";

// The same real hour of LLM requests on two installations: one asks what other prices would have billed, the other bills them.
const trace = sharedData("llm/AzureLLMInferenceTrace_code.csv");
const november = instant("2023-11-16T00:00:00Z");
const opened: TestEnv[] = [];
let asking: TestEnv;
let billing: TestEnv;

const catalogAt = (input: string, tiers: string) =>
  yamlFile(`
services: [{ key: llm, name: LLM }]
meters:
  - { key: input-tokens, name: Input tokens, event_type: llm.request, aggregation: sum, value_property: input, value_kind: integer, unit: token }
  - { key: output-tokens, name: Output tokens, event_type: llm.request, aggregation: sum, value_property: output, value_kind: integer, unit: token }
skus:
  - { code: LLM-INPUT, name: Input tokens, kind: usage, service: llm, meter: input-tokens }
  - { code: LLM-OUTPUT, name: Output tokens, kind: usage, service: llm, meter: output-tokens }
price_books: [{ code: retail-usd, name: Retail, currency: USD }]
prices:
  - { book: retail-usd, sku: LLM-INPUT, model: per_unit, currency: USD, unit_amount: "${input}" }
  - { book: retail-usd, sku: LLM-OUTPUT, ${tiers} }
`);
const current = catalogAt("0.0000025", 'model: per_unit, currency: USD, unit_amount: "0.00001"');
const wanted = catalogAt(
  "0.0000027",
  'model: graduated, currency: USD, tiers: [{ up_to: "100000", unit_amount: "0.0000117" }, { up_to: null, unit_amount: "0.0000093" }]',
);

async function installation(catalog: ReturnType<typeof yamlFile>): Promise<TestEnv> {
  const bare = await testEnv({ at: "2023-11-01T00:00:00Z" });
  const env = { ...bare, ingest: openIngest(bare.store) };
  opened.push(env);
  await anAccount(env);
  await apply(env, [catalog]);
  env.at("2023-12-10T00:00:00Z");
  return env;
}

async function importTrace(env: TestEnv): Promise<void> {
  const read = readImportMap({
    event: {
      type: "llm.request",
      source: "trace",
      organization: "acme",
      subject: "acme-web",
      time: { column: "TIMESTAMP", form: "local" },
      data: { input: { column: "ContextTokens" }, output: { column: "GeneratedTokens" } },
    },
  });
  if (read.kind === "faulty") throw new Error(JSON.stringify(read.faults));
  const checkpoint = { lines: 0, save() {}, done() {} };
  const tally = await importFile({
    file: trace as string,
    map: read.map,
    sender: localSender(env, undefined),
    checkpoint,
    rejectsFile: "",
    progress: progress("", true),
  });
  expect(tally.accepted).toBe(8819);
}

beforeAll(async () => {
  if (!trace) return;
  [asking, billing] = [await installation(current), await installation(wanted)];
  for (const env of [asking, billing]) await importTrace(env);
});
afterAll(async () => {
  for (const env of opened) {
    await env.ingest?.close();
    await env.close();
  }
});

test.skipIf(!trace)(
  "a back-test over the imported trace is the invoice that the other price really gives, to the last digit",
  async () => {
    const plan = await planCatalog(asking, [wanted]);
    const { affected, obstacles } = await backtestCatalog(asking, plan.wanted, ({ account }) =>
      periodAt(account.calendar, november),
    );
    expect(obstacles).toEqual([]);
    const [effect] = affected;

    const orgOf = async (env: TestEnv) =>
      ((await env.owner.query("select org_id from organization")).rows[0] as { org_id: string })
        .org_id;
    const orgId = await orgOf(billing);
    const { invoiceId } = await issueInvoice(
      billing,
      { orgId, account: "acme", at: november, createdBy: "test" },
      billing.now(),
    );
    const { invoice, isMatch } = await verifyInvoice(billing, orgId, invoiceId);
    expect(isMatch).toBe(true);
    const billed = invoice.content.lines.map((line) => [line.sku, line.unrounded]);
    expect(effect?.lines.map((line) => [line.sku, line.after])).toEqual(billed);
    expect(effect?.after).toBe(invoice.content.subtotal);
    expect(effect?.before).toBe("47.61");
    const before = (effect?.lines ?? []).map((line) => decimal(line.before));
    expect(formatDecimal(sumOf(before))).toBe("47.608895");
  },
);
