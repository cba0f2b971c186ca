import { z } from "@hono/zod-openapi";
import { type Caller, permissions, roleNames, roles } from "../../domain/access/index.ts";
import { formatInstant } from "../../kit/time.ts";
import type { ApiKey } from "../../store/api-keys.ts";
import { InstantIn, InstantText, Name } from "./common.ts";

const instantOrNull = InstantText.nullable();

export const ApiKeyView = z
  .strictObject({
    id: z.string().openapi({ example: "key_01jz8v5w9k2m4n6p8q0r" }),
    object: z.literal("api_key"),
    created_at: InstantText,
    name: z.string(),
    organization_id: z
      .string()
      .nullable()
      .openapi({ description: "Null for a key of the provider." }),
    project_id: z.string().nullable(),
    account_id: z.string().nullable().openapi({
      description: "The only billing account the key is good for; null for all it can reach.",
    }),
    last4: z.string().openapi({ description: "The last four characters of the secret." }),
    roles: z.array(z.string()),
    permissions: z
      .array(z.string())
      .openapi({ description: "Given one by one, beside the roles." }),
    expires_at: instantOrNull,
    revoked_at: instantOrNull,
    last_used_at: instantOrNull.openapi({ description: "To the minute." }),
    created_by: z.string(),
  })
  .openapi("ApiKey");

export const IssuedKeyView = ApiKeyView.extend({
  secret: z.string().openapi({
    description: "Shown this once and never again: keep it where secrets are kept.",
    example: "tl_…",
  }),
}).openapi("IssuedApiKey");

export const NewKeyBody = z
  .strictObject({
    name: Name.openapi({ example: "billing of the web shop" }),
    roles: z
      .array(z.string())
      .max(20)
      .default([])
      .openapi({ example: ["ingest"] }),
    permissions: z.array(z.string()).max(100).default([]),
    expires_at: InstantIn.optional(),
  })
  .openapi("NewApiKey");

export const NewOrganizationKeyBody = NewKeyBody.extend({
  project: z.string().min(1).max(80).optional().openapi({
    description: "Id or slug of the only project the key is good for.",
  }),
  account: z.string().min(1).max(80).optional().openapi({
    description:
      "Id or slug of the only billing account the key is good for: a department's, say. Not together with project.",
  }),
}).openapi("NewOrganizationApiKey");

const text = (at: ApiKey["expiresAt"]): string | null => (at === null ? null : formatInstant(at));

export const apiKeyView = (key: ApiKey): z.input<typeof ApiKeyView> => ({
  id: key.id,
  object: "api_key",
  created_at: formatInstant(key.createdAt),
  name: key.name,
  organization_id: key.organizationId,
  project_id: key.projectId,
  account_id: key.accountId,
  last4: key.last4,
  roles: [...key.roles],
  permissions: [...key.permissions],
  expires_at: text(key.expiresAt),
  revoked_at: text(key.revokedAt),
  last_used_at: text(key.lastUsedAt),
  created_by: key.createdBy,
});

export const OwnKeyView = z
  .strictObject({
    object: z.literal("own_key"),
    id: z.string(),
    name: z.string(),
    organization_id: z
      .string()
      .nullable()
      .openapi({ description: "Null for a key of the provider." }),
    project_id: z.string().nullable(),
    account_id: z.string().nullable(),
    permissions: z.array(z.string()).openapi({ description: "All of them, roles included." }),
  })
  .openapi("OwnApiKey");

export const ownKeyView = (caller: Caller): z.input<typeof OwnKeyView> => ({
  object: "own_key",
  id: caller.keyId,
  name: caller.name,
  organization_id: caller.organizationId,
  project_id: caller.projectId,
  account_id: caller.accountId,
  permissions: [...caller.permissions].toSorted(),
});

export const RolesView = z
  .strictObject({
    object: z.literal("list"),
    data: z.array(
      z.strictObject({
        name: z.string().openapi({ example: "ingest" }),
        audience: z.enum(["provider", "organization"]),
        says: z.string(),
        permissions: z.array(z.string()),
      }),
    ),
    permissions: z.array(
      z.strictObject({
        name: z.string().openapi({ example: "usage.write" }),
        narrowest_key: z.enum(["project", "organization", "provider"]),
        says: z.string(),
      }),
    ),
  })
  .openapi("Roles");

export const rolesView = (): z.input<typeof RolesView> => ({
  object: "list",
  data: roleNames.map((name) => ({
    name,
    audience: roles[name].audience,
    says: roles[name].says,
    permissions: [...roles[name].permissions],
  })),
  permissions: Object.entries(permissions).map(([name, { holder, says }]) => ({
    name,
    narrowest_key: holder,
    says,
  })),
});
