import { Hono } from "hono";
import type { Logger } from "pino";
import type { Caller } from "../domain/access/index.ts";
import type { Organization } from "../domain/accounts/index.ts";
import { Problem } from "../domain/refusals/index.ts";
import type { Env } from "../flows/env.ts";
import { assert } from "../kit/assert.ts";
import type { StoredAnswer } from "../store/idempotency.ts";
import { type Gate, openGate } from "./auth.ts";
import { readBody } from "./body.ts";
import {
  type ApiRequest,
  commonProblems,
  type Endpoint,
  isReply,
  takesIdempotencyKey,
} from "./endpoint.ts";
import { once, readIdempotencyKey, requestHash } from "./idempotency.ts";
import { openapiDocument } from "./openapi.ts";
import { problemResponse } from "./problems.ts";
import { defaultRatePolicies, type RatePolicies, rateLimiter } from "./rate-limit.ts";
import { referenceAssets, referencePaths, referencePolicy } from "./reference.ts";
import { endpoints as allEndpoints } from "./routes.ts";
import { check } from "./validation.ts";

export type AppOptions = {
  readonly endpoints?: readonly Endpoint[];
  readonly version?: string;
  /** One line per request; none when left out. */
  readonly log?: Logger;
  /** False switches limits off. */
  readonly ratePolicies?: RatePolicies | false;
  /** For tests: an answer or refusal that the contract does not describe becomes an error. */
  readonly checkAnswers?: boolean;
};

export type App = {
  fetch(request: Request): Promise<Response>;
  /** Wait for what is still being written in the background. */
  settle(): Promise<void>;
  readonly gate: Gate;
};

const bodyBytesMax = 1_048_576;

const securityHeaders: Record<string, string> = {
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "referrer-policy": "no-referrer",
  "cache-control": "no-store",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
};

type Seen = {
  route?: string;
  caller?: Caller;
  organization?: Organization;
  error?: unknown;
  headers: Record<string, string>;
};

