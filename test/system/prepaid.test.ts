import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { system } from "../../src/domain/audit/index.ts";
import type { BillingAccount } from "../../src/domain/accounts/index.ts";
import { writeUnits } from "../../src/domain/grants/index.ts";
import { balanceText } from "../../src/domain/ledger/index.ts";
import { buyBatch, settlePendingPurchases, upgradeBatch } from "../../src/flows/buy-batch.ts";
import { expireGrants } from "../../src/flows/expire-grants.ts";
import { correctGrant, askRefund } from "../../src/flows/give-grant.ts";
import { type Ingest, openIngest } from "../../src/flows/ingest-usage.ts";
import { postSupplyCost, readStock, recordSupplyLot } from "../../src/flows/keep-supply.ts";
import { postBooks } from "../../src/flows/post-books.ts";
import { proveGrants } from "../../src/flows/prove-grants.ts";
import { previewInvoice } from "../../src/flows/preview-invoice.ts";
import {
  simulatedPayments,
  type SimulatedPayments,
} from "../../src/gateways/simulated-payments.ts";
import { currency } from "../../src/kit/currency.ts";
import { decimal } from "../../src/kit/decimal.ts";
import { parseMoney } from "../../src/kit/money.ts";
import { seededRandom } from "../../src/kit/random.ts";
import { instant } from "../../src/kit/time.ts";
import { findAccount } from "../../src/store/accounts.ts";
import { listBalances, listGrants, listMovements } from "../../src/store/grant-lifecycle.ts";
import { listLedgerBalances } from "../../src/store/journal.ts";
import { type TestApi, testApi } from "../harness/api.ts";
import type { TestEnv } from "../harness/database.ts";
import { anEvent } from "../harness/installation.ts";
import { loadPrepaidCatalog } from "../harness/prepaid.ts";

let api: TestApi;
let env: TestEnv;
let payments: SimulatedPayments;
let account: BillingAccount;
let ingest: Ingest;
const author = system("test");

beforeEach(async () => {
  payments = simulatedPayments(seededRandom(1));
  api = await testApi({
    at: "2025-01-10T00:00:00Z",
    extend: (bare) => ({ ...bare, payments }),
  });
  env = api.env;
  await loadPrepaidCatalog(env);
  account = (await findAccount(env.store.db, api.organization.id, "acme-usd")) as BillingAccount;
  ingest = openIngest(env.store, { makeId: env.id });
});
afterEach(async () => {
  await ingest.close();
  await api.close();
});

let sent = 0;
async function use(
  type: string,
  quantity: number,
  at: string,
  data: object = {},
  through = ingest,
) {
  const event = anEvent(
    {
      id: `e${++sent}`,
      type,
      time: at,
      subject: "web",
      data: { value: String(quantity), ...data },
    },
    env.now(),
  );
  const fates = await through.submit({
    orgId: account.organizationId,
    events: [event],
    now: env.now(),
  });
  expect(fates).toEqual([{ kind: "accepted" }]);
}
let bought = 0;
const buy = (sku: string, count = 1) =>
  buyBatch(env, author, account, {
    sku,
    count,
    settlement: "card",
    kind: "batch",
    requestKey: `order ${++bought}`,
  });
const of = () => ({ orgId: account.organizationId, accountId: account.id });
const remaining = async (pool = "sms") =>
  writeUnits(
    (await listBalances(env.store.db, { ...of(), pool, now: env.now() }))[0]?.available ?? 0,
  );
const grants = async () =>
  (await listGrants(env.store.db, of())).map((grant) => [
    grant.sku,
    ...[grant.remaining, grant.drawn, grant.expired, grant.transferredOut].map(writeUnits),
  ]);
const lines = async (at = env.now()) =>
  Object.fromEntries(
    (await previewInvoice(env, account.organizationId, account.id, env.now(), at)).draft.lines
      .map((line) => [`${line.usageType} ${line.skuCode}`, line] as const)
      .map(([name, line]) => [
        name,
        `${line.quantity.toFixed()} ${JSON.stringify(line.amount, (_, v: unknown) => (typeof v === "bigint" ? Number(v) : v))}`,
      ]),
  );
const books = async () => {
  await postBooks(env);
  return Object.fromEntries(
    (await listLedgerBalances(env.store.db, { orgId: account.organizationId })).map((one) => [
      one.account,
      balanceText(one),
    ]),
  );
};

