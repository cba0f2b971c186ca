import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { aCatalog, type Acme, anAccount } from "../../../test/harness/billing.ts";
import { type TestEnv, testEnv } from "../../../test/harness/database.ts";
import { sharedData } from "../../../test/oracle/cases.ts";
import { readImportMap } from "../../domain/imports/index.ts";
import { openIngest } from "../../flows/ingest-usage.ts";
import { issueInvoice } from "../../flows/issue-invoice.ts";
import { verifyInvoice } from "../../flows/verify-invoice.ts";
import { decimal, formatDecimal, sumOf } from "../../kit/decimal.ts";
import { instant } from "../../kit/time.ts";
import { progress } from "../progress.ts";
import { openCheckpoint } from "./checkpoint.ts";
import { importFile } from "./import-file.ts";
import { localSender, type Sender } from "./send.ts";

let env: TestEnv;
let acme: Acme;
let folder: string;
const trace = sharedData("llm/AzureLLMInferenceTrace_code.csv");

const mapDocument = {
  format: "csv",
  event: {
    type: "llm.request",
    source: "azure-llm-trace",
    organization: "acme",
    subject: "acme-web",
    time: { column: "TIMESTAMP", form: "local", zone: "UTC" },
    data: {
      input_tokens: { column: "ContextTokens" },
      output_tokens: { column: "GeneratedTokens" },
    },
  },
};
const read = readImportMap(mapDocument);
if (read.kind === "faulty") throw new Error(JSON.stringify(read.faults));
const { map } = read;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "import-"));
  const bare = await testEnv({ at: "2023-12-10T00:00:00Z" });
  env = { ...bare, ingest: openIngest(bare.store) };
  acme = await anAccount(env);
  await aCatalog(
    env,
    `
meters:
  - { key: input-tokens, name: Input tokens, event_type: llm.request, aggregation: sum, value_property: input_tokens, value_kind: integer, unit: token }
  - { key: output-tokens, name: Output tokens, event_type: llm.request, aggregation: sum, value_property: output_tokens, value_kind: integer, unit: token }
price_books:
  - { code: retail-usd, name: Retail, currency: USD }
skus:
  - { code: LLM-INPUT, name: Input tokens, meter: input-tokens }
  - { code: LLM-OUTPUT, name: Output tokens, meter: output-tokens }
prices:
  - { book: retail-usd, sku: LLM-INPUT, effective_from: "2023-01-01T00:00:00Z", model: per_unit, currency: USD, unit_amount: "0.0000025" }
  - { book: retail-usd, sku: LLM-OUTPUT, effective_from: "2023-01-01T00:00:00Z", model: per_unit, currency: USD, unit_amount: "0.00001" }
`,
  );
});
afterAll(async () => {
  await env.ingest?.close();
  await env.close();
  rmSync(folder, { recursive: true, force: true });
});

const run = (file: string, sender: Sender = localSender(env, undefined)) =>
  importFile({
    file,
    map,
    sender,
    checkpoint: openCheckpoint(folder, file, mapDocument, "test"),
    rejectsFile: `${file}.rejects.jsonl`,
    progress: progress("importing", true),
  });
const stored = async () =>
  Number((await env.owner.query("select count(*)::int as n from usage_event")).rows[0]?.n);

test.skipIf(!trace)(
  "a real hour of LLM requests: 8,819 events, the same invoice however often it is imported",
  async () => {
    const first = await run(trace as string);
    expect(first).toMatchObject({
      rows: 8819,
      accepted: 8819,
      duplicate: 0,
      bad: 0,
      rejects: null,
    });
    const { invoiceId } = await issueInvoice(
      env,
      {
        orgId: acme.orgId,
        account: "acme",
        at: instant("2023-11-16T00:00:00Z"),
        createdBy: "test",
      },
      env.now(),
    );
    const proof = await verifyInvoice(env, acme.orgId, invoiceId);
    expect(proof.isMatch).toBe(true);
    expect(proof.invoice.content.total).toBe("47.61");
    const unrounded = proof.invoice.content.lines.map((line) => decimal(line.unrounded));
    expect(formatDecimal(sumOf(unrounded))).toBe("47.608895");

    const second = await run(trace as string);
    expect(second).toMatchObject({ rows: 8819, accepted: 0, duplicate: 8819 });
    expect(await stored()).toBe(8819);
    expect((await verifyInvoice(env, acme.orgId, invoiceId)).isMatch).toBe(true);
  },
);

