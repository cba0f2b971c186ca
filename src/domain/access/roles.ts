import { type Permission, permissionNames, permissions } from "./permissions.ts";

/** Whom a role is made for: staff of the provider, or people and machines of an organization. */
export type Audience = "provider" | "organization";

type Role = {
  readonly audience: Audience;
  readonly says: string;
  readonly permissions: readonly Permission[];
};

const reads = permissionNames.filter((name) => name.endsWith(".read"));
const customerReads = reads.filter((name) => permissions[name].holder !== "provider");

const customerAdmin: readonly Permission[] = [
  ...customerReads,
  "accounts.write",
  "bindings.write",
  "budgets.write",
  "clock.write",
  "disputes.write",
  "keys.write",
  "projects.write",
  "purchases.write",
  "quarantine.write",
  "rating.estimate",
  "reservations.write",
  "subscriptions.write",
  "usage.write",
  "webhooks.write",
];

/** The built-in roles: sets of permissions with a name. A key holds roles, single permissions, or both. */
export const roles = {
  auditor: {
    audience: "provider",
    says: "Reads everything, changes nothing",
    permissions: reads,
  },
  catalog_admin: {
    audience: "provider",
    says: "Prepares products and prices; somebody else approves",
    permissions: [
      "catalog.read",
      "catalog.write",
      "rating.estimate",
      "usage.read",
      "organizations.read",
      "accounts.read",
    ],
  },
  customer_admin: {
    audience: "organization",
    says: "Runs an organization: projects, accounts, keys, purchases",
    permissions: customerAdmin,
  },
  customer_viewer: {
    audience: "organization",
    says: "Sees an organization's usage, invoices and balances",
    permissions: customerReads.filter((name) => name !== "keys.read" && name !== "audit.read"),
  },
  finance: {
    audience: "provider",
    says: "Invoices, terms, corrections and the books",
    permissions: [
      ...reads,
      "accounts.approve",
      "accounts.status",
      "accounts.terms",
      "accounts.write",
      "bindings.backdate",
      "bindings.write",
      "corrections.approve",
      "corrections.write",
      "disputes.resolve",
      "disputes.write",
      "grants.write",
      "invoices.write",
      "ledger.write",
      "payments.write",
      "purchases.write",
      "quarantine.write",
      "rating.estimate",
      "runs.write",
      "subscriptions.write",
      "taxes.write",
    ],
  },
  ingest: {
    audience: "organization",
    says: "Sends usage and asks for permission to use, nothing else",
    permissions: ["entitlements.read", "reservations.write", "usage.write"],
  },
  partner_admin: {
    audience: "organization",
    says: "Runs a partner and the customers below it",
    permissions: [...customerAdmin, "grants.transfer", "organizations.write"],
  },
  provider_admin: {
    audience: "provider",
    says: "May do everything",
    permissions: permissionNames,
  },
} as const satisfies Record<string, Role>;

export type RoleName = keyof typeof roles;
export const roleNames = Object.keys(roles) as RoleName[];

export function isRole(name: string): name is RoleName {
  return Object.hasOwn(roles, name);
}

/** What roles and single permissions add up to. Names that are not known any more give nothing. */
export function permissionsOf(
  roleList: readonly string[],
  single: readonly string[],
): Set<Permission> {
  const granted = new Set<Permission>();
  for (const name of roleList) {
    if (isRole(name)) for (const permission of roles[name].permissions) granted.add(permission);
  }
  for (const name of single) if (Object.hasOwn(permissions, name)) granted.add(name as Permission);
  return granted;
}
