import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { endpoints } from "../../src/api/routes.ts";
import {
  effectivePermissions,
  type Permission,
  roleNames,
  roles,
} from "../../src/domain/access/index.ts";
import { createFirstKey } from "../../src/flows/manage-api-keys.ts";
import type { OrganizationId, ProjectId } from "../../src/kit/ids.ts";
import { type TestApi, testApi } from "../harness/api.ts";

/** Every role, in the kind of key it is made for, and the ingest role once more in a key of one project. */
type Column = {
  readonly name: string;
  readonly permissions: ReadonlySet<Permission>;
  readonly secret: string;
};

let api: TestApi;
let columns: Column[];
let stranger: Column;
beforeAll(async () => {
  api = await testApi();
  const { id } = api.organization;
  const column = async (
    name: string,
    role: string,
    organizationId: OrganizationId | null,
    projectId: ProjectId | null = null,
  ): Promise<Column> => {
    const asked = {
      organizationId,
      projectId,
      name,
      roles: [role],
      permissions: [],
      expiresAt: null,
    };
    const { secret } = await createFirstKey(api.env, asked);
    return { name, secret, permissions: effectivePermissions(asked, [role], []) };
  };
  columns = [
    ...(await Promise.all(
      roleNames.map((role) => column(role, role, roles[role].audience === "provider" ? null : id)),
    )),
    await column("ingest of one project", "ingest", id, api.projectId),
  ];
  const globex = await api.get("/v1/organizations/globex");
  stranger = await column("partner_admin of globex", "partner_admin", globex.json.id);
});
afterAll(() => api.close());

const addressOf = (path: string) =>
  path.replace("{organization}", "acme").replaceAll(/\{\w+\}/g, "does-not-exist");
const headers = { "tallyline-organization": "acme" };

for (const route of endpoints) {
  if (route.permission === null) continue;
  const needs = route.permission;
  const call = (secret: string | null) =>
    api.call(route.method, addressOf(route.path), {
      key: secret,
      headers,
      // Never valid: past the gate it is refused before anything happens.
      ...(route.body || route.rawBody ? { body: "[[" } : {}),
    });

  describe(`${route.method} ${route.path} needs ${needs}`, () => {
    test("without a key it is 401", async () => {
      expect((await call(null)).status).toBe(401);
    });

    test("each role gets in or not, as declared", async () => {
      for (const { name, permissions, secret } of columns) {
        const answer = await call(secret);
        const allowed = needs === "any_key" || permissions.has(needs);
        const refusedHere = answer.status === 403 && answer.json?.permission === needs;
        expect(refusedHere, `${name} on ${route.id}: ${answer.status}`).toBe(!allowed);
        expect(answer.status, `${name} on ${route.id}: ${answer.text}`).toBeLessThan(500);
      }
    });

    if (route.hasOrganization) {
      test("to another organization it is 404, whatever the key may do there", async () => {
        const answer = await call(stranger.secret);
        expect([answer.status, answer.json?.code]).toEqual([404, "organization_not_found"]);
      });
    }
  });
}

test("customers have no way to prices, grants, limits, terms, invoices or the books", () => {
  const staff =
    /^(catalog|grants|corrections|ledger|invoices|taxes|runs|payments)\.(write|approve)$|^accounts\.(terms|status|approve)$|\.admin$/;
  for (const route of endpoints) {
    if (route.permission === null || !staff.test(route.permission)) continue;
    for (const role of roleNames)
      if (roles[role].audience === "organization")
        expect([...(roles[role].permissions as readonly string[])]).not.toContain(route.permission);
  }
});

test("whoever only reads may ask, but never edit or remove", () => {
  for (const route of endpoints)
    if (["PUT", "PATCH", "DELETE"].includes(route.method))
      expect(route.permission, route.id).not.toMatch(/\.read$/);
});