const rows = (count: number, at = "2023-12-01 10:00:00") =>
  Array.from({ length: count }, (_, i) => `${at}.${String(i).padStart(6, "0")},${i + 1},1`);
const header = "TIMESTAMP,ContextTokens,GeneratedTokens";

test("unusable rows are reported by line number, and the rest is counted", async () => {
  const before = await stored();
  const file = join(folder, "mixed.csv");
  writeFileSync(
    file,
    [
      header,
      ...rows(3),
      "yesterday,5,1",
      '2023-12-01 10:00:01,"42abc",1',
      "",
      ...rows(2, "2023-12-01 11:00:00"),
    ].join("\n"),
  );
  const tally = await run(file);
  expect(tally).toMatchObject({ rows: 7, accepted: 5, bad: 1, rejected: 1 });
  expect(await stored()).toBe(before + 5);
  const rejects = readFileSync(tally.rejects as string, "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as { line: number; reason: string });
  expect(rejects.map((one) => one.line).toSorted((a, b) => a - b)).toEqual([5, 6]);
  expect(rejects.find((one) => one.line === 5)?.reason).toContain('"yesterday"');
});

test("an import that was cut off goes on where it stopped, and nothing is lost or counted twice", async () => {
  const before = await stored();
  const file = join(folder, "long.csv");
  writeFileSync(file, [header, ...rows(9000, "2023-12-02 10:00:00")].join("\n"));
  const sender = localSender(env, undefined);
  let batches = 0;
  const failing: Sender = {
    async send(events) {
      batches += 1;
      if (batches > 5) throw new Error("the power went");
      return sender.send(events);
    },
    close: async () => {},
  };
  await expect(run(file, failing)).rejects.toThrow("the power went");
  const resumed = await run(file);
  expect(resumed.skipped).toBeGreaterThan(0);
  expect(resumed.skipped + resumed.accepted + resumed.duplicate).toBe(9000);
  expect(await stored()).toBe(before + 9000);
});

test("JSON lines keep the digits they were written with", async () => {
  const file = join(folder, "usage.jsonl");
  writeFileSync(
    file,
    '{"at":"2023-12-03T10:00:00.123456Z","usage":{"in":12345678901234567890,"out":0.10}}\n{"at":"2023-12-03T10:00:01Z","usage":{"in":1e3,"out":1}}\nnot json\n',
  );
  const document = {
    format: "jsonl",
    event: {
      ...mapDocument.event,
      type: "other",
      time: { column: "at" },
      data: { input_tokens: { column: "usage.in" }, output_tokens: { column: "usage.out" } },
    },
  };
  const other = readImportMap(document);
  if (other.kind === "faulty") throw new Error(JSON.stringify(other.faults));
  const sent: unknown[] = [];
  const sender: Sender = {
    async send(events) {
      sent.push(...events.map((event) => [event.time, event.data]));
      return events.map(() => ({ fate: "accepted", detail: "" }));
    },
    close: async () => {},
  };
  const tally = await importFile({
    file,
    map: other.map,
    sender,
    checkpoint: openCheckpoint(folder, file, document, "test"),
    rejectsFile: `${file}.rejects.jsonl`,
    progress: progress("importing", true),
  });
  expect(tally).toMatchObject({ rows: 3, accepted: 2, bad: 1 });
  expect(sent).toEqual([
    [
      "2023-12-03T10:00:00.123456Z",
      { input_tokens: "12345678901234567890", output_tokens: "0.10" },
    ],
    ["2023-12-03T10:00:01.000Z", { input_tokens: "1e3", output_tokens: "1" }],
  ]);
});
