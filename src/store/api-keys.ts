import type { Scope } from "../domain/access/index.ts";
import type { AccountId, Id, OrganizationId, ProjectId } from "../kit/ids.ts";
import type { Instant } from "../kit/time.ts";
import { readInstant, readInstantOrNull, writeInstant } from "./columns.ts";
import type { Db } from "./connect.ts";

export type ApiKey = Scope & {
  readonly id: Id<"apiKey">;
  /** The only billing account it is good for; null for all of its organization. */
  readonly accountId: AccountId | null;
  readonly name: string;
  readonly last4: string;
  readonly roles: readonly string[];
  readonly permissions: readonly string[];
  readonly expiresAt: Instant | null;
  readonly revokedAt: Instant | null;
  readonly lastUsedAt: Instant | null;
  readonly createdBy: string;
  readonly createdAt: Instant;
};

export async function insertApiKey(db: Db, key: ApiKey, secretHmac: Buffer): Promise<void> {
  await db
    .insertInto("api_key")
    .values({
      key_id: key.id,
      org_id: key.organizationId,
      project_id: key.projectId,
      account_id: key.accountId,
      name: key.name,
      secret_hmac: secretHmac,
      last4: key.last4,
      roles: [...key.roles],
      permissions: [...key.permissions],
      expires_at: key.expiresAt === null ? null : writeInstant(key.expiresAt),
      created_by: key.createdBy,
      created_at: writeInstant(key.createdAt),
    })
    .execute();
}

export async function findApiKeyBySecret(db: Db, secretHmac: Buffer): Promise<ApiKey | undefined> {
  const row = await db
    .selectFrom("api_key")
    .selectAll()
    .where("secret_hmac", "=", secretHmac)
    .executeTakeFirst();
  return row && keyOf(row);
}

/** A key by id, within one scope: null means keys of the provider. */
export async function findApiKey(
  db: Db,
  organizationId: OrganizationId | null,
  id: string,
): Promise<ApiKey | undefined> {
  const row = await db
    .selectFrom("api_key")
    .selectAll()
    .where("key_id", "=", id)
    .where("org_id", organizationId === null ? "is" : "=", organizationId)
    .executeTakeFirst();
  return row && keyOf(row);
}

export async function listApiKeys(
  db: Db,
  organizationId: OrganizationId | null,
  page: { readonly afterId: string | undefined; readonly limit: number },
): Promise<ApiKey[]> {
  let query = db
    .selectFrom("api_key")
    .selectAll()
    .where("org_id", organizationId === null ? "is" : "=", organizationId);
  if (page.afterId !== undefined) query = query.where("key_id", ">", page.afterId);
  return (await query.orderBy("key_id").limit(page.limit).execute()).map(keyOf);
}

export async function hasProviderKey(db: Db): Promise<boolean> {
  const row = await db
    .selectFrom("api_key")
    .select("key_id")
    .where("org_id", "is", null)
    .where("revoked_at", "is", null)
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}

/** Revoke once; a key that is already revoked keeps its first time. */
export async function markApiKeyRevoked(db: Db, id: string, at: Instant): Promise<void> {
  await db
    .updateTable("api_key")
    .set({ revoked_at: writeInstant(at) })
    .where("key_id", "=", id)
    .where("revoked_at", "is", null)
    .execute();
}

export async function markApiKeyUsed(db: Db, id: string, at: Instant): Promise<void> {
  await db
    .updateTable("api_key")
    .set({ last_used_at: writeInstant(at) })
    .where("key_id", "=", id)
    .execute();
}

type Row = {
  key_id: string;
  org_id: string | null;
  project_id: string | null;
  account_id: string | null;
  name: string;
  last4: string;
  roles: string[];
  permissions: string[];
  expires_at: string | null;
  revoked_at: string | null;
  last_used_at: string | null;
  created_by: string;
  created_at: string;
};

function keyOf(row: Row): ApiKey {
  return {
    id: row.key_id as Id<"apiKey">,
    organizationId: row.org_id as OrganizationId | null,
    projectId: row.project_id as ProjectId | null,
    accountId: row.account_id as AccountId | null,
    name: row.name,
    last4: row.last4,
    roles: row.roles,
    permissions: row.permissions,
    expiresAt: readInstantOrNull(row.expires_at),
    revokedAt: readInstantOrNull(row.revoked_at),
    lastUsedAt: readInstantOrNull(row.last_used_at),
    createdBy: row.created_by,
    createdAt: readInstant(row.created_at),
  };
}
