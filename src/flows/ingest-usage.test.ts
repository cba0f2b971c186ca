import { sql } from "kysely";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type TestEnv, testEnv } from "../../test/harness/database.ts";
import { anEvent, anInstallation, type Installation } from "../../test/harness/installation.ts";
import type { Fate } from "../domain/usage/index.ts";
import { openStore, type Store } from "../store/connect.ts";
import { verifyUsage } from "../store/usage-chain.ts";
import { type Ingest, openIngest } from "./ingest-usage.ts";
import { replayQuarantine } from "./replay-quarantine.ts";

let env: TestEnv;
let house: Installation;
let ingest: Ingest;

beforeAll(async () => {
  env = await testEnv({ at: "2025-02-01T00:00:05Z" });
});
beforeEach(async () => {
  house = await anInstallation(env);
  ingest = openIngest(env.store, { makeId: env.id });
});
afterEach(() => ingest.close());
afterAll(() => env.close());

const wordOf = (fate: Fate): string =>
  fate.kind === "quarantined" ? fate.reason : fate.kind === "rejected" ? fate.code : fate.kind;
const words = async (events: object[], by = ingest): Promise<string[]> =>
  (await house.send(by, events)).map(wordOf);
const calls = async () => (await house.sums())["api.calls"];
const proof = () => verifyUsage(env.store.db, { orgId: house.orgId });

describe("what becomes of an event", () => {
  test("an event is accepted once; the same again is a duplicate; other content is a conflict and logged", async () => {
    const event = { id: "e1", data: { value: "5", note: "x" } };
    expect(await words([event])).toEqual(["accepted"]);
    expect(await words([event, { ...event, data: { note: "x", value: "5" } }])).toEqual([
      "duplicate",
      "duplicate",
    ]);
    for (const value of ["6", "6", "7"])
      expect(await words([{ id: "e1", data: { value } }])).toEqual(["conflict"]);
    expect(await calls()).toBe("5");
    expect(await house.count("usage_conflict")).toBe(2);
    expect(await proof()).toEqual([]);
  });

  test("in one request: first come, first counted, also among twins", async () => {
    const twin = { id: "t" };
    expect(await words([twin, twin, { id: "t", data: { value: "2" } }])).toEqual([
      "accepted",
      "duplicate",
      "conflict",
    ]);
    expect(await calls()).toBe("1");
  });

  test.each([
    ["42abc", "invalid_value_type"],
    ["12.5", "invalid_value_type"],
    ["-1", "invalid_value_type"],
    ["", "invalid_value_type"],
    ["9223372036854775807", "accepted"],
    [7, "accepted"],
    [7.5, "invalid_value_type"],
    [undefined, "missing_value"],
  ])("a quantity of %j on an integer meter: %s", async (value, fate) => {
    expect(await words([{ id: `q${value}`, data: { value } }])).toEqual([fate]);
  });

  test("five minutes ahead is the sender's clock, thirty days ago is for a person to see", async () => {
    const at = async (time: string) => (await words([{ id: time, time }]))[0];
    expect(await at("2025-02-01T00:05:05Z")).toBe("accepted");
    expect(await at("2025-02-01T00:05:06Z")).toBe("future_event");
    expect(await at("2025-01-02T00:00:05Z")).toBe("accepted");
    expect(await at("2025-01-02T00:00:04Z")).toBe("too_old");
  });

  test("late by five seconds still counts in January", async () => {
    await words([{ id: "late", time: "2025-01-31T23:59:59.999Z" }]);
    const { rows } = await sql<{ bucket_at: string }>`
      select bucket_at from usage_rollup where org_id = ${house.orgId}`.execute(env.store.db);
    expect(rows).toEqual([{ bucket_at: "2025-01-31 23:45:00+00" }]);
  });

  test("the payer follows from project and time; what the data says about it is only data", async () => {
    await house.bind("web-a", "b", "2025-01-31T12:00:00Z");
    await words([
      { id: "before", time: "2025-01-31T11:59:59Z", data: { value: "1", billingAccount: "b" } },
      { id: "after", time: "2025-01-31T12:00:00Z", data: { value: "1", billingAccount: "a" } },
    ]);
    const { rows } = await sql<{ id: string; account_id: string }>`
      select id, account_id from usage_event where org_id = ${house.orgId} order by id desc`.execute(
      env.store.db,
    );
    expect(rows).toEqual([
      { id: "before", account_id: house.accountIds["a"] },
      { id: "after", account_id: house.accountIds["b"] },
    ]);
  });

  test("another organization's project is refused", async () => {
    const other = await anInstallation(env);
    const subject = await other.addProject("theirs");
    expect(await words([{ id: "x", subject }])).toEqual(["project_not_yours"]);
  });
});

