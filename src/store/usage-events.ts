import { sql } from "kysely";
import type { Db } from "./connect.ts";

/** Where an event that others may correct was counted. */
export type CorrectedEvent = { readonly accountId: string; readonly projectId: string };

/** The accounts and projects of stored events, by key (32 hex digits). */
export async function findCorrected(
  db: Db,
  orgId: string,
  keys: readonly string[],
): Promise<Map<string, CorrectedEvent>> {
  const { rows } = await sql<{ key: string; account_id: string; project_id: string }>`
    select replace(event_key::text, '-', '') as key, account_id, project_id from usage_event
    where org_id = ${orgId} and event_key = any(${keys}::uuid[])`.execute(db);
  return new Map(
    rows.map((row) => [row.key, { accountId: row.account_id, projectId: row.project_id }]),
  );
}
