import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { finishBillingRun, startBillingRun } from "../../src/flows/billing-run.ts";
import { expireGrants } from "../../src/flows/expire-grants.ts";
import { proveGrants } from "../../src/flows/prove-grants.ts";
import { verifyInstallation } from "../../src/flows/verify-installation.ts";
import { simulatedPayments } from "../../src/gateways/simulated-payments.ts";
import { seededRandom } from "../../src/kit/random.ts";
import { type Answer, type TestApi, testApi } from "../harness/api.ts";
import { apply, exampleCatalog } from "../harness/catalog.ts";

// Whoever comes at the same moment as somebody else: money is neither lost nor counted twice, whoever wins.
const acme = "/v1/organizations/acme";
const payments = simulatedPayments(seededRandom(1));
let api: TestApi;
beforeAll(async () => {
  api = await testApi({ at: "2025-01-01T00:00:00Z", extend: (env) => ({ ...env, payments }) });
  await apply(api.env, exampleCatalog());
  await api.env.owner.query("update meter set rolled_up = true");
});
afterAll(() => api.close());

async function ok(answer: Promise<Answer>): Promise<Answer["json"]> {
  const { status, text, json } = await answer;
  expect(status, text).toBeLessThan(300);
  return json;
}
/** Requests at once, none of which may fail for reasons of our own. */
async function atOnce(...requests: Promise<Answer>[]): Promise<number[]> {
  const answers = await Promise.all(requests);
  for (const { status, text } of answers) expect(status, text).toBeLessThan(500);
  return answers.map(({ status }) => status);
}

let made = 0;
/** An account with a project of its own, since the beginning of the year. */
async function anAccount(): Promise<{ account: string; project: string; base: string }> {
  const no = ++made;
  const now = api.env.now();
  api.env.at("2025-01-01T00:00:00Z");
  const [account, project] = [`a${no}`, `p${no}`];
  await ok(api.post(`${acme}/accounts`, { slug: account, name: account, currency: "USD" }));
  await api.env.owner.query(
    "update billing_account set terms_granted_at = created_at, status = 'ready' where slug = $1",
    [account],
  );
  await ok(api.post(`${acme}/projects`, { slug: project, name: project }));
  await ok(api.post(`${acme}/projects/${project}/bindings`, { account }));
  api.env.clock.set(now);
  return { account, project, base: `${acme}/accounts/${account}` };
}

let events = 0;
const use = (project: string, value: number, time: string, over: object = {}) =>
  api.post(
    "/v1/events",
    {
      source: "race",
      id: `e${++events}`,
      type: "sms.sent",
      subject: project,
      time,
      data: { value: String(value) },
      ...over,
    },
    { headers: { "tallyline-organization": "acme" } },
  );

/** An account with January's usage of 100 messages, $6.00, invoiced. */
async function anInvoice() {
  api.env.at("2025-01-20T00:00:00Z");
  const of = await anAccount();
  await ok(use(of.project, 100, "2025-01-10T00:00:00Z"));
  api.env.at("2025-02-05T00:00:00Z");
  const { id } = await ok(api.post(`${of.base}/invoices`, { period: "2025-01-15T00:00:00Z" }));
  return { ...of, invoice: `${acme}/invoices/${id}`, id: id as string };
}
const rounds = [1, 2, 3, 4, 5];
const rows = async (sql: string, ...values: unknown[]) =>
  (await api.env.owner.query<Record<string, string>>(sql, values)).rows;

