import { sql } from "kysely";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type TestEnv, testEnv } from "../../test/harness/database.ts";
import { readInstant, writeInstant } from "./columns.ts";
import { brokenConstraint, transaction } from "./transaction.ts";

let env: TestEnv;
beforeAll(async () => {
  env = await testEnv();
});
afterAll(() => env.close());

const organization = (slug: string) => ({
  org_id: env.id("organization"),
  slug,
  name: slug,
  created_at: writeInstant(env.now()),
});

test("work that fails leaves nothing, work that succeeds is kept", async () => {
  const { db } = env.store;
  await expect(
    transaction(db, async (tx) => {
      await tx.insertInto("organization").values(organization("undone")).execute();
      throw new Error("stop");
    }),
  ).rejects.toThrow("stop");
  await transaction(db, (tx) =>
    tx.insertInto("organization").values(organization("kept")).execute(),
  );
  const slugs = await db.selectFrom("organization").select("slug").execute();
  expect(slugs).toEqual([{ slug: "kept" }]);
});

test("a conflict between transactions is run again", async () => {
  let attempts = 0;
  await transaction(env.store.db, async (tx) => {
    attempts += 1;
    if (attempts < 3)
      await sql`do $$ begin raise exception 'x' using errcode = '40001'; end $$`.execute(tx);
  });
  expect(attempts).toBe(3);
});

test("the broken constraint is named", async () => {
  const { db } = env.store;
  await db.insertInto("organization").values(organization("twice")).execute();
  const error = await db
    .insertInto("organization")
    .values(organization("twice"))
    .execute()
    .catch((e: unknown) => e);
  expect(brokenConstraint(error)).toBe("organization_slug_once");
});

test("instants keep their microseconds and whole numbers their size, whatever zone the server speaks", async () => {
  const at = readInstant("2025-03-30 01:02:03.000004+00");
  const { rows } = await env.store.pool.query(
    "select $1::timestamptz as at, 9223372036854775807::int8 as big, 0.10::numeric as exact, '2025-03-30'::date as day",
    [writeInstant(at)],
  );
  expect(readInstant(rows[0].at)).toBe(at);
  expect(rows[0]).toMatchObject({ big: 9223372036854775807n, exact: "0.10", day: "2025-03-30" });
});
