import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type TestApi, testApi } from "../harness/api.ts";
import { apply, yamlFile } from "../harness/catalog.ts";

// J8: 250 messages over the allowance are $15.00; 100 of them were sent twice by the customer's own fault.
const base = "/v1/organizations/acme";
let api: TestApi;

beforeAll(async () => {
  api = await testApi({ at: "2025-01-01T00:00:00Z" });
  await apply(api.env, [
    yamlFile(`
services: [{ key: sms, name: Messages }]
meters: [{ key: sms, name: SMS, event_type: sms.sent, aggregation: count, unit: message }]
skus: [{ code: SMS-OVERAGE, name: Messages, kind: usage, service: sms, meter: sms }]
price_books: [{ code: retail-usd, name: Retail, currency: USD }]
prices:
  - { book: retail-usd, sku: SMS-OVERAGE, model: per_unit, currency: USD, unit_amount: "0.06" }
`),
  ]);
  for (const month of ["01", "02", "03"]) {
    api.env.at(`2025-${month}-10T00:00:00Z`);
    await send(
      Array.from({ length: 250 }, (_, i) => ({ id: `${month}-${i}` })),
      month,
    );
  }
});
afterAll(() => api.close());

const send = async (events: { id: string; corrects?: string }[], month: string) => {
  const answer = await api.post(
    "/v1/events",
    events.map((event) => ({
      source: "j8",
      type: "sms.sent",
      subject: "web",
      time: `2025-${month}-09T00:00:00Z`,
      data: {},
      ...event,
    })),
    { key: api.keys.ingest },
  );
  const fates = new Set(answer.json.events.map((event: { status: string }) => event.status));
  expect([...fates], answer.text.slice(0, 400)).toEqual(["accepted"]);
};
const issue = async (month: string, at: string) => {
  api.env.at(at);
  const issued = await api.post(`${base}/accounts/acme-usd/invoices`, {
    period: `2025-${month}-15T00:00:00Z`,
  });
  expect(issued.status, issued.text).toBe(201);
  return issued.json;
};
const balance = async (number: string) => {
  const { json } = await api.get(`${base}/invoices/${number}/payments`);
  return [json.open, json.disputed, json.askable, json.credited].map(
    (one: { amount: string }) => one.amount,
  );
};
const decide = (id: string, body: unknown) => api.post(`${base}/disputes/${id}/resolve`, body);
const review = (id: string) => api.post(`${base}/disputes/${id}/review`, undefined);
const customer = () => ({ key: api.keys.admin });

