import type { AccountId, OrganizationId, ProjectId } from "../../kit/ids.ts";
import { type Holder, type Permission, permissions } from "./permissions.ts";
import { isRole, permissionsOf, roles } from "./roles.ts";

/** Where a key is good: everywhere, in one organization (and, for a partner, below it), or in one project. */
export type Scope = {
  readonly organizationId: OrganizationId | null;
  readonly projectId: ProjectId | null;
};

/** Who is asking. `permissions` is already cut to what the scope may hold. */
export type Caller = Scope & {
  /** Where it is good within its organization: for one billing account, or (null) for all. */
  readonly accountId: AccountId | null;
  readonly keyId: string;
  readonly name: string;
  readonly permissions: ReadonlySet<Permission>;
};

const scopeKind = (scope: Scope): Holder =>
  scope.organizationId === null
    ? "provider"
    : scope.projectId === null
      ? "organization"
      : "project";

const breadth: Record<Holder, number> = { project: 0, organization: 1, provider: 2 };

/** Whether a key of this scope may hold a permission at all. */
export function mayHold(scope: Scope, permission: Permission): boolean {
  return breadth[scopeKind(scope)] >= breadth[permissions[permission].holder];
}

/** What a key may do: its roles and permissions, less what its scope can never hold. */
export function effectivePermissions(
  scope: Scope,
  roleList: readonly string[],
  single: readonly string[],
): Set<Permission> {
  const granted = permissionsOf(roleList, single);
  for (const permission of granted) if (!mayHold(scope, permission)) granted.delete(permission);
  return granted;
}

/** Whether something that belongs to an organization is visible: `lineage` is the organization, its parent, and so on up. */
export function maySee(caller: Scope, lineage: readonly string[]): boolean {
  return caller.organizationId === null || lineage.includes(caller.organizationId);
}

export type KeyRequest = Scope & {
  readonly roles: readonly string[];
  readonly permissions: readonly string[];
};

export type KeyVerdict =
  | { readonly kind: "allowed" }
  | { readonly kind: "unknown"; readonly name: string }
  | { readonly kind: "unfit"; readonly name: string }
  | { readonly kind: "wider"; readonly missing: readonly string[] };

/**
 * Whether a caller may create a key like this: names must exist, the scope must be able to hold them, and nobody can give
 * away what they do not have.
 */
export function mayCreateKey(caller: Caller, asked: KeyRequest): KeyVerdict {
  const kind = scopeKind(asked);
  for (const name of asked.roles) {
    if (!isRole(name)) return { kind: "unknown", name };
    if (roles[name].audience === "provider" && kind !== "provider") return { kind: "unfit", name };
  }
  for (const name of asked.permissions) {
    if (!Object.hasOwn(permissions, name)) return { kind: "unknown", name };
    if (!mayHold(asked, name as Permission)) return { kind: "unfit", name };
  }
  const missing: string[] = [...effectivePermissions(asked, asked.roles, asked.permissions)].filter(
    (permission) => !caller.permissions.has(permission),
  );
  if (breadth[scopeKind(caller)] < breadth[kind]) missing.push(`scope:${kind}`);
  return missing.length === 0 ? { kind: "allowed" } : { kind: "wider", missing };
}
