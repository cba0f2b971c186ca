import { Hono } from "hono";
import type { Logger } from "pino";
import { Problem } from "../domain/refusals/index.ts";
import type { Env } from "../flows/env.ts";
import { assert } from "../kit/assert.ts";
import { answer } from "./answer.ts";
import { type Gate, openGate } from "./auth.ts";
import type { Endpoint } from "./endpoint.ts";
import { openapiDocument } from "./openapi.ts";
import { problemResponse } from "./problems.ts";
import { defaultRatePolicies, type RatePolicies, rateLimiter } from "./rate-limit.ts";
import { referenceAssets, referencePaths, referencePolicy } from "./reference.ts";
import { logRequest, type Seen } from "./request-log.ts";
import { endpoints as allEndpoints } from "./routes.ts";

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

const securityHeaders: Record<string, string> = {
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "referrer-policy": "no-referrer",
  "cache-control": "no-store",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
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
        env,
        { gate, limiter, log, checked: options.checkAnswers === true },
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
