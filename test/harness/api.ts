import { type App, type AppOptions, buildApp } from "../../src/api/server.ts";
import type { Organization } from "../../src/domain/accounts/index.ts";
import { createFirstKey } from "../../src/flows/manage-api-keys.ts";
import type { AccountId, OrganizationId, ProjectId } from "../../src/kit/ids.ts";
import { formatInstant } from "../../src/kit/time.ts";
import { insertOrganization } from "../../src/store/organizations.ts";
import { type TestEnv, testEnv } from "./database.ts";

export type Answer = {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  // oxlint-disable-next-line typescript/no-explicit-any -- tests look into answers freely
  readonly json: any;
};

export type CallOptions = {
  readonly body?: unknown;
  /** The secret to call with; the provider's when left out, none at all when null. */
  readonly key?: string | null;
  readonly headers?: Record<string, string>;
};

/**
 * The whole API in process over a fresh database. Seeded: organization `acme` with project `web`, account `acme-usd` and a
 * binding between them since the start, and organization `globex` next door. Answers and refusals that the contract does
 * not describe fail.
 *
 *     let api: TestApi;
 *     beforeAll(async () => { api = await testApi(); });
 *     afterAll(() => api.close());
 *     const answer = await api.get("/v1/organizations/acme/keys");
 */
export type TestApi = {
  readonly env: TestEnv;
  readonly app: App;
  readonly organization: Organization;
  readonly projectId: ProjectId;
  readonly accountId: AccountId;
  /** Secrets: the provider, an admin, a viewer and a sender of `acme`, and an admin of another organization, `globex`. */
  readonly keys: {
    readonly provider: string;
    readonly admin: string;
    readonly viewer: string;
    readonly ingest: string;
    readonly other: string;
  };
  fetch(path: string, init?: RequestInit): Promise<Response>;
  call(method: string, path: string, options?: CallOptions): Promise<Answer>;
  get(path: string, options?: CallOptions): Promise<Answer>;
  post(path: string, body: unknown, options?: CallOptions): Promise<Answer>;
  put(path: string, body: unknown, options?: CallOptions): Promise<Answer>;
  patch(path: string, body: unknown, options?: CallOptions): Promise<Answer>;
  delete(path: string, options?: CallOptions): Promise<Answer>;
  close(): Promise<void>;
};

export type TestApiOptions = {
  readonly at?: string;
  readonly seed?: number;
  readonly app?: AppOptions;
  /** More to put into the Env, such as a running ingest pipeline. */
  readonly extend?: (env: TestEnv) => TestEnv;
};

export async function testApi(options: TestApiOptions = {}): Promise<TestApi> {
  const bare = await testEnv({
    ...(options.at ? { at: options.at } : {}),
    ...(options.seed ? { seed: options.seed } : {}),
  });
  const env = options.extend ? options.extend(bare) : bare;
  const app = buildApp(env, { ratePolicies: false, checkAnswers: true, ...options.app });
  const { db } = env.store;
  const now = env.now();

  const organizationNamed = (slug: string, name: string): Organization => ({
    id: env.id("organization"),
    slug,
    name,
    kind: "direct",
    parentId: null,
    status: "active",
    testClockAt: null,
    createdAt: now,
  });
  const acme = organizationNamed("acme", "Acme");
  const globex = organizationNamed("globex", "Globex");
  await insertOrganization(db, acme);
  await insertOrganization(db, globex);
  const projectId = env.id("project");
  const accountId = env.id("account");
  const at = formatInstant(now);
  await db
    .insertInto("project")
    .values({ org_id: acme.id, project_id: projectId, slug: "web", name: "Web", created_at: at })
    .execute();
  await db
    .insertInto("billing_account")
    .values({
      org_id: acme.id,
      account_id: accountId,
      slug: "acme-usd",
      name: "Acme",
      currency: "USD",
      created_at: at,
    })
    .execute();
  await db
    .insertInto("binding")
    .values({
      org_id: acme.id,
      binding_id: env.id("binding"),
      project_id: projectId,
      account_id: accountId,
      effective_from: at,
      created_by: "test",
      created_at: at,
    })
    .execute();

  const secretOf = async (organizationId: OrganizationId | null, role: string): Promise<string> =>
    (
      await createFirstKey(env, {
        organizationId,
        projectId: null,
        name: `${role} of the test`,
        roles: [role],
        permissions: [],
        expiresAt: null,
      })
    ).secret;
  const keys = {
    provider: await secretOf(null, "provider_admin"),
    admin: await secretOf(acme.id, "customer_admin"),
    viewer: await secretOf(acme.id, "customer_viewer"),
    ingest: await secretOf(acme.id, "ingest"),
    other: await secretOf(globex.id, "customer_admin"),
  };

  const fetch = (path: string, init?: RequestInit) =>
    app.fetch(new Request(`http://tallyline.test${path}`, init));
  const call = async (method: string, path: string, given: CallOptions = {}): Promise<Answer> => {
    const key = given.key === undefined ? keys.provider : given.key;
    const headers: Record<string, string> = { ...given.headers };
    if (key !== null) headers["authorization"] ??= `Bearer ${key}`;
    if (given.body !== undefined) headers["content-type"] ??= "application/json";
    const response = await fetch(path, {
      method,
      headers,
      ...(given.body === undefined
        ? {}
        : { body: typeof given.body === "string" ? given.body : JSON.stringify(given.body) }),
    });
    const text = await response.text();
    const isJson = /json/.test(response.headers.get("content-type") ?? "");
    return {
      status: response.status,
      headers: response.headers,
      text,
      json: isJson ? JSON.parse(text) : undefined,
    };
  };

  return {
    env,
    app,
    organization: acme,
    projectId,
    accountId,
    keys,
    fetch,
    call,
    get: (path, given) => call("GET", path, given),
    post: (path, body, given) => call("POST", path, { ...given, body }),
    put: (path, body, given) => call("PUT", path, { ...given, body }),
    patch: (path, body, given) => call("PATCH", path, { ...given, body }),
    delete: (path, given) => call("DELETE", path, given),
    async close() {
      await app.settle();
      await env.close();
    },
  };
}
