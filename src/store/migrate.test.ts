import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { emptyDatabase, type TestDatabase } from "../../test/harness/database.ts";
import { sha256Hex } from "../kit/hash.ts";
import { type Migration, migrate, migrationState, readMigrations } from "./migrate.ts";

const file = (number: number, name: string, sql: string): Migration => ({
  number,
  name: `${String(number).padStart(4, "0")}-${name}.sql`,
  sql,
  hash: sha256Hex(sql),
});

const first = file(1, "first", "create table one (a integer primary key);");
const second = file(2, "second", "create table two (a integer primary key);");

describe("migrate", () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await emptyDatabase();
  });
  afterAll(() => database.drop());

  test("processes that start together run each file once", async () => {
    const ran = await Promise.all(
      Array.from({ length: 6 }, () => migrate(database.url, [first, second])),
    );
    expect(ran.flat().toSorted()).toEqual([first.name, second.name]);
    expect(await migrationState(database.url, [first, second])).toEqual({
      applied: [first.name, second.name],
      pending: [],
    });
  });

  test("a released file is frozen", async () => {
    const edited = file(1, "first", `${first.sql} -- a small fix`);
    await expect(migrate(database.url, [edited, second])).rejects.toThrow(
      /0001-first.sql was changed after it ran/,
    );
  });

  test("an older program refuses a newer database", async () => {
    await expect(migrate(database.url, [first])).rejects.toThrow(/database is newer.*0002-second/);
  });

  test("a file that comes late is refused", async () => {
    const gap = [first, file(3, "third", "create table three (a integer);")];
    const other = await emptyDatabase();
    await migrate(other.url, gap);
    await expect(migrate(other.url, [...gap.slice(0, 1), second, ...gap.slice(1)])).rejects.toThrow(
      /0002-second.sql comes before 0003-third.sql/,
    );
    await other.drop();
  });

  test("a file that fails leaves nothing behind and says where", async () => {
    const broken = file(
      3,
      "broken",
      "create table three (a integer);\n\ninsert into nowhere values (1);",
    );
    await expect(migrate(database.url, [first, second, broken])).rejects.toThrow(
      /0003-broken.sql, line 3: relation "nowhere" does not exist/,
    );
    const { rows } = await database.store.pool.query("select to_regclass('three') as three");
    expect(rows).toEqual([{ three: null }]);
  });

  test("the shipped files are numbered without a gap to argue about and run on an empty database", async () => {
    const files = await readMigrations();
    expect(files.length).toBeGreaterThan(0);
    const other = await emptyDatabase();
    expect(await migrate(other.url)).toEqual(files.map(({ name }) => name));
    expect(await migrate(other.url)).toEqual([]);
    await other.drop();
  });
});
