import { sql } from "kysely";
import { type Meter, readMeter } from "../domain/catalog/index.ts";
import { assert } from "../kit/assert.ts";
import { isId } from "../kit/ids.ts";
import type { Instant } from "../kit/time.ts";
import { readInstant } from "./columns.ts";
import type { Db, Tx } from "./connect.ts";

/** A meter and what is known about it beside its definition. */
export type KnownMeter = {
  readonly id: string;
  readonly meter: Meter;
  /** Counts its changes, from 1. */
  readonly revision: number;
  /** Whether rollups hold everything it measures; until a back-fill is through, figures come from the events. */
  readonly rolledUp: boolean;
  readonly createdAt: Instant;
};

/** Find a meter by key or id. */
export async function findMeter(db: Db, reference: string): Promise<KnownMeter | undefined> {
  const column = isId("meter", reference) ? sql`meter_id` : sql`key`;
  const { rows } = await sql<Row>`
    select ${columns} from meter where ${column} = ${reference}`.execute(db);
  return rows[0] && meterOf(rows[0]);
}

/** The same, held until commit. */
export async function lockMeter(tx: Tx, reference: string): Promise<KnownMeter | undefined> {
  const column = isId("meter", reference) ? sql`meter_id` : sql`key`;
  const { rows } = await sql<Row>`
    select ${columns} from meter where ${column} = ${reference} for update`.execute(tx);
  return rows[0] && meterOf(rows[0]);
}

/** Meters by key, from after a key on. */
export async function listMeters(
  db: Db,
  page: { readonly afterKey?: string | undefined; readonly limit: number },
): Promise<KnownMeter[]> {
  const { rows } = await sql<Row>`
    select ${columns} from meter where key > ${page.afterKey ?? ""} order by key limit ${page.limit}
    `.execute(db);
  return rows.map(meterOf);
}

type Row = {
  meter_id: string;
  key: string;
  status: Meter["status"];
  definition: Record<string, unknown>;
  revision: number;
  rolled_up: boolean;
  created_at: string;
};

const columns = sql`meter_id, key, status, definition, revision, rolled_up, created_at`;

function meterOf(row: Row): KnownMeter {
  const { meter, faults } = readMeter({ ...row.definition, key: row.key, status: row.status });
  assert(meter, `meter ${row.key} is stored as ${JSON.stringify(faults)}`);
  return {
    id: row.meter_id,
    meter,
    revision: row.revision,
    rolledUp: row.rolled_up,
    createdAt: readInstant(row.created_at),
  };
}
