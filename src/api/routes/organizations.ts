import {
  createOrganization,
  moveTestClock,
  renameOrganization,
  setOrganizationStatus,
} from "../../flows/manage-organizations.ts";
import { listOrganizations } from "../../store/organizations.ts";
import { PageQuery, page, pageOf, positionOf } from "../contract/common.ts";
import {
  ClockBody,
  NewChildBody,
  NewOrganizationBody,
  OrganizationEdit,
  OrganizationStatusBody,
  OrganizationView,
  organizationView,
} from "../contract/organizations.ts";
import { type Endpoint, endpoint } from "../endpoint.ts";

const group = "Organizations";

const list = endpoint({
  method: "GET",
  path: "/v1/organizations",
  id: "listOrganizations",
  group,
  summary: "List the organizations that the key may see",
  description:
    "All of them for the provider; for a partner its own and those below it; for everybody else their own.",
  permission: "organizations.read",
  query: PageQuery,
  response: pageOf(OrganizationView),
  run: async (env, { caller, query }) => {
    const afterId = positionOf(query.cursor, 1)?.[0]?.toString();
    const found = await listOrganizations(env.store.db, caller.organizationId, {
      afterId,
      limit: query.limit + 1,
    });
    return page(found, query.limit, organizationView, (organization) => [organization.id]);
  },
});

const create = endpoint({
  method: "POST",
  path: "/v1/organizations",
  id: "createOrganization",
  group,
  summary: "Create an organization",
  permission: "organizations.admin",
  body: NewOrganizationBody,
  response: OrganizationView,
  success: 201,
  problems: [
    "slug_taken",
    "organization_parent_unfit",
    "organization_parent_too_deep",
    "organization_parent_circle",
  ],
  changesAccess: true,
  run: async (env, { author, body, now }) =>
    organizationView(
      await createOrganization(env, author, {
        slug: body.slug,
        name: body.name,
        kind: body.kind,
        parent: null,
        testClockAt: body.sandbox ? (body.sandbox.now ?? now) : null,
      }),
    ),
});

const get = endpoint({
  method: "GET",
  path: "/v1/organizations/{organization}",
  id: "getOrganization",
  group,
  summary: "See one organization",
  permission: "organizations.read",
  response: OrganizationView,
  run: (_env, { organization }) => organizationView(organization),
});

const edit = endpoint({
  method: "PATCH",
  path: "/v1/organizations/{organization}",
  id: "editOrganization",
  group,
  summary: "Rename an organization",
  permission: "organizations.write",
  body: OrganizationEdit,
  response: OrganizationView,
  changesAccess: true,
  run: async (env, { author, organization, body }) =>
    organizationView(await renameOrganization(env, author, organization, body.name)),
});

const createChild = endpoint({
  method: "POST",
  path: "/v1/organizations/{organization}/children",
  id: "createChildOrganization",
  group,
  summary: "Create an organization below a partner",
  description:
    "The partner sees it and everything in it. What stands below a sandbox is a sandbox too.",
  permission: "organizations.write",
  body: NewChildBody,
  response: OrganizationView,
  success: 201,
  problems: [
    "slug_taken",
    "organization_parent_unfit",
    "organization_parent_too_deep",
    "organization_parent_circle",
  ],
  changesAccess: true,
  run: async (env, { author, organization, body }) =>
    organizationView(
      await createOrganization(env, author, {
        slug: body.slug,
        name: body.name,
        kind: body.kind,
        parent: organization.id,
        testClockAt: null,
      }),
    ),
});

const setStatus = endpoint({
  method: "POST",
  path: "/v1/organizations/{organization}/status",
  id: "setOrganizationStatus",
  group,
  summary: "Suspend, reactivate or close an organization",
  permission: "organizations.admin",
  body: OrganizationStatusBody,
  response: OrganizationView,
  problems: ["organization_not_active"],
  changesAccess: true,
  run: async (env, { author, organization, body }) =>
    organizationView(await setOrganizationStatus(env, author, organization, body.status)),
});

const moveClock = endpoint({
  method: "POST",
  path: "/v1/organizations/{organization}/clock",
  id: "moveClock",
  group,
  summary: "Move the clock of a sandbox organization forward",
  description:
    "Everything in the organization then happens at its own time: usage, periods, invoices, expiry.",
  permission: "clock.write",
  body: ClockBody,
  response: OrganizationView,
  problems: ["clock_not_sandbox", "clock_goes_back"],
  changesAccess: true,
  run: async (env, { author, organization, body }) =>
    organizationView(await moveTestClock(env, author, organization, body.now)),
});

export const organizationRoutes: readonly Endpoint[] = [
  list,
  create,
  get,
  edit,
  createChild,
  setStatus,
  moveClock,
];