describe("J8: dispute and correction", () => {
  test("disputed with a log: 250 events are the evidence, and $15.00 are not asked for; 100 of 250 are $6.00 back", async () => {
    const invoice = await issue("01", "2025-02-04T00:00:00Z");
    expect(invoice.total.amount).toBe("15.00");
    const log = Buffer.from("2025-01-09 sent twice\n");
    const opened = await api.post(
      `${base}/invoices/INV-000001/disputes`,
      {
        line_no: 1,
        message: "100 of these were sent twice",
        file: { name: "sms.log", content: log.toString("base64") },
      },
      customer(),
    );
    expect(opened.status, opened.text).toBe(201);
    const dispute = opened.json;
    expect(dispute).toMatchObject({
      status: "open",
      amount: { amount: "15.00" },
      event_count: "250",
      deadline: { what: "review", by: "2025-02-07T00:00:00.000Z", is_missed: false },
      messages: [{ side: "customer", file: { name: "sms.log", byte_count: log.length } }],
    });
    expect(await balance("INV-000001")).toEqual(["15.00", "15.00", "0.00", "0.00"]);

    const events: string[] = [];
    let cursor = "";
    do {
      const { json } = await api.get(
        `${base}/invoices/INV-000001/lines/1/explain?limit=200${cursor}`,
      );
      events.push(...json.events.map((event: { id: string }) => event.id));
      cursor = json.next_cursor === null ? "" : `&cursor=${json.next_cursor}`;
    } while (cursor !== "");
    expect(new Set(events).size).toBe(250);

    const twice = await api.post(`${base}/invoices/INV-000001/disputes`, {
      line_no: 1,
      message: "again",
    });
    expect([twice.status, twice.json.code]).toEqual([409, "dispute_open_already"]);
    const early = await decide(dispute.id, { outcome: "reject", message: "no" });
    expect([early.status, early.json.code]).toEqual([409, "dispute_status_conflict"]);
    expect((await review(dispute.id)).json.deadline.what).toBe("decision");
    const own = await api.post(
      `${base}/disputes/${dispute.id}/resolve`,
      { outcome: "credit", message: "mine" },
      customer(),
    );
    expect(own.status).toBe(403);
    await api.post(`${base}/disputes/${dispute.id}/messages`, { message: "We are looking" });

    const decided = await decide(dispute.id, {
      outcome: "credit",
      amount: "6.00",
      message: "100 of 250 were sent twice",
    });
    expect(decided.status, decided.text).toBe(200);
    expect(decided.json).toMatchObject({
      status: "partially_accepted",
      accepted: { amount: "6.00" },
      deadline: null,
    });
    expect(decided.json.messages.map((one: { side: string }) => one.side)).toEqual([
      "customer",
      "provider",
      "provider",
    ]);
    const note = (await api.get(`${base}/invoices/${decided.json.credit_note}`)).json;
    expect(note).toMatchObject({
      kind: "credit_note",
      corrects: invoice.id,
      total: { amount: "-6.00" },
    });
    expect(note.document.lines[0].segments[0].because).toContain("line 1 of INV-000001");
    expect(await balance("INV-000001")).toEqual(["9.00", "0.00", "9.00", "6.00"]);
    const now = (await api.get(`${base}/invoices/INV-000001`)).json;
    expect(now.content_hash).toBe(invoice.content_hash);

    const again = await decide(dispute.id, { outcome: "credit", message: "once more" });
    expect(again.json.code).toBe("dispute_status_conflict");
    const message = decided.json.messages[0].id;
    const file = await api.fetch(`${base}/disputes/${dispute.id}/messages/${message}/file`, {
      headers: { authorization: `Bearer ${api.keys.viewer}` },
    });
    expect(file.headers.get("content-disposition")).toContain("attachment");
    expect(Buffer.from(await file.arrayBuffer())).toEqual(log);

    await api.post(`${base}/disputes/${dispute.id}/close`, undefined);
    const late = await api.post(`${base}/disputes/${dispute.id}/messages`, { message: "Thanks" });
    expect(late.json.code).toBe("dispute_status_conflict");
    const audit = await api.get(`${base}/audit?target_kind=dispute&target_id=${dispute.id}`);
    expect(audit.json.data.map((entry: { action: string }) => entry.action).toSorted()).toEqual([
      "dispute.answered",
      "dispute.closed",
      "dispute.opened",
      "dispute.partially_accepted",
      "dispute.under_review",
    ]);
  });

  test("corrected by events: the next invoice shows −6.00 once, and no note gives it back again", async () => {
    await issue("02", "2025-03-04T00:00:00Z");
    const opened = await api.post(
      `${base}/invoices/INV-000002/disputes`,
      { line_no: 1, message: "sent twice again" },
      customer(),
    );
    const { id } = opened.json;
    await review(id);
    const before = await decide(id, { outcome: "corrected", message: "events sent" });
    expect(before.json.code).toBe("dispute_not_corrected");
    await send(
      Array.from({ length: 100 }, (_, i) => ({ id: `fix-${i}`, corrects: `02-${i}` })),
      "02",
    );
    const both = await decide(id, { outcome: "credit", amount: "6.00", message: "and a note" });
    expect([both.status, both.json.code]).toEqual([409, "dispute_corrected"]);
    const decided = await decide(id, { outcome: "corrected", message: "100 corrections counted" });
    expect(decided.json).toMatchObject({
      status: "partially_accepted",
      accepted: { amount: "6.00" },
      credit_note: null,
    });
    const next = await issue("03", "2025-04-04T00:00:00Z");
    expect(next.document.lines.map((line: { amount: string }) => line.amount).toSorted()).toEqual([
      "-6.00",
      "15.00",
    ]);
    const verified = await api.post(`${base}/invoices/${next.number}/verify`, undefined);
    expect(verified.json.is_match, verified.text).toBe(true);
  });

  test("rejected: never without a message; what was withheld is asked for again; nobody next door sees it", async () => {
    const { json: invoice } = await api.get(`${base}/invoices/INV-000003`);
    const line = invoice.document.lines.find((one: { amount: string }) => one.amount === "15.00");
    const { json } = await api.post(
      `${base}/invoices/INV-000003/disputes`,
      { line_no: line.line_no, amount: "5.00", message: "too dear" },
      customer(),
    );
    expect(await balance("INV-000003")).toEqual(["9.00", "5.00", "4.00", "0.00"]);
    await review(json.id);
    const silent = await decide(json.id, { outcome: "reject", message: " " });
    expect([silent.status, silent.json.code]).toEqual([400, "request_not_valid"]);
    const rejected = await decide(json.id, { outcome: "reject", message: "As agreed in 2024" });
    expect(rejected.json).toMatchObject({ status: "rejected", credit_note: null });
    expect(await balance("INV-000003")).toEqual(["9.00", "0.00", "9.00", "0.00"]);

    const foreign = await api.get(`${base}/disputes/${json.id}`, { key: api.keys.other });
    expect(foreign.status).toBe(404);
    const listed = await api.get(`${base}/disputes?limit=2`, { key: api.keys.viewer });
    expect(listed.json.data.map((one: { status: string }) => one.status)).toEqual([
      "rejected",
      "partially_accepted",
    ]);
    const rest = await api.get(`${base}/disputes?limit=2&cursor=${listed.json.next_cursor}`);
    expect(rest.json.data.map((one: { status: string }) => one.status)).toEqual(["closed"]);
  });
});
