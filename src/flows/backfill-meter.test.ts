import { sql } from "kysely";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type TestEnv, testEnv } from "../../test/harness/database.ts";
import { anInstallation } from "../../test/harness/installation.ts";
import { eventKeyOf } from "../../test/harness/usage.ts";
import { system } from "../domain/audit/index.ts";
import type { Meter } from "../domain/catalog/index.ts";
import { writeUnits } from "../domain/grants/index.ts";
import { bucketOf, indexMeters, matchEvent } from "../domain/usage/index.ts";
import { formatDecimal } from "../kit/decimal.ts";
import { hour, type Instant, instant, minute, type Period, period, shift } from "../kit/time.ts";
import type { Tx } from "../store/connect.ts";
import { findMeter, listMeters } from "../store/meters.ts";
import { transaction } from "../store/transaction.ts";
import { measure } from "../store/usage-measure.ts";
import { backfillMeter } from "./backfill-meter.ts";
import { defineMeter, redefineMeter } from "./define-meter.ts";
import { openIngest } from "./ingest-usage.ts";

let env: TestEnv;
beforeAll(async () => {
  env = await testEnv();
  await env.owner.query(
    "insert into organization (org_id, slug, name, created_at) values ($1, 'acme', 'Acme', now())",
    [orgId],
  );
});
afterAll(() => env.close());

const author = system("test");
const start = instant("2025-01-01T00:00:00Z");
const span = period(start, shift(start, 40 * hour));
const orgId = "org_1";

const define = (key: string, over: Record<string, unknown> = {}) =>
  defineMeter(env, author, {
    key,
    event_type: "call",
    aggregation: "sum",
    value_property: "amount",
    unit: "unit",
    allow_negative: true,
    ...over,
  });

/** Ingest as it is meant: lock the head, then load the catalog, then decide, then save; one event a transaction. */
async function ingest(accountId: string, id: string, at: Instant, data: object, corrects?: string) {
  await env.owner.query(
    `insert into billing_account (org_id, account_id, slug, name, currency, created_at)
     values ($1, $2, $3, $2, 'USD', now()) on conflict do nothing`,
    [orgId, accountId, accountId.replace("_", "-")],
  );
  await transaction(env.store.db, async (tx) => {
    await sql`insert into usage_head (org_id, account_id, chain) values (${orgId}, ${accountId}, '')
              on conflict do nothing`.execute(tx);
    const { rows } = await sql<{ last_seq: bigint }>`
      select last_seq from usage_head where org_id = ${orgId} and account_id = ${accountId} for update
      `.execute(tx);
    const seq = (rows[0]?.last_seq ?? 0n) + 1n;
    const meters = (await listMeters(tx, { limit: 100 })).map(({ meter }) => meter);
    await store(tx, meters, { accountId, id, at, data, corrects, seq });
    await sql`update usage_head set last_seq = ${seq} where org_id = ${orgId} and account_id = ${accountId}
      `.execute(tx);
  });
}

type Stored = {
  accountId: string;
  id: string;
  at: Instant;
  data: object;
  corrects: string | undefined;
  seq: bigint;
};

async function store(tx: Tx, meters: Meter[], one: Stored) {
  const time = new Date(one.at / 1000).toISOString();
  await sql`
    insert into usage_event (org_id, event_key, account_id, seq, project_id, type, source, id, subject, time,
                             received_at, data, corrects, chain)
    values (${orgId}, ${eventKeyOf(one.id)}, ${one.accountId}, ${one.seq}, 'prj_1', 'call', 'test', ${one.id}, 'web',
            ${time}, ${time}, ${JSON.stringify(one.data)}, ${one.corrects ? eventKeyOf(one.corrects) : null}, '')
    `.execute(tx);
  const data = one.data as Record<string, unknown>;
  const isCorrection = one.corrects !== undefined;
  const match = matchEvent(indexMeters(meters), { type: "call", data, isCorrection });
  if (match.kind !== "measured") throw new Error(match.kind);
  for (const { meter, quantity, dimensions } of match.measurements) {
    const amount = writeUnits(quantity);
    const reads = !isCorrection && !["count", "sum", "unique"].includes(meter.aggregation);
    const reading = reads ? amount : null;
    await sql`
      insert into usage_rollup as r values (${orgId}, ${one.accountId}, ${meter.key},
        ${new Date(bucketOf(one.at) / 1000).toISOString()}, 'prj_1', ${dimensions}, 1, ${amount}, ${reading}, ${reading},
        ${reading}, ${reads ? time : null}, ${reads ? one.seq : null}, ${isCorrection})
      on conflict (org_id, account_id, meter_key, bucket_at, project_id, dimensions) do update set
        event_count = r.event_count + 1, total = r.total + excluded.total,
        lowest = least(r.lowest, excluded.lowest), highest = greatest(r.highest, excluded.highest),
        latest = case when excluded.latest_at is null or (r.latest_at, r.latest_seq) > (excluded.latest_at, excluded.latest_seq)
                      then r.latest else excluded.latest end,
        latest_at = greatest(r.latest_at, excluded.latest_at),
        latest_seq = case when excluded.latest_at is null or (r.latest_at, r.latest_seq) > (excluded.latest_at, excluded.latest_seq)
                          then r.latest_seq else excluded.latest_seq end,
        corrected = r.corrected or excluded.corrected`.execute(tx);
  }
}

