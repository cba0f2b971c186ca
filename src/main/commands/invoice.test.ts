import { afterAll, beforeAll, expect, test } from "vitest";
import { aCatalog, type Acme, anAccount, writeUsage } from "../../../test/harness/billing.ts";
import { type TestEnv, testEnv } from "../../../test/harness/database.ts";
import { system } from "../../domain/audit/index.ts";
import { choosePayer } from "../../flows/choose-payer.ts";
import type { OrganizationId } from "../../kit/ids.ts";
import { instant } from "../../kit/time.ts";
import { main } from "../cli.ts";

let env: TestEnv;
let acme: Acme;

beforeAll(async () => {
  env = await testEnv({ at: "2025-02-04T00:00:00Z" });
  acme = await anAccount(env);
  await aCatalog(
    env,
    `
meters:
  - { key: calls, name: Calls, event_type: call, aggregation: sum, value_property: n, value_kind: integer, unit: call }
price_books: [{ code: retail-usd, name: Retail, currency: USD }]
skus: [{ code: API, name: API calls, meter: calls }]
prices:
  - { book: retail-usd, sku: API, effective_from: "2024-01-01T00:00:00Z", model: graduated, currency: USD,
      tiers: [{ up_to: "1000", unit_amount: "0.01" }, { up_to: null, unit_amount: "0.005" }] }
`,
  );
  await writeUsage(
    env,
    acme,
    [
      { time: "2025-01-10T00:00:00Z", type: "call", data: { n: "900" }, id: "one" },
      { time: "2025-01-11T00:00:00Z", type: "call", data: { n: "300" }, id: "two" },
    ],
    ({ data }) => ({ calls: data["n"] ?? "0" }),
  );
});
afterAll(() => env.close());

async function tallyline(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  let [out, err] = ["", ""];
  const code = await main(
    [...args, "--organization", "acme", "--database-url", env.url],
    {},
    { out: (text) => void (out += text), err: (text) => void (err += text) },
  );
  return { code, out, err };
}

test("an invoice is issued, shown, explained and verified on the command line", async () => {
  const issued = await tallyline("invoice", "issue", "acme", "--at", "2025-01-15T00:00:00Z");
  expect(issued.err).toBe("");
  expect(issued.out).toContain("invoice INV-000001 (issued)");
  const shown = await tallyline("invoice", "show", "INV-000001");
  expect(shown.out).toMatch(/^ {3}total USD +11\.00$/m);
  expect(shown.out).toMatch(/^1 {2}API {2}API calls +1200 call +11\.00$/m);
  expect(shown.out).toMatch(/200 × 0\.005 +1$/m);

  const explained = await tallyline("invoice", "explain", "INV-000001", "1");
  expect(explained.out).toContain("line 1 of INV-000001: API, 1200 call = 11 → 11.00");
  expect(explained.out).toMatch(/2025-01-11T00:00:00\.000Z {2}two +test +300/);

  const verified = await tallyline("invoice", "verify", "INV-000001");
  expect([verified.code, verified.out.trim().split("\n").at(-1)]).toEqual([
    0,
    "INV-000001 re-derives to the last digit",
  ]);
  const same = await tallyline("invoice", "diff", "INV-000001", "INV-000001");
  expect([same.code, same.out]).toEqual([0, "no difference\n"]);
});

test("a consolidated invoice on the command line: drafted, issued, credited by section, voided, compared", async () => {
  const child = await anAccount(env, { slug: "initech", orgId: acme.orgId });
  await choosePayer(
    env,
    { organizationId: null, projectId: null },
    system("test"),
    acme.orgId as OrganizationId,
    "initech",
    { payer: "acme", effectiveFrom: instant("2025-01-01T00:00:00Z") },
  );
  await writeUsage(
    env,
    child,
    [{ time: "2025-02-03T00:00:00Z", type: "call", data: { n: "500" } }],
    ({ data }) => ({ calls: data["n"] ?? "0" }),
  );
  env.at("2025-03-04T00:00:00Z");
  const at = ["--at", "2025-02-15T00:00:00Z"];
  const draft = await tallyline("invoice", "draft", "acme", ...at);
  expect(draft.out).toMatch(/API calls {2}\(initech\) +500 call +5\.00$/m);
  expect((await tallyline("invoice", "preview", "initech", ...at)).out).toMatch(
    /total USD +5\.00$/m,
  );
  const issued = await tallyline("invoice", "issue", "acme", ...at);
  expect(issued.out).toMatch(/section initech, statement INV-000002\.1 +5\.00$/m);
  expect((await tallyline("invoice", "verify", "INV-000002.1")).code).toBe(0);
  expect((await tallyline("invoice", "explain", "INV-000002", "1")).out).toContain("500");

  const part = await tallyline(
    "invoice",
    "credit",
    "INV-000002",
    "--reason",
    "late",
    "--line",
    "1",
    "--amount",
    "2.00",
  );
  expect(part.out).toMatch(/total USD +-2\.00$/m);
  const rest = await tallyline(
    "invoice",
    "credit",
    "INV-000002",
    "--reason",
    "goodwill",
    "--section",
    "initech",
  );
  expect(rest.out).toMatch(/total USD +-3\.00$/m);
  expect((await tallyline("invoice", "void", "INV-000002.1", "--reason", "x")).err).toContain(
    "INV-000002 of acme asks for its money",
  );
  expect((await tallyline("invoice", "void", "INV-000001", "--reason", "wrong")).out).toBe(
    "INV-000001 is void\n",
  );
  const other = await tallyline("invoice", "diff", "INV-000001", "INV-000002");
  expect([other.code, other.out]).toEqual([3, expect.stringContaining("line 1, API")]);
});

test("verify says exactly what differs and ends with 3", async () => {
  await env.owner.query(
    "update usage_rollup set total = total + 1 where bucket_at >= '2025-01-11Z'",
  );
  const one = await tallyline("--json", "invoice", "verify", "INV-000001");
  expect(one.code).toBe(3);
  expect(JSON.parse(one.out).is_match).toBe(false);
  const all = await tallyline("verify");
  expect(all.code).toBe(3);
  expect(all.out).toContain(
    `DIFFERS  acme  rollup  calls at 2025-01-11T00:00:00.000Z, project ${acme.projectId}, {}`,
  );
  expect(all.out).toContain("stored      301 from 1 events");
  expect(all.out).toContain("recomputed  300 from 1 events");
});
