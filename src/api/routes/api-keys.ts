import { z } from "@hono/zod-openapi";
import { createApiKey, revokeApiKey } from "../../flows/manage-api-keys.ts";
import { getAccount } from "../../flows/manage-accounts.ts";
import { getProject } from "../../flows/manage-projects.ts";
import { findApiKey, listApiKeys } from "../../store/api-keys.ts";
import { Problem } from "../../domain/refusals/index.ts";
import {
  ApiKeyView,
  apiKeyView,
  IssuedKeyView,
  NewKeyBody,
  NewOrganizationKeyBody,
  OwnKeyView,
  ownKeyView,
  RolesView,
  rolesView,
} from "../contract/api-keys.ts";
import { PageQuery, page, pageOf, positionOf } from "../contract/common.ts";
import { type Endpoint, endpoint } from "../endpoint.ts";

const group = "API keys";
const KeyParam = z.object({
  key: z.string().min(1).max(80).openapi({ example: "key_01jz8v5w9k2m4n6p8q0r" }),
});
const keyProblems = ["role_not_known", "role_not_fit", "key_too_wide"] as const;

const list = endpoint({
  method: "GET",
  path: "/v1/organizations/{organization}/keys",
  id: "listKeys",
  group,
  summary: "List an organization's API keys",
  permission: "keys.read",
  query: PageQuery,
  response: pageOf(ApiKeyView),
  run: async (env, { organization, query }) => {
    const afterId = positionOf(query.cursor, 1)?.[0]?.toString();
    const keys = await listApiKeys(env.store.db, organization.id, {
      afterId,
      limit: query.limit + 1,
    });
    return page(keys, query.limit, apiKeyView, (key) => [key.id]);
  },
});

const create = endpoint({
  method: "POST",
  path: "/v1/organizations/{organization}/keys",
  id: "createKey",
  group,
  summary: "Create an API key of an organization, of one project or of one billing account",
  description:
    "The secret is in this answer and nowhere else. A key can never be given more than its maker has.",
  permission: "keys.write",
  body: NewOrganizationKeyBody,
  response: IssuedKeyView,
  success: 201,
  problems: [...keyProblems, "project_not_found", "account_not_found"],
  run: async (env, { organization, caller, author, body }) => {
    if (body.account !== undefined && body.project !== undefined)
      throw new Problem("request_not_valid", "A key is limited to a project or to an account.");
    const { key, secret } = await createApiKey(env, caller, author, {
      organizationId: organization.id,
      projectId:
        body.project === undefined
          ? null
          : (await getProject(env.store.db, organization.id, body.project)).id,
      accountId:
        body.account === undefined
          ? undefined
          : (await getAccount(env.store.db, organization.id, body.account)).id,
      name: body.name,
      roles: body.roles,
      permissions: body.permissions,
      expiresAt: body.expires_at ?? null,
    });
    return { ...apiKeyView(key), secret };
  },
});

const get = endpoint({
  method: "GET",
  path: "/v1/organizations/{organization}/keys/{key}",
  id: "getKey",
  group,
  summary: "See one API key",
  permission: "keys.read",
  params: KeyParam,
  response: ApiKeyView,
  problems: ["key_not_found"],
  run: async (env, { organization, params }) => {
    const key = await findApiKey(env.store.db, organization.id, params.key);
    if (!key) throw new Problem("key_not_found");
    return apiKeyView(key);
  },
});

const revoke = endpoint({
  method: "DELETE",
  path: "/v1/organizations/{organization}/keys/{key}",
  id: "revokeKey",
  group,
  summary: "Revoke an API key, for ever",
  description:
    "Takes effect at once in the process that answers, and within five seconds in all others.",
  permission: "keys.write",
  params: KeyParam,
  response: ApiKeyView,
  problems: ["key_not_found"],
  changesAccess: true,
  run: async (env, { organization, author, params }) =>
    apiKeyView(await revokeApiKey(env, author, organization.id, params.key)),
});

const listProvider = endpoint({
  method: "GET",
  path: "/v1/keys",
  id: "listProviderKeys",
  group,
  summary: "List the provider's API keys",
  permission: "installation.read",
  query: PageQuery,
  response: pageOf(ApiKeyView),
  run: async (env, { query }) => {
    const afterId = positionOf(query.cursor, 1)?.[0]?.toString();
    const keys = await listApiKeys(env.store.db, null, { afterId, limit: query.limit + 1 });
    return page(keys, query.limit, apiKeyView, (key) => [key.id]);
  },
});

const createProvider = endpoint({
  method: "POST",
  path: "/v1/keys",
  id: "createProviderKey",
  group,
  summary: "Create an API key of the provider",
  permission: "installation.write",
  body: NewKeyBody,
  response: IssuedKeyView,
  success: 201,
  problems: keyProblems,
  run: async (env, { caller, author, body }) => {
    const { key, secret } = await createApiKey(env, caller, author, {
      organizationId: null,
      projectId: null,
      name: body.name,
      roles: body.roles,
      permissions: body.permissions,
      expiresAt: body.expires_at ?? null,
    });
    return { ...apiKeyView(key), secret };
  },
});

const revokeProvider = endpoint({
  method: "DELETE",
  path: "/v1/keys/{key}",
  id: "revokeProviderKey",
  group,
  summary: "Revoke an API key of the provider, for ever",
  permission: "installation.write",
  params: KeyParam,
  response: ApiKeyView,
  problems: ["key_not_found"],
  changesAccess: true,
  run: async (env, { author, params }) =>
    apiKeyView(await revokeApiKey(env, author, null, params.key)),
});

const whoAmI = endpoint({
  method: "GET",
  path: "/v1/key",
  id: "getOwnKey",
  group,
  summary: "See which key you are calling with, and what it may do",
  permission: "any_key",
  response: OwnKeyView,
  run: (_env, { caller }) => ownKeyView(caller),
});

const listRoles = endpoint({
  method: "GET",
  path: "/v1/roles",
  id: "listRoles",
  group,
  summary: "List the built-in roles and what each may do",
  permission: "any_key",
  response: RolesView,
  run: () => rolesView(),
});

export const apiKeyRoutes: readonly Endpoint[] = [
  whoAmI,
  listRoles,
  list,
  create,
  get,
  revoke,
  listProvider,
  createProvider,
  revokeProvider,
];
