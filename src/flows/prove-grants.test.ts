import { afterAll, beforeAll, expect, test } from "vitest";
import { anAccount, writeUsage } from "../../test/harness/billing.ts";
import { apply, yamlFile } from "../../test/harness/catalog.ts";
import { type TestEnv, testEnv } from "../../test/harness/database.ts";
import { system } from "../domain/audit/index.ts";
import { never, readUnits } from "../domain/grants/index.ts";
import type { IdKind, MakeId, OrganizationId } from "../kit/ids.ts";
import { instant } from "../kit/time.ts";
import { subscribe } from "./change-subscription.ts";
import { giveGrant } from "./give-grant.ts";
import { issueInvoice } from "./issue-invoice.ts";
import { getAccount } from "./manage-accounts.ts";
import { proveGrants } from "./prove-grants.ts";
import { transferUnits } from "./transfer-units.ts";
import { verifyInvoice } from "./verify-invoice.ts";

let env: TestEnv;
const author = { ...system("test"), reason: "because" };
beforeAll(async () => {
  env = await testEnv({ at: "2025-01-01T00:00:00Z" });
  await apply(env, [
    yamlFile(
      `
meters: [{ key: calls, event_type: call, aggregation: sum, value_property: n, value_kind: integer, unit: call }]
services: [{ key: access, name: Access }]
price_books: [{ code: retail-usd, name: Retail, currency: USD }]
skus: [{ code: API, kind: usage, meter: calls }, { code: MONTH, kind: recurring }]
prices: [{ book: retail-usd, sku: API, model: per_unit, currency: USD, unit_amount: "0.01" }]
plans: [{ key: basic, product_line: basic, versions: [{ version: 1, fees: [{ sku: MONTH, amounts: { USD: "5.00" } }], usage: [{ sku: API, included: "100" }] }] }]
`,
      "catalog.yaml",
    ),
  ]);
  await env.owner.query("update meter set rolled_up = true");
});
afterAll(() => env.close());

/** Ids of another process: of the same millisecond, and sorting before or after all of ours by the letter they end with. */
function anotherProcess(letter: string): MakeId {
  let n = 0;
  return <K extends IdKind>(kind: K) => {
    const id = env.id(kind);
    return `${id.slice(0, 13)}${letter.repeat(8)}${String(n++).padStart(3, "0")}` as typeof id;
  };
}

test("units that are given by one process and passed on by another in the same millisecond can be proven", async () => {
  const acme = await anAccount(env, { slug: "giver" });
  await anAccount(env, { slug: "taker", orgId: acme.orgId });
  const account = (slug: string) => getAccount(env.store.db, acme.orgId as OrganizationId, slug);
  const [from, to] = [await account("giver"), await account("taker")];
  await giveGrant({ ...env, id: anotherProcess("z") }, author, from, {
    denomination: { kind: "units", family: "calls" },
    sku: null,
    origin: "promotion",
    quantity: readUnits("1000"),
    priority: 50,
    validFrom: env.now(),
    expiresAt: never,
  });
  const second = { ...env, id: anotherProcess("0") };
  await transferUnits(second, author, { from, to, pool: "calls", quantity: readUnits("300") });
  const { rows } = await env.owner.query<{ kind: string }>(
    "select kind from grant_movement where org_id = $1 and account_id = $2 order by movement_id",
    [acme.orgId, from.id],
  );
  // The order of their ids is not the one in which they happened.
  expect(rows.map((row) => row.kind)).toEqual(["transferred_out", "funded"]);
  expect((await proveGrants(env, { orgId: acme.orgId })).faults).toEqual([]);

  // Movements that cannot follow each other are a difference, not a crash.
  await env.owner.query(
    "update grant_movement set quantity = -5000 where org_id = $1 and kind = 'transferred_out'",
    [acme.orgId],
  );
  const { faults } = await proveGrants(env, { orgId: acme.orgId });
  expect(faults.map((fault) => fault.where)).toContain("grant movements");
});

test("what a plan includes is counted from raw events when a document is proven: rollups that were changed do not mislead", async () => {
  const acme = await anAccount(env, { slug: "included" });
  await subscribe(env, author, acme.orgId as OrganizationId, {
    account: "included",
    plan: "basic",
  });
  const event = { time: "2025-01-10T00:00:00Z", type: "call", data: { n: "130" } };
  await writeUsage(env, acme, [event], () => ({ calls: "130" }));
  env.at("2025-02-04T00:00:00Z");
  const { invoiceId } = await issueInvoice(
    env,
    {
      orgId: acme.orgId,
      account: "included",
      at: instant("2025-01-10T00:00:00Z"),
      createdBy: "test",
    },
    env.now(),
  );
  const wrongIn = async () => {
    const { checks, invoice } = await verifyInvoice(env, acme.orgId, invoiceId);
    expect(invoice.content.total).toBe("5.30");
    return checks.filter((check) => check.mismatches.length > 0).map((check) => check.name);
  };
  expect(await wrongIn()).toEqual([]);
  await env.owner.query("update usage_rollup set total = total - 60 where org_id = $1", [
    acme.orgId,
  ]);
  expect(await wrongIn()).toEqual(["rollups"]);
});
