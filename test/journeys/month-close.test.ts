import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { collectBillingRun, startBillingRun, workBillingRun } from "../../src/flows/billing-run.ts";
import { instant } from "../../src/kit/time.ts";
import { crashAfter } from "../faults/crash-after.ts";
import { type TestApi, testApi } from "../harness/api.ts";
import { type Acme, anAccount, writeUsage } from "../harness/billing.ts";
import { apply, yamlFile } from "../harness/catalog.ts";

// J7 without the accounting export, and the S1 cycle: collect, calculate, verify, issue, settle, in one run.
let api: TestApi;
let run: string;
const others: Acme[] = [];
const january = "2025-01-15T00:00:00Z";

beforeAll(async () => {
  api = await testApi({ at: "2025-01-01T00:00:00Z" });
  await apply(api.env, [
    yamlFile(`
meters: [{ key: sms, name: SMS, event_type: sms.sent, aggregation: count, unit: message }]
skus: [{ code: SMS-OVERAGE, name: Messages, kind: usage, meter: sms }]
price_books: [{ code: retail-usd, name: Retail, currency: USD }]
prices: [{ book: retail-usd, sku: SMS-OVERAGE, model: per_unit, currency: USD, unit_amount: "0.06" }]
`),
  ]);
  await api.env.owner.query("update meter set rolled_up = true");
  for (let i = 0; i < 12; i++) {
    const of = await anAccount(api.env, { slug: `customer-${i}` });
    others.push(of);
    await writeUsage(api.env, of, [{ time: january, type: "sms.sent", data: {} }], () => ({
      sms: "1",
    }));
  }
  api.env.at("2025-01-20T00:00:00Z");
  await send("sms.sent", 250, january);
  await send("voice.used", 3, january);
  api.env.at("2025-02-04T00:00:00Z");
});
afterAll(() => api.close());

async function send(type: string, count: number, time: string): Promise<string[]> {
  const { json } = await api.post(
    "/v1/events",
    Array.from({ length: count }, (_, i) => ({
      source: "j7",
      id: `${type}-${time}-${i}`,
      type,
      subject: "web",
      time,
      data: { seconds: "10" },
    })),
    { key: api.keys.ingest },
  );
  return json.events.map((event: { status: string }) => event.status);
}
const blocked = async () =>
  (await api.get(`/v1/billing-runs/${run}/items?status=blocked`)).json.data;
const steps = async () =>
  (await api.get(`/v1/billing-runs/${run}`)).json.steps.map(
    (one: { step: string; passed: number; blocked: number; waiting: number }) =>
      `${one.step} ${one.passed}/${one.blocked}/${one.waiting}`,
  );