describe("the three products of the first source document", () => {
  test("to the cent: 40.00 + 15.00, 10.00 + 3.75, 100.00 + 45.00 (R-008, R-009, R-010, R-111)", async () => {
    await buy("USAGE-SMS-1000");
    await buy("USAGE-AI-10000");
    await buy("USAGE-JOBSPONSOR-10");
    env.at("2025-01-20T00:00:00Z");
    for (let n = 0; n < 5; n++) await use("sms.sent", 250, "2025-01-15T10:00:00Z");
    await use("ai.tokens", 12_500, "2025-01-15T10:00:00Z");
    for (const [board, count] of [
      ["indeed", 5],
      ["monster", 4],
      ["ziprecruiter", 4],
    ] as const)
      await use("job.sponsored", count, "2025-01-15T10:00:00Z", { board });
    expect(await grants()).toEqual([
      ["USAGE-SMS-1000", "0", "1000", "0", "0"],
      ["USAGE-AI-10000", "0", "10000", "0", "0"],
      ["USAGE-JOBSPONSOR-10", "0", "10", "0", "0"],
    ]);
    expect(await lines()).toMatchInlineSnapshot(`
      {
        "credit USAGE-AI-10000": "1 {"currency":"USD","minor":-1000}",
        "credit USAGE-JOBSPONSOR-10": "1 {"currency":"USD","minor":-10000}",
        "credit USAGE-SMS-1000": "1 {"currency":"USD","minor":-4000}",
        "overage USAGE-AI-OVERAGE": "2500 {"currency":"USD","minor":375}",
        "overage USAGE-JOBSPONSOR-OVERAGE": "3 {"currency":"USD","minor":4500}",
        "overage USAGE-SMS-OVERAGE": "250 {"currency":"USD","minor":1500}",
        "prepaid USAGE-AI-10000": "1 {"currency":"USD","minor":1000}",
        "prepaid USAGE-JOBSPONSOR-10": "1 {"currency":"USD","minor":10000}",
        "prepaid USAGE-SMS-1000": "1 {"currency":"USD","minor":4000}",
      }
    `);
  });
});

describe("use it or lose it", () => {
  test("600 of 1,000: 24.00 recognised, 16.00 deferred; at the very instant of expiry 16.00 breakage (R-077, R-146)", async () => {
    await buy("USAGE-SMS-1000");
    env.at("2025-02-08T23:59:59.999Z");
    await use("sms.sent", 600, "2025-02-08T23:59:59.999Z");
    expect(await books()).toMatchObject({
      "income:revenue:USAGE-SMS-1000": "-24.00",
      "liabilities:deferred:USAGE-SMS-1000": "-16.00",
    });
    expect(await expireGrants(env)).toEqual({ grantCount: 0 });
    expect(await remaining()).toBe("400");
    env.at("2025-02-09T00:00:00Z");
    expect(await remaining()).toBe("0");
    expect(await expireGrants(env)).toEqual({ grantCount: 1 });
    expect(await expireGrants(env)).toEqual({ grantCount: 0 });
    const after = await books();
    expect(after["income:breakage:USAGE-SMS-1000"]).toBe("-16.00");
    expect(after["liabilities:deferred:USAGE-SMS-1000"]).toBeUndefined();
    const [grant] = await listGrants(env.store.db, of());
    await expect(askRefund(env, account, grant?.id ?? "")).rejects.toThrow("expired");
  });

  test("an event from before the expiry that arrives after it takes the units back while its period is open (R-078)", async () => {
    await buy("USAGE-SMS-1000");
    env.at("2025-02-09T00:00:00Z");
    await expireGrants(env);
    await use("sms.sent", 30, "2025-02-08T12:00:00Z");
    expect(await grants()).toEqual([["USAGE-SMS-1000", "0", "30", "970", "0"]]);
    await use("sms.sent", 5, "2025-02-09T00:00:00Z");
    env.at("2025-03-05T00:00:00Z");
    await use("sms.sent", 7, "2025-02-08T12:00:00Z");
    expect(await grants()).toEqual([["USAGE-SMS-1000", "0", "30", "970", "0"]]);
    expect(await books()).toMatchObject({
      "income:revenue:USAGE-SMS-1000": "-1.20",
      "income:breakage:USAGE-SMS-1000": "-38.80",
    });
  });

  test("two batches: the one that expires sooner goes first (R-076); a top-up covers nothing afterwards (R-079)", async () => {
    await buy("USAGE-SMS-1000");
    env.at("2025-01-20T00:00:00Z");
    await buy("USAGE-SMS-1000");
    env.at("2025-01-21T00:00:00Z");
    await use("sms.sent", 1300, "2025-01-21T00:00:00Z");
    expect((await grants()).map((grant) => grant[1])).toEqual(["0", "700"]);
    await use("sms.sent", 750, "2025-01-21T00:00:00Z");
    env.at("2025-01-22T00:00:00Z");
    await buy("USAGE-SMS-1000");
    expect(await remaining()).toBe("1000");
    await use("sms.sent", 10, "2025-01-21T12:00:00Z");
    expect(await remaining()).toBe("1000");
  });
});

