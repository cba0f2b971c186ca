import { afterAll, beforeAll, expect, test } from "vitest";
import { emptyDatabase, type TestEnv, testEnv } from "../../test/harness/database.ts";
import { openPool } from "./connect.ts";
import { migrate } from "./migrate.ts";
import {
  applicationRole,
  grantToApplication,
  mayActAsApplication,
  writtenOnce,
} from "./privileges.ts";

let env: TestEnv;
beforeAll(async () => {
  env = await testEnv();
});
afterAll(() => env.close());

test.each(Object.entries(writtenOnce))(
  "the product cannot delete or rewrite %s",
  async (table, columns) => {
    const { pool } = env.store;
    const refused = new RegExp(`permission denied for table ${table}`);
    await expect(pool.query(`delete from ${table}`)).rejects.toThrow(refused);
    await expect(pool.query(`truncate ${table}`)).rejects.toThrow(refused);
    const { rows } = await env.owner.query<{ name: string }>(
      "select attname as name from pg_attribute where attrelid = $1::regclass and attnum > 0 and not attisdropped",
      [table],
    );
    for (const { name } of rows) {
      const update = pool.query(`update ${table} set ${name} = null where false`);
      if ((columns as readonly string[]).includes(name)) await update;
      else await expect(update).rejects.toThrow(refused);
    }
  },
);

test("the product cannot change tables, roles or the list of migrations", async () => {
  const { pool } = env.store;
  await expect(pool.query("drop table usage_event")).rejects.toThrow(/must be owner/);
  await expect(pool.query("delete from migration")).rejects.toThrow(/permission denied/);
  await expect(pool.query("create table mine (a integer)")).rejects.toThrow(/permission denied/);
});

test("rights that are already right are not written again", async () => {
  const stamp =
    "select sum(xmin::text::bigint) as stamp from pg_class where relname not like 'pg_%'";
  const before = await env.owner.query(stamp);
  const client = await env.owner.connect();
  await client.query("begin");
  expect(await grantToApplication(client)).toBe(true);
  await client.query("commit");
  client.release();
  expect((await env.owner.query(stamp)).rows).toEqual(before.rows);
});

test("an owner who may not create roles migrates all the same", async () => {
  const database = await emptyDatabase();
  const { owner, url } = database;
  const name = `plain_${env.id("request").slice(4)}`;
  await owner.query(`create role ${name} login password 'secret'`);
  await owner.query(`alter schema public owner to ${name}`);
  await owner.query(`grant create on database ${new URL(url).pathname.slice(1)} to ${name}`);
  const plainUrl = url.replace(/\/\/[^@]+@/, `//${name}:secret@`);
  expect((await migrate(plainUrl)).length).toBeGreaterThan(0);
  const pool = openPool(plainUrl, { connectionsMax: 1 });
  expect(await mayActAsApplication(pool)).toBe(false);
  await pool.end();
  await owner.query(`drop owned by ${name} cascade`);
  await database.drop();
  await env.owner.query(`drop role ${name}`);
});

test("a pool can act as the role from its first statement", async () => {
  const pool = openPool(env.url, { connectionsMax: 1, role: applicationRole });
  const { rows } = await pool.query(
    "select current_user as who, current_setting('timezone') as zone",
  );
  expect(rows).toEqual([{ who: applicationRole, zone: "UTC" }]);
  await pool.end();
});
