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

  test("ten events, nine good: 207, nine accepted, one reason with its place; the good ones alone the second time: 200", async () => {
    const events = Array.from({ length: 10 }, (_, n) =>
      event({ id: `ten${n}`, data: { tokens: n === 4 ? "42abc" : "1" } }),
    );
    const answer = await send({ events });
    expect(answer.status).toBe(207);
    expect(answer.json).toMatchObject({ accepted: 9, rejected: 1 });
    expect(answer.json.events[4]).toEqual({
      id: "ten4",
      source: "test",
      status: "rejected",
      code: "invalid_value_type",
      pointer: "/events/4/data/tokens",
      detail: expect.stringContaining("42abc"),
    });
    const again = await send(events.filter((_, n) => n !== 4));
    expect([again.status, again.json.duplicates]).toEqual([200, 9]);
  });

  test.each([
    [{ id: undefined }, "missing_attribute", "/id"],
    [{ subject: undefined }, "missing_attribute", "/subject"],
    [{ time: undefined }, "missing_attribute", "/time"],
    [{ data: {} }, "missing_value", "/data/tokens"],
    [{ time: "2025-02-01T00:00:00Z" }, "future_event", "/time"],
  ])("nothing to take in %j: 400, %s at %s", async (over, code, pointer) => {
    const answer = await send(event({ id: "bad", ...over }));
    expect(answer.status).toBe(400);
    expect(answer.json).toMatchObject({
      code: "events_not_valid",
      rejected: 1,
      events: [{ status: "rejected", code, pointer }],
    });
  });

  test("exact numbers: 1e3 and 12.5e0 in plain JSON are refused, 9223372036854775807 in quotes survives", async () => {
    const written = (number: string) =>
      JSON.stringify(event({ id: `n${number}` })).replace('"7"', number);
    for (const number of ["1e3", "9223372036854775807", "0.1234567890123456789"])
      expect((await send(written(number))).json.events[0].code).toBe("invalid_value_type");
    expect((await send(written('"9223372036854775807"'))).status).toBe(200);
    const found = await api.get(
      "/v1/organizations/acme/events?source=test&id=n%229223372036854775807%22",
    );
    expect(found.json.data[0].data).toEqual({ tokens: "9223372036854775807" });
  });

  test("too many, too large, another kind of body, no key, a key without the permission", async () => {
    const many = Array.from({ length: 1_001 }, (_, n) => event({ id: `m${n}` }));
    expect((await send(many)).status).toBe(400);
    expect((await send(event({ data: { x: "y".repeat(1_100_000) } }))).status).toBe(413);
    expect((await send("<a/>", { "content-type": "application/xml" })).status).toBe(415);
    expect((await send("{", { "content-type": "application/json" })).status).toBe(400);
    expect((await send([])).status).toBe(400);
    expect((await api.post("/v1/events", event(), { key: null })).status).toBe(401);
    expect((await api.post("/v1/events", event(), { key: api.keys.viewer })).status).toBe(403);
  });

  test("another organization's project is refused with 403 and stored nowhere", async () => {
    const answer = await api.post("/v1/events", event({ id: "theirs", subject: api.projectId }), {
      key: api.keys.other,
    });
    expect([answer.status, answer.json.code]).toEqual([403, "events_not_yours"]);
  });

  test("no way to change or remove an event: 405", async () => {
    for (const method of ["PUT", "PATCH", "DELETE"])
      expect((await api.call(method, "/v1/events")).status).toBe(405);
    expect((await api.call("DELETE", "/v1/organizations/acme/events")).status).toBe(405);
  });
});

describe("reading events and the quarantine", () => {
  test("stored events come page by page with both their times; what waits is listed, replayed, and gone", async () => {
    const held = await send(event({ id: "held", type: "video.call" }));
    expect([held.status, held.json.events[0].code]).toEqual([207, "unknown_meter"]);
    const quarantine = "/v1/organizations/acme/quarantine";
    const admin = { key: api.keys.admin };
    const open = await api.get(quarantine, admin);
    expect(open.json.data).toMatchObject([{ reason: "unknown_meter", event: { id: "held" } }]);
    await publish({ key: "videos", event_type: "video.call", value_property: "tokens" });
    const replayed = await api.post(`${quarantine}/replay`, {}, admin);
    expect(replayed.json).toMatchObject({ replayed: 1, accepted: 1, still_held: 0 });
    expect((await api.get(quarantine, admin)).json.data).toEqual([]);
    expect((await api.get(`${quarantine}?status=resolved`, admin)).json.data).toMatchObject([
      { resolution: "accepted" },
    ]);

    const seen: string[] = [];
    let cursor = "";
    do {
      const path = `/v1/organizations/acme/events?account=acme-usd&limit=3${cursor && `&cursor=${cursor}`}`;
      const page = await api.get(path, admin);
      expect(page.status).toBe(200);
      for (const one of page.json.data) {
        seen.push(one.id);
        expect(one).toMatchObject({
          time: "2025-01-31T00:00:00.000Z",
          received_at: expect.any(String),
        });
      }
      cursor = page.json.next_cursor ?? "";
    } while (cursor);
    expect(new Set(seen).size).toBe(seen.length);
    expect(seen).toContain("held");
    expect(seen.filter((id) => id.startsWith("ten"))).toHaveLength(9);
  });
});
