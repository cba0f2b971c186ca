import { describe, expect, test } from "vitest";
import { type Caller, effectivePermissions, mayCreateKey, mayHold, maySee } from "./caller.ts";
import { type Permission, permissionNames, permissions } from "./permissions.ts";
import { roleNames, roles } from "./roles.ts";
import { isSecret, secretFrom } from "./secret.ts";

const provider = { organizationId: null, projectId: null };
const ofOrganization = { organizationId: "org_acme" as const, projectId: null };
const ofProject = { organizationId: "org_acme" as const, projectId: "prj_web" as const };

const callerWith = (scope: typeof provider | typeof ofOrganization, role: string): Caller => ({
  ...scope,
  accountId: null,
  keyId: "key_1",
  name: "test",
  permissions: effectivePermissions(scope, [role], []),
});

describe("permissions", () => {
  test("are listed in order, once each", () => {
    expect(permissionNames).toEqual([...new Set(permissionNames)].toSorted());
  });

  test("what moves prices, grants, limits and terms is for staff only", () => {
    const staff: Permission[] = [
      "accounts.terms",
      "catalog.write",
      "corrections.write",
      "grants.write",
      "invoices.write",
      "ledger.write",
    ];
    for (const permission of staff) {
      expect(mayHold(provider, permission)).toBe(true);
      expect(mayHold(ofOrganization, permission)).toBe(false);
      expect(mayHold(ofProject, permission)).toBe(false);
    }
  });

  test("a customer's key never gets a staff permission, whatever roles were written to its row", () => {
    const all = effectivePermissions(ofOrganization, roleNames, permissionNames);
    for (const permission of all) expect(permissions[permission].holder).not.toBe("provider");
  });

  test("a project's key keeps only what concerns a project", () => {
    const kept = effectivePermissions(ofProject, ["customer_admin"], []);
    expect([...kept].toSorted()).toEqual(
      permissionNames.filter((name) => permissions[name].holder === "project"),
    );
  });
});

describe("roles", () => {
  test("made for an organization hold nothing that it cannot hold", () => {
    for (const name of roleNames) {
      if (roles[name].audience !== "organization") continue;
      for (const permission of roles[name].permissions)
        expect(mayHold(ofOrganization, permission), `${name}: ${permission}`).toBe(true);
    }
  });

  test("viewers and auditors only read", () => {
    for (const name of ["customer_viewer", "auditor"] as const)
      for (const permission of roles[name].permissions) expect(permission).toMatch(/\.read$/);
  });
});

describe("creating keys", () => {
  const ask = (scope: object, roleList: string[], single: string[] = []) => ({
    ...provider,
    ...scope,
    roles: roleList,
    permissions: single,
  });

  test("nobody gives away what they do not have", () => {
    const viewer = callerWith(ofOrganization, "customer_viewer");
    expect(mayCreateKey(viewer, ask(ofOrganization, ["customer_admin"])).kind).toBe("wider");
    expect(mayCreateKey(viewer, ask(ofOrganization, ["customer_viewer"])).kind).toBe("allowed");
    expect(mayCreateKey(viewer, ask(provider, [])).kind).toBe("wider");
    const admin = callerWith(ofOrganization, "customer_admin");
    expect(mayCreateKey(admin, ask(ofProject, ["ingest"])).kind).toBe("allowed");
  });

  test("staff roles and permissions do not fit an organization's key, unknown names fit none", () => {
    const staff = callerWith(provider, "provider_admin");
    expect(mayCreateKey(staff, ask(ofOrganization, ["finance"]))).toEqual({
      kind: "unfit",
      name: "finance",
    });
    expect(mayCreateKey(staff, ask(ofOrganization, [], ["accounts.terms"])).kind).toBe("unfit");
    expect(mayCreateKey(staff, ask(provider, ["emperor"])).kind).toBe("unknown");
    expect(mayCreateKey(staff, ask(provider, [], ["toString"])).kind).toBe("unknown");
  });
});

test("an organization is visible to itself, to partners above it, and to the provider", () => {
  const lineage = ["org_initech", "org_globex"];
  expect(maySee({ organizationId: "org_initech", projectId: null }, lineage)).toBe(true);
  expect(maySee({ organizationId: "org_globex", projectId: null }, lineage)).toBe(true);
  expect(maySee(provider, lineage)).toBe(true);
  expect(maySee(ofOrganization, lineage)).toBe(false);
  expect(maySee({ organizationId: "org_initech", projectId: null }, ["org_globex"])).toBe(false);
});

test("a secret carries all 256 bits, and nothing else looks like one", () => {
  const secret = secretFrom(Uint8Array.from({ length: 32 }, () => 255));
  expect(isSecret(secret)).toBe(true);
  expect(secret).not.toBe(secretFrom(Uint8Array.from({ length: 32 }, (_, n) => (n ? 255 : 254))));
  for (const other of ["", "tl_", "sk_live_1", `${secret}x`, secret.toUpperCase()])
    expect(isSecret(other)).toBe(false);
});