/** The HTTP face: every endpoint mounted, and nothing else at any address. */
export function buildApp(env: Env, options: AppOptions = {}): App {
  const endpoints = options.endpoints ?? allEndpoints;
  const gate = openGate(env);
  const limiter =
    options.ratePolicies === false
      ? undefined
      : rateLimiter(options.ratePolicies ?? defaultRatePolicies);
  const router = new Hono<{ Bindings: { id: string; seen: Seen } }>();
  const { log } = options;

  for (const route of endpoints) {
    const path = route.path.replaceAll(/\{(\w+)\}/g, ":$1");
    router.on(route.method, path, async (context) => {
      const seen = context.env.seen;
      seen.route = route.path;
      return answer(
        route,
        context.req.raw,
        context.req.param() as Record<string, string>,
        context.env.id,
        seen,
      );
    });
  }

  const document = JSON.stringify(openapiDocument(endpoints, options.version ?? "0.1.0"));
  router.get("/openapi.json", (context) => {
    context.env.seen.route = "/openapi.json";
    return new Response(document, {
      headers: { "content-type": "application/json", "cache-control": "no-cache" },
    });
  });

  // Made when somebody first looks: most processes never show it.
  let reference: ReturnType<typeof referenceAssets> | undefined;
  for (const path of referencePaths) {
    router.get(path, (context) => {
      context.env.seen.route = path;
      reference ??= referenceAssets(JSON.parse(document) as object);
      const asset = reference.get(path);
      assert(asset, `${path} is not part of the reference`);
      const headers = {
        etag: asset.etag,
        "cache-control": "no-cache",
        "content-security-policy": referencePolicy,
      };
      return context.req.header("if-none-match") === asset.etag
        ? new Response(null, { status: 304, headers })
        : new Response(asset.body, { headers: { ...headers, "content-type": asset.type } });
    });
  }
  // What a problem's `type` leads to.
  router.get("/problems/:code", (context) => {
    context.env.seen.route = "/problems/{code}";
    return context.redirect(`/docs#problem-${encodeURIComponent(context.req.param("code"))}`);
  });

  const matchers = endpoints.map((route) => ({
    method: route.method,
    pattern: new RegExp(`^${route.path.replaceAll(/\{\w+\}/g, "[^/]+")}$`),
  }));
  router.notFound((context) => {
    const methods = new Set(
      matchers.filter(({ pattern }) => pattern.test(context.req.path)).map(({ method }) => method),
    );
    if (methods.size === 0)
      throw new Problem(
        "route_not_found",
        `There is nothing at ${context.req.path.slice(0, 200)}. See /docs for the addresses there are.`,
      );
    const allow = [...methods, ...(methods.has("GET") ? ["HEAD"] : [])].join(", ");
    context.env.seen.headers["allow"] = allow;
    throw new Problem(
      "method_not_allowed",
      `${context.req.path.slice(0, 200)} takes ${allow}, not ${context.req.method}.`,
    );
  });
  router.onError((error, context) => {
    const seen = context.env.seen;
    seen.error = error;
    return problemResponse(error, context.env.id, seen.headers);
  });

  async function answer(
    route: Endpoint,
    raw: Request,
    pathParams: Record<string, string>,
    id: string,
    seen: Seen,
  ): Promise<Response> {
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
    const params = check(route.params, pathParams, "path");
    const url = new URL(raw.url);
    const query = check(route.query, queryOf(url), "query");
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
      return encode(route, await route.run(inner, request), options.checkAnswers === true);
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
          hash: requestHash(route.method, url.pathname + url.search, json),
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
      if (options.checkAnswers && error instanceof Problem) {
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
    return new Response(result.body === "" ? null : result.body, {
      status: result.status,
      headers: { ...seen.headers, ...result.headers },
    });
  }

  return {
    gate,
    settle: () => gate.settle(),
    async fetch(request) {
      const startedAt = performance.now();
      const id = requestIdOf(request) ?? env.id("request");
      const seen: Seen = { headers: {} };
      const response = await router.fetch(request, { id, seen });
      const headers = response.headers;
      headers.set("x-request-id", id);
      for (const [name, value] of Object.entries(securityHeaders))
        if (!headers.has(name)) headers.set(name, value);
      if (log) logRequest(log, request, response, id, seen, performance.now() - startedAt);
      return response;
    },
  };
}

const idForm = /^[A-Za-z0-9._-]{8,100}$/;

/** A request id that a gateway in front of us chose is kept, so that its log and ours can be joined. */
function requestIdOf(request: Request): string | undefined {
  const id = request.headers.get("x-request-id");
  return id !== null && idForm.test(id) ? id : undefined;
}

function requirePermission({ permission }: Endpoint, caller: Caller): void {
  if (permission === null || permission === "any_key" || caller.permissions.has(permission)) return;
  throw new Problem(
    "permission_missing",
    `This needs the permission ${permission}, which the key "${caller.name}" does not have.`,
    { facts: { permission } },
  );
}

/** A name given twice is a list. */
function queryOf(url: URL): Record<string, string | string[]> {
  const query: Record<string, string | string[]> = {};
  for (const name of new Set(url.searchParams.keys())) {
    const values = url.searchParams.getAll(name);
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
  const text = JSON.stringify(body);
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

/** One line per request. No header, no query and no body ever gets here, so no secret does. */
function logRequest(
  log: Logger,
  request: Request,
  response: Response,
  id: string,
  seen: Seen,
  ms: number,
): void {
  const line = {
    request_id: id,
    method: request.method,
    route: seen.route ?? null,
    path: new URL(request.url).pathname.slice(0, 300),
    status: response.status,
    ms: Math.round(ms * 100) / 100,
    key: seen.caller?.keyId ?? null,
    organization: seen.organization?.id ?? null,
    ...(seen.error instanceof Problem ? { code: seen.error.code } : {}),
  };
  if (response.status >= 500) log.error({ ...line, err: seen.error }, "request failed");
  else log.info(line, "request");
}
