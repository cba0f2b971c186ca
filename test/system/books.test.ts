import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { BillingAccount } from "../../src/domain/accounts/index.ts";
import { system } from "../../src/domain/audit/index.ts";
import { balanceText, type ExportFormat } from "../../src/domain/ledger/index.ts";
import { unconfiguredEntity } from "../../src/domain/tax/index.ts";
import { buyBatch } from "../../src/flows/buy-batch.ts";
import { accrueUsage } from "../../src/flows/accrue-usage.ts";
import { creditInvoice, voidInvoice } from "../../src/flows/correct-invoice.ts";
import { expireGrants } from "../../src/flows/expire-grants.ts";
import { bringUpToDate, exportLedger } from "../../src/flows/export-books.ts";
import { type Ingest, openIngest } from "../../src/flows/ingest-usage.ts";
import { issueInvoice } from "../../src/flows/issue-invoice.ts";
import { recordSupplyLot } from "../../src/flows/keep-supply.ts";
import { beginTaxRate, setLegalEntity } from "../../src/flows/manage-taxes.ts";
import { proveBooks } from "../../src/flows/prove-books.ts";
import { proveGrants } from "../../src/flows/prove-grants.ts";
import { readBalance, recordPayment } from "../../src/flows/record-payment.ts";
import { transferUnits } from "../../src/flows/transfer-units.ts";
import { simulatedPayments } from "../../src/gateways/simulated-payments.ts";
import { currency } from "../../src/kit/currency.ts";
import { decimal } from "../../src/kit/decimal.ts";
import { money, parseMoney } from "../../src/kit/money.ts";
import { seededRandom } from "../../src/kit/random.ts";
import { dayOf, formatInstant, hour, instant, shift } from "../../src/kit/time.ts";
import { findAccount } from "../../src/store/accounts.ts";
import { listLedgerBalances } from "../../src/store/journal.ts";
import { type TestApi, testApi } from "../harness/api.ts";
import { anEvent } from "../harness/installation.ts";
import { loadPrepaidCatalog } from "../harness/prepaid.ts";

const seed = Number(process.env["SEED"] ?? 20250101);
let api: TestApi;
let ingest: Ingest;
let folder: string;

/** A quarter in the life of two accounts: purchases, usage on time and late, transfers, expiries, a wholesale lot. */
async function liveAQuarter(): Promise<void> {
  const { env } = api;
  const random = seededRandom(seed);
  const author = system("test");
  const db = env.store.db;
  await db
    .insertInto("billing_account")
    .values({
      org_id: api.organization.id,
      account_id: "acc_second",
      slug: "acme-second",
      name: "Second",
      currency: "USD",
      created_at: formatInstant(env.now()),
    })
    .execute();
  const find = async (slug: string) =>
    (await findAccount(db, api.organization.id, slug)) as BillingAccount;
  const [first, second] = [await find("acme-usd"), await find("acme-second")];
  await recordSupplyLot(env, author, {
    family: "sms",
    supplier: "carrier",
    size: decimal("100000"),
    cost: parseMoney("2000.00", currency("USD")),
    boughtAt: env.now(),
  });
  const entity = { ...unconfiguredEntity, name: "Northwind GmbH", country: "DE" };
  await setLegalEntity(env, author, { ...entity, tax: "collects" });
  await beginTaxRate(env, author, {
    country: "DE",
    region: null,
    productClass: "standard",
    name: "USt",
    percent: decimal("19"),
    from: dayOf("2020-01-01"),
  } as never);
  await db
    .updateTable("billing_account")
    .set({ address: JSON.stringify({ country: "DE", city: "Berlin" }) })
    .execute();
  const start = env.now();
  for (let step = 0; step < 180; step++) {
    env.clock.set(shift(start, step * 12 * hour));
    await closeBooksOf(step, [first, second]);
    if (random.below(6) === 0) {
      const sku = ["USAGE-SMS-1000", "USAGE-AI-10000", "USAGE-JOBSPONSOR-10"][
        random.below(3)
      ] as string;
      const order = {
        sku,
        count: 1 + random.below(3),
        settlement: "card" as const,
        kind: "batch" as const,
      };
      await buyBatch(env, author, first, { ...order, requestKey: `step ${step}` });
    }
    const events = Array.from({ length: random.below(6) }, (_, n) =>
      anEvent(
        {
          id: `s${step}.${n}`,
          subject: "web",
          type: ["sms.sent", "ai.tokens", "job.sponsored"][random.below(3)],
          time: formatInstant(
            shift(env.now(), -random.below(random.below(4) === 0 ? 25 * 24 : 2) * hour),
          ),
          data: { value: String(1 + random.below(300)), board: "indeed" },
        },
        env.now(),
      ),
    ).filter((event) => event.time >= start);
    await ingest.submit({ orgId: first.organizationId, events, now: env.now() });
    if (random.below(15) === 0)
      await transferUnits(env, author, {
        from: first,
        to: second,
        pool: "sms",
        quantity: 1 + random.below(40),
      }).catch((error: { code?: string }) => expect(error.code).toBe("not_enough_units"));
    if (random.below(3) === 0) await expireGrants(env);
  }
  // March is over and not invoiced yet: it stands unbilled.
  env.clock.set(instant("2025-04-01T06:00:00Z"));
  await expireGrants(env);
}

