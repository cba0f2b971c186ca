import {
  type Caller,
  type KeyRequest,
  mayCreateKey,
  type Scope,
  secretFrom,
} from "../domain/access/index.ts";
import { type Author, system } from "../domain/audit/index.ts";
import { Problem } from "../domain/refusals/index.ts";
import { hmacSha256 } from "../kit/hash.ts";
import type { AccountId, OrganizationId } from "../kit/ids.ts";
import { formatInstant, type Instant } from "../kit/time.ts";
import {
  type ApiKey,
  findApiKey,
  hasProviderKey,
  insertApiKey,
  markApiKeyRevoked,
} from "../store/api-keys.ts";
import { appendAudit, providerChain } from "../store/audit.ts";
import type { Tx } from "../store/connect.ts";
import { transaction } from "../store/transaction.ts";
import type { Env } from "./env.ts";

export type NewKey = KeyRequest & {
  readonly name: string;
  readonly expiresAt: Instant | null;
  /** Good for this billing account only. */
  readonly accountId?: AccountId | undefined;
};

/** The one moment at which the secret exists outside the caller's hands. */
export type IssuedKey = { readonly key: ApiKey; readonly secret: string };

/** Create a key that a caller asked for: nobody gives away what they do not have. */
export async function createApiKey(
  env: Env,
  caller: Caller,
  author: Author,
  asked: NewKey,
): Promise<IssuedKey> {
  const verdict = mayCreateKey(caller, asked);
  switch (verdict.kind) {
    case "unknown":
      throw new Problem(
        "role_not_known",
        `There is no role or permission named "${verdict.name}".`,
      );
    case "unfit":
      throw new Problem(
        "role_not_fit",
        `"${verdict.name}" cannot be given to a key of this scope.`,
      );
    case "wider":
      throw new Problem(
        "key_too_wide",
        `The key "${caller.name}" does not hold ${verdict.missing.join(", ")} itself.`,
      );
    case "allowed":
      return transaction(env.store.db, (tx) => issue(env, tx, author, asked));
  }
}

/**
 * Create a key outside any request: the first key of an installation, demo keys, the command line. Whoever may run this
 * has the database anyway.
 */
export async function createFirstKey(env: Env, asked: NewKey): Promise<IssuedKey> {
  return transaction(env.store.db, (tx) => issue(env, tx, system("setup"), asked));
}

/** A provider key when there is none yet; undefined when the installation already has one. */
export async function ensureProviderKey(env: Env): Promise<IssuedKey | undefined> {
  if (await hasProviderKey(env.store.db)) return undefined;
  return createFirstKey(env, {
    organizationId: null,
    projectId: null,
    name: "first key",
    roles: ["provider_admin"],
    permissions: [],
    expiresAt: null,
  });
}

async function issue(env: Env, tx: Tx, author: Author, asked: NewKey): Promise<IssuedKey> {
  const secret = secretFrom(env.random.bytes(32));
  const key: ApiKey = {
    id: env.id("apiKey"),
    organizationId: asked.organizationId,
    projectId: asked.projectId,
    accountId: asked.accountId ?? null,
    name: asked.name,
    last4: secret.slice(-4),
    roles: asked.roles,
    permissions: asked.permissions,
    expiresAt: asked.expiresAt,
    revokedAt: null,
    lastUsedAt: null,
    createdBy: author.actor.id,
    createdAt: env.now(),
  };
  await insertApiKey(tx, key, hmacSha256(env.pepper, secret));
  await appendAudit(tx, env.id, chainOf(key), [
    {
      at: env.now(),
      author,
      action: "key.created",
      target: { kind: "key", id: key.id },
      before: null,
      after: described(key),
    },
  ]);
  return { key, secret };
}

/** Revoke for ever. Revoking again changes nothing. */
export async function revokeApiKey(
  env: Env,
  author: Author,
  organizationId: OrganizationId | null,
  id: string,
): Promise<ApiKey> {
  return transaction(env.store.db, async (tx) => {
    const key = await findApiKey(tx, organizationId, id);
    if (!key) throw new Problem("key_not_found");
    if (key.revokedAt !== null) return key;
    const revoked = { ...key, revokedAt: env.now() };
    await markApiKeyRevoked(tx, key.id, revoked.revokedAt);
    await appendAudit(tx, env.id, chainOf(key), [
      {
        at: env.now(),
        author,
        action: "key.revoked",
        target: { kind: "key", id: key.id },
        before: described(key),
        after: described(revoked),
      },
    ]);
    return revoked;
  });
}

const chainOf = (scope: Scope): string => scope.organizationId ?? providerChain;

const described = (key: ApiKey) => ({
  name: key.name,
  organization_id: key.organizationId,
  project_id: key.projectId,
  account_id: key.accountId,
  last4: key.last4,
  roles: key.roles,
  permissions: key.permissions,
  expires_at: key.expiresAt === null ? null : formatInstant(key.expiresAt),
  revoked_at: key.revokedAt === null ? null : formatInstant(key.revokedAt),
});