test("usage that is corrected away shrinks the overage first, then returns units; verify agrees (R-035)", async () => {
  await buy("USAGE-SMS-1000");
  env.at("2025-01-11T00:00:00Z");
  await use("sms.sent", 1030, "2025-01-11T00:00:00Z");
  const correct = async (quantity: number) => {
    const event = anEvent(
      {
        id: `c${++sent}`,
        type: "sms.sent",
        time: "2025-01-11T00:00:00Z",
        subject: "web",
        corrects: `e${wrong}`,
        data: { value: String(-quantity) },
      },
      env.now(),
    );
    const fates = await ingest.submit({
      orgId: account.organizationId,
      events: [event],
      now: env.now(),
    });
    expect(fates).toEqual([{ kind: "accepted" }]);
  };
  const wrong = sent;
  await correct(20);
  expect(await remaining()).toBe("0");
  expect((await lines())["overage USAGE-SMS-OVERAGE"]).toContain("10 ");
  await correct(50);
  expect(await remaining()).toBe("40");
  await use("sms.sent", 45, "2025-01-11T00:00:00Z");
  expect(await remaining()).toBe("0");
  expect((await lines())["overage USAGE-SMS-OVERAGE"]).toContain("5 ");
  expect((await proveGrants(env)).faults).toEqual([]);
  expect((await books())["income:revenue:USAGE-SMS-1000"]).toBe("-40.00");
});

describe("many at once (R-075)", () => {
  test("200 parallel events of 10 on 1,000, through two pipelines: balance 0, overage exactly 1,000, never below zero", async () => {
    await buy("USAGE-SMS-1000");
    env.at("2025-01-11T00:00:00Z");
    const second = openIngest(env.store, { makeId: env.id });
    const seen: number[] = [];
    let running = true;
    const reader = (async () => {
      while (running) seen.push(Number(await remaining()));
    })();
    await Promise.all(
      Array.from({ length: 200 }, (_, n) =>
        use("sms.sent", 10, "2025-01-11T00:00:00Z", {}, n % 2 ? ingest : second),
      ),
    );
    running = false;
    await reader;
    await second.close();
    expect(await remaining()).toBe("0");
    expect(Math.min(...seen)).toBeGreaterThanOrEqual(0);
    const moved = await listMovements(env.store.db, { ...of(), limit: 1000 });
    const drawn = moved.filter((one) => one.kind === "drawn");
    expect(drawn.reduce((sum, one) => sum + Number(one.quantity), 0)).toBe(-1000);
    const overage = (await lines())["overage USAGE-SMS-OVERAGE"];
    expect(overage).toContain("1000 ");
  });

  test("10,000 open batches of one unit are drawn in order, each by the event that needs it (R-082)", async () => {
    await env.store.pool.query(
      `insert into account_grant (org_id, grant_id, account_id, pool, denomination, origin, draw_rank, priority,
         valid_from, expires_at, size, remaining, has_units, after_seq, created_at)
       select $1, 'grt_' || lpad(n::text, 6, '0'), $2, 'sms', 'units', 'promotion', 1, 50, '2025-01-01',
              '2025-02-01'::timestamptz + n * interval '1 minute', 1, 1, true, 0, '2025-01-01'
       from generate_series(1, 10000) n`,
      [account.organizationId, account.id],
    );
    const started = performance.now();
    for (let n = 0; n < 20; n++) await use("sms.sent", 3, "2025-01-10T00:00:00Z");
    const eachMs = (performance.now() - started) / 20;
    expect(await remaining()).toBe("9940");
    expect((await grants()).filter((grant) => grant[1] === "0")).toHaveLength(60);
    // Generous: this is no benchmark, it only notices when all ten thousand are read for every event.
    expect(eachMs).toBeLessThan(500);
  });
});

