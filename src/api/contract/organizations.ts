import { z } from "@hono/zod-openapi";
import {
  type Organization,
  organizationKinds,
  organizationStatuses,
} from "../../domain/accounts/index.ts";
import { formatInstant } from "../../kit/time.ts";
import { InstantIn, InstantText, Name, Reason, Slug } from "./common.ts";

const OrganizationSlug = Slug.refine(
  (slug) => slug !== "current" && !slug.startsWith("org-"),
  "choose a name that cannot be mistaken for an id or for `current`",
);

export const OrganizationView = z
  .strictObject({
    id: z.string().openapi({ example: "org_01jz8v5w9k2m4n6p8q0r" }),
    object: z.literal("organization"),
    created_at: InstantText,
    slug: z.string().openapi({ example: "acme" }),
    name: z.string().openapi({ example: "Acme" }),
    kind: z.enum(organizationKinds),
    parent_id: z.string().nullable().openapi({ description: "The partner it belongs to." }),
    status: z.enum(organizationStatuses),
    sandbox: z.boolean(),
    now: InstantText.nullable().openapi({
      description: "The sandbox's own time; null for an organization that lives in real time.",
    }),
  })
  .openapi("Organization");

export const organizationView = (organization: Organization): z.input<typeof OrganizationView> => ({
  id: organization.id,
  object: "organization",
  created_at: formatInstant(organization.createdAt),
  slug: organization.slug,
  name: organization.name,
  kind: organization.kind,
  parent_id: organization.parentId,
  status: organization.status,
  sandbox: organization.testClockAt !== null,
  now: organization.testClockAt === null ? null : formatInstant(organization.testClockAt),
});

export const NewOrganizationBody = z
  .strictObject({
    slug: OrganizationSlug,
    name: Name,
    kind: z.enum(["direct", "partner"]).default("direct"),
    sandbox: z.strictObject({ now: InstantIn.optional() }).optional().openapi({
      description:
        "Give the organization a clock of its own, which starts at `now` and is moved with the clock endpoint.",
    }),
  })
  .openapi("NewOrganization");

export const NewChildBody = z
  .strictObject({
    slug: OrganizationSlug,
    name: Name,
    kind: z.enum(["partner", "partner_customer"]).default("partner_customer"),
  })
  .openapi("NewChildOrganization");

export const OrganizationEdit = z.strictObject({ name: Name }).openapi("OrganizationEdit");

export const OrganizationStatusBody = z
  .strictObject({ status: z.enum(organizationStatuses), reason: Reason })
  .openapi("OrganizationStatus");

export const ClockBody = z
  .strictObject({ now: InstantIn.openapi({ description: "The moment to move to; never back." }) })
  .openapi("Clock");
