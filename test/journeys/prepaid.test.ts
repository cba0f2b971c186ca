import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { BillingAccount } from "../../src/domain/accounts/index.ts";
import { system } from "../../src/domain/audit/index.ts";
import { readUnits } from "../../src/domain/grants/index.ts";
import { expireGrants } from "../../src/flows/expire-grants.ts";
import type { PaymentGateway } from "../../src/domain/payments/index.ts";
import { topUpAutomatically } from "../../src/flows/top-up-automatically.ts";
import { transferUnits } from "../../src/flows/transfer-units.ts";
import {
  simulatedPayments,
  type SimulatedPayments,
} from "../../src/gateways/simulated-payments.ts";
import type { OrganizationId } from "../../src/kit/ids.ts";
import { seededRandom } from "../../src/kit/random.ts";
import { formatInstant } from "../../src/kit/time.ts";
import { findAccount } from "../../src/store/accounts.ts";
import { type TestApi, testApi } from "../harness/api.ts";
import { loadPrepaidCatalog } from "../harness/prepaid.ts";

let api: TestApi;
let payments: SimulatedPayments;
const acme = "/v1/organizations/acme/accounts/acme-usd";

beforeEach(async () => {
  payments = simulatedPayments(seededRandom(1));
  api = await testApi({
    at: "2025-01-10T00:00:00Z",
    extend: (bare) => ({ ...bare, payments }),
  });
  await loadPrepaidCatalog(api.env);
});
afterEach(() => api.close());

let sent = 0;
async function sms(count: number, subject = "web", organization = "acme"): Promise<void> {
  const event = {
    id: `m${++sent}`,
    source: "journey",
    type: "sms.sent",
    subject,
    time: formatInstant(api.env.now()),
    data: { value: String(count) },
  };
  const headers = { "tallyline-organization": organization };
  expect((await api.post("/v1/events", event, { headers })).status).toBe(200);
}
const remaining = async (base = acme) => {
  const { json } = await api.get(`${base}/balances`);
  return json.data.find((one: { pool: string }) => one.pool === "sms")?.available ?? "0";
};
const buy = (sku: string, key: string, base = acme) =>
  api.post(`${base}/purchases`, { sku }, { headers: { "idempotency-key": key } });

test("J3: Cleo buys, runs over, tops up, sees her invoice; the rest lapses and is not refunded", async () => {
  const preview = await api.post(
    `${acme}/purchases/preview`,
    { sku: "USAGE-SMS-1000" },
    { key: api.keys.viewer },
  );
  expect(preview.json).toMatchObject({
    total: { amount: "40.00" },
    expires_at: "2025-02-09T00:00:00.000Z",
  });
  const first = await buy("USAGE-SMS-1000", "one");
  expect(first.json).toMatchObject({ status: "paid", total: { amount: "40.00" }, units: "1000" });
  expect((await buy("USAGE-SMS-1000", "one")).json.id).toBe(first.json.id);
  expect(payments.charges).toHaveLength(1);
  expect(await remaining()).toBe("1000");

  api.env.at("2025-01-12T09:00:00Z");
  await sms(1000);
  await sms(50);
  expect(await remaining()).toBe("0");
  api.env.at("2025-01-15T00:00:00Z");
  expect((await buy("USAGE-SMS-1000", "two")).status).toBe(201);
  expect(await remaining()).toBe("1000");
  await sms(200);
  expect(await remaining()).toBe("800");

  api.env.at("2025-02-04T00:00:00Z");
  const invoice = await api.get(`${acme}/upcoming-invoice?at=2025-01-31T00:00:00Z`);
  expect(invoice.status).toBe(200);
  const amounts = JSON.stringify(invoice.json).match(/"amount":"-?[\d.]+"/g);
  for (const amount of ["40.00", "-40.00", "3.00"])
    expect(amounts).toContain(`"amount":"${amount}"`);

  api.env.at("2025-02-14T00:00:00Z");
  await expireGrants(api.env);
  expect(await remaining()).toBe("0");
  const grants = await api.get(`${acme}/grants`);
  expect(grants.json.data).toMatchObject([
    { state: "exhausted", drawn: "1000", expired: "0" },
    { state: "expired", drawn: "200", expired: "800" },
  ]);
  const refund = await api.post(`${acme}/grants/${grants.json.data[1].id}/refund`, undefined);
  expect(refund).toMatchObject({ status: 409, json: { code: "refund_refused" } });
  const moves = await api.get(`${acme}/movements`);
  expect(moves.json.data[0]).toMatchObject({
    kind: "expired",
    quantity: "-800",
    at: "2025-02-14T00:00:00.000Z",
  });
});

