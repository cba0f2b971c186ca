import { afterAll, beforeAll, expect, test } from "vitest";
import { drawFrom, openPool, type Units } from "../domain/grants/index.ts";
import type { Instant } from "../kit/time.ts";
import { instant } from "../kit/time.ts";
import { type TestEnv, testEnv } from "../../test/harness/database.ts";
import { sql } from "kysely";
import { listCoverage, loadOpenGrants, poolKey, saveDraws } from "./grants.ts";
import { transaction } from "./transaction.ts";

let env: TestEnv;
beforeAll(async () => {
  env = await testEnv({ at: "2025-01-20T00:00:00Z" });
  await sql`insert into organization (org_id, slug, name, created_at) values ('org_a', 'a', 'A', now())`.execute(
    env.store.db,
  );
  await sql`insert into billing_account (org_id, account_id, slug, name, currency, created_at)
            values ('org_a', 'acc_a', 'a', 'A', 'USD', now())`.execute(env.store.db);
});
afterAll(() => env.close());

async function fund(
  pool: string,
  sizes: readonly { size: number; ends: string; lapsed?: number }[],
) {
  for (const [index, { size, ends, lapsed = 0 }] of sizes.entries())
    await sql`insert into account_grant (org_id, grant_id, account_id, pool, denomination, origin, draw_rank, priority,
                valid_from, expires_at, size, remaining, expired, has_units, after_seq, created_at)
              values ('org_a', ${`grt_${pool}${index}`}, 'acc_a', ${pool}, 'units', 'purchase', 1, 50,
                '2025-01-01', ${ends}, ${size}, ${size - lapsed}, ${lapsed}, ${size > lapsed}, 0, now())`.execute(
      env.store.db,
    );
}

const at = instant("2025-01-19T12:00:00Z");
const needOf = (pool: string, need: Units, from: Instant = at) => ({
  orgId: "org_a",
  accountId: "acc_a",
  pool,
  need,
  from,
  to: at,
});

test("only as many grants are loaded as the coming draws can touch", async () => {
  await fund(
    "many",
    Array.from({ length: 600 }, (_, day) => ({
      size: 1,
      ends: `20${26 + Math.floor(day / 28)}-02-01`,
    })),
  );
  const few = await loadOpenGrants(env.store.db as never, [needOf("many", 2)], env.now());
  expect(few.get(poolKey(needOf("many", 2)))).toHaveLength(4);
  const all = await loadOpenGrants(env.store.db as never, [needOf("many", 700)], env.now());
  expect(all.get(poolKey(needOf("many", 2)))).toHaveLength(600);
  expect((await loadOpenGrants(env.store.db as never, [needOf("none", 2)], env.now())).size).toBe(
    0,
  );
});

test("draws are written as movements and sums; a late event takes back what lapsed", async () => {
  await fund("sms", [
    { size: 10, ends: "2025-01-19T13:00:00Z", lapsed: 10 },
    { size: 20, ends: "2025-02-09" },
  ]);
  const left = await transaction(env.store.db, async (tx) => {
    const need = needOf("sms", 25);
    const pool = openPool((await loadOpenGrants(tx, [need], env.now())).get(poolKey(need)) ?? []);
    const overage = drawFrom(pool, { quantity: 25, at, periodOpen: true }, 7);
    await saveDraws(
      tx,
      [{ orgId: "org_a", accountId: "acc_a", parts: pool.parts }],
      env.id,
      env.now(),
    );
    return overage;
  });
  expect(left).toBe(0);
  const { rows } =
    await sql`select grant_id, remaining, drawn, expired, has_units from account_grant
                             where pool = 'sms' order by 1`.execute(env.store.db);
  expect(rows).toEqual([
    { grant_id: "grt_sms0", remaining: "0", drawn: "10", expired: "0", has_units: false },
    { grant_id: "grt_sms1", remaining: "5", drawn: "15", expired: "0", has_units: true },
  ]);
  const movements = await sql`select grant_id, kind, quantity, from_seq from grant_movement
                              order by movement_id`.execute(env.store.db);
  expect(movements.rows).toEqual([
    { grant_id: "grt_sms0", kind: "unexpired", quantity: "10", from_seq: 7n },
    { grant_id: "grt_sms0", kind: "drawn", quantity: "-10", from_seq: 7n },
    { grant_id: "grt_sms1", kind: "drawn", quantity: "-15", from_seq: 7n },
  ]);
  expect(
    await listCoverage(env.store.db, [
      {
        orgId: "org_a",
        accountId: "acc_a",
        startsAt: instant("2025-01-01T00:00:00Z"),
        untilSeq: null,
        endsAt: instant("2025-02-01T00:00:00Z"),
      },
    ]),
  ).toEqual([{ span: 0, pool: "sms", bucketAt: instant("2025-01-19T12:00:00Z"), quantity: 25 }]);
});

test("the database itself refuses to go below zero", async () => {
  const broken =
    sql`update account_grant set remaining = remaining - 100, drawn = drawn + 100, has_units = false
                     where grant_id = 'grt_sms1'`.execute(env.store.db);
  await expect(broken).rejects.toThrow(/account_grant_(remaining_check|has_units)/);
});
