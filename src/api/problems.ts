import { type Fault, Problem, type RefusalCode, refusals } from "../domain/refusals/index.ts";
import type { StoredAnswer } from "../store/idempotency.ts";

/** The HTTP status of every refusal. Total: a code without a status does not compile. Keep sorted by code. */
export const statuses: Record<RefusalCode, number> = {
  account_already_suspended: 409,
  account_archived: 409,
  account_cause_not_cleared: 409,
  account_currency_fixed: 409,
  account_has_balance: 409,
  account_has_bindings: 409,
  account_has_children: 409,
  account_has_history: 409,
  account_needs_other_approver: 409,
  account_not_found: 404,
  account_not_ready: 409,
  account_not_suspended: 409,
  account_parent_circle: 409,
  account_parent_currency: 409,
  account_parent_too_deep: 409,
  account_periods_differ: 409,
  account_periods_fixed: 409,
  account_suspended: 409,
  batch_not_sold: 404,
  batch_not_upgradable: 409,
  billing_run_not_found: 404,
  binding_backdate_forbidden: 403,
  binding_backdate_needs_reason: 422,
  binding_before_project: 422,
  binding_exists: 409,
  binding_immutable: 409,
  binding_not_found: 404,
  binding_not_superseded: 409,
  binding_overlaps: 409,
  binding_superseded: 409,
  binding_unchanged: 409,
  body_not_json: 400,
  body_too_large: 413,
  card_declined: 402,
  catalog_approval_needed: 409,
  catalog_change_refused: 409,
  catalog_item_not_found: 404,
  catalog_not_valid: 422,
  catalog_self_approval: 403,
  clock_goes_back: 409,
  clock_not_sandbox: 409,
  content_type_not_supported: 415,
  corrections_exist: 409,
  credit_not_enough: 409,
  credit_nothing_to_apply: 409,
  credit_too_large: 409,
  credit_used: 409,
  cursor_not_valid: 400,
  dimension_not_declared: 422,
  dispute_corrected: 409,
  dispute_not_corrected: 409,
  dispute_not_found: 404,
  dispute_open_already: 409,
  dispute_refused: 409,
  dispute_status_conflict: 409,
  electronic_invoice_impossible: 409,
  events_conflict: 409,
  events_not_valid: 400,
  events_not_yours: 403,
  fx_rate_recorded: 409,
  grant_not_found: 404,
  idempotency_key_in_flight: 409,
  idempotency_key_not_valid: 400,
  idempotency_key_reused: 422,
  ingest_busy: 429,
  internal_error: 500,
  invoice_contradicted: 409,
  invoice_line_not_found: 404,
  invoice_not_found: 404,
  invoice_not_verified: 409,
  invoice_paid_by_another: 409,
  invoice_period_not_final: 409,
  invoice_section_not_found: 404,
  invoice_status_conflict: 409,
  key_limited_to_account: 403,
  key_missing: 401,
  key_not_found: 404,
  key_not_valid: 401,
  key_too_wide: 403,
  late_usage_changed: 409,
  late_usage_not_found: 404,
  late_usage_status_conflict: 409,
  late_usage_without_invoice: 409,
  limit_reached: 429,
  mail_not_found: 404,
  mail_not_resendable: 409,
  meter_dimension_removed: 409,
  meter_field_fixed: 409,
  meter_key_taken: 409,
  meter_not_found: 404,
  meter_not_valid: 422,
  meter_status_backward: 409,
  method_not_allowed: 405,
  not_enough_units: 409,
  nothing_to_invoice: 409,
  organization_not_active: 409,
  organization_not_found: 404,
  organization_parent_circle: 409,
  organization_parent_too_deep: 409,
  organization_parent_unfit: 409,
  organization_required: 400,
  payer_change_too_late: 409,
  payer_change_unaligned: 422,
  payer_not_above: 409,
  payment_not_possible: 409,
  payment_recorded: 409,
  payment_unclear: 503,
  payments_exist: 409,
  period_not_over: 409,
  permission_missing: 403,
  plan_not_sold: 409,
  price_book_currency: 422,
  price_book_not_found: 404,
  price_not_valid: 422,
  price_published: 409,
  project_closed: 409,
  project_forbidden: 403,
  project_has_history: 409,
  project_not_found: 404,
  proposal_decided: 409,
  proposal_not_found: 404,
  purchase_not_found: 404,
  quota_not_found: 404,
  quota_request_not_open: 409,
  rate_limited: 429,
  recognition_policy_not_ahead: 409,
  refund_refused: 409,
  request_not_valid: 400,
  rerate_stale: 409,
  reservation_ended: 409,
  reservation_not_found: 404,
  books_not_closable: 409,
  role_not_fit: 422,
  role_not_known: 422,
  route_not_found: 404,
  service_busy: 503,
  signature_not_valid: 401,
  slug_taken: 409,
  staff_only: 403,
  subject_not_found: 404,
  subject_taken: 409,
  subscription_change_refused: 409,
  subscription_not_found: 404,
  subscription_open_already: 409,
  tax_rate_overlaps: 409,
  tax_undecided: 409,
  transfer_not_allowed: 403,
  usage_not_ratable: 422,
  usage_period_not_valid: 422,
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

export function problemAnswer(
  error: unknown,
  requestId: string,
  headers: Record<string, string> = {},
): StoredAnswer {
  const body = problemBody(error, requestId);
  return {
    status: body.status,
    headers: { "content-type": problemContentType, ...headers, ...headersOf(error) },
    body: JSON.stringify(body),
  };
}

/** Headers that belong to a refusal itself: how long to wait, how to authenticate. */
function headersOf(error: unknown): Record<string, string> {
  if (!(error instanceof Problem)) return {};
  const headers: Record<string, string> = {};
  const wait = error.facts["retry_after"];
  if (typeof wait === "number") headers["retry-after"] = String(Math.max(1, Math.ceil(wait)));
  if (statuses[error.code] === 401) headers["www-authenticate"] = 'Bearer realm="tallyline"';
  return headers;
}
