/**
 * Every reason for which the system may say no: a stable code, a title for people, and what to do about it. The HTTP
 * status of each stands in `api/problems.ts`; a test keeps the two and the reference page in step. Keep sorted by code.
 */
export const refusals = {
  account_not_found: {
    title: "No such billing account",
    advice: "Check the id or slug, and that it belongs to this organization.",
  },
  body_not_json: {
    title: "The body is not JSON",
    advice: "Send one JSON value in UTF-8, with Content-Type: application/json.",
  },
  body_too_large: {
    title: "The body is too large",
    advice: "Send less at once; the limit stands in the detail.",
  },
  content_type_not_supported: {
    title: "This content type is not accepted here",
    advice: "Send one of the content types that the reference lists for this endpoint.",
  },
  cursor_not_valid: {
    title: "The cursor was not made by this endpoint",
    advice: "Pass next_cursor back unchanged, with the same filters, or start without a cursor.",
  },
  electronic_invoice_impossible: {
    title: "This document cannot be written as an electronic invoice",
    advice:
      "Add what the detail names to the account or the legal entity; the PDF is available all the same.",
  },
  idempotency_key_in_flight: {
    title: "The first request with this Idempotency-Key is still running",
    advice: "Wait a moment and send the same request again: it will get the first one's answer.",
  },
  idempotency_key_not_valid: {
    title: "The Idempotency-Key is not usable",
    advice: "Send 1 to 255 printable ASCII characters, plain or as a quoted string.",
  },
  idempotency_key_reused: {
    title: "This Idempotency-Key was used for another request",
    advice:
      "Use a new key for a new request; repeat the same method, address and body to get the first answer.",
  },
  internal_error: {
    title: "Something broke on our side",
    advice: "Try again. If it stays, report the request_id: it is in our log.",
  },
  key_missing: {
    title: "No API key was sent",
    advice: "Send the header Authorization: Bearer tl_… with a key of this installation.",
  },
  key_not_found: {
    title: "No such API key",
    advice: "Check the id, and that it belongs to this organization.",
  },
  key_not_valid: {
    title: "The API key is not valid",
    advice:
      "The key is unknown, revoked or expired. Create a new one, or check for missing characters.",
  },
  key_too_wide: {
    title: "A key cannot give away more than it has",
    advice: "Leave out the permissions named in the detail, or ask somebody who holds them.",
  },
  method_not_allowed: {
    title: "This address does not take this method",
    advice: "Use one of the methods in the Allow header.",
  },
  organization_not_found: {
    title: "No such organization",
    advice: "Check the id or slug, and that your key may see it.",
  },
  organization_required: {
    title: "The request does not say which organization it is about",
    advice: "Name it in the header Tallyline-Organization, or use a key of that organization.",
  },
  permission_missing: {
    title: "The key may not do this",
    advice: "Use a key with the permission named in the detail.",
  },
  project_forbidden: {
    title: "The key is limited to another project",
    advice: "Use a key of the organization, or of that project.",
  },
  rate_limited: {
    title: "Too many requests",
    advice: "Wait as long as Retry-After says.",
  },
  request_not_valid: {
    title: "The request is not valid",
    advice: "Each member of errors says what is wrong and where.",
  },
  role_not_fit: {
    title: "This role is not made for this kind of key",
    advice:
      "Roles and permissions for staff need a key of the provider; project keys may hold only project permissions.",
  },
  role_not_known: {
    title: "No such role or permission",
    advice: "Use the names that GET /v1/roles lists.",
  },
  route_not_found: {
    title: "There is nothing at this address",
    advice: "See /docs for the addresses there are.",
  },
  service_busy: {
    title: "Too much at once",
    advice: "Nothing was changed. Wait as long as Retry-After says and send the same again.",
  },
} as const satisfies Record<string, { readonly title: string; readonly advice: string }>;

export type RefusalCode = keyof typeof refusals;
