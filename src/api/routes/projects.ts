import {
  closeProject,
  createProject,
  destroyProject,
  getProject,
  nameSubject,
  removeSubject,
  renameProject,
} from "../../flows/manage-projects.ts";
import { listProjects, listSubjects } from "../../store/projects.ts";
import { PageQuery, page, pageOf, positionOf } from "../contract/common.ts";
import {
  NewProjectBody,
  ProjectEdit,
  ProjectParam,
  ProjectView,
  projectView,
  SubjectParam,
  SubjectView,
  subjectView,
} from "../contract/projects.ts";
import { type Endpoint, endpoint } from "../endpoint.ts";

const group = "Projects";
const base = "/v1/organizations/{organization}/projects";

const list = endpoint({
  method: "GET",
  path: base,
  id: "listProjects",
  group,
  summary: "List projects",
  permission: "projects.read",
  query: PageQuery,
  response: pageOf(ProjectView),
  run: async (env, { organization, query }) => {
    const afterId = positionOf(query.cursor, 1)?.[0]?.toString();
    const projects = await listProjects(env.store.db, organization.id, {
      afterId,
      limit: query.limit + 1,
    });
    return page(projects, query.limit, projectView, (project) => [project.id]);
  },
});

const create = endpoint({
  method: "POST",
  path: base,
  id: "createProject",
  group,
  summary: "Create a project: a place where usage occurs",
  permission: "projects.write",
  body: NewProjectBody,
  response: ProjectView,
  success: 201,
  problems: ["slug_taken"],
  run: async (env, { author, organization, body }) =>
    projectView(await createProject(env, author, organization.id, body)),
});

const get = endpoint({
  method: "GET",
  path: `${base}/{project}`,
  id: "getProject",
  group,
  summary: "See one project",
  permission: "projects.read",
  params: ProjectParam,
  response: ProjectView,
  problems: ["project_not_found"],
  run: async (env, { organization, params }) =>
    projectView(await getProject(env.store.db, organization.id, params.project)),
});

const edit = endpoint({
  method: "PATCH",
  path: `${base}/{project}`,
  id: "editProject",
  group,
  summary: "Rename a project",
  permission: "projects.write",
  params: ProjectParam,
  body: ProjectEdit,
  response: ProjectView,
  problems: ["project_not_found"],
  run: async (env, { author, organization, params, body }) =>
    projectView(await renameProject(env, author, organization.id, params.project, body.name)),
});

const close = endpoint({
  method: "POST",
  path: `${base}/{project}/close`,
  id: "closeProject",
  group,
  summary: "Close a project",
  description: "It takes no new bindings. Usage that still arrives is attributed as before.",
  permission: "projects.write",
  params: ProjectParam,
  response: ProjectView,
  problems: ["project_not_found"],
  run: async (env, { author, organization, params }) =>
    projectView(await closeProject(env, author, organization.id, params.project)),
});

const destroy = endpoint({
  method: "DELETE",
  path: `${base}/{project}`,
  id: "destroyProject",
  group,
  summary: "Remove a project in which nothing ever happened",
  permission: "projects.write",
  params: ProjectParam,
  response: null,
  problems: ["project_not_found", "project_has_history"],
  run: async (env, { author, organization, params }) => {
    await destroyProject(env, author, organization.id, params.project);
    return null;
  },
});

const subjects = endpoint({
  method: "GET",
  path: `${base}/{project}/subjects`,
  id: "listSubjects",
  group,
  summary: "List the other names under which events may speak of a project",
  permission: "projects.read",
  params: ProjectParam,
  query: PageQuery,
  response: pageOf(SubjectView),
  problems: ["project_not_found"],
  run: async (env, { organization, params, query }) => {
    const project = await getProject(env.store.db, organization.id, params.project);
    const after = positionOf(query.cursor, 1)?.[0]?.toString();
    const found = await listSubjects(env.store.db, organization.id, project.id, {
      after,
      limit: query.limit + 1,
    });
    return page(found, query.limit, subjectView, (subject) => [subject.subject]);
  },
});

const putSubject = endpoint({
  method: "PUT",
  path: `${base}/{project}/subjects/{subject}`,
  id: "addSubject",
  group,
  summary: "Let events speak of a project by another name",
  permission: "projects.write",
  params: SubjectParam,
  response: SubjectView,
  problems: ["project_not_found", "subject_taken"],
  run: async (env, { author, organization, params }) =>
    subjectView(await nameSubject(env, author, organization.id, params.project, params.subject)),
});

const deleteSubject = endpoint({
  method: "DELETE",
  path: `${base}/{project}/subjects/{subject}`,
  id: "removeSubject",
  group,
  summary: "Take a name from a project",
  description: "Events already attributed stay where they are.",
  permission: "projects.write",
  params: SubjectParam,
  response: null,
  problems: ["project_not_found", "subject_not_found"],
  run: async (env, { author, organization, params }) => {
    await removeSubject(env, author, organization.id, params.project, params.subject);
    return null;
  },
});

export const projectRoutes: readonly Endpoint[] = [
  list,
  create,
  get,
  edit,
  close,
  destroy,
  subjects,
  putSubject,
  deleteSubject,
];
