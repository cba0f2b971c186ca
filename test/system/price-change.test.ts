import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { formatInstant, instant, type Instant } from "../../src/kit/time.ts";
import { type TestApi, testApi } from "../harness/api.ts";
import { apply, exampleCatalog } from "../harness/catalog.ts";
import { type Program, startProgram } from "../harness/program.ts";

const account = "/v1/organizations/acme/accounts/acme-usd";
const perSecond = 100;
const seconds = 10;

type Sent = { readonly id: string; readonly time: Instant; readonly units: number };
type Segment = { quantity: string; unit_amount: string; amount: string };
type Line = { sku: string; quantity: string; unrounded: string; amount: string };

let api: TestApi;
let programs: Program[];

beforeAll(async () => {
  // A little ago by the real clock, so that what the programs receive "now" has a payer.
  api = await testApi({ at: new Date(Date.now() - 3_600_000).toISOString() });
  await apply(api.env, exampleCatalog());
  // Far from the day on which the test runs: the whole of it lies in one invoice period.
  const invoiceDay = ((new Date().getUTCDate() + 13) % 28) + 1;
  await api.env.owner.query("update billing_account set invoice_day = $1", [invoiceDay]);
  programs = await Promise.all([
    startProgram(api.env.url, api.env.pepper),
    startProgram(api.env.url, api.env.pepper, 0, "serve"),
  ]);
});
afterAll(async () => {
  await Promise.all(programs.map((program) => program.kill()));
  await api.close();
});

async function call(to: Program, method: string, path: string, key: string, body?: unknown) {
  const answer = await fetch(`${to.address}${path}`, {
    method,
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(15_000),
  });
  return { status: answer.status, json: (await answer.json()) as Record<string, unknown> };
}

const fateOf = (json: Record<string, unknown>) =>
  (json["events"] as { status: string }[] | undefined)?.[0]?.status;

const overageOf = (document: Record<string, unknown>) =>
  (document["lines"] as (Line & { segments: Segment[] })[]).find(
    ({ sku }) => sku === "USAGE-SMS-OVERAGE",
  );

test("100 events a second for ten seconds while the overage price goes from 0.06 to 0.07: no 5xx, and each event at the price of its time (R-005)", async () => {
  const sent: Sent[] = [];
  const answers: { status: number; fate: string | undefined }[] = [];
  const send = async (n: number, time: Instant) => {
    const event = { id: `sms-${n}`, time, units: 1 + (n % 3) };
    sent.push(event);
    const { status, json } = await call(
      programs[n % 2] as Program,
      "POST",
      "/v1/events",
      api.keys.ingest,
      {
        id: event.id,
        source: "carrier",
        type: "sms.sent",
        subject: "web",
        time: formatInstant(time),
        data: { value: String(event.units) },
      },
    );
    answers.push({ status, fate: fateOf(json) });
  };

  // By the clock and not by the answers: an event is due every 10 ms whatever became of those before it.
  const startedAt = Date.now();
  const flow = async () => {
    const open: Promise<void>[] = [];
    for (let n = 0; n < perSecond * seconds; n++) {
      const wait = startedAt + (n * 1000) / perSecond - Date.now();
      if (wait > 0) await sleep(wait);
      open.push(send(n, (Date.now() * 1000) as Instant));
    }
    await Promise.all(open);
  };
  const flowing = flow();

  await sleep(2_000);
  const change = ((Date.now() + 3_000) * 1000 + 123) as Instant;
  const published = await call(programs[0] as Program, "POST", "/v1/prices", api.keys.provider, {
    book: "retail-usd",
    currency: "USD",
    sku: "USAGE-SMS-OVERAGE",
    model: "per_unit",
    unit_amount: "0.07",
    effective_from: formatInstant(change),
  });
  expect([published.status, Date.now() * 1000 < change]).toEqual([201, true]);
  await flowing;
  const lastedMs = Date.now() - startedAt;
  // The instant itself belongs to the new price, and the one before it to the old, however late they come in.
  await send(perSecond * seconds, (change - 1) as Instant);
  await send(perSecond * seconds + 1, change);

  expect(lastedMs).toBeGreaterThan(seconds * 950);
  expect(answers).toHaveLength(perSecond * seconds + 2);
  expect(answers.filter(({ status, fate }) => status !== 200 || fate !== "accepted")).toEqual([]);

  const unitsOf = (events: readonly Sent[]) => events.reduce((sum, { units }) => sum + units, 0);
  const [before, after] = [
    sent.filter(({ time }) => time < change),
    sent.filter(({ time }) => time >= change),
  ];
  expect([before.length > 200, after.length > 200]).toEqual([true, true]);
  const [old, dear] = [unitsOf(before), unitsOf(after)];
  const cents = String(old * 6 + dear * 7).padStart(3, "0");
  const amount = `${cents.slice(0, -2)}.${cents.slice(-2)}`;

  const check = (document: Record<string, unknown>) => {
    const line = overageOf(document);
    expect(line).toMatchObject({ quantity: String(old + dear), amount });
    expect(line?.segments.map((one) => [one.quantity, one.unit_amount])).toEqual([
      [String(old), "0.06"],
      [String(dear), "0.07"],
    ]);
  };
  // Whichever process is asked, also the one that was not told of the price.
  let until = "";
  for (const program of programs) {
    const seen = await call(program, "GET", `${account}/upcoming-invoice`, api.keys.provider);
    expect(seen.status).toBe(200);
    check(seen.json);
    until = (seen.json["period"] as { ends_at: string }).ends_at;
  }

  // And when it is issued, with the second path over the raw events.
  api.env.clock.set((instant(until) + 4 * 86_400_000_000) as Instant);
  const issued = await api.post(`${account}/invoices`, { period: formatInstant(change) });
  expect([issued.status, issued.status === 201 ? "" : issued.text]).toEqual([201, ""]);
  check(issued.json.document);
  const events = await api.env.owner.query<{ ids: string[] }>(
    "select array_agg(id order by id) as ids from usage_event",
  );
  expect(events.rows[0]?.ids).toEqual(sent.map(({ id }) => id).toSorted());
});