describe("buying", () => {
  test("a declined card buys nothing; the same order again stays declined (R-071)", async () => {
    payments.next("declines");
    await expect(buy("USAGE-SMS-1000")).rejects.toThrow("declined");
    expect(await grants()).toEqual([]);
    expect(payments.charges).toEqual([]);
  });

  test.each(["loses_answer", "loses_request"] as const)(
    "when the processor %s: one charge, one batch",
    async (fault) => {
      payments.next(fault);
      const order = {
        sku: "USAGE-SMS-1000",
        count: 1,
        settlement: "card" as const,
        kind: "batch" as const,
        requestKey: "the order",
      };
      await expect(buyBatch(env, author, account, order)).rejects.toThrow("answer got lost");
      expect(await remaining()).toBe("0");
      if (fault === "loses_answer") expect(await settlePendingPurchases(env, author)).toBe(1);
      const again = await Promise.all(
        Array.from({ length: 5 }, () => buyBatch(env, author, account, order)),
      );
      expect(new Set(again.map((one) => one.id)).size).toBe(1);
      expect(await remaining()).toBe("1000");
      expect(payments.charges).toHaveLength(1);
    },
  );

  test("an upgrade pays the difference, carries the rest, ends with the new batch, and the books balance (R-080)", async () => {
    await buy("USAGE-SMS-1000");
    await use("sms.sent", 300, "2025-01-10T00:00:00Z");
    env.at("2025-01-20T00:00:00Z");
    const [small] = await listGrants(env.store.db, of());
    const upgrade = {
      grantId: small?.id ?? "",
      sku: "USAGE-SMS-10000",
      settlement: "card" as const,
      requestKey: "up",
    };
    const purchase = await upgradeBatch(env, author, account, upgrade);
    expect((await upgradeBatch(env, author, account, upgrade)).id).toBe(purchase.id);
    expect(await grants()).toEqual([
      ["USAGE-SMS-1000", "0", "300", "0", "700"],
      ["USAGE-SMS-10000", "9000", "0", "0", "0"],
      ["USAGE-SMS-1000", "700", "0", "0", "0"],
    ]);
    expect(await books()).toMatchObject({
      "assets:cash:simulated": "350.00",
      "income:revenue:USAGE-SMS-1000": "-12.00",
      "liabilities:deferred:USAGE-SMS-1000": "-28.00",
      "liabilities:deferred:USAGE-SMS-10000": "-310.00",
      [`liabilities:units:${account.id}:sms`]: "-9700",
    });
  });

  test("units taken back by hand leave a movement with its reason, and never below zero", async () => {
    await buy("USAGE-SMS-1000");
    const [grant] = await listGrants(env.store.db, of());
    await correctGrant(env, { ...author, reason: "sold twice" }, account, grant?.id ?? "", 100);
    expect(await remaining()).toBe("900");
    await expect(correctGrant(env, author, account, grant?.id ?? "", 901)).rejects.toThrow(
      "900 units remain",
    );
  });
});

test("wholesale lots: 1,250 used of 100,000 at 2,000.00 cost 25.00; stock 98,750 (R-084)", async () => {
  await recordSupplyLot(env, author, {
    family: "sms",
    supplier: "carrier",
    size: decimal("100000"),
    cost: parseMoney("2000.00", currency("USD")),
    boughtAt: env.now(),
  });
  await use("sms.sent", 1250, "2025-01-10T00:00:00Z");
  expect((await readStock(env, "sms")).consumption.lots[0]?.remaining.toFixed()).toBe("98750");
  expect(await postSupplyCost(env)).toBe(1);
  expect(await postSupplyCost(env)).toBe(0);
  const provider = await listLedgerBalances(env.store.db, { orgId: "provider" });
  expect(provider.map((one) => `${one.account} ${balanceText(one)}`)).toEqual([
    "assets:stock:sms 1975.00",
    "expenses:cogs:sms 25.00",
    "liabilities:supplier:carrier -2000.00",
  ]);
});

test("usage let in from quarantine draws what was there when it came, though it has lapsed since", async () => {
  await buyBatch(env, author, account, {
    sku: "USAGE-SMS-1000",
    count: 1,
    settlement: "card",
    kind: "batch",
    requestKey: "before it lapsed",
  });
  env.at("2025-03-20T00:00:00Z");
  await expireGrants(env);
  const held = {
    id: "held",
    type: "sms.sent",
    time: "2025-01-12T00:00:00Z",
    data: { value: "73" },
  };
  const fates = await ingest.submit({
    orgId: account.organizationId,
    events: [anEvent({ ...held, subject: "web" }, env.now())],
    now: env.now(),
    isReplay: true,
    receivedAt: [instant("2025-01-13T00:00:00Z")],
  });
  expect(fates.map(({ kind }) => kind)).toEqual(["accepted"]);
  const { rows } = await env.owner.query<{ drawn: string }>("select drawn from account_grant");
  expect(rows).toEqual([{ drawn: "73" }]);
  expect((await proveGrants(env)).faults).toEqual([]);
});
