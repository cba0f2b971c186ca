import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type TestApi, testApi } from "../../../test/harness/api.ts";
import { hour, instant, minute, shift, windowsOf } from "../../kit/time.ts";

let api: TestApi;
beforeAll(async () => {
  api = await testApi({ at: "2025-01-01T00:00:00Z" });
});
afterAll(() => api.close());

const calls = {
  key: "api.seconds",
  event_type: "api.call",
  aggregation: "sum",
  value_property: "seconds",
  unit: "second",
  dimensions: [{ key: "model" }],
};
const account = "/v1/organizations/acme/accounts/acme-usd/usage";
let sent = 0;

const send = async (events: { time: string; data: object; type?: string; corrects?: string }[]) => {
  const answer = await api.post(
    "/v1/events",
    events.map((event) => ({
      specversion: "1.0",
      source: "test",
      id: `e${++sent}`,
      type: "api.call",
      subject: "web",
      ...event,
    })),
    {
      key: api.keys.ingest,
      headers: { "content-type": "application/cloudevents-batch+json" },
    },
  );
  expect([answer.status, answer.text]).toEqual([200, answer.text]);
  expect(new Set(answer.json.events.map((one: { status: string }) => one.status))).toEqual(
    new Set(["accepted"]),
  );
};

const query = async (members: Record<string, string>, path = account, key = api.keys.viewer) =>
  api.get(`${path}?${new URLSearchParams(members).toString()}`, { key });

describe("meters", () => {
  test("a meter is defined by staff, seen by everybody, and the same key is not given twice", async () => {
    const made = await api.post("/v1/meters", calls);
    expect(made.status).toBe(201);
    expect(made.json).toMatchObject({
      object: "meter",
      key: "api.seconds",
      name: "api.seconds",
      revision: 1,
      rolled_up: true,
      status: "published",
    });
    const seen = await api.get("/v1/meters/api.seconds", { key: api.keys.viewer });
    expect(seen.json).toEqual(made.json);
    expect((await api.get(`/v1/meters/${made.json.id}`)).json).toEqual(made.json);
    expect((await api.get("/v1/meters")).json.data).toEqual([made.json]);
    const again = await api.post("/v1/meters", calls);
    expect([again.status, again.json.code]).toEqual([409, "meter_key_taken"]);
    const customer = await api.post("/v1/meters", calls, { key: api.keys.admin });
    expect([customer.status, customer.json.code]).toEqual([403, "permission_missing"]);
    expect((await api.get("/v1/meters/nope")).json.code).toBe("meter_not_found");
  });

  test("an unsound one is refused with every fault", async () => {
    const answer = await api.post("/v1/meters", {
      ...calls,
      key: "p",
      aggregation: "percentile",
      sample_seconds: 7,
    });
    expect([answer.status, answer.json.code]).toEqual([422, "meter_not_valid"]);
    expect(answer.json.errors.map((one: { pointer: string }) => one.pointer)).toEqual([
      "/percentile",
      "/sample_seconds",
    ]);
  });

  test("aggregation is fixed; another meter works beside it, and the old one, deprecated, still bills", async () => {
    await api.post("/v1/meters", { ...calls, key: "old.max", aggregation: "max" });
    const refused = await api.patch("/v1/meters/old.max", { aggregation: "sum" });
    expect([refused.status, refused.json.code]).toEqual([409, "meter_field_fixed"]);
    expect(refused.json.errors[0].pointer).toBe("/aggregation");
    const removed = await api.patch("/v1/meters/old.max", { dimensions: [] });
    expect([removed.status, removed.json.code]).toEqual([409, "meter_dimension_removed"]);
    const gone = await api.patch("/v1/meters/old.max", { status: "deprecated", name: "Old" });
    expect([gone.status, gone.json.status, gone.json.revision]).toEqual([200, "deprecated", 2]);
    const back = await api.patch("/v1/meters/old.max", { status: "published" });
    expect([back.status, back.json.code]).toEqual([409, "meter_status_backward"]);
    await send([{ time: "2025-01-01T00:00:00Z", data: { seconds: "1" } }]);
    const usage = await query({
      meter: "old.max",
      from: "2025-01-01T00:00:00Z",
      to: "2025-02-01T00:00:00Z",
    });
    expect(usage.json.total).toEqual({ group: {}, quantity: "1", event_count: 1 });
  });
});

