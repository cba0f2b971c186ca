import { type Fault, Problem, type RefusalCode, refusals } from "../domain/refusals/index.ts";

/** The HTTP status of every refusal. Total: a code without a status does not compile. Keep sorted by code. */
export const statuses: Record<RefusalCode, number> = {
  account_not_found: 404,
  body_not_json: 400,
  body_too_large: 413,
  content_type_not_supported: 415,
  cursor_not_valid: 400,
  electronic_invoice_impossible: 409,
  idempotency_key_in_flight: 409,
  idempotency_key_not_valid: 400,
  idempotency_key_reused: 422,
  internal_error: 500,
  key_missing: 401,
  key_not_found: 404,
  key_not_valid: 401,
  key_too_wide: 403,
  method_not_allowed: 405,
  organization_not_found: 404,
  organization_required: 400,
  permission_missing: 403,
  project_forbidden: 403,
  rate_limited: 429,
  request_not_valid: 400,
  role_not_fit: 422,
  role_not_known: 422,
  route_not_found: 404,
  service_busy: 503,
};

export const problemContentType = "application/problem+json";

/** One thing wrong with the request; `in` says which part of it the pointer points into. */
export type RequestFault = Fault & { readonly in?: "body" | "query" | "path" | "header" };

/** RFC 9457, with a stable code, the id under which our log has the request, and what is wrong where. */
export type ProblemBody = {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly code: RefusalCode;
  readonly detail: string;
  readonly request_id: string;
  readonly errors?: readonly RequestFault[];
  readonly [fact: string]: unknown;
};

/** What the caller is told. Anything that is not a Problem is a bug: its text stays in the log. */
export function problemBody(error: unknown, requestId: string): ProblemBody {
  const problem = error instanceof Problem ? error : new Problem("internal_error");
  return {
    ...problem.facts,
    type: `/problems/${problem.code}`,
    title: refusals[problem.code].title,
    status: statuses[problem.code],
    code: problem.code,
    detail: problem.message,
    request_id: requestId,
    ...(problem.faults.length > 0 ? { errors: problem.faults } : {}),
  };
}

export function problemResponse(
  error: unknown,
  requestId: string,
  headers: Record<string, string> = {},
): Response {
  const body = problemBody(error, requestId);
  return new Response(JSON.stringify(body), {
    status: body.status,
    headers: { "content-type": problemContentType, ...headers, ...headersOf(error) },
  });
}

/** Headers that belong to a refusal itself: how long to wait, how to authenticate. */
export function headersOf(error: unknown): Record<string, string> {
  if (!(error instanceof Problem)) return {};
  const headers: Record<string, string> = {};
  const wait = error.facts["retry_after"];
  if (typeof wait === "number") headers["retry-after"] = String(Math.max(1, Math.ceil(wait)));
  if (statuses[error.code] === 401) headers["www-authenticate"] = 'Bearer realm="tallyline"';
  return headers;
}