describe("corrections", () => {
  test("40 of 100 taken back leave 60; both stay listed; more than is left is refused, also in a race", async () => {
    await words([{ id: "o", data: { value: "100" } }]);
    expect(await words([{ id: "c1", corrects: "o", data: { value: "-40" } }])).toEqual([
      "accepted",
    ]);
    expect(await calls()).toBe("60");
    const race = await Promise.all(
      [1, 2, 3, 4].map((n) => words([{ id: `r${n}`, corrects: "o", data: { value: "-50" } }])),
    );
    expect(race.flat().toSorted()).toEqual([
      "accepted",
      "correction_below_zero",
      "correction_below_zero",
      "correction_below_zero",
    ]);
    expect(await calls()).toBe("10");
    expect(await house.count("usage_event")).toBe(3);
    expect(await words([{ id: "c9", corrects: "unheard", data: { value: "-1" } }])).toEqual([
      "original_not_found",
    ]);
    expect(await proof()).toEqual([]);
  });

  test("a correction goes to the account that paid for the original, whoever pays today", async () => {
    await words([{ id: "o", time: "2025-01-31T00:00:00Z", data: { value: "9" } }]);
    await house.bind("web-a", "b", "2025-01-31T12:00:00Z");
    expect(await words([{ id: "c", corrects: "o", data: { value: "-9" } }])).toEqual(["accepted"]);
    const { rows } = await sql<{ account_id: string; n: bigint }>`
      select account_id, count(*) as n from usage_event where org_id = ${house.orgId} group by 1`.execute(
      env.store.db,
    );
    expect(rows).toEqual([{ account_id: house.accountIds["a"], n: 2n }]);
  });
});

describe("the quarantine", () => {
  const replay = (over: object = {}) =>
    replayQuarantine({ ...env, ingest }, { orgId: house.orgId, now: env.now(), ...over });

  test("an unknown meter: held once; published and replayed: billed once; replayed again: nothing", async () => {
    const event = { id: "u", type: "new.thing", data: { value: "3" } };
    expect(await words([event, event])).toEqual(["unknown_meter", "unknown_meter"]);
    expect(await words([event])).toEqual(["unknown_meter"]);
    expect(await replay()).toMatchObject({ replayed: 1, stillHeld: 1, accepted: 0 });
    await house.publish({
      key: "new",
      name: "New",
      event_type: "new.thing",
      aggregation: "sum",
      unit: "x",
    });
    expect(await replay()).toMatchObject({ replayed: 1, accepted: 1 });
    expect(await replay()).toMatchObject({ replayed: 0 });
    expect(await words([event])).toEqual(["duplicate"]);
    expect(await house.sums()).toEqual({ new: "3" });
    expect(await proof()).toEqual([]);
  });

  test("sent again after the cause is mended: counted, and the entry is closed", async () => {
    const event = { id: "v", subject: "later" };
    expect(await words([event])).toEqual(["attribution_failure"]);
    await house.addProject("later");
    await house.bind("later", "a", "2024-06-01T00:00:00Z");
    expect(await words([event])).toEqual(["accepted"]);
    expect(await replay()).toMatchObject({ replayed: 0 });
    expect(await calls()).toBe("1");
  });

  test("an undeclared dimension is held, a value outside the list refused, an old event let in by a person", async () => {
    await house.publish({
      key: "d",
      name: "D",
      event_type: "dim",
      aggregation: "sum",
      unit: "x",
      dimensions: [{ key: "area", values: ["eu"] }],
    });
    const at = (id: string, data: object) => ({ id, type: "dim", data: { value: "1", ...data } });
    expect(
      await words([
        at("d1", { dimensions: { mood: "x" } }),
        at("d2", { dimensions: { area: "mars" } }),
        at("d3", { dimensions: { area: "eu" } }),
        { ...at("d4", {}), time: "2024-12-01T00:00:00Z" },
      ]),
    ).toEqual(["invalid_dimensions", "dimension_value_not_allowed", "accepted", "too_old"]);
    expect(await replay({ reason: "too_old" })).toMatchObject({ replayed: 1, accepted: 1 });
    expect(await replay()).toMatchObject({ replayed: 1, stillHeld: 1 });
    expect(await house.count("usage_event")).toBe(2);
  });
});

