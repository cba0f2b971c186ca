import { type RawBuilder, sql, type SqlBool } from "kysely";
import type {
  Organization,
  OrganizationKind,
  OrganizationStatus,
} from "../domain/accounts/index.ts";
import { isId, type OrganizationId } from "../kit/ids.ts";
import type { Instant } from "../kit/time.ts";
import { readInstant, readInstantOrNull, writeInstant } from "./columns.ts";
import type { Db } from "./connect.ts";

/** An organization and everybody above it, itself first: what visibility is decided by. */
export type Placed = {
  readonly organization: Organization;
  readonly lineage: readonly Organization[];
};

/** Find by id or slug, together with its ancestors, in one query. */
export async function findOrganization(db: Db, reference: string): Promise<Placed | undefined> {
  const column = isId("organization", reference) ? sql`org_id` : sql`slug`;
  const { rows } = await sql<Row>`
    with recursive up as (
      select o.*, 0 as distance from organization o where ${column} = ${reference}
      union all
      select p.*, up.distance + 1 from organization p join up on p.org_id = up.parent_org_id where up.distance < 20
    )
    select * from up order by distance`.execute(db);
  const lineage = rows.map(organizationOf);
  const organization = lineage[0];
  return organization && { organization, lineage };
}

export async function insertOrganization(db: Db, organization: Organization): Promise<void> {
  await db
    .insertInto("organization")
    .values({
      org_id: organization.id,
      slug: organization.slug,
      name: organization.name,
      kind: organization.kind,
      parent_org_id: organization.parentId,
      status: organization.status,
      test_clock_at:
        organization.testClockAt === null ? null : writeInstant(organization.testClockAt),
      created_at: writeInstant(organization.createdAt),
    })
    .execute();
}

export async function saveOrganization(db: Db, organization: Organization): Promise<void> {
  await db
    .updateTable("organization")
    .set({ name: organization.name, status: organization.status })
    .where("org_id", "=", organization.id)
    .execute();
}

/** Hold an organization until commit, so that changes to what stands in it take turns. Does not stop others from reading. */
export async function lockOrganization(db: Db, id: OrganizationId): Promise<void> {
  await db
    .selectFrom("organization")
    .select("org_id")
    .where("org_id", "=", id)
    .forNoKeyUpdate()
    .execute();
}

/** Organizations at or below one, or all of them when `below` is null, in the order of their ids. */
export async function listOrganizations(
  db: Db,
  below: OrganizationId | null,
  page: { readonly afterId: string | undefined; readonly limit: number },
): Promise<Organization[]> {
  const after = page.afterId ?? "";
  const { rows } =
    below === null
      ? await sql<Row>`
          select * from organization where org_id > ${after} order by org_id limit ${page.limit}`.execute(
          db,
        )
      : await sql<Row>`
          with recursive down as (
            select org_id, 0 as distance from organization where org_id = ${below}
            union all
            select c.org_id, down.distance + 1 from organization c
              join down on c.parent_org_id = down.org_id where down.distance < 20
          )
          select o.* from organization o join down using (org_id)
          where o.org_id > ${after} order by o.org_id limit ${page.limit}`.execute(db);
  return rows.map(organizationOf);
}

type Row = {
  org_id: string;
  slug: string;
  name: string;
  kind: string;
  parent_org_id: string | null;
  status: string;
  test_clock_at: string | null;
  created_at: string;
};

function organizationOf(row: Row): Organization {
  return {
    id: row.org_id as OrganizationId,
    slug: row.slug,
    name: row.name,
    kind: row.kind as OrganizationKind,
    parentId: row.parent_org_id as OrganizationId | null,
    status: row.status as OrganizationStatus,
    testClockAt: readInstantOrNull(row.test_clock_at),
    createdAt: readInstant(row.created_at),
  };
}

/**
 * Rows of one organization; or, without one, of all that live in real time. What a sandbox owes to its clock is never
 * decided by the time of the others.
 */
export const livesInTime = (
  column: RawBuilder<unknown>,
  orgId: string | undefined,
): RawBuilder<SqlBool> =>
  orgId === undefined
    ? sql<SqlBool>`not exists (select from organization o where o.org_id = ${column} and o.test_clock_at is not null)`
    : sql<SqlBool>`${column} = ${orgId}`;

/** Every organization there is, by id. */
export async function listOrganizationIds(db: Db): Promise<string[]> {
  const rows = await db.selectFrom("organization").select("org_id").orderBy("org_id").execute();
  return rows.map((row) => row.org_id);
}

/** The organizations with a clock of their own, and what it says. */
export async function listSandboxes(db: Db): Promise<{ orgId: string; at: Instant }[]> {
  const { rows } = await sql<{ org_id: string; at: string }>`
    select org_id, test_clock_at::text as at from organization where test_clock_at is not null order by org_id`.execute(
    db,
  );
  return rows.map((row) => ({ orgId: row.org_id, at: readInstant(row.at) }));
}

/** Move a sandbox's clock, forward only; false when it stands at or past that moment. */
export async function saveTestClock(db: Db, id: OrganizationId, to: Instant): Promise<boolean> {
  const moved = await db
    .updateTable("organization")
    .set({ test_clock_at: writeInstant(to) })
    .where("org_id", "=", id)
    .where("test_clock_at", "<=", writeInstant(to))
    .executeTakeFirst();
  return moved.numUpdatedRows === 1n;
}
