import type { z } from "@hono/zod-openapi";
import type { Caller } from "../../domain/access/index.ts";
import type { Organization } from "../../domain/accounts/index.ts";
import { Problem } from "../../domain/refusals/index.ts";
import type { Env } from "../../flows/env.ts";
import { readUsage, type UsageQuestion } from "../../flows/read-usage.ts";
import type { Instant } from "../../kit/time.ts";
import { findAccount } from "../../store/accounts.ts";
import { findProject } from "../../store/projects.ts";
import { AccountParam } from "../contract/accounts.ts";
import { positionOf } from "../contract/common.ts";
import { UsageQuery, UsageView, usageAnswerView } from "../contract/usage.ts";
import { type Endpoint, endpoint } from "../endpoint.ts";

const group = "Usage";
const problems = [
  "meter_not_found",
  "project_not_found",
  "project_forbidden",
  "dimension_not_declared",
  "usage_period_not_valid",
] as const;

type Asked = {
  readonly organization: Organization;
  readonly caller: Caller;
  readonly query: z.output<typeof UsageQuery>;
};

const ofAccount = endpoint({
  method: "GET",
  path: "/v1/organizations/{organization}/accounts/{account}/usage",
  id: "getAccountUsage",
  group,
  summary: "Query an account's usage of one meter: series, groups, total",
  description: "Holds every event acknowledged before the request.",
  permission: "usage.read",
  params: AccountParam,
  query: UsageQuery,
  response: UsageView,
  problems: [...problems, "account_not_found"],
  run: async (env, request) => {
    const { organization, params } = request;
    const account = await findAccount(env.store.db, organization.id, params.account);
    if (!account) throw new Problem("account_not_found");
    return answer(env, request, { accountIds: [account.id], zone: account.timeZone });
  },
});

const ofOrganization = endpoint({
  method: "GET",
  path: "/v1/organizations/{organization}/usage",
  id: "getOrganizationUsage",
  group,
  summary: "Query the usage of one meter over all accounts of an organization",
  description: "Group by account or project to see the parts; those of sums add up to the total.",
  permission: "usage.read",
  query: UsageQuery,
  response: UsageView,
  problems,
  run: (env, request) => answer(env, request, { zone: "UTC" }),
});

async function answer(
  env: Env,
  { organization, caller, query }: Asked,
  scope: Pick<UsageQuestion, "accountIds" | "zone">,
) {
  const pageStartsAt = positionOf(query.cursor, 1)?.[0];
  if (pageStartsAt !== undefined && typeof pageStartsAt !== "number")
    throw new Problem("cursor_not_valid");
  const projectId = await projectOf(env, organization, caller, query.project);
  const question: UsageQuestion = {
    organizationId: organization.id,
    ...scope,
    ...(projectId !== undefined && { projectId }),
    meter: query.meter,
    period: { startsAt: query.from, endsAt: query.to },
    ...(query.window && { window: query.window }),
    zone: query.zone ?? scope.zone,
    groupBy: query.group_by ? query.group_by.split(",").map((name) => name.trim()) : [],
    ...(pageStartsAt !== undefined && { pageStartsAt: pageStartsAt as Instant }),
  };
  return usageAnswerView(question, await readUsage(env, question));
}

/** The project asked for; a key of one project sees that one alone. */
async function projectOf(
  env: Env,
  organization: Organization,
  caller: Caller,
  asked: string | undefined,
): Promise<string | undefined> {
  if (asked === undefined) return caller.projectId ?? undefined;
  const project = await findProject(env.store.db, organization.id, asked);
  if (!project) throw new Problem("project_not_found");
  if (caller.projectId !== null && caller.projectId !== project.id)
    throw new Problem("project_forbidden");
  return project.id;
}

export const usageRoutes: readonly Endpoint[] = [ofAccount, ofOrganization];