describe("many at once", () => {
  test("200 identical sends at the same time are counted once", async () => {
    const answers = await Promise.all(
      Array.from({ length: 200 }, () => words([{ id: "same", data: { value: "5" } }])),
    );
    const kinds = answers.flat();
    expect(kinds.filter((kind) => kind === "accepted")).toHaveLength(1);
    expect(kinds.filter((kind) => kind === "duplicate")).toHaveLength(199);
    expect(await calls()).toBe("5");
  });

  test("one identity claimed for two accounts, through two processes: one wins, the other conflicts", async () => {
    const others: Store[] = [openStore(env.url), openStore(env.url)];
    const both = others.map((store) => openIngest(store, { makeId: env.id }));
    for (let round = 0; round < 25; round++) {
      const answers = await Promise.all(
        ["web-a", "web-b", "web-a", "web-b"].map((subject, index) =>
          words([{ id: `claim${round}`, subject }], both[index % 2 === round % 2 ? 0 : 1]),
        ),
      );
      expect(answers.flat().toSorted()).toEqual(["accepted", "conflict", "conflict", "duplicate"]);
    }
    expect(await calls()).toBe("25");
    expect(await proof()).toEqual([]);
    for (const one of both) await one.close();
    for (const store of others) await store.db.destroy();
  });

  test("two processes writing to the same accounts: no gap, no loss, nothing twice", async () => {
    const others = [openStore(env.url), openStore(env.url)];
    const both = others.map((store, index) =>
      openIngest(store, { makeId: env.id, unnamedStatements: index === 1 }),
    );
    let accepted = 0;
    const writer = async (number: number) => {
      for (let turn = 0; turn < 12; turn++) {
        const events = Array.from({ length: 20 }, (_, index) => ({
          id: `w${number % 4}-${turn}-${index}`,
          subject: index % 2 === 0 ? "web-a" : "web-b",
        }));
        const kinds = await words(events, both[number % 2]);
        accepted += kinds.filter((kind) => kind === "accepted").length;
        expect(kinds.every((kind) => kind === "accepted" || kind === "duplicate")).toBe(true);
      }
    };
    await Promise.all([0, 1, 2, 3, 4, 5, 6, 7].map(writer));
    expect(accepted).toBe(4 * 12 * 20);
    expect(await calls()).toBe(String(4 * 12 * 20));
    expect(await proof()).toEqual([]);
    for (const one of both) await one.close();
    for (const store of others) await store.db.destroy();
  });

  test("more than is held in memory is refused with 429 at once, and all arrives when sent again", async () => {
    const small = openIngest(env.store, { makeId: env.id, queuedEventsMax: 200 });
    let refused = 0;
    const sendUntilTaken = async (events: object[]) => {
      for (;;) {
        try {
          return await words(events, small);
        } catch (error) {
          expect((error as { code?: string }).code).toBe("ingest_busy");
          refused++;
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
      }
    };
    await Promise.all(
      Array.from({ length: 30 }, (_, request) =>
        sendUntilTaken(Array.from({ length: 50 }, (_, index) => ({ id: `b${request}-${index}` }))),
      ),
    );
    expect(refused).toBeGreaterThan(0);
    expect(await calls()).toBe("1500");
    expect(small.queuedEvents).toBe(0);
    await small.close();
  });

  test("a change of payer or meter that has been committed is never missed", async () => {
    await words([{ id: "warm" }]);
    for (let round = 0; round < 10; round++) {
      await house.bind("web-a", round % 2 === 0 ? "b" : "a", `2025-01-31T0${round}:00:00Z`);
      await words([{ id: `n${round}`, time: `2025-01-31T0${round}:30:00Z` }]);
    }
    const { rows } = await sql<{ account_id: string; ids: string[] }>`
      select account_id, array_agg(id order by id) as ids from usage_event
      where org_id = ${house.orgId} and id like 'n%' group by 1`.execute(env.store.db);
    const of = (name: string) => rows.find((row) => row.account_id === house.accountIds[name])?.ids;
    expect(of("b")).toEqual(["n0", "n2", "n4", "n6", "n8"]);
    expect(of("a")).toEqual(["n1", "n3", "n5", "n7", "n9"]);
    await house.publish({
      key: "more",
      name: "More",
      event_type: "api.request",
      aggregation: "count",
      unit: "x",
    });
    await words([{ id: "counted" }]);
    expect((await house.sums())["more"]).toBe("1");
  });
});

describe("what is stored", () => {
  test("the application's role can neither change nor delete an event", async () => {
    await words([{ id: "kept" }]);
    const store = openStore(env.url, { role: "tallyline_app" });
    for (const statement of ["update usage_event set data = '{}'", "delete from usage_event"])
      await expect(sql.raw(statement).execute(store.db)).rejects.toThrow(/permission denied/);
    await store.db.destroy();
  });

  test("10,000 events: the chain holds; one stored quantity changed by hand is named", async () => {
    for (let part = 0; part < 10; part++)
      await ingest.submit({
        orgId: house.orgId,
        now: env.now(),
        events: Array.from({ length: 1_000 }, (_, index) =>
          anEvent(
            {
              id: `m${part}-${index}`,
              subject: index % 3 ? "web-a" : "web-b",
              data: { value: String(index) },
            },
            env.now(),
          ),
        ),
      });
    expect(await proof()).toEqual([]);
    const owner = openStore(env.url);
    await sql`update usage_event set data = '{"value":"999"}'
              where org_id = ${house.orgId} and id = 'm4-7'`.execute(owner.db);
    await owner.db.destroy();
    const faults = await proof();
    expect(faults.map(({ id }) => id)).toEqual(["m4-7"]);
  });
});