describe("one invoice, two who change it:", () => {
  test.each(rounds)("void and credit note: one of them (%d)", async () => {
    const { invoice, id } = await anInvoice();
    const statuses = await atOnce(
      api.post(`${invoice}/void`, { reason: "wrong" }),
      api.post(`${invoice}/credit-notes`, { reason: "goodwill" }),
    );
    expect(statuses.filter((status) => status < 300)).toHaveLength(1);
    const [found] = await rows(
      `select status, (select count(*)::int from invoice n where n.corrects_id = i.invoice_id) as notes
       from invoice i where invoice_id = $1`,
      id,
    );
    expect([
      { status: "void", notes: 0 },
      { status: "issued", notes: 1 },
      { status: "paid", notes: 1 },
    ]).toContainEqual(found);
  });

  test.each(rounds)("payment and void: never a payment of what is void (%d)", async (round) => {
    const { invoice, id } = await anInvoice();
    const statuses = await atOnce(
      api.post(`${invoice}/payments`, {
        // All of it, or a part.
        amount: round % 2 === 0 ? "6.00" : "4.00",
        currency: "USD",
        received_on: "2025-02-05",
        reference: `bank ${round}`,
      }),
      api.post(`${invoice}/void`, { reason: "wrong" }),
    );
    expect(statuses.filter((status) => status < 300)).toHaveLength(1);
    const paid = await rows("select 1 from payment where invoice_id = $1", id);
    const [{ status } = {}] = await rows("select status from invoice where invoice_id = $1", id);
    const afterPayment = [round % 2 === 0 ? "paid" : "issued", 1];
    expect([status, paid.length]).toEqual(statuses[0] === 201 ? afterPayment : ["void", 0]);
  });

  test.each(rounds)("five credit notes of $2.00 each on $6.00: three (%d)", async () => {
    const { invoice, id } = await anInvoice();
    const note = () => api.post(`${invoice}/credit-notes`, { reason: "goodwill", amount: "2.00" });
    const statuses = await atOnce(note(), note(), note(), note(), note());
    expect(statuses.filter((status) => status < 300)).toHaveLength(3);
    const [{ sum } = {}] = await rows(
      "select sum(total_minor)::int as sum from invoice where corrects_id = $1",
      id,
    );
    expect(sum).toBe(-600);
  });

  test.each(rounds)("the same payment five times: once (%d)", async (round) => {
    const { invoice, id } = await anInvoice();
    const pay = () =>
      api.post(`${invoice}/payments`, {
        amount: "4.00",
        currency: "USD",
        received_on: "2025-02-05",
        reference: `same ${round}`,
      });
    const statuses = await atOnce(pay(), pay(), pay(), pay(), pay());
    expect(statuses.filter((status) => status < 300)).toHaveLength(1);
    expect(
      await rows("select applied_minor::int as applied from payment where invoice_id = $1", id),
    ).toEqual([{ applied: 400 }]);
  });

  test.each(rounds)(
    "a dispute that is decided, and a credit note of everything: not more than there is (%d)",
    async () => {
      const { invoice, id } = await anInvoice();
      const dispute = await ok(
        api.post(`${invoice}/disputes`, { line_no: 1, message: "not mine" }),
      );
      await ok(api.post(`${acme}/disputes/${dispute.id}/review`, undefined));
      await atOnce(
        api.post(`${acme}/disputes/${dispute.id}/resolve`, { outcome: "credit", message: "right" }),
        api.post(`${invoice}/credit-notes`, { reason: "goodwill" }),
      );
      const [{ sum } = {}] = await rows(
        "select sum(total_minor)::int as sum from invoice where corrects_id = $1",
        id,
      );
      expect(sum).toBe(-600);
    },
  );
});

describe("two who bill:", () => {
  test("two runs over the same month, an invoice by hand, and late usage meanwhile: each period once, and all of it", async () => {
    api.env.at("2025-01-25T00:00:00Z");
    const all: Awaited<ReturnType<typeof anAccount>>[] = [];
    while (all.length < 12) all.push(await anAccount());
    for (const { project } of all) await ok(use(project, 50, "2025-01-10T00:00:00Z"));
    api.env.at("2025-02-10T00:00:00Z");
    const run = async () => {
      const { runId } = await startBillingRun(api.env, {
        orgId: null,
        asOf: api.env.now(),
        createdBy: "race",
      });
      return finishBillingRun(api.env, runId);
    };
    const byHand = all.map(({ base }) =>
      api.post(`${base}/invoices`, { period: "2025-01-15T00:00:00Z" }),
    );
    const late = all.map(({ project }) => use(project, 7, "2025-01-28T00:00:00Z"));
    const [first, second] = await Promise.all([run(), run(), atOnce(...byHand), atOnce(...late)]);
    expect([first.status, second.status]).toEqual(["closed", "closed"]);
    const twice = await rows(
      `select account_id from invoice where kind = 'invoice' and status <> 'void'
       group by account_id, period_starts_at having count(*) > 1`,
    );
    expect(twice).toEqual([]);
    // February takes up what came too late for January: nobody pays for less or more than 57.
    api.env.at("2025-03-10T00:00:00Z");
    expect((await run()).status).toBe("closed");
    for (const { account } of all) {
      const [{ sum } = {}] = await rows(
        `select sum(total_minor)::int as sum from invoice i join billing_account a using (org_id, account_id)
         where a.slug = $1 and i.status <> 'void'`,
        account,
      );
      expect([account, sum]).toEqual([account, 342]);
    }
    const numbers = (
      await rows("select number from invoice where kind = 'invoice' order by number")
    ).map(({ number }) => number);
    expect(numbers).toEqual(numbers.map((_, i) => `INV-${String(i + 1).padStart(6, "0")}`));
  }, 120_000);

  test.each(rounds)(
    "a project moves to another payer while its month is invoiced: each event once (%d)",
    async () => {
      api.env.at("2025-02-01T00:00:00Z");
      const [from, to] = [await anAccount(), await anAccount()];
      api.env.at("2025-02-20T00:00:00Z");
      for (const day of ["05", "15"]) await ok(use(from.project, 30, `2025-02-${day}T00:00:00Z`));
      const timeline = await ok(api.get(`${acme}/projects/${from.project}/bindings`));
      api.env.at("2025-03-05T00:00:00Z");
      await atOnce(
        api.post(`${acme}/projects/${from.project}/bindings`, {
          account: to.account,
          supersedes: timeline.data.at(-1).id,
        }),
        api.post(`${from.base}/invoices`, { period: "2025-02-10T00:00:00Z" }),
        api.post(`${to.base}/invoices`, { period: "2025-02-10T00:00:00Z" }),
        use(from.project, 5, "2025-02-25T00:00:00Z"),
        use(from.project, 5, "2025-03-05T00:00:00Z"),
      );
      api.env.at("2025-04-05T00:00:00Z");
      await atOnce(
        api.post(`${from.base}/invoices`, { period: "2025-03-10T00:00:00Z" }),
        api.post(`${to.base}/invoices`, { period: "2025-03-10T00:00:00Z" }),
      );
      const [{ sum } = {}] = await rows(
        `select coalesce(sum(total_minor), 0)::int as sum from invoice i join billing_account a using (org_id, account_id)
       where a.slug = any($1)`,
        [from.account, to.account],
      );
      expect(sum).toBe(70 * 6);
    },
  );
});

