import { z } from "@hono/zod-openapi";
import type { Caller, Permission } from "../domain/access/index.ts";
import type { Organization } from "../domain/accounts/index.ts";
import type { Author } from "../domain/audit/index.ts";
import type { RefusalCode } from "../domain/refusals/index.ts";
import type { Env } from "../flows/env.ts";
import { assert } from "../kit/assert.ts";
import type { Instant } from "../kit/time.ts";
import { OrganizationParam } from "./contract/common.ts";
import type { Incoming } from "./incoming.ts";
import type { RateClass } from "./rate-limit.ts";

export type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

/** A body that is not one JSON value: events in three formats, files. Bytes as they came. */
export type RawBody = { readonly contentType: string; readonly bytes: Uint8Array };

/** What a handler is given besides `env`. All of it has been checked. */
export type ApiRequest<Params, Query, Body> = {
  /** The request id, as in our log and in problems. */
  readonly id: string;
  readonly caller: Caller;
  /** Who, on which request, and why: pass it to flows that change something. */
  readonly author: Author;
  /** The organization the request is about. Only for endpoints that have one. */
  readonly organization: Organization;
  /** The organization's own time: its test clock when it is a sandbox. `env.now()` says the same. */
  readonly now: Instant;
  readonly params: Params;
  readonly query: Query;
  readonly body: Body;
  readonly raw: RawBody;
  readonly headers: Incoming["headers"];
  /**
   * Work for after the effect is committed and before the answer goes out, on an Env outside its transaction. Done at most
   * once; when it fails the answer stands and the failure is logged, so it must be work that somebody can do again.
   */
  readonly afterCommit: (work: (env: Env) => Promise<unknown>) => void;
};

declare const replyBrand: unique symbol;
/** An answer that is more than a view with the usual status. */
export type Reply = {
  readonly [replyBrand]: never;
  readonly status: number;
  readonly body: unknown;
  readonly headers: Readonly<Record<string, string>>;
};
const replies = new WeakSet<object>();

/** Answer with another status (one that the endpoint declares) or with headers of one's own. */
export function reply(status: number, body: unknown, headers: Record<string, string> = {}): Reply {
  const made = { status, body, headers } as unknown as Reply;
  replies.add(made);
  return made;
}

const written = new WeakSet<object>();
/** Answer with JSON that is written already. */
export function replyWritten(status: number, json: string): Reply {
  const made = reply(status, json);
  written.add(made);
  return made;
}
export const isWritten = (value: unknown): boolean => written.has(value as object);

/** Answer with a file: bytes, text or a stream of the content type that the endpoint declares. */
export function file(
  content: Uint8Array | string | ReadableStream<Uint8Array>,
  contentType: string,
  headers: Record<string, string> = {},
): Reply {
  return reply(200, content, { "content-type": contentType, ...headers });
}
export const isReply = (value: unknown): value is Reply =>
  typeof value === "object" && value !== null && replies.has(value);

type AnyObject = z.ZodObject;
type Nothing = z.ZodObject<Record<never, never>>;

/**
 * One route, whole: address, who may call it, what goes in, what comes out, every way it can say no, and the flow behind it.
 * Validation, types, the OpenAPI document and the reference page all come from this value.
 */
export type EndpointSpec<
  P extends AnyObject,
  Q extends AnyObject,
  B extends z.ZodType,
  R extends z.ZodType,
