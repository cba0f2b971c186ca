import type { IncomingMessage, ServerResponse } from "node:http";
import { Hono } from "hono";
import { RegExpRouter } from "hono/router/reg-exp-router";
import { SmartRouter } from "hono/router/smart-router";
import { TrieRouter } from "hono/router/trie-router";
import type { Logger } from "pino";
import { Problem } from "../domain/refusals/index.ts";
import type { Env } from "../flows/env.ts";
import { assert } from "../kit/assert.ts";
import type { StoredAnswer } from "../store/idempotency.ts";
import { answer } from "./answer.ts";
import { type Gate, openGate } from "./auth.ts";
import type { Endpoint } from "./endpoint.ts";
import { openapiDocument } from "./openapi.ts";
import { type Incoming, fromFetch, fromNode } from "./incoming.ts";
import { problemAnswer } from "./problems.ts";
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
  /**
   * The same for Node's own HTTP server, without making web objects of what machines send by the thousand. What is not an
   * endpoint that answers with JSON is left to `otherwise`, untouched.
   */
  listen(request: IncomingMessage, response: ServerResponse, otherwise: () => void): void;
  /** Wait for what is still at work or being written in the background. */
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
  const running = new Set<Promise<void>>();

  const routes = new SmartRouter<Endpoint>({ routers: [new RegExpRouter(), new TrieRouter()] });
  for (const route of endpoints)
    routes.add(route.method, route.path.replaceAll(/\{(\w+)\}/g, ":$1"), route);
  const answering = { gate, limiter, log, checked: options.checkAnswers === true };

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
    return responseOf(problemAnswer(error, context.env.id, seen.headers));
  });

  async function answerAt(
    incoming: Incoming,
    id: string,
    seen: Seen,
  ): Promise<StoredAnswer | Response | undefined> {
    const found = routeAt(routes, incoming);
    if (!found) return undefined;
    seen.route = found.route.path;
    try {
      return await answer(env, answering, found.route, incoming, found.params, id, seen);
    } catch (error) {
      seen.error = error;
      return problemAnswer(error, id, seen.headers);
    }
  }

  /** Headers that every answer has, and one line in the log. */
  function finish(
    incoming: Pick<Incoming, "method" | "pathname">,
    { status, id, seen, startedAt }: { status: number; id: string; seen: Seen; startedAt: number },
  ): void {
    if (!log) return;
    const request = { method: incoming.method, path: incoming.pathname, status };
    logRequest(log, request, id, seen, performance.now() - startedAt);
  }

  const idOf = (incoming: { headers: Incoming["headers"] }): string =>
    requestIdOf(incoming) ?? env.id("request");

  async function fetch(request: Request): Promise<Response> {
    const startedAt = performance.now();
    const incoming = fromFetch(request);
    const id = idOf(incoming);
    const seen: Seen = { headers: {} };
    const found =
      (await answerAt(incoming, id, seen)) ?? (await router.fetch(request, { id, seen }));
    const response = found instanceof Response ? found : responseOf(found, incoming.method);
    const { headers } = response;
    headers.set("x-request-id", id);
    for (const [name, value] of Object.entries(securityHeaders))
      if (!headers.has(name)) headers.set(name, value);
    finish(incoming, { status: response.status, id, seen, startedAt });
    return response;
  }

  async function answerPlainly(
    request: IncomingMessage,
    response: ServerResponse,
    otherwise: () => void,
  ): Promise<void> {
    const startedAt = performance.now();
    const incoming = fromNode(request);
    // Files are streamed by the general way.
    const found = incoming && routeAt(routes, incoming);
    if (!found || found.route.responseType !== undefined) return otherwise();
    const id = idOf(incoming);
    const seen: Seen = { headers: {} };
    const made = (await answerAt(incoming, id, seen)) as StoredAnswer;
    const { status, headers, body } = made;
    const length = status === 204 ? {} : { "content-length": Buffer.byteLength(body) };
    response.writeHead(status, { ...securityHeaders, "x-request-id": id, ...headers, ...length });
    response.end(body);
    finish(incoming, { status, id, seen, startedAt });
  }

  return {
    gate,
    async settle() {
      await Promise.all(running);
      await gate.settle();
    },
    fetch,
    listen(request, response, otherwise) {
      const work = answerPlainly(request, response, otherwise)
        .catch((error: unknown) => {
          log?.error({ err: error }, "an answer could not be written");
          response.destroy();
        })
        .finally(() => running.delete(work));
      running.add(work);
    },
  };
}

type Found = { readonly route: Endpoint; readonly params: Record<string, string> };

/** The endpoint at an address; HEAD asks what GET would say. */
function routeAt(routes: SmartRouter<Endpoint>, incoming: Incoming): Found | undefined {
  const method = incoming.method === "HEAD" ? "GET" : incoming.method;
  const [matches, stash] = routes.match(method, incoming.pathname);
  const [match] = matches;
  if (!match) return undefined;
  const params: Record<string, string> = {};
  for (const [name, at] of Object.entries(match[1]))
    params[name] = decoded(typeof at === "number" ? (stash?.[at] ?? "") : at);
  return { route: match[0], params };
}

function decoded(part: string): string {
  if (!part.includes("%")) return part;
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function responseOf({ status, headers, body }: StoredAnswer, method = "GET"): Response {
  const content = body === "" || method === "HEAD" ? null : body;
  return new Response(content, { status, headers });
}

const idForm = /^[A-Za-z0-9._-]{8,100}$/;

/** A request id that a gateway in front of us chose is kept, so that its log and ours can be joined. */
function requestIdOf(request: { headers: Incoming["headers"] }): string | undefined {
  const id = request.headers.get("x-request-id");
  return id !== null && idForm.test(id) ? id : undefined;
}