// Twelve hours a step: the first of the month accrues, the fourth invoices, and in between comes what is late.
const closings = new Map([
  [62, "accrue"],
  [68, "2025-01-15T00:00:00Z"],
  [118, "accrue"],
  [126, "2025-02-15T00:00:00Z"],
]);

/** The month's accrual, its invoices, and what becomes of them: paid in part, credited, void and issued again. */
async function closeBooksOf(step: number, accounts: readonly BillingAccount[]): Promise<void> {
  const { env } = api;
  const author = { ...system("test"), reason: "as life goes" };
  const closing = closings.get(step);
  if (closing === undefined) return;
  if (closing === "accrue") return void (await accrueUsage(env));
  for (const { id, organizationId: orgId } of accounts) {
    const request = { orgId, account: id, at: instant(closing), createdBy: "test" };
    const issued = await issueInvoice(env, request, env.now()).catch((error: { code?: string }) => {
      expect(error.code).toBe("nothing_to_invoice");
      return undefined;
    });
    if (!issued) continue;
    const order = { orgId, invoice: issued.invoiceId, reason: "wrong" };
    if (step === 126) {
      await voidInvoice(env, order, author, env.now());
      await issueInvoice(env, request, env.now());
      continue;
    }
    const { open } = await readBalance(env.store.db, orgId, issued.invoiceId);
    const part = money(open.currency, open.minor / 3n);
    if (part.minor <= 0n) continue;
    const payment = { ...order, amount: part, receivedOn: dayOf("2025-02-04"), reference: "wire" };
    await recordPayment(env, payment, author, env.now());
    const credit = { kind: "amount" as const, amount: money(open.currency, 25n) };
    await creditInvoice(
      env,
      { ...order, request: credit, reasonCode: "goodwill" },
      author,
      env.now(),
    );
  }
}

beforeAll(async () => {
  api = await testApi({
    at: "2025-01-01T00:00:00Z",
    extend: (bare) => ({ ...bare, payments: simulatedPayments(seededRandom(seed)) }),
  });
  await loadPrepaidCatalog(api.env);
  ingest = openIngest(api.env.store, { makeId: api.env.id });
  folder = mkdtempSync(join(tmpdir(), "tallyline-books-"));
  await liveAQuarter();
  await bringUpToDate(api.env);
});
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  await ingest.close();
  await api.close();
});

const written = async (format: ExportFormat): Promise<string> => {
  const file = join(folder, `books.${format}`);
  writeFileSync(file, await exportLedger(api.env, {}, format));
  return file;
};
const run = (program: string, ...args: string[]): string =>
  execFileSync(program, args, { encoding: "utf8", maxBuffer: 1 << 28 });
