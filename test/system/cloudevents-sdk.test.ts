import { type AddressInfo, type Server } from "node:net";
import { createServer } from "node:http";
import { getRequestListener } from "@hono/node-server";
import { CloudEvent, emitterFor, HTTP, httpTransport, Mode } from "cloudevents";
import { afterAll, beforeAll, expect, test } from "vitest";
import { aCatalog } from "../harness/billing.ts";
import { type TestApi, testApi } from "../harness/api.ts";

// The SDK as its users install it, against a server on a port: nothing of ours between them.
let api: TestApi;
let server: Server;
let address: string;

beforeAll(async () => {
  api = await testApi({ at: "2025-01-15T12:00:00Z" });
  await aCatalog(
    api.env,
    "meters: [{ key: sms, name: SMS, event_type: sms.sent, aggregation: sum, value_kind: integer, unit: SMS }]",
  );
  const listener = getRequestListener((request) => api.app.fetch(request));
  server = createServer((request, response) => void listener(request, response)).listen(
    0,
    "127.0.0.1",
  );
  await new Promise((resolve) => server.once("listening", resolve));
  address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/events`;
});
afterAll(async () => {
  await new Promise((resolve) => server.close(resolve));
  await api.close();
});

const event = (id: string) =>
  new CloudEvent({
    id,
    type: "sms.sent",
    source: "/sdk",
    subject: "web",
    time: "2025-01-15T12:00:00.123Z",
    data: { value: "3" },
  });

test.each([
  ["binary", Mode.BINARY],
  ["structured", Mode.STRUCTURED],
])("emits in %s mode through its own transport", async (name, mode) => {
  const emit = emitterFor(httpTransport(address), { mode });
  const answer = (await emit(event(`emit-${name}`), {
    headers: { authorization: `Bearer ${api.keys.ingest}` },
  })) as { body: string };
  expect(JSON.parse(answer.body)).toMatchObject({
    accepted: 1,
    events: [{ id: `emit-${name}`, status: "accepted" }],
  });
});

test.each([
  ["binary", HTTP.binary],
  ["structured", HTTP.structured],
])("messages it builds in %s mode are taken, and again as duplicates", async (name, build) => {
  const { headers, body } = build(event(`built-${name}`));
  const send = () =>
    fetch(address, {
      method: "POST",
      headers: {
        ...(headers as Record<string, string>),
        authorization: `Bearer ${api.keys.ingest}`,
      },
      body: typeof body === "string" ? body : JSON.stringify(body),
    });
  expect((await send()).status).toBe(200);
  expect(await (await send()).json()).toMatchObject({ accepted: 0, duplicates: 1 });
});

test("what was sent is measured, each event once", async () => {
  const usage = await api.get(
    "/v1/organizations/acme/accounts/acme-usd/usage?meter=sms&from=2025-01-15T00:00:00Z&to=2025-01-16T00:00:00Z",
  );
  expect((await api.get("/v1/organizations/acme/quarantine")).json.data).toEqual([]);
  expect(usage.json).toMatchObject({ total: { quantity: "12" } });
});
