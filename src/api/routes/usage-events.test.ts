import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { testApi, type TestApi } from "../../../test/harness/api.ts";
import { readMeter, writeMeter } from "../../domain/catalog/index.ts";
import { bumpCatalogVersion, saveMeter } from "../../store/catalog.ts";

let api: TestApi;

beforeAll(async () => {
  api = await testApi({ at: "2025-01-31T00:00:00Z" });
  await publish({ key: "tokens", event_type: "llm.call", value_property: "tokens" });
});
afterAll(() => api.close());

async function publish(over: Record<string, unknown>): Promise<void> {
  const { meter, faults } = readMeter({
    name: "Meter",
    aggregation: "sum",
    unit: "token",
    ...over,
  });
  if (!meter) throw new Error(JSON.stringify(faults));
  await api.env.store.db.transaction().execute(async (tx) => {
    const { key, eventType, status } = meter;
    const definition = writeMeter(meter);
    await saveMeter(
      tx,
      { meterId: api.env.id("meter"), key, eventType, status, definition },
      api.env.now(),
    );
    await bumpCatalogVersion(tx);
  });
}

const event = (over: object = {}) => ({
  id: "e",
  source: "test",
  type: "llm.call",
  subject: "web",
  time: "2025-01-31T00:00:00Z",
  data: { tokens: "7" },
  ...over,
});
const ingest = () => ({ key: api.keys.ingest });
const send = (body: unknown, headers: Record<string, string> = {}) =>
  api.post("/v1/events", body, { ...ingest(), headers });

describe("POST /v1/events", () => {
  test("one plain event: 200 and its fate; again: a duplicate; other content: 409 with the original kept", async () => {
    const first = await send(event({ id: "one" }));
    expect(first.status).toBe(200);
    expect(first.json).toEqual({
      accepted: 1,
      duplicates: 0,
      conflicts: 0,
      quarantined: 0,
      rejected: 0,
      events: [{ id: "one", source: "test", status: "accepted" }],
    });
    expect((await send(event({ id: "one" }))).json).toMatchObject({ duplicates: 1 });
    const other = await send(event({ id: "one", data: { tokens: "8" } }));
    expect(other.status).toBe(409);
    expect(other.json).toMatchObject({
      code: "events_conflict",
      conflicts: 1,
      events: [{ status: "conflict" }],
    });
  });
});
