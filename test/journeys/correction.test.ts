import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { proveBooks } from "../../src/flows/prove-books.ts";
import { settlePendingRefunds } from "../../src/flows/refund-credit.ts";
import {
  type SimulatedPayments,
  simulatedPayments,
} from "../../src/gateways/simulated-payments.ts";
import { seededRandom } from "../../src/kit/random.ts";
import { type TestApi, testApi } from "../harness/api.ts";
import { apply, yamlFile } from "../harness/catalog.ts";

// J8 whole: a dispute that ends in corrected usage, a credit note that cites the events, credit on the next invoice, a refund.
const base = "/v1/organizations/acme";
let api: TestApi;
let payments: SimulatedPayments;

beforeAll(async () => {
  payments = simulatedPayments(seededRandom(1));
  api = await testApi({
    at: "2025-01-01T00:00:00Z",
    extend: (bare) => ({ ...bare, payments }),
  });
  await apply(api.env, [
    yamlFile(`
meters:
  - { key: sms, name: SMS, event_type: sms.sent, aggregation: count, unit: message, late_usage: credit_note }
  - { key: calls, name: Calls, event_type: call.made, aggregation: count, unit: call }
skus:
  - { code: SMS-OVERAGE, name: Messages, kind: usage, meter: sms }
  - { code: CALLS, name: Calls, kind: usage, meter: calls }
price_books: [{ code: retail-usd, name: Retail, currency: USD }]
prices:
  - { book: retail-usd, sku: SMS-OVERAGE, model: per_unit, currency: USD, unit_amount: "0.06" }
  - { book: retail-usd, sku: CALLS, model: per_unit, currency: USD, unit_amount: "1.00" }
`),
  ]);
  await api.put(`${base}/accounts/acme-usd/terms`, {
    net_days: 10,
    late_fee: { percent_per_month: "1.5" },
  });
  for (const month of ["01", "02", "03"]) {
    api.env.at(`2025-${month}-26T00:00:00Z`);
    const sms = Array.from({ length: 250 }, (_, i) => ({ id: `${month}-${i}` }));
    await send(month, sms);
    const calls = Array.from({ length: 10 }, (_, i) => ({
      id: `c${month}-${i}`,
      type: "call.made",
    }));
    await send(month, calls);
  }
});
afterAll(() => api.close());

async function send(month: string, events: readonly object[]): Promise<void> {
  const time = `2025-${month}-25T00:00:00Z`;
  const { json } = await api.post(
    "/v1/events",
    events.map((one) => ({
      source: "j8",
      type: "sms.sent",
      subject: "web",
      time,
      data: {},
      ...one,
    })),
    { key: api.keys.ingest },
  );
  const fates = new Set(json.events.map((event: { status: string }) => event.status));
  expect([...fates]).toEqual(["accepted"]);
}
const issue = async (month: string, at: string) => {
  api.env.at(at);
  const issued = await api.post(`${base}/accounts/acme-usd/invoices`, {
    period: `2025-${month}-15T00:00:00Z`,
  });
  expect(issued.status, issued.text).toBe(201);
  return issued.json;
};
const pay = async (number: string, amount: string) => {
  const paid = await api.post(`${base}/invoices/${number}/payments`, {
    amount,
    currency: "USD",
    received_on: "2025-02-20",
    reference: `wire for ${number}`,
  });
  expect(paid.status, paid.text).toBe(201);
  return paid.json;
};
const lineOf = (
  invoice: { document: { lines: { sku: string; line_no: number }[] } },
  sku: string,
) => invoice.document.lines.find((line) => line.sku === sku);
const asCleo = { key: "" };
const credit = async () =>
  (await api.get(`${base}/accounts/acme-usd/credit`)).json.balance.amount as string;
const ledgerLeft = async () =>
  (
    await api.env.owner.query(
      "select coalesce(sum(amount_minor), 0)::text as left from ledger_posting where currency = 'USD'",
    )
  ).rows[0].left;