const has = (program: string): boolean => {
  try {
    execFileSync("which", [program], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
};

/** Ours, as `account → commodity → number`, in the words of the export. */
async function ours(): Promise<string[]> {
  const balances = await listLedgerBalances(api.env.store.db, {});
  return balances
    .map((one) => `${one.account} ${decimal(balanceText(one)).toFixed()} ${one.commodity}`)
    .toSorted();
}

describe(`the books of a busy quarter (seed ${seed})`, () => {
  test("something of every kind happened", async () => {
    const kinds = (await ours()).map((line) => line.split(":")[1]);
    for (const kind of [
      "cash",
      "deferred",
      "revenue",
      "breakage",
      "units",
      "units-consumed",
      "units-expired",
      "cogs",
      "stock",
      "receivable",
      "tax",
      "unbilled",
      "refunds",
    ])
      expect(kinds).toContain(kind);
  });

  test("grants, balances and books can be worked out again from the events", async () => {
    const proof = await proveGrants(api.env);
    expect(proof.faults).toEqual([]);
    expect(proof.eventCount).toBeGreaterThan(200);
  });

  test("and documents, payments and purchases say of every account what the books hold", async () => {
    expect(await proveBooks(api.env)).toEqual([]);
  });

  test("a tampered sum is found and named", async () => {
    const { pool } = api.env.store;
    const { rows } = await pool.query(
      "update account_grant set remaining = remaining + 1, drawn = drawn - 1, has_units = true where drawn > 0 and grant_id = (select min(grant_id) from account_grant where drawn > 0) returning grant_id",
    );
    const { faults } = await proveGrants(api.env);
    expect(faults.map((fault) => fault.where)).toContain(`${rows[0].grant_id}, drawn`);
    await pool.query(
      "update account_grant set remaining = remaining - 1, drawn = drawn + 1, has_units = remaining > 1 where grant_id = $1",
      [rows[0].grant_id],
    );
  });

  test.runIf(has("hledger"))(
    "hledger accepts them, strictly, and finds the same balances",
    async () => {
      const file = await written("hledger");
      run("hledger", "-f", file, "check", "--strict");
      const rows = run(
        "hledger",
        "-f",
        file,
        "balance",
        "--flat",
        "--no-total",
        "--empty",
        "-O",
        "csv",
        "--layout=bare",
      );
      const theirs = rows
        .trim()
        .split("\n")
        .slice(1)
        .map((row) => row.replaceAll('"', "").split(","))
        .filter(([, , amount]) => Number(amount) !== 0)
        .map(
          ([account = "", commodity = "", amount = ""]) =>
            `${account} ${decimal(amount).toFixed()} ${commodity.replace(/^units /, "")}`,
        );
      expect(theirs.toSorted()).toEqual(await ours());
    },
  );

  test.runIf(has("ledger"))(
    "ledger accepts them, pedantically, and finds the same balances",
    async () => {
      const file = await written("ledger");
      const rows = run(
        "ledger",
        "-f",
        file,
        "--pedantic",
        "balance",
        "--flat",
        "--no-total",
        "--balance-format",
        "%(account)\\t%(quantity(scrub(display_total)))\\t%(commodity(scrub(display_total)))\\n%/",
      );
      expect(rows.length).toBeGreaterThan(100);
      for (const line of await ours()) {
        const [account, number, commodity] = line.split(" ") as [string, string, string];
        const one = run(
          "ledger",
          "-f",
          file,
          "--pedantic",
          "balance",
          "--flat",
          "--no-total",
          `^${account}$`,
          "--limit",
          `commodity == '${/^[A-Z]{3}$/.test(commodity) ? commodity : `"units ${commodity}"`}'`,
          "--balance-format",
          "%(display_total)",
        );
        expect(`${account} ${decimal(one.trim().split(" ")[0] ?? "").toFixed()}`).toBe(
          `${account} ${number}`,
        );
      }
    },
  );

  test.runIf(has("bean-check"))("beancount accepts them and finds the same balances", async () => {
    const file = await written("beancount");
    run("bean-check", file);
    const rows = run(
      "bean-query",
      "-q",
      "-f",
      "csv",
      file,
      "select account, currency, sum(number) group by account, currency order by account",
    );
    const numbers = rows
      .trim()
      .split("\n")
      .slice(1)
      .map((row) => decimal((row.split(",")[2] ?? "0").trim()).toFixed())
      .filter((number) => number !== "0");
    expect(numbers.toSorted()).toEqual(
      (await ours()).map((line) => line.split(" ")[1] ?? "").toSorted(),
    );
  });
});