describe("J11: Pat buys in bulk and passes units on to Initech", () => {
  let globex: BillingAccount;
  let initech: BillingAccount;

  beforeEach(async () => {
    const { db } = api.env.store;
    const at = formatInstant(api.env.now());
    await db
      .updateTable("organization")
      .set({ kind: "partner" })
      .where("slug", "=", "globex")
      .execute();
    const { org_id: partner } = await db
      .selectFrom("organization")
      .select("org_id")
      .where("slug", "=", "globex")
      .executeTakeFirstOrThrow();
    await db
      .insertInto("organization")
      .values({
        org_id: "org_initech",
        slug: "initech",
        name: "Initech",
        kind: "partner_customer",
        parent_org_id: partner,
        created_at: at,
      })
      .execute();
    for (const [org, id] of [
      [partner, "acc_globex"],
      ["org_initech", "acc_initech"],
    ] as const)
      await db
        .insertInto("billing_account")
        .values({
          org_id: org,
          account_id: id,
          slug: id.replace("acc_", ""),
          name: id,
          currency: "USD",
          created_at: at,
        })
        .execute();
    await db
      .insertInto("project")
      .values({
        org_id: "org_initech",
        project_id: "prj_shop",
        slug: "shop",
        name: "Shop",
        created_at: at,
      })
      .execute();
    await db
      .insertInto("binding")
      .values({
        org_id: "org_initech",
        binding_id: "bnd_shop",
        project_id: "prj_shop",
        account_id: "acc_initech",
        effective_from: at,
        created_by: "test",
        created_at: at,
      })
      .execute();
    globex = (await findAccount(db, partner as OrganizationId, "globex")) as BillingAccount;
    initech = (await findAccount(db, "org_initech" as OrganizationId, "initech")) as BillingAccount;
  });

  test("conserving units, expiry and cost; too much is refused; unused comes back; a stranger gets nothing (R-180, R-181)", async () => {
    const pat = "/v1/organizations/globex/accounts/globex";
    const ines = "/v1/organizations/initech/accounts/initech";
    expect((await buy("PARTNER-USAGE-SMS-100000", "bulk", pat)).json.total.amount).toBe("3000.00");
    const pass = (quantity: string, verb = "transfers") =>
      api.post(`${pat}/${verb}`, {
        organization: "initech",
        account: "initech",
        pool: "sms",
        quantity,
      });
    const made = await pass("1000");
    expect(made.json.data).toMatchObject([
      {
        origin: "transfer",
        size: "1000",
        paid: { amount: "30.00" },
        expires_at: "2026-01-10T00:00:00.000Z",
      },
    ]);
    expect([await remaining(pat), await remaining(ines)]).toEqual(["99000", "1000"]);
    expect((await pass("200000")).json).toMatchObject({
      code: "not_enough_units",
      available: "99000",
    });
    await sms(600, "shop", "initech");
    expect((await pass("401", "reclaims")).json.code).toBe("not_enough_units");
    expect((await pass("400", "reclaims")).status).toBe(201);
    expect([await remaining(pat), await remaining(ines)]).toEqual(["99400", "0"]);
    const acmeAccount = (await findAccount(
      api.env.store.db,
      api.organization.id,
      "acme-usd",
    )) as BillingAccount;
    const stolen = transferUnits(api.env, system("test"), {
      from: globex,
      to: acmeAccount,
      pool: "sms",
      quantity: 1,
    });
    await expect(stolen).rejects.toThrow("cannot move");
    const back = { from: initech, to: acmeAccount, pool: "sms", quantity: readUnits("1") };
    await expect(transferUnits(api.env, system("test"), back)).rejects.toThrow("cannot move");
    const proof = await import("../../src/flows/prove-grants.ts");
    expect((await proof.proveGrants(api.env)).faults).toEqual([]);
  });
});

test("auto top-up buys at the trigger, at most twice a month, rests after failures, and says so (R-081)", async () => {
  const rule = { sku: "USAGE-SMS-1000", trigger_at_or_below: "100", purchases_per_month_max: 2 };
  expect((await api.put(`${acme}/top-up-rules/sms`, rule)).status).toBe(204);
  const run = async () => (await topUpAutomatically(api.env)).map(({ decision }) => decision.kind);
  expect(await run()).toEqual(["buy"]);
  expect(await run()).toEqual([]);
  await sms(900);
  expect(await Promise.all([run(), run()])).toContainEqual(["buy"]);
  expect(payments.charges).toHaveLength(2);
  expect(await remaining()).toBe("1100");
  await sms(1000);
  expect(await run()).toEqual(["notify"]);
  expect(payments.charges).toHaveLength(2);

  api.env.at("2025-02-01T00:00:00Z");
  for (let n = 0; n < 3; n++) {
    payments.next("declines");
    await run();
  }
  expect(await run()).toEqual(["notify"]);
  expect(payments.charges).toHaveLength(2);
  api.env.at("2025-02-02T00:00:00Z");
  expect(await run()).toEqual(["buy"]);
  expect(payments.charges).toHaveLength(3);
});

test("an automatic purchase whose payment is unclear is asked about, not made again; switched off meanwhile, it stays off", async () => {
  const rule = { sku: "USAGE-SMS-1000", trigger_at_or_below: "1000", purchases_per_month_max: 5 };
  expect((await api.put(`${acme}/top-up-rules/sms`, rule)).status).toBe(204);
  const before = payments.charges.length;
  for (const lost of ["loses_answer", "loses_request"] as const) {
    const charges = payments.charges.length;
    payments.next(lost);
    await topUpAutomatically(api.env);
    await topUpAutomatically(api.env);
    expect(payments.charges, lost).toHaveLength(charges + 1);
    await sms(1000);
  }
  const off: PaymentGateway = {
    ...payments,
    async charge(request) {
      expect((await api.put(`${acme}/top-up-rules/sms`, { ...rule, enabled: false })).status).toBe(
        204,
      );
      return payments.charge(request);
    },
  };
  await topUpAutomatically({ ...api.env, payments: off });
  expect(payments.charges).toHaveLength(before + 3);
  await sms(1000);
  expect(await topUpAutomatically(api.env)).toEqual([]);
});