describe("J8: dispute and correction", () => {
  let january: { number: string; content_hash: string; document: never };
  let dispute: string;

  test("Cleo disputes the overage line with a log; only its 15.00 are not asked for, and bear no late fee", async () => {
    asCleo.key = api.keys.admin;
    january = await issue("01", "2025-02-04T00:00:00Z");
    expect((january as { total?: { amount: string } }).total?.amount).toBe("25.00");
    const opened = await api.post(
      `${base}/invoices/${january.number}/disputes`,
      {
        line_no: lineOf(january, "SMS-OVERAGE")?.line_no,
        message: "a hundred of these were sent twice",
        file: { name: "sent.log", content: Buffer.from("twice").toString("base64") },
      },
      asCleo,
    );
    expect(opened.json, opened.text).toMatchObject({
      amount: { amount: "15.00" },
      event_count: "250",
    });
    dispute = opened.json.id;
    const { json } = await api.get(`${base}/invoices/${january.number}/payments`);
    expect([json.open.amount, json.disputed.amount, json.askable.amount]).toEqual([
      "25.00",
      "15.00",
      "10.00",
    ]);
    api.env.at("2025-02-18T00:00:00Z");
    const { json: upcoming } = await api.get(`${base}/accounts/acme-usd/upcoming-invoice`);
    expect(lineOf({ document: upcoming }, "LATE-FEE")).toMatchObject({ amount: "0.15" });
    await pay(january.number, "25.00");
  });

  test("Finn finds 250 events as evidence, and corrects the 100 that were sent twice: a credit note of 6.00 cites them", async () => {
    await api.post(`${base}/disputes/${dispute}/review`, undefined);
    const line = lineOf(january, "SMS-OVERAGE")?.line_no;
    const evidence = await api.get(
      `${base}/invoices/${january.number}/lines/${line}/explain?limit=200`,
    );
    const rest = await api.get(
      `${base}/invoices/${january.number}/lines/${line}/explain?limit=200&cursor=${evidence.json.next_cursor}`,
    );
    expect(evidence.json.events.length + rest.json.events.length).toBe(250);

    await send(
      "01",
      Array.from({ length: 100 }, (_, i) => ({ id: `fix-${i}`, corrects: `01-${i}` })),
    );
    const issued = await api.post(`${base}/accounts/acme-usd/late-usage/issue`, undefined);
    expect(issued.json.data, issued.text).toMatchObject([
      {
        kind: "credit_note",
        number: "CN-000001",
        total: { amount: "-6.00" },
        document: {
          corrects: { number: january.number },
          lines: [{ basis: "restatement", quantity: "-100", cites: { event_count: "100" } }],
        },
      },
    ]);
    const explained = await api.get(`${base}/invoices/CN-000001/lines/1/explain?limit=200`);
    expect(explained.json.events).toHaveLength(100);
    expect(explained.json.events[0].id).toMatch(/^fix-/);
  });

  test("partially accepted: no second note, the invoice as it was, 6.00 of credit on the next invoice, the books balanced", async () => {
    const twice = await api.post(`${base}/disputes/${dispute}/resolve`, {
      outcome: "credit",
      amount: "6.00",
      message: "and once more",
    });
    expect(twice.json.code, twice.text).toBe("dispute_corrected");
    const decided = await api.post(`${base}/disputes/${dispute}/resolve`, {
      outcome: "corrected",
      message: "100 were duplicates of your own",
    });
    const { json: note } = await api.get(`${base}/invoices/CN-000001`);
    expect(decided.json, decided.text).toMatchObject({
      status: "partially_accepted",
      accepted: { amount: "6.00" },
      credit_note: note.id,
    });
    const { json: same } = await api.get(`${base}/invoices/${january.number}`);
    expect(same.content_hash).toBe(january.content_hash);
    expect(await credit()).toBe("6.00");

    const february = await issue("02", "2025-03-04T00:00:00Z");
    expect(february.document).toMatchObject({
      total: "25.15",
      account_credit: { applied: "6.00", due: "19.15" },
    });
    const page = await api.get(`${base}/invoices/${february.number}/document?format=html`);
    expect(page.text).toContain("$6.00");
    expect(page.text).toContain("$19.15");
    expect(await credit()).toBe("0.00");
    expect(await ledgerLeft()).toBe("0");
    expect(await proveBooks(api.env)).toEqual([]);
    for (const number of [january.number, "CN-000001", february.number]) {
      const verified = await api.post(`${base}/invoices/${number}/verify`, undefined);
      expect(verified.json.is_match, verified.text).toBe(true);
    }
  });

  test("rejected: never without a message, and what was withheld is asked for again", async () => {
    const opened = await api.post(
      `${base}/invoices/INV-000002/disputes`,
      { line_no: 1, amount: "4.00", message: "too dear" },
      asCleo,
    );
    expect(opened.status, opened.text).toBe(201);
    const asked = async () => {
      const { json } = await api.get(`${base}/invoices/INV-000002/payments`);
      return [json.open.amount, json.askable.amount];
    };
    expect(await asked()).toEqual(["19.15", "15.15"]);
    await api.post(`${base}/disputes/${opened.json.id}/review`, undefined);
    const silent = await api.post(`${base}/disputes/${opened.json.id}/resolve`, {
      outcome: "reject",
      message: " ",
    });
    expect(silent.status).toBe(400);
    const rejected = await api.post(`${base}/disputes/${opened.json.id}/resolve`, {
      outcome: "reject",
      message: "as agreed",
    });
    expect(rejected.json.status).toBe("rejected");
    expect(await asked()).toEqual(["19.15", "19.15"]);
  });

  test("15.00 of a paid invoice go back to the card once, though the first answer got lost", async () => {
    await pay("INV-000002", "20.00");
    expect(await credit()).toBe("0.85");
    const sms = lineOf((await api.get(`${base}/invoices/INV-000002`)).json, "SMS-OVERAGE")?.line_no;
    const note = await api.post(`${base}/invoices/INV-000002/credit-notes`, {
      reason: "for the trouble",
      reason_code: "goodwill",
      lines: [{ line_no: sms, amount: "15.00" }],
    });
    expect(note.json.total.amount, note.text).toBe("-15.00");
    expect(await credit()).toBe("15.85");
    const order = { amount: "15.00", reason: "asked for by Cleo" };
    const path = `${base}/accounts/acme-usd/credit/refunds`;
    const headers = { "idempotency-key": "refund-of-february" };
    const tooMuch = await api.post(path, { ...order, amount: "15.86" });
    expect(tooMuch.json.code).toBe("credit_not_enough");
    payments.next("loses_answer");
    const lost = await api.post(path, order, { headers });
    expect(lost.json.status, lost.text).toBe("pending");
    expect([await settlePendingRefunds(api.env), await settlePendingRefunds(api.env)]).toEqual([
      1, 0,
    ]);
    expect(payments.refunds).toHaveLength(1);
    expect(await credit()).toBe("0.85");

    payments.next("declines");
    const declined = await api.post(path, { reason: "the rest" });
    expect(declined.json).toMatchObject({ status: "declined", amount: { amount: "0.85" } });
    expect(await credit()).toBe("0.85");
    const { json } = await api.get(`${base}/accounts/acme-usd/credit`, asCleo);
    // On a clock that stands still all of this happens at one moment, in no order.
    expect(
      json.data
        .map(
          (one: { cause: string; amount: { amount: string } }) =>
            `${one.cause} ${one.amount.amount}`,
        )
        .toSorted(),
    ).toEqual([
      "applied -6.00",
      "document 15.00",
      "document 6.00",
      "payment 0.85",
      "refund -0.85",
      "refund -15.00",
      "refund_failed 0.85",
    ]);
    expect(await ledgerLeft()).toBe("0");
    expect(await proveBooks(api.env)).toEqual([]);
  });

  test("what a void invoice took is free again, a transfer made by hand goes from the bank, and the books agree", async () => {
    const march = await issue("03", "2025-04-04T00:00:00Z");
    expect(march.document.account_credit.applied).toBe("0.85");
    const taken = await api.post(`${base}/invoices/${march.number}/void`, { reason: "wrong" });
    expect(taken.status, taken.text).toBe(200);
    expect(await credit()).toBe("0.85");
    const order = { amount: "0.35", reason: "asked for", reference: "wire 9" };
    const sent = await api.post(`${base}/accounts/acme-usd/credit/refunds`, order);
    expect(sent.json).toMatchObject({ status: "succeeded", reference: "wire 9" });
    const again = await issue("03", "2025-04-04T00:00:00Z");
    expect(again.document.account_credit.applied).toBe("0.50");
    expect(await proveBooks(api.env)).toEqual([]);
  });
});
