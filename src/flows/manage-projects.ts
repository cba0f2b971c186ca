import type { Project } from "../domain/accounts/index.ts";
import type { Author } from "../domain/audit/index.ts";
import { Problem } from "../domain/refusals/index.ts";
import type { OrganizationId } from "../kit/ids.ts";
import { appendAudit } from "../store/audit.ts";
import type { Db, Tx } from "../store/connect.ts";
import {
  deleteProject,
  deleteSubject,
  findProject,
  findSubject,
  insertProject,
  insertSubject,
  lockProject,
  projectHasHistory,
  type Subject,
  saveProject,
} from "../store/projects.ts";
import { bumpDirectoryVersion } from "../store/usage-directory.ts";
import { brokenConstraint, transaction } from "../store/transaction.ts";
import type { Env } from "./env.ts";

export async function getProject(
  db: Db,
  organizationId: OrganizationId,
  reference: string,
): Promise<Project> {
  const project = await findProject(db, organizationId, reference);
  if (!project)
    throw new Problem(
      "project_not_found",
      `There is no project "${reference}" in this organization.`,
    );
  return project;
}

export async function createProject(
  env: Env,
  author: Author,
  organizationId: OrganizationId,
  asked: { readonly slug: string; readonly name: string },
): Promise<Project> {
  const project: Project = {
    id: env.id("project"),
    organizationId,
    slug: asked.slug,
    name: asked.name,
    status: "active",
    createdAt: env.now(),
  };
  try {
    await transaction(env.store.db, async (tx) => {
      await insertProject(tx, project);
      await bumpDirectoryVersion(tx, organizationId);
      await record(env, tx, author, "project.created", null, project);
    });
  } catch (error) {
    if (brokenConstraint(error) === "project_slug_once_per_organization")
      throw new Problem("slug_taken", `This organization already has a project "${asked.slug}".`);
    throw error;
  }
  return project;
}

export async function renameProject(
  env: Env,
  author: Author,
  organizationId: OrganizationId,
  reference: string,
  name: string,
): Promise<Project> {
  return change(env, author, organizationId, reference, "project.renamed", (project) => ({
    ...project,
    name,
  }));
}

/** Close a project: it takes no new bindings. Usage that still arrives is attributed as before. */
export async function closeProject(
  env: Env,
  author: Author,
  organizationId: OrganizationId,
  reference: string,
): Promise<Project> {
  return change(env, author, organizationId, reference, "project.closed", (project) => ({
    ...project,
    status: "closed",
  }));
}

/** Remove a project in which nothing ever happened. */
export async function destroyProject(
  env: Env,
  author: Author,
  organizationId: OrganizationId,
  reference: string,
): Promise<void> {
  await transaction(env.store.db, async (tx) => {
    const project = await getProject(tx, organizationId, reference);
    await lockProject(tx, organizationId, project.id);
    if (await projectHasHistory(tx, organizationId, project.id))
      throw new Problem("project_has_history");
    try {
      await transaction(tx, () => deleteProject(tx, organizationId, project.id));
    } catch (error) {
      // Something of another kind still refers to it.
      if (brokenConstraint(error)) throw new Problem("project_has_history");
      throw error;
    }
    await bumpDirectoryVersion(tx, organizationId);
    await record(env, tx, author, "project.destroyed", project, null);
  });
}

/** Let events speak of a project by another name. Saying it again changes nothing. */
export async function nameSubject(
  env: Env,
  author: Author,
  organizationId: OrganizationId,
  reference: string,
  name: string,
): Promise<Subject> {
  return transaction(env.store.db, async (tx) => {
    const project = await getProject(tx, organizationId, reference);
    const subject: Subject = { subject: name, projectId: project.id, createdAt: env.now() };
    if (await insertSubject(tx, organizationId, subject)) {
      await bumpDirectoryVersion(tx, organizationId);
      await recordSubject(env, tx, author, organizationId, "subject.added", null, subject);
      return subject;
    }
    const there = await findSubject(tx, organizationId, name);
    if (there?.projectId !== project.id) throw new Problem("subject_taken");
    return there;
  });
}

export async function removeSubject(
  env: Env,
  author: Author,
  organizationId: OrganizationId,
  reference: string,
  name: string,
): Promise<void> {
  await transaction(env.store.db, async (tx) => {
    const project = await getProject(tx, organizationId, reference);
    const subject = await findSubject(tx, organizationId, name);
    if (subject?.projectId !== project.id) throw new Problem("subject_not_found");
    await deleteSubject(tx, organizationId, name);
    await bumpDirectoryVersion(tx, organizationId);
    await recordSubject(env, tx, author, organizationId, "subject.removed", subject, null);
  });
}

async function change(
  env: Env,
  author: Author,
  organizationId: OrganizationId,
  reference: string,
  action: string,
  edit: (project: Project) => Project,
): Promise<Project> {
  return transaction(env.store.db, async (tx) => {
    const { id } = await getProject(tx, organizationId, reference);
    await lockProject(tx, organizationId, id);
    const before = await getProject(tx, organizationId, id);
    const after = edit(before);
    await saveProject(tx, after);
    await bumpDirectoryVersion(tx, organizationId);
    await record(env, tx, author, action, before, after);
    return after;
  });
}

async function record(
  env: Env,
  tx: Tx,
  author: Author,
  action: string,
  before: Project | null,
  after: Project | null,
): Promise<void> {
  const project = after ?? before;
  if (!project) return;
  const at = env.now();
  const target = { kind: "project", id: project.id };
  const change = { at, author, action, target, before: described(before), after: described(after) };
  await appendAudit(tx, env.id, project.organizationId, [change]);
}

const described = (project: Project | null) =>
  project && { slug: project.slug, name: project.name, status: project.status };

async function recordSubject(
  env: Env,
  tx: Tx,
  author: Author,
  organizationId: OrganizationId,
  action: string,
  before: Subject | null,
  after: Subject | null,
): Promise<void> {
  const described = (subject: Subject | null) =>
    subject && { subject: subject.subject, project_id: subject.projectId };
  const target = { kind: "subject", id: (after ?? before)?.subject ?? "" };
  const at = env.now();
  const change = { at, author, action, target, before: described(before), after: described(after) };
  await appendAudit(tx, env.id, organizationId, [change]);
}
