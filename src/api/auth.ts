import { type Caller, effectivePermissions, isSecret, maySee } from "../domain/access/index.ts";
import type { Organization } from "../domain/accounts/index.ts";
import { Problem } from "../domain/refusals/index.ts";
import type { Env } from "../flows/env.ts";
import { hmacSha256 } from "../kit/hash.ts";
import type { Instant } from "../kit/time.ts";
import { type ApiKey, findApiKeyBySecret, markApiKeyUsed } from "../store/api-keys.ts";
import { findOrganization, type Placed } from "../store/organizations.ts";

/** A revoked key stops working everywhere within this time, in the process that revoked it at once. */
const keyFreshMs = 5_000;
/** The same for an organization's name and status; a sandbox is always read anew, for its clock. */
const organizationFreshMs = 2_000;
const usedEveryMicros = 60_000_000;
const entriesMax = 20_000;

type Kept<T> = { readonly value: T; readonly until: number };

/** Who is asking, and about which organization. Keeps what it read for a few seconds. */
export type Gate = {
  authenticate(authorization: string | undefined): Promise<Caller>;
  organization(caller: Caller, reference: string): Promise<Organization>;
  /** Forget everything kept, after keys or organizations changed. */
  forget(): void;
  /** Wait for writes of last-used times that are on their way. */
  settle(): Promise<void>;
};

export function openGate(env: Env): Gate {
  const keys = new Map<string, Kept<{ key: ApiKey; caller: Caller }>>();
  const organizations = new Map<string, Kept<Placed>>();
  const usedAt = new Map<string, Instant>();
  const writing = new Set<Promise<void>>();

  async function keyOf(secret: string): Promise<{ key: ApiKey; caller: Caller } | undefined> {
    // By what was sent: it stands in this process's memory anyway, and a digest for every request would cost more than reading
    // the request does.
    const kept = keys.get(secret);
    if (kept && kept.until > performance.now()) return kept.value;
    const key = await findApiKeyBySecret(env.store.db, hmacSha256(env.pepper, secret));
    if (!key) {
      keys.delete(secret);
      return undefined;
    }
    const value = { key, caller: callerOf(key) };
    keep(keys, secret, value, keyFreshMs);
    return value;
  }

  function noteUse(key: ApiKey, now: Instant): void {
    const last = usedAt.get(key.id) ?? key.lastUsedAt;
    if (last !== null && now - last < usedEveryMicros) return;
    usedAt.set(key.id, now);
    // Nobody waits for it, and a failure costs only the precision of "last used".
    const write = markApiKeyUsed(env.store.db, key.id, now)
      .catch(() => {})
      .finally(() => writing.delete(write));
    writing.add(write);
  }

  return {
    async authenticate(authorization) {
      if (authorization === undefined || authorization === "") throw new Problem("key_missing");
      const secret = /^Bearer +(\S+)$/i.exec(authorization)?.[1];
      if (secret === undefined || !isSecret(secret)) throw new Problem("key_not_valid");
      const found = await keyOf(secret);
      if (!found) throw new Problem("key_not_valid");
      const now = env.now();
      const { key, caller } = found;
      if (key.revokedAt !== null || (key.expiresAt !== null && key.expiresAt <= now))
        throw new Problem("key_not_valid");
      noteUse(key, now);
      return caller;
    },

    async organization(caller, reference) {
      const name = reference === "current" ? caller.organizationId : reference;
      if (name === null) throw new Problem("organization_required");
      const kept = organizations.get(name);
      let placed = kept && kept.until > performance.now() ? kept.value : undefined;
      if (!placed) {
        placed = await findOrganization(env.store.db, name);
        if (placed && placed.organization.testClockAt === null)
          keep(organizations, name, placed, organizationFreshMs);
      }
      const lineage = placed?.lineage.map((ancestor) => ancestor.id) ?? [];
      // What a key may not see does not exist for it.
      if (!placed || !maySee(caller, lineage)) throw new Problem("organization_not_found");
      return placed.organization;
    },

    forget() {
      keys.clear();
      organizations.clear();
    },

    async settle() {
      await Promise.all(writing);
    },
  };
}

function callerOf(key: ApiKey): Caller {
  return {
    keyId: key.id,
    name: key.name,
    organizationId: key.organizationId,
    projectId: key.projectId,
    accountId: key.accountId,
    permissions: effectivePermissions(key, key.roles, key.permissions),
  };
}

function keep<T>(map: Map<string, Kept<T>>, name: string, value: T, freshMs: number): void {
  if (map.size >= entriesMax) map.clear();
  map.set(name, { value, until: performance.now() + freshMs });
}