describe("usage", () => {
  test("seconds 61, 59 and 30 of two conversations: 150 seconds, 2 conversations, from the same events", async () => {
    await api.post("/v1/meters", {
      ...calls,
      key: "api.talks",
      aggregation: "unique",
      value_property: "talk",
      dimensions: [],
      filters: [{ property: "talk", op: "exists" }],
    });
    api.env.at("2025-01-15T12:00:00Z");
    await send([
      { time: "2025-01-10T10:00:00Z", data: { seconds: "61", talk: "x", model: "large" } },
      { time: "2025-01-10T10:20:00Z", data: { seconds: "59", talk: "y", model: "small" } },
      { time: "2025-01-10T11:00:00Z", data: { seconds: "30", talk: "x" } },
    ]);
    const period = { from: "2025-01-10T00:00:00Z", to: "2025-01-11T00:00:00Z" };
    const seconds = await query({
      meter: "api.seconds",
      ...period,
      window: "hour",
      group_by: "model",
    });
    expect(seconds.json).toMatchObject({ unit: "second", zone: "UTC", group_by: ["model"] });
    expect(seconds.json.series.map((one: { ends_at: string }) => one.ends_at)).toEqual([
      "2025-01-10T11:00:00.000Z",
      "2025-01-10T11:00:00.000Z",
      "2025-01-10T12:00:00.000Z",
    ]);
    expect(seconds.json.groups).toEqual([
      { group: { model: "large" }, quantity: "61", event_count: 1 },
      { group: { model: "small" }, quantity: "59", event_count: 1 },
      { group: {}, quantity: "30", event_count: 1 },
    ]);
    expect(seconds.json.total.quantity).toBe("150");
    const talks = await query({ meter: "api.talks", ...period, window: "hour" });
    expect(talks.json.series.map((one: { quantity: string }) => one.quantity)).toEqual(["2", "1"]);
    expect(talks.json.total.quantity).toBe("2");
  });

  test("an event is seen at once; projects add up to the account, accounts to the organization", async () => {
    const period = {
      meter: "api.seconds",
      from: "2025-01-15T11:00:00Z",
      to: "2025-01-15T13:00:00Z",
    };
    expect((await query(period)).json.total.quantity).toBe("0");
    await send([{ time: "2025-01-15T11:59:59.999999Z", data: { seconds: "0.25" } }]);
    expect((await query({ ...period, window: "minute" })).json.series).toMatchObject([
      { starts_at: "2025-01-15T11:59:00.000Z", quantity: "0.25" },
    ]);
    const whole = await query(
      { ...period, group_by: "account,project" },
      "/v1/organizations/acme/usage",
    );
    expect(whole.json.groups).toEqual([
      {
        group: { account: api.accountId, project: api.projectId },
        quantity: "0.25",
        event_count: 1,
      },
    ]);
    expect((await query({ ...period, project: "web" })).json.total.quantity).toBe("0.25");
  });

  test("a day of 23 hours has 23 hourly buckets and 24 of an ordinary one sum to the day", async () => {
    const zone = "America/New_York";
    const start = instant("2025-03-09T05:00:00Z");
    api.env.at("2025-03-10T12:00:00Z");
    for (let i = 0; i < 23; i++)
      await send([
        {
          time: new Date(shift(start, i * hour + minute) / 1000).toISOString(),
          data: { seconds: String(i + 1) },
        },
      ]);
    const day = {
      meter: "api.seconds",
      zone,
      from: "2025-03-09T05:00:00Z",
      to: "2025-03-10T04:00:00Z",
    };
    const hours = (await query({ ...day, window: "hour" })).json.series;
    expect(hours).toHaveLength(23);
    const span = { startsAt: start, endsAt: instant("2025-03-10T04:00:00Z") };
    expect(hours.map((one: { starts_at: string }) => instant(one.starts_at))).toEqual(
      windowsOf("hour", span, zone).map(({ startsAt }) => startsAt),
    );
    const days = (await query({ ...day, window: "day" })).json.series;
    expect(days.map((one: { quantity: string }) => one.quantity)).toEqual(["276"]);
  });

  test("pages of a long series adjoin", async () => {
    const period = {
      meter: "api.seconds",
      from: "2025-03-01T00:00:00Z",
      to: "2025-03-11T00:00:00Z",
      window: "minute",
    };
    const quantities: string[] = [];
    let cursor: string | null = "";
    let pages = 0;
    while (cursor !== null) {
      const { json }: { json: { series: { quantity: string }[]; next_cursor: string | null } } =
        await query({ ...period, ...(cursor && { cursor }) });
      quantities.push(...json.series.map((one) => one.quantity));
      cursor = json.next_cursor;
      pages++;
    }
    expect(pages).toBe(15);
    expect(quantities).toEqual(Array.from({ length: 23 }, (_, i) => String(i + 1)));
  });

  test("what cannot be asked is refused", async () => {
    const period = {
      meter: "api.seconds",
      from: "2025-01-01T00:00:00Z",
      to: "2025-02-01T00:00:00Z",
    };
    const code = async (members: Record<string, string>, path = account, key = api.keys.viewer) =>
      (await query({ ...period, ...members }, path, key)).json.code;
    expect(await code({ group_by: "mood" })).toBe("dimension_not_declared");
    expect(await code({ meter: "nope" })).toBe("meter_not_found");
    expect(await code({ to: "2024-01-01T00:00:00Z" })).toBe("usage_period_not_valid");
    expect(await code({ project: "nope" })).toBe("project_not_found");
    expect(await code({ zone: "Mars/Base" })).toBe("request_not_valid");
    expect(await code({}, account.replace("acme-usd", "nope"))).toBe("account_not_found");
    expect(await code({}, account, api.keys.other)).toBe("organization_not_found");
  });
});

