import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { z } from "@hono/zod-openapi";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type TestApi, testApi } from "../../test/harness/api.ts";
import { Problem } from "../domain/refusals/index.ts";
import { forgetAnswers } from "../flows/forget-answers.ts";
import { createProject } from "../flows/manage-projects.ts";
import { endpoint } from "./endpoint.ts";
import { readIdempotencyKey } from "./idempotency.ts";
import { endpoints } from "./routes.ts";

/** What the flow of the test endpoint meets on its way: set by each test. */
let meet: { before?: () => void | Promise<void>; after?: () => void | Promise<void> } = {};

const make = endpoint({
  method: "POST",
  path: "/v1/organizations/{organization}/test-projects",
  id: "makeTestProject",
  group: "Test",
  summary: "Create a project on a bumpy road",
  permission: "projects.write",
  body: z.strictObject({ slug: z.string() }),
  response: z.strictObject({ id: z.string() }),
  success: 201,
  problems: ["slug_taken", "project_closed"],
  run: async (env, { organization, author, body }) => {
    await meet.before?.();
    const project = await createProject(env, author, organization.id, {
      slug: body.slug,
      name: body.slug,
    });
    await meet.after?.();
    return { id: project.id };
  },
});

let api: TestApi;
beforeAll(async () => {
  api = await testApi({ app: { endpoints: [...endpoints, make] } });
});
afterEach(() => {
  meet = {};
});
afterAll(() => api.close());

const path = "/v1/organizations/acme/test-projects";
const send = (key: string, slug: string) =>
  api.post(path, { slug }, { headers: { "idempotency-key": key } });
const count = async (slug: string) =>
  (await api.env.store.db.selectFrom("project").select("slug").where("slug", "=", slug).execute())
    .length;
const crash = () => {
  throw new Error("the process died here");
};

describe("a crash", () => {
  test("before the effect leaves nothing, and the retry runs", async () => {
    meet = { before: crash };
    expect((await send("crash-1", "one")).status).toBe(500);
    meet = {};
    expect((await send("crash-1", "one")).status).toBe(201);
    expect(await count("one")).toBe(1);
  });

  test("between effect and answer undoes the effect: the retry has it once, with its answer", async () => {
    meet = { after: crash };
    expect((await send("crash-2", "two")).status).toBe(500);
    expect(await count("two")).toBe(0);
    meet = {};
    const first = await send("crash-2", "two");
    expect((await send("crash-2", "two")).text).toBe(first.text);
    expect(await count("two")).toBe(1);
  });

  test("of a process that is gone leaves a claim, which is in the way for a minute and then taken over", async () => {
    const road = blocked();
    meet = { before: road.pass };
    const sleeper = send("crash-3", "three");
    await road.reached;
    meet = {};
    const early = await send("crash-3", "three");
    expect([early.status, early.json.code]).toEqual([409, "idempotency_key_in_flight"]);
    expect(early.headers.get("retry-after")).toBe("1");

    api.env.at("2025-01-01T00:02:00Z");
    const taken = await send("crash-3", "three");
    expect(taken.status).toBe(201);
    // The first was only asleep. It wakes up, finds its claim gone, and has no effect.
    road.open();
    expect((await sleeper).status).not.toBe(201);
    expect((await send("crash-3", "three")).text).toBe(taken.text);
    expect(await count("three")).toBe(1);
  });
});

/** A road on which whoever arrives waits until it is opened. */
function blocked() {
  let arrive: () => void = () => {};
  let open: () => void = () => {};
  const reached = new Promise<void>((resolve) => {
    arrive = resolve;
  });
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  const pass = () => {
    arrive();
    return opened;
  };
  return { reached, pass, open: () => open() };
}

test("a refusal is an answer too: the same again, even when it would succeed by now", async () => {
  meet = {
    before: () => {
      throw new Problem("project_closed");
    },
  };
  const first = await send("refused-1", "four");
  expect(first.status).toBe(409);
  meet = {};
  const again = await send("refused-1", "four");
  expect([again.status, again.text]).toEqual([409, first.text]);
  expect(again.headers.get("content-type")).toBe("application/problem+json");
});

test("answers are kept for 30 days, then forgotten", async () => {
  expect((await send("kept", "kept")).status).toBe(201);
  api.env.at("2025-01-30T00:00:00Z");
  expect((await send("kept", "kept")).headers.get("idempotency-replayed")).toBe("true");
  api.env.at("2025-02-02T00:00:00Z");
  await forgetAnswers(api.env);
  expect((await send("kept", "kept")).json.code).toBe("slug_taken");
});

test("two organizations may use the same key, and another body under it is refused", async () => {
  expect((await send("shared", "five")).status).toBe(201);
  const other = await api.post(
    "/v1/organizations/globex/test-projects",
    { slug: "five" },
    { headers: { "idempotency-key": "shared" } },
  );
  expect(other.status).toBe(201);
  expect((await send("shared", "six")).status).toBe(422);
});

test("the header is a structured string or bare, up to 255 printable characters", async () => {
  expect(readIdempotencyKey('"8e03978e-40d5"')).toBe("8e03978e-40d5");
  expect(readIdempotencyKey("8e03978e-40d5")).toBe("8e03978e-40d5");
  expect(readIdempotencyKey('"a \\"b\\""')).toBe('a "b"');
  expect(readIdempotencyKey(undefined)).toBeUndefined();
  for (const bad of ["", '""', "x".repeat(256), "a\u0007"])
    expect(() => readIdempotencyKey(bad), bad).toThrow(Problem);
});

const cases = new URL("../../../shared/cases/docs.json", import.meta.url);
test.skipIf(!existsSync(cases))(
  "answers as draft-ietf-httpapi-idempotency-key-header says",
  async () => {
    const all = JSON.parse(await readFile(cases, "utf8")) as {
      kind: string;
      input: { situations: string[] };
      expected: { status: string[] };
    }[];
    const found = all.find((one) => one.kind === "idempotency_status");
    const expected = new Map(
      found?.input.situations.map((name, n) => [name, found.expected.status[n]]),
    );
    await send("draft-1", "seven");
    expect(String((await send("draft-1", "other")).status)).toBe(
      expected.get("same key different payload"),
    );
    expect((await send("draft-1", "seven")).status).toBe(201);
    const road = blocked();
    meet = { before: road.pass };
    const first = send("draft-2", "eight");
    await road.reached;
    expect(String((await send("draft-2", "eight")).status)).toBe(
      expected.get("same key while first in flight"),
    );
    road.open();
    await first;
  },
);
