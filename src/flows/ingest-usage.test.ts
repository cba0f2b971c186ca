import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type TestEnv, testEnv } from "../../test/harness/database.ts";
import { anInstallation, type Installation } from "../../test/harness/installation.ts";
import { type Ingest, openIngest } from "./ingest-usage.ts";

let env: TestEnv;
let house: Installation;
let ingest: Ingest;

beforeAll(async () => {
  env = await testEnv({ at: "2025-02-01T00:00:05Z" });
});
beforeEach(async () => {
  house = await anInstallation(env);
  ingest = openIngest(env.store);
});
afterAll(() => env.close());

const kinds = async (events: object[]): Promise<string[]> => {
  const fates = await house.send(ingest, events);
  return fates.map((fate) =>
    fate.kind === "quarantined" ? fate.reason : fate.kind === "rejected" ? fate.code : fate.kind,
  );
};

describe("what becomes of an event", () => {
  test("an event is accepted once; the same again is a duplicate; other content is a conflict and logged", async () => {
    const event = { id: "e1", data: { value: "5" } };
    expect(await kinds([event])).toEqual(["accepted"]);
    expect(await kinds([event, event])).toEqual(["duplicate", "duplicate"]);
    expect(await kinds([{ id: "e1", data: { value: "6" } }])).toEqual(["conflict"]);
    expect(await house.sums()).toEqual({ "api.calls": "5" });
    expect(await house.count("usage_conflict")).toBe(1);
  });
});