/** Everything the rollups of a meter hold, in a written form that two meters of one measure share. */
async function rollupsOf(key: string) {
  const { rows } = await sql<{ line: string }>`
    select concat_ws(' ', account_id, bucket_at, dimensions, event_count, trim_scale(total), trim_scale(lowest),
      trim_scale(highest), trim_scale(latest), latest_at, latest_seq, corrected) as line
    from usage_rollup where meter_key = ${key} order by account_id, bucket_at, dimensions`.execute(
    env.store.db,
  );
  return rows.map(({ line }) => line);
}

const total = async (key: string, over: Period = span) => {
  const known = await findMeter(env.store.db, key);
  if (!known) throw new Error(key);
  const by = { account: false, project: false, dimensions: [] };
  const [reading] = await measure(env.store.db, {
    orgId,
    meter: known.meter,
    windows: [over],
    by,
  });
  return reading?.quantity ? formatDecimal(reading.quantity) : null;
};

describe("a meter that comes when events are already there", () => {
  test("the first meter of an event type needs no counting back", async () => {
    expect((await define("first", { dimensions: [{ key: "model" }] })).rolledUp).toBe(true);
    await ingest("acc_1", "a", shift(start, minute), { amount: "5", model: "m" });
    await ingest("acc_1", "b", shift(start, hour), { amount: "7.5" });
    await ingest("acc_2", "c", shift(start, hour), { amount: "1" });
    await ingest("acc_1", "d", shift(start, 2 * hour), { amount: "-2" }, "b");
    expect(await total("first")).toBe("11.5");
  });

  test("a later one is right at once, from events, and stays right when it has been counted", async () => {
    const again = await define("again", { dimensions: [{ key: "model" }] });
    expect(again.rolledUp).toBe(false);
    expect(await total("again")).toBe("11.5");
    expect(await rollupsOf("again")).toEqual([]);
    await ingest("acc_1", "e", shift(start, 3 * hour), { amount: "100" });

    const state = await backfillMeter(env, "again", { eventsMax: 2 });
    expect(state).toMatchObject({ finished: true, accountCount: 2 });
    expect(await total("again")).toBe("111.5");
    expect(await rollupsOf("again")).toEqual(await rollupsOf("first"));

    await ingest("acc_1", "f", shift(start, 3 * hour), { amount: "1000" });
    expect(await rollupsOf("again")).toEqual(await rollupsOf("first"));
    expect(await backfillMeter(env, "again")).toMatchObject({ finished: true });
    expect(await rollupsOf("again")).toEqual(await rollupsOf("first"));
  });

  test("stopped after every slice and called again, it comes to the same", async () => {
    await define("halting", { aggregation: "latest" });
    const reference = await define("reference", { aggregation: "latest" });
    await backfillMeter(env, "reference");
    let calls = 0;
    for (;;) {
      calls++;
      const { finished } = await backfillMeter(env, "halting", { eventsMax: 1, timeoutMs: 0 });
      if (calls < 20)
        await ingest("acc_2", `h${calls}`, shift(start, calls * minute), { amount: String(calls) });
      if (finished || calls > 1000) break;
    }
    expect(calls).toBeGreaterThan(5);
    expect(await rollupsOf("halting")).toEqual(await rollupsOf(reference.meter.key));
    await backfillMeter(env, "halting", { restart: true, eventsMax: 3 });
    expect(await rollupsOf("halting")).toEqual(await rollupsOf(reference.meter.key));
  });

  test("events of one moment stay together", async () => {
    for (let i = 0; i < 7; i++)
      await ingest("acc_3", `same${i}`, shift(start, 5 * hour), { amount: "1" });
    await ingest("acc_3", "after", shift(start, 6 * hour), { amount: "1" });
    await define("moments");
    await backfillMeter(env, "moments", { eventsMax: 3 });
    expect(await rollupsOf("moments")).toHaveLength((await rollupsOf("first")).length);
    expect(await total("moments")).toBe(await total("first"));
  });

  test("a new dimension splits old events too, after they are counted again", async () => {
    const grown = await redefineMeter(env, author, "moments", { dimensions: [{ key: "model" }] });
    expect(grown).toMatchObject({ revision: 2, rolledUp: false });
    expect(await backfillMeter(env, "moments")).toMatchObject({ finished: true });
    expect(await rollupsOf("moments")).toEqual(await rollupsOf("first"));
  });

  test("a change in the middle makes it begin again", async () => {
    await define("moving");
    await backfillMeter(env, "moving", { eventsMax: 2, timeoutMs: 0 });
    await redefineMeter(env, author, "moving", { dimensions: [{ key: "model" }] });
    for (let calls = 0; calls < 1000; calls++)
      if ((await backfillMeter(env, "moving", { eventsMax: 2, timeoutMs: 0 })).finished) break;
    expect(await rollupsOf("moving")).toEqual(await rollupsOf("first"));
  });
});

