import { sql } from "kysely";
import { type Place, payerIn } from "../domain/usage/index.ts";
import { readInstant } from "./columns.ts";
import type { Db } from "./connect.ts";

/** A name under which an event spoke of a project, within the organization that sent it. */
export type SubjectName = { readonly orgId: string; readonly subject: string };

/** What a name stands for: a project of the organization's own, one of somebody else's, or nothing. */
export type Placing =
  | { readonly kind: "place"; readonly place: Place }
  | { readonly kind: "foreign" }
  | { readonly kind: "unknown" };

type PlacingRow = {
  position: number;
  project_id: string | null;
  is_foreign: boolean;
  starts: string[] | null;
  payers: (string | null)[] | null;
};

/** What names stand for, in the order asked. A project's id comes before a subject, a subject before a slug. */
export async function loadPlacings(db: Db, names: readonly SubjectName[]): Promise<Placing[]> {
  const { rows } = await sql<PlacingRow>`
    select n.position::integer as position, p.project_id,
           p.project_id is null and n.subject like 'prj\\_%'
             and exists (select 1 from project f where f.project_id = n.subject) as is_foreign,
           b.starts, b.payers
    from unnest(${names.map((n) => n.orgId)}::text[], ${names.map((n) => n.subject)}::text[])
         with ordinality as n (org_id, subject, position)
    left join lateral (
      select coalesce(
        (select project_id from project where org_id = n.org_id and project_id = n.subject),
        (select project_id from subject where org_id = n.org_id and subject = n.subject),
        (select project_id from project where org_id = n.org_id and slug = n.subject)) as project_id
    ) p on true
    left join lateral (
      select array_agg(effective_from::text order by effective_from) as starts,
             array_agg(account_id order by effective_from) as payers
      from binding where org_id = n.org_id and project_id = p.project_id
    ) b on true
    order by n.position`.execute(db);
  return rows.map((row, index) => placingOf(row, names[index]?.orgId ?? ""));
}

function placingOf(row: PlacingRow, orgId: string): Placing {
  if (row.project_id === null) return { kind: row.is_foreign ? "foreign" : "unknown" };
  const payers = row.payers ?? [];
  const bindings = (row.starts ?? []).map((from, index) => {
    const accountId = payers[index] ?? null;
    return {
      from: readInstant(from),
      payer: accountId === null ? null : payerIn(orgId, accountId),
    };
  });
  return { kind: "place", place: { projectId: row.project_id, bindings } };
}

/** How often the directories of these organizations have changed; 0 for one that never has. */
export async function directoryVersions(
  db: Db,
  orgIds: readonly string[],
): Promise<Map<string, bigint>> {
  const { rows } = await sql<{ org_id: string; version: bigint }>`
    select org_id, version from directory_version where org_id = any(${orgIds}::text[])`.execute(
    db,
  );
  const found = new Map(rows.map((row) => [row.org_id, row.version]));
  return new Map(orgIds.map((orgId) => [orgId, found.get(orgId) ?? 0n]));
}

/**
 * Tell every process that somebody else may pay from now on. Call it in the transaction that changes an organization's
 * projects, subjects or bindings: usage that commits afterwards is then attributed anew, without any delay.
 */
export async function bumpDirectoryVersion(db: Db, orgId: string): Promise<void> {
  await sql`
    insert into directory_version as d (org_id, version) values (${orgId}, 1)
    on conflict (org_id) do update set version = d.version + 1`.execute(db);
}

/** Which of these organizations have events in quarantine that wait for something. */
export async function orgsWithHeldEvents(
  db: Db,
  orgIds: readonly string[],
): Promise<ReadonlySet<string>> {
  const { rows } = await sql<{ org_id: string }>`
    select o.org_id from unnest(${orgIds}::text[]) as o (org_id)
    where exists (select 1 from usage_quarantine q where q.org_id = o.org_id and q.resolved_at is null)`.execute(
    db,
  );
  return new Set(rows.map((row) => row.org_id));
}
