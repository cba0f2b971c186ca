import type { Logger } from "pino";
import type { Caller } from "../domain/access/index.ts";
import { acceptsChanges, type Organization } from "../domain/accounts/index.ts";
import { Problem } from "../domain/refusals/index.ts";
import type { Env } from "../flows/env.ts";
import { assert } from "../kit/assert.ts";
import { findPayer } from "../store/bindings.ts";
import type { StoredAnswer } from "../store/idempotency.ts";
import { keepToAccount, queryOfAccount } from "./account-keys.ts";
import type { Gate } from "./auth.ts";
import { readBody } from "./body.ts";
import {
  type ApiRequest,
  changesOrganization,
  commonProblems,
  type Endpoint,
  isReply,
  isWritten,
  takesIdempotencyKey,
} from "./endpoint.ts";
import type { Incoming } from "./incoming.ts";
import { once, readIdempotencyKey, requestHash } from "./idempotency.ts";
import type { rateLimiter } from "./rate-limit.ts";
import type { Seen } from "./request-log.ts";
import { check } from "./validation.ts";

const bodyBytesMax = 1_048_576;

export type AnswerOptions = {
  readonly gate: Gate;
  readonly limiter: ReturnType<typeof rateLimiter> | undefined;
  readonly log: Logger | undefined;
  /** An answer or refusal that the endpoint does not declare becomes an error. */
  readonly checked: boolean;
};

/** One request to one endpoint: who, about what, whether they may, what they say; then the flow, once; then the answer. */
export async function answer(
  env: Env,
  { gate, limiter, log, checked }: AnswerOptions,
  route: Endpoint,
  raw: Incoming,
  pathParams: Record<string, string>,
  id: string,
  seen: Seen,
): Promise<StoredAnswer | Response> {
  const caller =
    route.permission === null
      ? undefined
      : await gate.authenticate(raw.headers.get("authorization") ?? undefined);
  if (caller) {
    seen.caller = caller;
    const verdict = limiter?.take(caller.keyId, route.rate ?? "standard");
    if (verdict) {
      Object.assign(seen.headers, verdict.headers);
      if (!verdict.allowed)
        throw new Problem("rate_limited", undefined, {
          facts: { retry_after: verdict.resetSeconds },
        });
    }
  }
  // Whether the organization is there for this caller comes before what the caller may do: 404 tells nothing.
  if (caller && route.hasOrganization) {
    const reference =
      pathParams["organization"] ?? raw.headers.get("tallyline-organization") ?? "current";
    seen.organization = await gate.organization(caller, reference);
  }
  if (caller) requirePermission(route, caller);
  if (caller?.projectId && seen.organization && pathParams["account"] && asksForRoom(route))
    await requirePayer(env, caller.projectId, seen.organization, pathParams["account"]);
  if (caller && caller.accountId !== null)
    await keepToAccount(env.store.db, route, caller, seen.organization, pathParams);
  if (
    caller &&
    seen.organization &&
    changesOrganization(route) &&
    !acceptsChanges(seen.organization.status, caller.organizationId === null)
  )
    throw new Problem(
      "organization_not_active",
      `The organization ${seen.organization.slug} is ${seen.organization.status}.`,
    );
  const params = check(route.params, pathParams, "path");
  const asked = check(route.query, queryOf(raw.search), "query");
  const query =
    caller && caller.accountId !== null
      ? await queryOfAccount(env.store.db, route, caller, seen.organization, asked)
      : asked;
  const { body, json, bytes } = await readBody(route, raw, route.bodyBytesMax ?? bodyBytesMax);

  const organization = seen.organization;
  const now = organization?.testClockAt ?? undefined;
  const requestEnv: Env = now === undefined ? env : { ...env, now: () => now };
  let afterwards: ((env: Env) => Promise<unknown>)[] = [];
  const request = {
    id,
    get caller() {
      assert(caller, `${route.id} needs no key, so it has no caller`);
      return caller;
    },
    get author() {
      assert(caller, `${route.id} needs no key, so nobody is its author`);
      return {
        actor: { kind: "api_key" as const, id: caller.keyId, name: caller.name },
        requestId: id,
        reason: reasonOf(body),
      };
    },
    get organization() {
      assert(organization, `${route.id} has no organization`);
      return organization;
    },
    now: requestEnv.now(),
    params,
    query,
    body,
    get raw() {
      assert(bytes, `${route.id} has no raw body`);
      return { contentType: raw.headers.get("content-type") ?? "", bytes };
    },
    headers: raw.headers,
    afterCommit: (work: (env: Env) => Promise<unknown>) => afterwards.push(work),
  } as unknown as ApiRequest<never, never, never>;

  const perform = async (inner: Env): Promise<StoredAnswer | Response> => {
    // A conflict may have undone an earlier attempt, and with it what it wanted done afterwards.
    afterwards = [];
    return encode(route, await route.run(inner, request), checked);
  };

  const key = takesIdempotencyKey(route)
    ? readIdempotencyKey(raw.headers.get("idempotency-key") ?? undefined)
    : undefined;
  let result: StoredAnswer | Response;
  try {
    if (key === undefined) {
      result = await perform(requestEnv);
    } else {
      const scope = organization?.id ?? caller?.organizationId ?? "provider";
      const keyed = {
        scope,
        key,
        hash: requestHash(route.method, raw.pathname + raw.search, json),
        claim: env.id("request"),
      };
      const { answer: stored, replayed } = await once(
        requestEnv,
        env.now,
        keyed,
        id,
        route.atomic !== false,
        async (inner) => {
          const made = await perform(inner);
          assert(
            !(made instanceof Response),
            `${route.id}: a file cannot be stored for an Idempotency-Key`,
          );
          return made;
        },
      );
      if (replayed) seen.headers["idempotency-replayed"] = "true";
      result = stored;
    }
  } catch (error) {
    if (checked && error instanceof Problem) {
      const declared = [...(route.problems ?? []), ...commonProblems(route)];
      assert(
        declared.includes(error.code),
        `${route.id} refused with ${error.code}, which its problems do not name`,
      );
    }
    throw error;
  } finally {
    if (route.changesAccess) gate.forget();
  }
  for (const work of afterwards) {
    try {
      await work(requestEnv);
    } catch (error) {
      log?.error({ request_id: id, route: route.path, err: error }, "work after commit failed");
    }
  }
  if (result instanceof Response) {
    for (const [name, value] of Object.entries(seen.headers)) result.headers.set(name, value);
    return result;
  }
  return { ...result, headers: { ...seen.headers, ...result.headers } };
}