describe("units:", () => {
  test.each(rounds)(
    "drawn, passed on, expiring and topped up at once: each unit goes one way (%d)",
    async (round) => {
      api.env.at("2025-05-01T00:00:00Z");
      const [from, to] = [await anAccount(), await anAccount()];
      await ok(api.post(`${from.base}/purchases`, { sku: "USAGE-SMS-1000" }));
      // The last moment of its thirty days, and the first after it, in turns.
      api.env.at(round % 2 === 0 ? "2025-05-30T23:59:59.999999Z" : "2025-05-31T00:00:00Z");
      const before = "2025-05-30T23:00:00Z";
      const pass = () =>
        api.post(`${from.base}/transfers`, { account: to.account, pool: "sms", quantity: "250" });
      await Promise.all([
        atOnce(
          ...Array.from({ length: 8 }, () => use(from.project, 90, before)),
          pass(),
          pass(),
          pass(),
          api.post(`${from.base}/purchases`, { sku: "USAGE-SMS-1000" }),
        ),
        expireGrants(api.env),
        expireGrants(api.env),
      ]);
      const wrong = await rows(
        "select grant_id from account_grant where remaining < 0 or size + corrected <> remaining + drawn + expired + transferred_out",
      );
      expect(wrong).toEqual([]);
      expect((await proveGrants(api.env)).faults).toEqual([]);
    },
  );
});

describe("one Idempotency-Key:", () => {
  test.each(rounds)(
    "with two bodies at once: one of them happens, the other is told (%d)",
    async (round) => {
      api.env.at("2025-06-01T00:00:00Z");
      const { base } = await anAccount();
      const charges = payments.charges.length;
      const buy = (count: number) =>
        api.post(
          `${base}/purchases`,
          { sku: "USAGE-SMS-1000", count },
          { headers: { "idempotency-key": `race ${round}` } },
        );
      const statuses = await atOnce(buy(1), buy(2), buy(1), buy(2));
      const done = statuses.filter((status) => status === 201).length;
      expect(done).toBeGreaterThan(0);
      expect(statuses.filter((status) => ![201, 409, 422].includes(status))).toEqual([]);
      expect(payments.charges).toHaveLength(charges + 1);
      expect(
        await rows(
          "select count(*)::int as n from purchase p join billing_account a using (org_id, account_id) where a.slug = $1",
          base.split("/").at(-1),
        ),
      ).toEqual([{ n: 1 }]);
      const again = await Promise.all([buy(1), buy(2)]);
      expect(new Set(again.map(({ status }) => status))).toEqual(new Set([201, 422]));
    },
  );
});

test("after all of it everything proves", async () => {
  expect((await verifyInstallation(api.env, undefined)).faults).toEqual([]);
}, 120_000);
