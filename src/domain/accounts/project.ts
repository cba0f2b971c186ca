import type { OrganizationId, ProjectId } from "../../kit/ids.ts";
import type { Instant } from "../../kit/time.ts";

/** A place where usage occurs. */
export type Project = {
  readonly id: ProjectId;
  readonly organizationId: OrganizationId;
  readonly slug: string;
  readonly name: string;
  readonly status: "active" | "closed";
  readonly createdAt: Instant;
};