test("while six writers send, a new meter misses no event and counts none twice", async () => {
  let stop = false;
  let sent = 0;
  const writers = Array.from({ length: 6 }, async (_, writer) => {
    for (let i = 0; !stop; i++) {
      // Some accounts are there before, some appear in the middle.
      const accountId = `acc_${(writer + i) % 4 === 0 ? `${writer}_${i}` : writer}`;
      await ingest(accountId, `w${writer}-${i}`, shift(start, ((sent * 7) % 2000) * minute), {
        amount: String(1 + (i % 5)),
        model: i % 2 ? "x" : "y",
      });
      sent++;
    }
  });
  const until = async (count: number) => {
    while (sent < count && !stop) await new Promise((resolve) => setTimeout(resolve, 5));
  };
  try {
    for (const round of [1, 2]) {
      await until(round * 60);
      const key = `raced-${round}`;
      await define(key, { dimensions: [{ key: "model" }] });
      await until(round * 60 + 10);
      // Two at once, as two impatient people would.
      await Promise.all([
        backfillMeter(env, key, { eventsMax: 40 }),
        backfillMeter(env, key, { eventsMax: 25 }),
      ]);
      expect((await findMeter(env.store.db, key))?.rolledUp).toBe(true);
    }
  } finally {
    stop = true;
    await Promise.all(writers);
  }
  const expected = await rollupsOf("first");
  expect(expected.length).toBeGreaterThan(100);
  for (const round of [1, 2]) expect(await rollupsOf(`raced-${round}`)).toEqual(expected);
});

test("the same under the real ingest, with corrections that take its slow path", async () => {
  env.at("2025-01-01T02:00:00Z");
  const house = await anInstallation(env, ["a", "b", "c"]);
  const ingest = openIngest(env.store);
  const sums = async (key: string) => {
    const { rows } = await sql<{ line: string }>`
      select concat_ws(' ', account_id, bucket_at, event_count, trim_scale(total), corrected) as line
      from usage_rollup where org_id = ${house.orgId} and meter_key = ${key} order by account_id, bucket_at
      `.execute(env.store.db);
    return rows.map(({ line }) => line);
  };
  let stop = false;
  let sent = 0;
  const writers = ["a", "b", "c"].map(async (name) => {
    for (let i = 0; !stop; i++) {
      const id = `${name}${i}`;
      const time = `2025-01-01T00:${String(sent % 60).padStart(2, "0")}:00Z`;
      const event = { id, subject: `web-${name}`, time, data: { value: String(2 + (i % 7)) } };
      const fates = await house.send(ingest, [event]);
      if (i % 3 === 0) {
        const correction = { ...event, id: `${id}c`, corrects: id, data: { value: "-1" } };
        fates.push(...(await house.send(ingest, [correction])));
      }
      stop ||= fates.some(({ kind }) => kind !== "accepted");
      expect(fates.map(({ kind }) => kind)).toEqual(fates.map(() => "accepted"));
      sent++;
    }
  });
  try {
    for (const key of ["later.1", "later.2"]) {
      const before = sent;
      while (sent < before + 30 && !stop) await new Promise((resolve) => setTimeout(resolve, 5));
      await house.publish({ key, event_type: "api.request", aggregation: "sum", unit: "call" });
      await backfillMeter(env, key, { eventsMax: 30 });
      expect((await findMeter(env.store.db, key))?.rolledUp).toBe(true);
    }
  } finally {
    stop = true;
    await Promise.all(writers);
  }
  const expected = await sums("api.calls");
  expect(expected.length).toBeGreaterThan(5);
  expect(await sums("later.1")).toEqual(expected);
  expect(await sums("later.2")).toEqual(expected);
});