describe("J7: Finn closes January", () => {
  test("the run names one account with quarantined events and one whose rollups are a cent off; the workers die in the middle; the others go through", async () => {
    // A cent more than the events say.
    await api.env.owner.query(
      "update usage_rollup set total = total + 0.17 where account_id = $1",
      [others[3]?.accountId],
    );
    const opened = await startBillingRun(api.env, {
      orgId: null,
      asOf: instant("2025-02-04T00:00:00Z"),
      createdBy: "finn",
    });
    run = opened.runId;
    expect(await steps()).toEqual([
      "collect 0/0/0",
      "calculate 0/0/0",
      "verify 0/0/0",
      "issue 0/0/0",
      "settle 0/0/0",
    ]);
    await collectBillingRun(api.env, run);
    expect((await steps())[0]).toBe("collect 0/0/13");
    // Killed after the first statements of a batch, in the middle of issuing, and near its end.
    for (const statement of [4, 17, 21, 24, 26, 28]) {
      const dying = crashAfter(api.env.url, statement);
      await workBillingRun({ ...api.env, store: dying.store }, run, 5).catch(() => {});
      await dying.end();
    }
    const resumed = await api.post(`/v1/billing-runs/${run}/resume`, {});
    expect(resumed.json.status, resumed.text).toBe("blocked");
    const found = await blocked();
    expect(
      found
        .map((one: { blockers: { kind: string; detail: string }[] }) => one.blockers[0])
        .toSorted((a: { kind: string }, b: { kind: string }) => (a.kind < b.kind ? -1 : 1)),
    ).toEqual([
      {
        kind: "mismatch",
        detail: expect.stringContaining(
          "account customer-3, line 1, SMS-OVERAGE, quantity: the rollups give 1.17, the raw events 1",
        ),
      },
      {
        kind: "quarantine",
        detail: expect.stringContaining(
          "3 events of the period are in quarantine and may belong to acme-usd",
        ),
      },
    ]);
    expect(await steps()).toEqual([
      "collect 12/1/0",
      "calculate 12/0/0",
      "verify 11/1/0",
      "issue 11/0/0",
      "settle 11/0/0",
    ]);
  });

  test("Sam resolves, the fault is taken out, and the run goes on to its end: five steps, all passed", async () => {
    const meter = await api.post("/v1/meters", {
      key: "voice",
      name: "Voice",
      event_type: "voice.used",
      aggregation: "sum",
      value_property: "seconds",
      unit: "s",
    });
    expect(meter.status, meter.text).toBe(201);
    const replayed = await api.post("/v1/organizations/acme/quarantine/replay", {});
    expect(replayed.json.accepted, replayed.text).toBe(3);
    await api.env.owner.query(
      "update usage_rollup set total = total - 0.17 where account_id = $1",
      [others[3]?.accountId],
    );
    const resumed = await api.post(`/v1/billing-runs/${run}/resume`, {});
    expect(resumed.json.status, resumed.text).toBe("closed");
    expect(await steps()).toEqual(
      ["collect", "calculate", "verify", "issue", "settle"].map((step) => `${step} 13/0/0`),
    );
  });

  test("numbers have no gap, each document has one mail, and each proves itself", async () => {
    const { rows } = await api.env.owner.query<{ number: string; mails: string; charges: string }>(
      `select i.number, (select count(*) from mail_outbox m where m.subject_id = i.invoice_id)::text as mails,
              (select count(*) from invoice o where o.account_id = i.account_id)::text as charges
       from invoice i order by i.number`,
    );
    expect(rows).toEqual(
      Array.from({ length: 13 }, (_, i) => ({
        number: `INV-${String(i + 1).padStart(6, "0")}`,
        mails: "1",
        charges: "1",
      })),
    );
    const { json } = await api.get("/v1/organizations/acme/invoices");
    expect(json.data[0].total.amount).toBe("15.00");
    const verified = await api.post(
      `/v1/organizations/acme/invoices/${json.data[0].number}/verify`,
      undefined,
    );
    expect(verified.json.is_match, verified.text).toBe(true);
  });

  test("the trial balance is 0, and the month is billed once", async () => {
    const { rows } = await api.env.owner.query(
      "select coalesce(sum(amount_minor), 0)::text as left from ledger_posting",
    );
    expect(rows).toEqual([{ left: "0" }]);
    const again = await api.post("/v1/billing-runs", {});
    expect(again.json).toMatchObject({ status: "closed", counts: [] });
  });

  test("a late event becomes an adjustment in February; January is what it was", async () => {
    const { json } = await api.get("/v1/organizations/acme/invoices");
    const [before] = json.data;
    api.env.at("2025-02-05T00:00:00Z");
    expect(await send("sms.sent", 1, "2025-01-31T00:00:00Z")).toEqual(["accepted"]);
    expect(await send("sms.sent", 50, "2025-02-04T00:00:00Z")).toHaveLength(50);
    api.env.at("2025-03-04T00:00:00Z");
    const closed = await api.post("/v1/billing-runs", {});
    expect(closed.json.status, closed.text).toBe("closed");
    const { json: after } = await api.get("/v1/organizations/acme/invoices");
    const [february, same] = after.data;
    expect(same.content_hash).toBe(before.content_hash);
    const { json: paper } = await api.get(`/v1/organizations/acme/invoices/${february.number}`);
    expect(
      paper.document.lines.map(
        (line: { description: string; amount: string }) => `${line.description} ${line.amount}`,
      ),
    ).toEqual(["Messages 3.00", "Messages: usage of 2025-01 0.06"]);
  });
});
