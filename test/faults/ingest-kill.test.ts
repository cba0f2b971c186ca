import { CloudEvent, HTTP } from "cloudevents";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { measureRollups } from "./usage-recount.ts";
import { verifyUsage } from "../../src/store/usage-chain.ts";
import { type TestApi, testApi } from "../harness/api.ts";
import { type Program, startProgram } from "../harness/program.ts";
import { publishMeter } from "../harness/installation.ts";

let api: TestApi;
let program: Program;

beforeAll(async () => {
  api = await testApi();
  await publishMeter(api.env, {
    key: "tokens",
    name: "Tokens",
    event_type: "llm.call",
    aggregation: "sum",
    value_property: "tokens",
    unit: "token",
  });
  program = await startProgram(api.env.url, api.env.pepper);
});
afterAll(async () => {
  await program.kill();
  await api.close();
});

const portOf = (address: string) => Number(new URL(address).port);
const post = (headers: Record<string, string>, body: string) =>
  fetch(`${program.address}/v1/events`, {
    method: "POST",
    headers: { authorization: `Bearer ${api.keys.ingest}`, ...headers },
    body,
    signal: AbortSignal.timeout(10_000),
  });
const aTime = () => new Date(Date.now() - 60_000).toISOString();

describe("the running program", () => {
  test("takes what the CloudEvents SDK sends, binary and structured", async () => {
    const event = (id: string) =>
      new CloudEvent({
        id,
        source: "https://example.com/sdk",
        type: "llm.call",
        subject: "web",
        time: aTime(),
        data: { tokens: "3" },
      });
    for (const [id, message] of [
      ["binary", HTTP.binary(event("binary"))],
      ["structured", HTTP.structured(event("structured"))],
    ] as const) {
      const answer = await post(message.headers as Record<string, string>, String(message.body));
      expect(await answer.json()).toMatchObject({
        accepted: 1,
        events: [{ id, status: "accepted" }],
      });
      expect(answer.status).toBe(200);
    }
  });

  test("killed five times under eight writers that retry: 10,000 events stored, each once, none that was acknowledged missing", async () => {
    const total = 10_000;
    const acknowledged = new Set<string>();
    let next = 0;
    let unanswered = 0;
    const writer = async (number: number) => {
      while (next < total) {
        const size = Math.min(total - next, number % 2 === 0 ? 25 : 10);
        const from = next;
        next += size;
        const ids = Array.from({ length: size }, (_, index) => `k${from + index}`);
        const time = aTime();
        const body = JSON.stringify(
          ids.map((id) => ({ id, type: "llm.call", subject: "web", time, data: { tokens: "7" } })),
        );
        for (let done = false; !done; ) {
          try {
            const answer = await post({ "content-type": "application/json" }, body);
            const { events } = (await answer.json()) as {
              events: { id: string; status: string }[];
            };
            expect(answer.status).toBe(200);
            for (const { id } of events) acknowledged.add(id);
            done = true;
          } catch (error) {
            if ((error as Error).name === "AssertionError") throw error;
            unanswered++;
            await new Promise((resolve) => setTimeout(resolve, 50));
          }
        }
      }
    };
    let writing = true;
    const killer = async () => {
      const port = portOf(program.address);
      for (let kill = 1; kill <= 5 && writing; kill++) {
        // Not by the clock: each time a further sixth has been acknowledged.
        while (writing && acknowledged.size < (total * kill) / 6)
          await new Promise((resolve) => setTimeout(resolve, 2));
        await program.kill();
        program = await startProgram(api.env.url, api.env.pepper, port);
      }
    };
    const killing = killer();
    await Promise.all([0, 1, 2, 3, 4, 5, 6, 7].map(writer));
    writing = false;
    await killing;

    const { rows } = await api.env.owner.query<{
      stored: string;
      ids: string;
      last: string;
      seqs: string;
    }>(
      `select count(*) as stored, count(distinct id) as ids, max(seq) as last, count(distinct seq) as seqs
       from usage_event where source = 'api'`,
    );
    expect(acknowledged.size).toBe(total);
    expect(Number(rows[0]?.stored)).toBe(total);
    expect(Number(rows[0]?.ids)).toBe(total);
    expect(unanswered).toBeGreaterThan(0);
    expect(await measureRollups(api.env.owner)).toEqual({ differing: 0, events: total + 2 });
    expect(await verifyUsage(api.env.store.db, { orgId: api.organization.id })).toEqual([]);
  });
});
