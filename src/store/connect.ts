import { Kysely, PostgresDialect, type Transaction } from "kysely";
import pg from "pg";
import type { Tables } from "./tables.ts";

/** The database as flows see it: a pool, or one open transaction. */
export type Database = Kysely<Tables>;
export type Tx = Transaction<Tables>;
/** What a store function needs when it does not care whether a transaction is open. */
export type Db = Kysely<Tables>;

const oid = {
  int8: 20,
  numeric: 1700,
  timestamptz: 1184,
  date: 1082,
  json: 114,
  jsonb: 3802,
} as const;

/**
 * Column values as they leave the driver: `bigint` for int8 (minor units, sequences), text for numeric (nothing may pass
 * through a float), text for timestamptz (a JavaScript Date would lose the microseconds) and for dates. `store/columns.ts`
 * turns them into Decimal and Instant.
 */
const parsers: pg.CustomTypesConfig = {
  getTypeParser: ((id: number, format?: "text" | "binary") => {
    if (format === "binary") return pg.types.getTypeParser(id as never, "binary");
    switch (id) {
      case oid.int8:
        return BigInt;
      case oid.numeric:
      case oid.timestamptz:
      case oid.date:
        return (text: string) => text;
      default:
        return pg.types.getTypeParser(id as never, "text");
    }
  }) as pg.CustomTypesConfig["getTypeParser"],
};

export type PoolOptions = {
  readonly connectionsMax?: number;
  readonly applicationName?: string;
  /** Act as this role from the first statement on. */
  readonly role?: string | undefined;
  /** Values as the driver gives them, for code that is not ours. */
  readonly driverTypes?: boolean;
  /** For transaction poolers that know no prepared statements. */
  readonly unnamedStatements?: boolean;
};

const sessionSettings = [
  "TimeZone=UTC",
  "DateStyle=ISO,MDY",
  "IntervalStyle=iso_8601",
  "bytea_output=hex",
];

/** A pool whose every session speaks UTC and ISO dates, whatever the server's defaults. */
export function openPool(connectionString: string, options: PoolOptions = {}): pg.Pool {
  const pool = new pg.Pool({
    connectionString,
    max: options.connectionsMax ?? 10,
    ...(options.driverTypes ? {} : { types: parsers }),
    application_name: options.applicationName ?? "tallyline",
    options: [...sessionSettings, ...(options.role ? [`role=${options.role}`] : [])]
      .map((setting) => `-c ${setting}`)
      .join(" "),
  });
  // An idle connection that the server closed is replaced on the next query; without a listener it would end the process.
  pool.on("error", () => {});
  // The same for one that breaks between two statements of a transaction: the next statement fails, which is enough.
  pool.on("connect", (client) => client.on("error", () => {}));
  return pool;
}

/** The one store: `db` for everyday queries, `pool` where a statement needs its own connection (COPY, cursors, locks). */
export type Store = {
  readonly db: Database;
  readonly pool: pg.Pool;
  /** What is prepared once is prepared without a name each time: see `PoolOptions`. */
  readonly unnamedStatements?: boolean;
};

export function openStore(connectionString: string, options: PoolOptions = {}): Store {
  const pool = openPool(connectionString, options);
  return {
    pool,
    db: openDatabase(pool),
    unnamedStatements: options.unnamedStatements ?? false,
  };
}

function openDatabase(pool: pg.Pool): Database {
  return new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) });
}
