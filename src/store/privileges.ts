import pg from "pg";
import type { Tables } from "./tables.ts";

/**
 * The role that serves requests. Whatever bug or injected statement there may be, it cannot change what is written once:
 * the database refuses. Migrations and backups run as the owner.
 */
export const applicationRole = "tallyline_app";

/** Written once: no DELETE, and UPDATE of the named columns only. */
export const writtenOnce: { readonly [T in keyof Tables]?: readonly (keyof Tables[T])[] } = {
  account_credit: [],
  account_payer: [],
  audit_entry: [],
  binding: [],
  dispute_message: [],
  grant_movement: ["posted_in"],
  invoice: ["status", "voided_after"],
  invoice_line: [],
  meter_revision: [],
  plan_version: [],
  ledger_lock: [],
  ledger_posting: [],
  ledger_transaction: [],
  payment: [],
  price: [],
  price_correction: ["status", "decided_by", "decided_at"],
  price_correction_effect: ["note_id"],
  recognition_policy: [],
  supply_lot: [],
  price_confirmation: [],
  subscription_change: [],
  usage_conflict: [],
  usage_event: [],
};

/**
 * Give the role what it needs on every table, and no more. Made for servers of other people too: where the owner may not
 * create roles, everything runs as the owner, and false is the answer (`tallyline doctor` says so).
 */
export async function grantToApplication(client: pg.ClientBase): Promise<boolean> {
  if (!(await ensureRole(client))) return false;
  const { rows } = await client.query<{ name: string; once: boolean; columns: string[] }>(missing, [
    applicationRole,
    JSON.stringify(writtenOnce),
  ]);
  for (const { name, once, columns } of rows) {
    const table = `public.${pg.escapeIdentifier(name)}`;
    await client.query(`revoke all on ${table} from ${applicationRole}`);
    const rights = name === "migration" ? "select" : "select, insert, update, delete";
    await client.query(
      `grant ${once ? "select, insert" : rights} on ${table} to ${applicationRole}`,
    );
    if (columns.length > 0) {
      const list = columns.map((column) => pg.escapeIdentifier(column)).join(", ");
      await client.query(`grant update (${list}) on ${table} to ${applicationRole}`);
    }
  }
  return true;
}

/**
 * The same for the queue of jobs, which has a schema of its own whose tables let nobody but their owner see a row. A second
 * run finds nothing missing and writes nothing.
 */
export async function grantQueueToApplication(client: pg.ClientBase): Promise<void> {
  if (!(await mayActAsApplication(client))) return;
  const { rows } = await client.query<{ name: string; policed: boolean }>(queueTables, [
    applicationRole,
  ]);
  if (rows.length === 0) return;
  await client.query(`grant usage on schema ${queueSchema} to ${applicationRole}`);
  await client.query(
    `grant usage, select on all sequences in schema ${queueSchema} to ${applicationRole}`,
  );
  for (const { name, policed } of rows) {
    const table = `${queueSchema}.${pg.escapeIdentifier(name)}`;
    const rights = name === "migrations" ? "select" : "select, insert, update, delete";
    await client.query(`grant ${rights} on ${table} to ${applicationRole}`);
    if (policed) continue;
    await client.query(
      `create policy ${applicationRole} on ${table} to ${applicationRole} using (true) with check (true)`,
    );
  }
}

/** Whether this connection may act as the role. */
export async function mayActAsApplication(client: pg.ClientBase | pg.Pool): Promise<boolean> {
  const { rows } = await client.query<{ may: boolean }>(
    "select coalesce((select pg_has_role(current_user, oid, 'member') from pg_roles where rolname = $1), false) as may",
    [applicationRole],
  );
  return rows[0]?.may ?? false;
}

async function ensureRole(client: pg.ClientBase): Promise<boolean> {
  if (!(await mayActAsApplication(client))) {
    // Another database of the same server may be creating it at this moment.
    await attempt(client, `create role ${applicationRole} nologin`, ["42501", "42710", "23505"]);
    await attempt(client, `grant ${applicationRole} to current_user`, ["42501", "42704", "0LP01"]);
    if (!(await mayActAsApplication(client))) return false;
  }
  return attempt(client, `grant usage on schema public to ${applicationRole}`, ["42501"]);
}

/** Run a statement inside the open transaction; false when the server refuses it with one of these codes. */
async function attempt(
  client: pg.ClientBase,
  statement: string,
  tolerated: readonly string[],
): Promise<boolean> {
  await client.query("savepoint attempt");
  try {
    await client.query(statement);
    await client.query("release savepoint attempt");
    return true;
  } catch (error) {
    await client.query("rollback to savepoint attempt");
    if (!tolerated.includes((error as { code?: string }).code ?? "")) throw error;
    return false;
  }
}

const queueSchema = "graphile_worker";

/** Tables of the queue whose rights or policies the role lacks. */
const queueTables = `
  select c.relname as name, p.polname is not null or not c.relrowsecurity as policed
  from pg_class c
  left join pg_policy p on p.polrelid = c.oid and p.polname = $1
  where c.relnamespace = to_regnamespace('${queueSchema}') and c.relkind in ('r', 'p')
    and c.relowner = (select oid from pg_roles where rolname = current_user)
    and (not has_schema_privilege($1, c.relnamespace, 'usage')
      or not has_table_privilege($1, c.oid, 'select')
      or has_table_privilege($1, c.oid, 'update') <> (c.relname <> 'migrations')
      or (c.relrowsecurity and p.polname is null))
  order by c.relname`;

/** Tables whose rights are not what they should be: a second run finds none and writes nothing. */
const missing = `
  select c.relname as name, w.columns is not null as once, coalesce(w.columns, '{}') as columns
  from pg_class c
  left join (select key, array(select jsonb_array_elements_text(value)) as columns from jsonb_each($2::jsonb)) w
    on w.key = c.relname
  where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v')
    and c.relowner = (select oid from pg_roles where rolname = current_user)
    and (not has_table_privilege($1, c.oid, 'select')
      or has_table_privilege($1, c.oid, 'insert') <> (c.relname <> 'migration')
      or has_table_privilege($1, c.oid, 'update') <> (w.columns is null and c.relname <> 'migration')
      or has_table_privilege($1, c.oid, 'delete') <> (w.columns is null and c.relname <> 'migration')
      or exists (
        select from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and w.columns is not null
          and has_column_privilege($1, c.oid, a.attnum, 'update') <> (a.attname = any (w.columns))))
  order by c.relname`;
