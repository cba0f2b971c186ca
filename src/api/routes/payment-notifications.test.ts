import { afterAll, beforeAll, expect, test } from "vitest";
import { type TestApi, testApi } from "../../../test/harness/api.ts";
import { loadPrepaidCatalog } from "../../../test/harness/prepaid.ts";
import { httpPayments } from "../../gateways/http-payments.ts";
import { signatureOf } from "../../gateways/payment-notification.ts";
import {
  type SimulatedProcessor,
  startSimulatedProcessor,
} from "../../gateways/simulated-processor.ts";
import type { PaymentFaults } from "../../gateways/simulated-payments.ts";

const secret = "a secret of the test";
let faults: PaymentFaults = { declinedPercent: 0, lostAnswerPercent: 0, lostRequestPercent: 0 };
let api: TestApi;
let processor: SimulatedProcessor;
const at = "2025-01-10T00:00:00Z";

beforeAll(async () => {
  processor = await startSimulatedProcessor({
    port: 0,
    secret,
    random: { below: () => 0 },
    get faults() {
      return faults;
    },
    nowSeconds: () => Date.parse(at) / 1000,
  });
  api = await testApi({
    at,
    extend: (bare) => ({
      ...bare,
      payments: httpPayments({ url: processor.url, secret, timeoutMs: 2_000 }),
    }),
  });
  await loadPrepaidCatalog(api.env);
});
afterAll(async () => {
  await api.close();
  await processor.close();
});

const base = "/v1/organizations/acme/accounts/acme-usd";
const buy = (key: string) =>
  api.post(
    `${base}/purchases`,
    { sku: "USAGE-SMS-1000", settlement: "card" },
    { headers: { "idempotency-key": key } },
  );
const units = async () => {
  const { json } = await api.get(`${base}/balances`);
  return (json.data as { pool: string; available: string }[]).map((one) => one.available);
};
const purchases = async () => {
  const { json } = await api.get(`${base}/purchases`);
  return json.data as { id: string; status: string }[];
};
const notify = (body: string, over: { secret?: string; ageSeconds?: number } = {}) => {
  const timestamp = String(Date.parse(at) / 1000 - (over.ageSeconds ?? 0));
  const message = { id: "msg_1", timestamp, body };
  return api.post("/v1/payment-notifications", JSON.parse(body), {
    key: null,
    headers: {
      "webhook-id": message.id,
      "webhook-timestamp": timestamp,
      "webhook-signature": `v1,bm90aGluZw== ${signatureOf(over.secret ?? secret, message)}`,
    },
  } as never);
};

test("a charge that succeeds allocates, one that is declined does not", async () => {
  const paid = await buy("first");
  expect([paid.status, paid.json.status], paid.text).toEqual([201, "paid"]);
  expect(await units()).toEqual(["1000"]);
  faults = { declinedPercent: 100, lostAnswerPercent: 0, lostRequestPercent: 0 };
  const declined = await buy("second");
  expect([declined.status, declined.json.code]).toEqual([402, "card_declined"]);
  expect(await units()).toEqual(["1000"]);
});

test("R-071: an answer that got lost leaves the order open; the notification, five times, settles it once", async () => {
  faults = { declinedPercent: 0, lostAnswerPercent: 100, lostRequestPercent: 0 };
  const unclear = await buy("third");
  expect(unclear.json.code).toBe("payment_unclear");
  const [open] = await purchases();
  expect(open?.status).toBe("pending");
  const said = JSON.stringify({ key: open?.id, status: "succeeded", reference: "sim_x" });
  expect((await notify(said, { secret: "another secret, of nobody" })).status).toBe(401);
  expect((await notify(said, { ageSeconds: 3_600 })).status).toBe(401);
  expect(await units()).toEqual(["1000"]);
  const answers = await Promise.all(Array.from({ length: 5 }, () => notify(said)));
  expect(answers.map((one) => one.status)).toEqual([204, 204, 204, 204, 204]);
  expect(await units()).toEqual(["2000"]);
  expect((await purchases())[0]?.status).toBe("paid");
  // Asked again with its key, the order is the paid one; and a later "declined" changes nothing.
  expect((await buy("third")).json.id).toBe(open?.id);
  await notify(JSON.stringify({ key: open?.id, status: "declined", reason: "late" }));
  expect((await purchases())[0]?.status).toBe("paid");
  expect((await notify(JSON.stringify({ key: "pur_unknown", status: "declined" }))).status).toBe(
    204,
  );
});