> = {
  readonly method: Method;
  /** "/v1/organizations/{organization}/accounts": with `{organization}` the organization is resolved and checked. */
  readonly path: string;
  /** The operationId, unique: "listAccounts". */
  readonly id: string;
  /** The heading in the reference: "Billing accounts". */
  readonly group: string;
  readonly summary: string;
  readonly description?: string;
  /** What the key must be allowed to do; `any_key` for every valid key, null for addresses that need none. */
  readonly permission: Permission | "any_key" | null;
  /** `caller`: no organization in the path; it is the key's own, or the one in the header Tallyline-Organization. */
  readonly organization?: "caller";
  readonly params?: P;
  readonly query?: Q;
  readonly body?: B;
  /** Content types and their schemas (or "binary") when the body is not one JSON value; read it from `request.raw`. */
  readonly rawBody?: Readonly<Record<string, z.ZodType | "binary">>;
  /** The view; null for an answer without a body. */
  readonly response: R | null;
  /** 200 unless said otherwise; 204 when there is no response. */
  readonly success?: number;
  /** Other statuses that are not problems, as 207. */
  readonly alternatives?: Readonly<
    Record<number, { readonly description: string; readonly schema: z.ZodType }>
  >;
  /** Content type of the answer when it is not JSON; answer with `file`. */
  readonly responseType?: string;
  /** Every refusal of its own. Those of all endpoints (keys, validation, limits) need not be named. */
  readonly problems?: readonly RefusalCode[];
  readonly rate?: RateClass;
  readonly bodyBytesMax?: number;
  /**
   * With an Idempotency-Key, `run` works in one transaction together with its stored answer (the default). False for work
   * that opens transactions of its own on `env.store.pool` or takes long; it must then be safe to run twice.
   */
  readonly atomic?: boolean;
  /** Set where keys or organizations change: what is kept of them is forgotten at once. */
  readonly changesAccess?: boolean;
  readonly run: (
    env: Env,
    request: ApiRequest<z.output<P>, z.output<Q>, z.output<B>>,
  ) => Answer<NoInfer<R>> | Promise<Answer<NoInfer<R>>>;
};

type Answer<R extends z.ZodType> = z.input<R> | Reply | null;

/** An endpoint among others, its types forgotten. */
export type Endpoint = Omit<
  EndpointSpec<AnyObject, AnyObject, z.ZodType, z.ZodType>,
  "run" | "params" | "query"
> & {
  readonly params: AnyObject;
  readonly query: AnyObject;
  readonly hasOrganization: boolean;
  readonly success: number;
  readonly run: (env: Env, request: ApiRequest<never, never, never>) => unknown;
};

export function endpoint<
  P extends AnyObject = Nothing,
  Q extends AnyObject = Nothing,
  B extends z.ZodType = z.ZodUndefined,
  R extends z.ZodType = z.ZodNull,
>(spec: EndpointSpec<P, Q, B, R>): Endpoint {
  const inPath = [...spec.path.matchAll(/\{(\w+)\}/g)].map((match) => match[1] as string);
  const shape = {
    ...(inPath.includes("organization") ? OrganizationParam.shape : {}),
    ...spec.params?.shape,
  } as Record<string, z.ZodType>;
  for (const name of inPath)
    assert(shape[name], `${spec.id}: {${name}} of the path is not described in params`);
  for (const name of Object.keys(shape))
    assert(inPath.includes(name), `${spec.id}: params describes ${name}, which is not in the path`);
  return {
    ...spec,
    params: z.strictObject(shape) as unknown as AnyObject,
    query: (spec.query ?? z.object({})).strict() as AnyObject,
    hasOrganization: inPath.includes("organization") || spec.organization === "caller",
    success: spec.success ?? (spec.response === null && !spec.responseType ? 204 : 200),
    run: spec.run as Endpoint["run"],
  } as Endpoint;
}

/** Refusals that any endpoint of a kind can give, so that each names only its own. */
export function commonProblems(endpointValue: Endpoint): RefusalCode[] {
  const codes: RefusalCode[] = ["request_not_valid", "internal_error", "service_busy"];
  if (endpointValue.permission !== null)
    codes.push(
      "key_missing",
      "key_not_valid",
      "key_limited_to_account",
      "permission_missing",
      "rate_limited",
    );
  if (endpointValue.hasOrganization) codes.push("organization_not_found", "organization_required");
  if (changesOrganization(endpointValue)) codes.push("organization_not_active");
  if (endpointValue.body || endpointValue.rawBody)
    codes.push("body_not_json", "body_too_large", "content_type_not_supported");
  if ("cursor" in endpointValue.query.shape) codes.push("cursor_not_valid");
  if (takesIdempotencyKey(endpointValue))
    codes.push("idempotency_key_in_flight", "idempotency_key_reused", "idempotency_key_not_valid");
  return codes;
}

/** Whether it changes what an organization has agreed to, and not only records what happened or asks. */
export const changesOrganization = ({ method, permission, hasOrganization }: Endpoint): boolean =>
  method !== "GET" &&
  hasOrganization &&
  permission !== null &&
  !/\.read$|^(usage|reservations)\.write$|^rating\.|^organizations\.admin$/.test(permission);

export const takesIdempotencyKey = (endpointValue: Endpoint): boolean =>
  endpointValue.method === "POST" && endpointValue.permission !== null && !endpointValue.rawBody;
