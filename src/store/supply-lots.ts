import { sql } from "kysely";
import type { SupplyLot } from "../domain/revenue/index.ts";
import { currency } from "../kit/currency.ts";
import type { Decimal } from "../kit/decimal.ts";
import { money } from "../kit/money.ts";
import type { Instant } from "../kit/time.ts";
import { readDecimal, readInstant, writeDecimal, writeInstant } from "./columns.ts";
import type { Db } from "./connect.ts";

export async function insertSupplyLot(
  db: Db,
  lot: SupplyLot & { readonly supplier: string },
  now: Instant,
): Promise<void> {
  await db
    .insertInto("supply_lot")
    .values({
      lot_id: lot.id,
      pool: lot.family,
      supplier: lot.supplier,
      size: writeDecimal(lot.size),
      currency: lot.cost.currency,
      cost_minor: lot.cost.minor,
      bought_at: writeInstant(lot.boughtAt),
      created_at: writeInstant(now),
    })
    .execute();
}

/** The lots of a pool as they were bought, oldest first. */
export async function listSupplyLots(
  db: Db,
  pool?: string,
): Promise<(SupplyLot & { readonly supplier: string })[]> {
  let query = db.selectFrom("supply_lot").selectAll();
  if (pool !== undefined) query = query.where("pool", "=", pool);
  const rows = await query.orderBy("bought_at").orderBy("lot_id").execute();
  return rows.map((row) => ({
    id: row.lot_id,
    family: row.pool,
    supplier: row.supplier,
    size: readDecimal(row.size),
    remaining: readDecimal(row.size),
    cost: money(currency(row.currency), row.cost_minor),
    boughtAt: readInstant(row.bought_at),
  }));
}

/** Everything that was ever used of a pool, by everybody: prepaid or not, each unit came out of a lot. */
export async function getConsumption(db: Db, pool: string): Promise<Decimal> {
  const { rows } = await sql<{ total: string }>`
    select coalesce(sum(total), 0) as total from usage_rollup where meter_key = ${pool}`.execute(
    db,
  );
  return readDecimal(rows[0]?.total ?? "0");
}
