import type { Project } from "../domain/accounts/index.ts";
import { isId, type OrganizationId, type ProjectId } from "../kit/ids.ts";
import type { Instant } from "../kit/time.ts";
import { readInstant, writeInstant } from "./columns.ts";
import type { Db } from "./connect.ts";

export async function findProject(
  db: Db,
  organizationId: OrganizationId,
  reference: string,
): Promise<Project | undefined> {
  const row = await db
    .selectFrom("project")
    .selectAll()
    .where("org_id", "=", organizationId)
    .where(isId("project", reference) ? "project_id" : "slug", "=", reference)
    .executeTakeFirst();
  return row && projectOf(row);
}

/** Hold a project until commit, so that its bindings are decided one after the other. */
export async function lockProject(
  db: Db,
  organizationId: OrganizationId,
  id: ProjectId,
): Promise<void> {
  await db
    .selectFrom("project")
    .select("project_id")
    .where("org_id", "=", organizationId)
    .where("project_id", "=", id)
    .forNoKeyUpdate()
    .execute();
}

export async function listProjects(
  db: Db,
  organizationId: OrganizationId,
  page: { readonly afterId: string | undefined; readonly limit: number },
): Promise<Project[]> {
  let query = db.selectFrom("project").selectAll().where("org_id", "=", organizationId);
  if (page.afterId !== undefined) query = query.where("project_id", ">", page.afterId);
  return (await query.orderBy("project_id").limit(page.limit).execute()).map(projectOf);
}

export async function insertProject(db: Db, project: Project): Promise<void> {
  await db
    .insertInto("project")
    .values({
      org_id: project.organizationId,
      project_id: project.id,
      slug: project.slug,
      name: project.name,
      status: project.status,
      created_at: writeInstant(project.createdAt),
    })
    .execute();
}

export async function saveProject(db: Db, project: Project): Promise<void> {
  await db
    .updateTable("project")
    .set({ name: project.name, status: project.status })
    .where("org_id", "=", project.organizationId)
    .where("project_id", "=", project.id)
    .execute();
}

/** Whether anything ever happened in a project: bindings or events. */
export async function projectHasHistory(
  db: Db,
  organizationId: OrganizationId,
  id: ProjectId,
): Promise<boolean> {
  const row = await db
    .selectNoFrom((eb) => [
      eb
        .exists(
          eb
            .selectFrom("binding")
            .select("binding_id")
            .where("org_id", "=", organizationId)
            .where("project_id", "=", id),
        )
        .as("bindings"),
      eb
        .exists(
          eb
            .selectFrom("usage_event")
            .select("event_key")
            .where("org_id", "=", organizationId)
            .where("project_id", "=", id)
            .where("account_id", "in", (accounts) =>
              accounts
                .selectFrom("billing_account")
                .select("account_id")
                .where("org_id", "=", organizationId),
            ),
        )
        .as("events"),
    ])
    .executeTakeFirstOrThrow();
  return Boolean(row.bindings) || Boolean(row.events);
}

export async function deleteProject(
  db: Db,
  organizationId: OrganizationId,
  id: ProjectId,
): Promise<void> {
  await db
    .deleteFrom("subject")
    .where("org_id", "=", organizationId)
    .where("project_id", "=", id)
    .execute();
  await db
    .deleteFrom("project")
    .where("org_id", "=", organizationId)
    .where("project_id", "=", id)
    .execute();
}

/** Another name under which events may speak of a project. */
export type Subject = {
  readonly subject: string;
  readonly projectId: ProjectId;
  readonly createdAt: Instant;
};

export async function findSubject(
  db: Db,
  organizationId: OrganizationId,
  subject: string,
): Promise<Subject | undefined> {
  const row = await db
    .selectFrom("subject")
    .selectAll()
    .where("org_id", "=", organizationId)
    .where("subject", "=", subject)
    .executeTakeFirst();
  return row && subjectOf(row);
}

export async function listSubjects(
  db: Db,
  organizationId: OrganizationId,
  projectId: ProjectId,
  page: { readonly after: string | undefined; readonly limit: number },
): Promise<Subject[]> {
  let query = db
    .selectFrom("subject")
    .selectAll()
    .where("org_id", "=", organizationId)
    .where("project_id", "=", projectId);
  if (page.after !== undefined) query = query.where("subject", ">", page.after);
  return (await query.orderBy("subject").limit(page.limit).execute()).map(subjectOf);
}

/** Give a project another name; false when the name is taken. */
export async function insertSubject(
  db: Db,
  organizationId: OrganizationId,
  subject: Subject,
): Promise<boolean> {
  const inserted = await db
    .insertInto("subject")
    .values({
      org_id: organizationId,
      subject: subject.subject,
      project_id: subject.projectId,
      created_at: writeInstant(subject.createdAt),
    })
    .onConflict((conflict) => conflict.columns(["org_id", "subject"]).doNothing())
    .executeTakeFirst();
  return inserted.numInsertedOrUpdatedRows === 1n;
}

export async function deleteSubject(
  db: Db,
  organizationId: OrganizationId,
  subject: string,
): Promise<void> {
  await db
    .deleteFrom("subject")
    .where("org_id", "=", organizationId)
    .where("subject", "=", subject)
    .execute();
}

type ProjectRow = {
  org_id: string;
  project_id: string;
  slug: string;
  name: string;
  status: "active" | "closed";
  created_at: string;
};

function projectOf(row: ProjectRow): Project {
  return {
    id: row.project_id as ProjectId,
    organizationId: row.org_id as OrganizationId,
    slug: row.slug,
    name: row.name,
    status: row.status,
    createdAt: readInstant(row.created_at),
  };
}

function subjectOf(row: { subject: string; project_id: string; created_at: string }): Subject {
  return {
    subject: row.subject,
    projectId: row.project_id as ProjectId,
    createdAt: readInstant(row.created_at),
  };
}

/** Slugs of projects by their ids: how people know them. */
export async function projectNames(
  db: Db,
  organizationId: string,
  ids: readonly string[],
): Promise<Map<string, string>> {
  if (ids.length === 0) return new Map();
  const rows = await db
    .selectFrom("project")
    .select(["project_id", "slug"])
    .where("org_id", "=", organizationId)
    .where("project_id", "in", [...ids])
    .execute();
  return new Map(rows.map((row) => [row.project_id, row.slug]));
}
