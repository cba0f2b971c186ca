import { cpSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Acme, anAccount } from "../../../test/harness/billing.ts";
import { type TestEnv, testEnv } from "../../../test/harness/database.ts";
import { previewInvoice } from "../../flows/preview-invoice.ts";
import { instant } from "../../kit/time.ts";
import { main } from "../cli.ts";

let env: TestEnv;
let acme: Acme;
const folder = mkdtempSync(join(tmpdir(), "tallyline-catalog-"));
const files = join(folder, "files");

beforeAll(async () => {
  env = await testEnv();
  acme = await anAccount(env);
  cpSync(fileURLToPath(new URL("../../../examples/catalog", import.meta.url)), files, {
    recursive: true,
  });
});
afterAll(() => env.close());

async function catalog(...args: string[]) {
  const said = { out: "", err: "" };
  const code = await main(
    ["catalog", ...args, "--database-url", env.url, "--data-dir", folder],
    {},
    { out: (text) => void (said.out += text), err: (text) => void (said.err += text) },
  );
  return { code, ...said };
}

const edit = (name: string, from: string, to: string) => {
  const path = join(files, name);
  const text = readFileSync(path, "utf8");
  expect(text).toContain(from);
  writeFileSync(path, text.replace(from, to));
};
const contents = (where: string) =>
  readdirSync(where)
    .toSorted()
    .map((name) => [name, readFileSync(join(where, name), "utf8")]);

test("plan, apply, apply again, export, drift", async () => {
  const planned = await catalog("plan", files);
  expect([planned.code, planned.err]).toEqual([0, ""]);
  expect(planned.out).toContain("+ sku USAGE-SMS-1000");

  expect((await catalog("apply", files)).out).toContain("applied");
  expect((await catalog("apply", files)).out).toBe("no change\n");
  expect((await catalog("plan", files)).out).toBe("no change\n");
  expect(await catalog("drift", files)).toMatchObject({ code: 0 });

  const [first, second] = [join(folder, "first"), join(folder, "second")];
  await catalog("export", first);
  expect((await catalog("apply", first)).out).toBe("no change\n");
  await catalog("export", second);
  expect(contents(second)).toEqual(contents(first));
});

test("an edit shows exactly what it changes, and in money for whom", async () => {
  await env.owner.query(
    `insert into usage_rollup (org_id, account_id, meter_key, bucket_at, project_id, dimensions, event_count, total)
     values ($1, $2, 'sms', date_trunc('month', now()), $3, '{}', 250, 250),
            ($1, $2, 'sms', '2025-01-10T00:00:00Z', $3, '{}', 1003, 1003)`,
    [acme.orgId, acme.accountId, acme.projectId],
  );
  await env.owner.query("update meter set rolled_up = true");
  edit(
    "prices.yaml",
    `  - { book: retail-usd, sku: USAGE-AI-10000`,
    `  - { book: retail-usd, sku: USAGE-SMS-OVERAGE, effective_from: 2199-01-01T00:00:00Z, model: per_unit, currency: USD, unit_amount: "0.07" }
  - { book: retail-usd, sku: USAGE-AI-10000`,
  );
  const { code, out } = await catalog("plan", files);
  expect(code).toBe(0);
  expect(out).toContain(
    "+ price retail-usd USAGE-SMS-OVERAGE from 2199-01-01T00:00:00.000Z\n    effective_from: 2199-01-01T00:00:00Z\n    currency: USD\n    model: per_unit\n    unit_amount: 0.07\n",
  );
  expect(out).toMatch(/acme +15\.00 → +17\.50 USD {2}\+2\.5/);
  expect(out).toContain("1 of 1 accounts would have paid something else");
  const drift = await catalog("drift", files);
  expect(drift.code).toBe(1);
});

test("a backtest equals the real invoice under that price, to the last digit", async () => {
  const { out } = await catalog("backtest", files, "--period", "2025-01", "--json");
  const [one] = JSON.parse(out).affected;
  expect(one).toMatchObject({ slug: "acme", before: "60.18", after: "70.21", difference: "10.03" });

  // The same price, really in force in January, on an installation of its own.
  const other = await testEnv();
  try {
    const twin = await anAccount(other);
    edit("prices.yaml", `unit_amount: "0.06"`, `unit_amount: "0.07"`);
    edit(
      "prices.yaml",
      `  - { book: retail-usd, sku: USAGE-SMS-OVERAGE, effective_from: 2199-01-01T00:00:00Z, model: per_unit, currency: USD, unit_amount: "0.07" }\n`,
      "",
    );
    const url = ["--database-url", other.url, "--data-dir", folder];
    expect(
      await main(["catalog", "apply", files, ...url], {}, { out: () => {}, err: () => {} }),
    ).toBe(0);
    await other.owner.query(
      `insert into usage_rollup (org_id, account_id, meter_key, bucket_at, project_id, dimensions, event_count, total)
       values ($1, $2, 'sms', '2025-01-10T00:00:00Z', $3, '{}', 1003, 1003)`,
      [twin.orgId, twin.accountId, twin.projectId],
    );
    await other.owner.query("update meter set rolled_up = true");
    const real = await previewInvoice(
      other,
      twin.orgId,
      twin.accountId,
      instant("2025-01-31T00:00:00Z"),
    );
    expect(real.draft.content.subtotal).toBe(one.after);
    expect(real.draft.content.lines.map((line) => line.unrounded)).toEqual([one.lines[0].after]);
  } finally {
    await other.close();
  }
});

test("mistakes are named with file and line, and nothing is changed", async () => {
  edit("skus.yaml", "meter: sms, unit: SMS, units", "meter: smz, unit: SMS, units");
  const { code, err } = await catalog("apply", files);
  expect(code).toBe(1);
  expect(err).toContain("nothing was changed");
  expect(err).toMatch(/skus\.yaml, line \d+: there is no meter smz/);
});

test("a published price that was edited in place is refused, in the files and in the database", async () => {
  edit("skus.yaml", "meter: smz, unit: SMS, units", "meter: sms, unit: SMS, units");
  const { code, err } = await catalog("apply", files);
  expect(code).toBe(1);
  expect(err).toContain("is published and never changes: add one with a later effective_from");
  await expect(
    env.store.pool.query("update price set definition = '{}' where sku_code = 'USAGE-SMS-OVERAGE'"),
  ).rejects.toThrow("permission denied");
  await expect(env.store.pool.query("update plan_version set definition = '{}'")).rejects.toThrow(
    "permission denied",
  );
});