describe("a meter that comes later", () => {
  test("counts what is already there: at once, and after a back-fill from rollups", async () => {
    const made = await api.post("/v1/meters", { ...calls, key: "api.late" });
    expect(made.json.rolled_up).toBe(false);
    const year = { from: "2025-01-01T00:00:00Z", to: "2026-01-01T00:00:00Z" };
    const before = await query({ meter: "api.late", ...year, window: "month" });
    expect(before.json.total.quantity).toBe("427.25");
    const state = await api.post("/v1/meters/api.late/backfill", {});
    expect(state.json).toMatchObject({ status: "finished", account_count: 1 });
    expect((await api.get("/v1/meters/api.late")).json.rolled_up).toBe(true);
    const after = await query({ meter: "api.late", ...year, window: "month" });
    expect(after.json).toEqual(before.json);
    const other = await query({ meter: "api.seconds", ...year, window: "month" });
    expect(other.json.series).toEqual(after.json.series);
  });
});

describe("health", () => {
  const health = async (key: string) => (await api.get(`/v1/meters/${key}/health`)).json;

  test("a busy meter without an event for an hour is stale; one that never was busy is idle", async () => {
    await api.post("/v1/meters", { ...calls, key: "other.calls", event_type: "other.call" });
    expect(await health("other.calls")).toMatchObject({ status: "silent", last_event_at: null });
    api.env.at("2025-03-10T04:00:00Z");
    expect(await health("api.seconds")).toMatchObject({
      status: "live",
      last_event_at: "2025-03-10T03:01:00.000Z",
      events_per_minute: "0.02",
    });
    api.env.at("2025-03-10T04:01:01Z");
    expect(await health("api.seconds")).toMatchObject({ status: "stale" });
    api.env.at("2025-03-11T04:00:00Z");
    expect(await health("api.seconds")).toMatchObject({ status: "idle", events_per_minute: "0" });
  });
});