function requirePermission({ permission }: Endpoint, caller: Caller): void {
  if (permission === null || permission === "any_key" || caller.permissions.has(permission)) return;
  throw new Problem(
    "permission_missing",
    `This needs the permission ${permission}, which the key "${caller.name}" does not have.`,
    { facts: { permission } },
  );
}

/** Whether it asks what an account may still use, or takes some of it. */
const asksForRoom = ({ permission }: Endpoint): boolean =>
  permission === "entitlements.read" || permission === "reservations.write";

/** A key of one project may use up what the account that pays for it has, and no other account's. */
async function requirePayer(
  env: Env,
  projectId: string,
  organization: Organization,
  reference: string,
): Promise<void> {
  const now = organization.testClockAt ?? env.now();
  const payer = await findPayer(env.store.db, organization.id, projectId, now);
  if (!payer || (payer.id !== reference && payer.slug !== reference))
    throw new Problem(
      "account_not_found",
      `No billing account "${reference}" pays for the project of this key.`,
    );
}

/** A name given twice is a list. */
function queryOf(search: string): Record<string, string | string[]> {
  const query: Record<string, string | string[]> = {};
  if (search === "") return query;
  const params = new URLSearchParams(search);
  for (const name of new Set(params.keys())) {
    const values = params.getAll(name);
    query[name] = values.length === 1 ? (values[0] as string) : values;
  }
  return query;
}

/** Bodies that say why carry it as `reason`; it becomes part of the audit entry. */
function reasonOf(body: unknown): string | null {
  const reason = (body as { reason?: unknown } | undefined)?.reason;
  return typeof reason === "string" ? reason : null;
}

/** What a handler returned, as it goes over the wire. */
function encode(route: Endpoint, value: unknown, checked: boolean): StoredAnswer | Response {
  const { status, body, headers } = isReply(value)
    ? value
    : { status: route.success, body: value, headers: {} as Record<string, string> };
  if (route.responseType !== undefined && status === route.success && headers["content-type"])
    return new Response(body as string | Uint8Array<ArrayBuffer> | ReadableStream, {
      status,
      headers: { ...headers },
    });
  if (body === null || body === undefined) return { status, headers, body: "" };
  const text = isWritten(value) ? (body as string) : JSON.stringify(body);
  if (checked) {
    const schema = status === route.success ? route.response : route.alternatives?.[status]?.schema;
    assert(schema, `${route.id} answered ${status}, which it does not declare`);
    const found = schema.safeParse(JSON.parse(text));
    assert(
      found.success,
      `${route.id} answered something else than it declares: ${found.error?.message}`,
    );
  }
  return { status, headers: { "content-type": "application/json", ...headers }, body: text };
}
