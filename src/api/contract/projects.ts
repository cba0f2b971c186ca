import { z } from "@hono/zod-openapi";
import type { Project } from "../../domain/accounts/index.ts";
import { formatInstant } from "../../kit/time.ts";
import type { Subject } from "../../store/projects.ts";
import { InstantText, idOrSlug, Name, Slug } from "./common.ts";

export const ProjectParam = z.object({ project: idOrSlug("project", "web") });

export const ProjectView = z
  .strictObject({
    id: z.string().openapi({ example: "prj_01jz8v5w9k2m4n6p8q0r" }),
    object: z.literal("project"),
    created_at: InstantText,
    slug: z.string().openapi({ example: "web" }),
    name: z.string(),
    status: z.enum(["active", "closed"]),
  })
  .openapi("Project");

export const projectView = (project: Project): z.input<typeof ProjectView> => ({
  id: project.id,
  object: "project",
  created_at: formatInstant(project.createdAt),
  slug: project.slug,
  name: project.name,
  status: project.status,
});

export const NewProjectBody = z.strictObject({ slug: Slug, name: Name }).openapi("NewProject");
export const ProjectEdit = z.strictObject({ name: Name }).openapi("ProjectEdit");

const SubjectName = z.string().min(1).max(200).openapi({ example: "tenant-42" });
export const SubjectParam = ProjectParam.extend({ subject: SubjectName });

export const SubjectView = z
  .strictObject({
    object: z.literal("subject"),
    created_at: InstantText,
    subject: z.string(),
    project_id: z.string(),
  })
  .openapi("Subject");

export const subjectView = (subject: Subject): z.input<typeof SubjectView> => ({
  object: "subject",
  created_at: formatInstant(subject.createdAt),
  subject: subject.subject,
  project_id: subject.projectId,
});
