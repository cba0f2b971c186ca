/**
 * Every reason for which the system may say no: a stable code, a title for people, and what to do about it. The HTTP
 * status of each stands in `api/problems.ts`; a test keeps the two and the reference page in step. Keep sorted by code.
 */
export const refusals = {
  account_already_suspended: {
    title: "The account is already suspended",
    advice: "Clear its cause and reactivate it, or leave it.",
  },
  account_archived: {
    title: "The account is archived",
    advice: "An archived account is read-only for good. Open a new one.",
  },
  account_cause_not_cleared: {
    title: "The cause of the suspension is not cleared",
    advice: "Record with clear-cause that the cause is gone, then ask somebody else to reactivate.",
  },
  account_currency_fixed: {
    title: "The currency of an account cannot change any more",
    advice: "Open another account in the other currency and bind the projects to it.",
  },
  account_has_balance: {
    title: "Something is still to be invoiced or paid",
    advice: "Issue and settle what is open, then archive the account.",
  },
  account_has_bindings: {
    title: "Projects are still bound to the account",
    advice: "Bind them to another account, or to none, first.",
  },
  account_has_children: {
    title: "Other accounts are paid for by this one",
    advice: "Give them another parent, or none, first.",
  },
  account_has_history: {
    title: "An account with history cannot be destroyed",
    advice: "Archive it: it disappears from use, and its documents stay readable.",
  },
  account_needs_other_approver: {
    title: "Who cleared the cause cannot approve the reactivation",
    advice: "Ask another person with the permission accounts.approve.",
  },
  account_not_found: {
    title: "No such billing account",
    advice: "Check the id or slug, and that it belongs to this organization.",
  },
  account_not_ready: {
    title: "The account is not ready",
    advice: "It needs a way to pay first: terms granted by staff, or a payment method.",
  },
  account_not_suspended: {
    title: "The account is not suspended",
    advice: "There is nothing to clear or to lift.",
  },
  account_parent_circle: {
    title: "An account cannot be paid for by itself or by one below it",
    advice: "Choose a parent outside its own subtree.",
  },
  account_parent_currency: {
    title: "Parent and child must have the same currency",
    advice: "Choose a parent in the same currency: nothing is converted implicitly.",
  },
  account_parent_too_deep: {
    title: "Accounts are nested too deeply",
    advice: "At most four levels: choose a parent higher up.",
  },
  account_periods_differ: {
    title: "Two accounts stand on one invoice only when their periods are the same",
    advice:
      "Give them the same time zone, invoice day, cycle and issuing legal entity, or let each have its own invoice.",
  },
  account_periods_fixed: {
    title: "Zone, invoice day and cycle cannot change any more",
    advice:
      "The account has usage or invoices, and its periods must go on without a gap. Open another account.",
  },
  account_suspended: {
    title: "The account is suspended",
    advice: "Existing bindings stay; new ones need the account reactivated.",
  },
  batch_not_sold: {
    title: "This batch is not for sale here",
    advice: "Check the SKU, and that the price book of the account has a price for it.",
  },
  batch_not_upgradable: {
    title: "This batch cannot be upgraded to that one",
    advice: "The detail says why. Buy a new batch instead.",
  },
  billing_run_not_found: {
    title: "No such billing run",
    advice: "Check the id; runs are listed at /v1/billing-runs.",
  },
  binding_backdate_forbidden: {
    title: "The key may not bind with effect from the past",
    advice: "Use a key with the permission bindings.backdate, or leave effective_from out.",
  },
  binding_backdate_needs_reason: {
    title: "A back-dated binding needs a reason",
    advice: "Say why in reason: it becomes part of the audit trail.",
  },
  binding_before_project: {
    title: "The binding would start before the project was there",
    advice: "Start at or after the project's created_at.",
  },
  binding_exists: {
    title: "The project already has a binding from this moment",
    advice: "Bindings are never changed. Choose a later moment to supersede it.",
  },
  binding_immutable: {
    title: "Bindings are never changed or removed",
    advice: "Create a new binding: it supersedes this one from its effective_from on.",
  },
  binding_not_found: {
    title: "No such binding",
    advice: "Check the id, and that it belongs to this organization.",
  },
  binding_not_superseded: {
    title: "Another account pays for the project then",
    advice: "Name that binding in supersedes if you mean to replace it.",
  },
  binding_overlaps: {
    title: "Somebody already paid for the project at that time",
    advice: "The past can be filled only where nobody paid.",
  },
  binding_superseded: {
    title: "That binding is not the one to supersede",
    advice:
      "Read the project's bindings again: the one in force then has another id, or already a successor.",
  },
  binding_unchanged: {
    title: "That account already pays for the project",
    advice: "There is nothing to change.",
  },
  body_not_json: {
    title: "The body is not JSON",
    advice: "Send one JSON value in UTF-8, with Content-Type: application/json.",
  },
  body_too_large: {
    title: "The body is too large",
    advice: "Send less at once; the limit stands in the detail.",
  },
  card_declined: {
    title: "The payment was declined",
    advice: "Nothing was bought. Use another payment method and try again.",
  },
  catalog_approval_needed: {
    title: "Publishing prices takes two persons here",
    advice: "Propose the change; somebody else with catalog.approve puts it in force.",
  },
  catalog_change_refused: {
    title: "The catalog cannot be changed like this",
    advice:
      "Published prices and versions never change: add a new one with a later effective_from.",
  },
  catalog_item_not_found: {
    title: "No such thing in the catalog",
    advice: "Check its key or code, and that it is assigned to this organization.",
  },
  catalog_not_valid: {
    title: "The catalog is not valid",
    advice: "Mend what the errors point at and load it again.",
  },
  catalog_self_approval: {
    title: "Nobody approves their own change",
    advice: "Let another person with catalog.approve decide.",
  },
  clock_goes_back: {
    title: "The clock only moves forward",
    advice: "Choose a later moment than the organization's now.",
  },
  clock_not_sandbox: {
    title: "Only a sandbox organization has a clock of its own",
    advice: "Create an organization with sandbox set.",
  },
  content_type_not_supported: {
    title: "This content type is not accepted here",
    advice: "Send one of the content types that the reference lists for this endpoint.",
  },
  corrections_exist: {
    title: "The document has corrections",
    advice: "A document that credit notes refer to cannot be voided; credit the rest instead.",
  },
  credit_not_enough: {
    title: "The account has less credit than that",
    advice: "Ask for its balance, and credit what is to be given back first.",
  },
  credit_nothing_to_apply: {
    title: "There is nothing to apply",
    advice: "The account has no credit, or nothing of the document is open.",
  },
  credit_too_large: {
    title: "More than is left to credit",
    advice:
      "A line can be credited up to what it charged, less what was credited before; the detail names both.",
  },
  credit_used: {
    title: "What the document gave the account is used already",
    advice: "Correct the documents that took it first.",
  },
  cursor_not_valid: {
    title: "The cursor was not made by this endpoint",
    advice: "Pass next_cursor back unchanged, with the same filters, or start without a cursor.",
  },
  dimension_not_declared: {
    title: "The meter does not declare this dimension",
    advice: "Group by project, account or a dimension that GET /v1/meters/{meter} lists.",
  },
  dispute_corrected: {
    title: "Corrected usage already gives this back",
    advice:
      "Resolve the dispute as corrected: the next invoice or a note of its own carries the difference.",
  },
  dispute_not_corrected: {
    title: "No correction of this line's usage has come in",
    advice: "Send the correction events first, or resolve with a credit note.",
  },
  dispute_not_found: {
    title: "No such dispute",
    advice: "Check the id, and that it belongs to this organization.",
  },
  dispute_open_already: {
    title: "The line is under dispute already",
    advice: "Write to that dispute, or wait until it is decided.",
  },
  dispute_refused: {
    title: "The line cannot be disputed like this",
    advice: "The detail says what stands in the way.",
  },
  dispute_status_conflict: {
    title: "The dispute does not stand where this is possible",
    advice: "The detail says where it stands.",
  },
  electronic_invoice_impossible: {
    title: "This document cannot be written as an electronic invoice",
    advice:
      "Add what the detail names to the account or the legal entity; the PDF is available all the same.",
  },
  events_conflict: {
    title: "The identity of every event is taken by other content",
    advice:
      "An event is never overwritten. Send a correction, or another event under an id of its own.",
  },
  events_not_valid: {
    title: "No event of the request could be taken",
    advice: "Mend what the events member names; nothing was stored.",
  },
  events_not_yours: {
    title: "Every event speaks of a project that this key may not speak of",
    advice: "Use the key of the organization, or of the project, that the usage belongs to.",
  },
  fx_rate_recorded: {
    title: "This exchange rate is already recorded",
    advice: "Recorded rates are never changed; record another day or another source.",
  },
  grant_not_found: {
    title: "No such batch or credit",
    advice: "Check the id, and that it belongs to this account.",
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
  ingest_busy: {
    title: "More usage is waiting than can be taken",
    advice:
      "Wait as long as Retry-After says and send the same events again: nothing is counted twice.",
  },
  internal_error: {
    title: "Something broke on our side",
    advice: "Try again. If it stays, report the request_id: it is in our log.",
  },
  invoice_contradicted: {
    title: "The invoice contradicts itself",
    advice: "The detail names what contradicts what; mend it in the catalog, or ask support.",
  },
  invoice_line_not_found: {
    title: "No such invoice line",
    advice: "Lines are numbered from 1 in the order in which the invoice shows them.",
  },
  invoice_not_found: {
    title: "No such invoice",
    advice: "Check the id or number, and that it belongs to this organization.",
  },
  invoice_not_verified: {
    title: "The invoice does not re-derive",
    advice:
      "An independent computation from the raw events gives another result; the facts name the differences.",
  },
  invoice_paid_by_another: {
    title: "This is a statement: another account's invoice asks for its money",
    advice: "Pay, credit, dispute or void that invoice, which the detail names.",
  },
  invoice_period_not_final: {
    title: "The period cannot be invoiced yet",
    advice: "Wait until its finalization window is over, or pass force to close it now.",
  },
  invoice_section_not_found: {
    title: "No such section",
    advice: "Only a consolidated invoice has sections; the detail names them.",
  },
  invoice_status_conflict: {
    title: "The invoice is in another state",
    advice: "See its status; the detail says what is possible from there.",
  },
  key_limited_to_account: {
    title: "The key is good for one billing account only",
    advice: "Use an address of that account, or a key of the organization.",
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
  late_usage_changed: {
    title: "The late usage is not what it was",
    advice: "Look at it again: the new figure waits for a decision.",
  },
  late_usage_not_found: {
    title: "No such late usage",
    advice: "Check the id, and that it belongs to this organization.",
  },
  late_usage_status_conflict: {
    title: "The late usage does not wait for a decision",
    advice: "Only what its meter holds, and nobody approved yet, can be approved or declined.",
  },
  late_usage_without_invoice: {
    title: "There is no invoice that a note could correct",
    advice: "Approve it for the next invoice.",
  },
  limit_reached: {
    title: "The limit does not allow this",
    advice: "The detail says which limit, how much of it is used, and when it starts again.",
  },
  mail_not_found: {
    title: "No such mail",
    advice: "Check the id, and that it belongs to this organization.",
  },
  mail_not_resendable: {
    title: "The mail cannot be sent again",
    advice: "The detail says why; add a billing contact to the account, or wait a moment.",
  },
  meter_dimension_removed: {
    title: "Dimensions of a published meter may only grow",
    advice:
      "Keep every declared dimension and value, or define a meter with another key beside this one.",
  },
  meter_field_fixed: {
    title: "What a published meter measures cannot be changed",
    advice:
      "Define a meter with another key; it works side by side with this one, which can be deprecated and still bills.",
  },
  meter_key_taken: {
    title: "There is already a meter with this key",
    advice: "Choose another key, or change the meter that has it.",
  },
  meter_not_found: {
    title: "No such meter",
    advice: "Check the key or id; GET /v1/meters lists them all.",
  },
  meter_not_valid: {
    title: "The meter could never measure soundly",
    advice: "Each member of errors says what is wrong and where.",
  },
  meter_status_backward: {
    title: "A meter only goes forward, from draft to retired",
    advice: "Define a meter with another key.",
  },
  method_not_allowed: {
    title: "This address does not take this method",
    advice: "Use one of the methods in the Allow header.",
  },
  not_enough_units: {
    title: "There are not enough units",
    advice: "The detail says how many can be used now.",
  },
  nothing_to_invoice: {
    title: "Nothing to invoice",
    advice:
      "The period has no charge and no correction; a zero statement is a setting of the account.",
  },
  organization_not_active: {
    title: "The organization is suspended or closed",
    advice: "Reactivate it first.",
  },
  organization_not_found: {
    title: "No such organization",
    advice: "Check the id or slug, and that your key may see it.",
  },
  organization_parent_circle: {
    title: "An organization cannot stand below itself",
    advice: "Choose another parent.",
  },
  organization_parent_too_deep: {
    title: "Organizations are nested too deeply",
    advice: "At most five levels: choose a parent higher up.",
  },
  organization_parent_unfit: {
    title: "That organization cannot be the parent",
    advice: "Customers of a partner stand below a partner; direct organizations below nobody.",
  },
  organization_required: {
    title: "The request does not say which organization it is about",
    advice: "Name it in the header Tallyline-Organization, or use a key of that organization.",
  },
  payer_change_too_late: {
    title: "What was charged stays with who was asked for it",
    advice: "Choose a moment at or after the end of the account's last period with a document.",
  },
  payer_change_unaligned: {
    title: "Another payer begins on a full quarter of an hour",
    advice: "Write a moment such as 2025-01-16T00:00:00Z or 2025-01-16T00:15:00Z.",
  },
  payer_not_above: {
    title: "Only the own organization, or one above it, can pay for an account",
    advice: "Choose an account of this organization or of the partner above it.",
  },
  payment_not_possible: {
    title: "This account cannot pay that way",
    advice:
      'Use settlement "card" with a payment gateway, or have staff grant terms for settlement "invoice".',
  },
  payment_recorded: {
    title: "This payment is recorded already",
    advice: "See the payments of the invoice; another payment needs another reference.",
  },
  payment_unclear: {
    title: "The payment was sent, and the answer got lost",
    advice:
      "Send the same request again with the same key: it will find out, and never charge twice.",
  },
  payments_exist: {
    title: "The document has been paid in part",
    advice: "A document that payments were recorded on cannot be voided; credit it instead.",
  },
  period_not_over: {
    title: "The period is not over",
    advice: "Wait until it ends in the account's own time zone.",
  },
  permission_missing: {
    title: "The key may not do this",
    advice: "Use a key with the permission named in the detail.",
  },
  plan_not_sold: {
    title: "This plan cannot be subscribed to",
    advice:
      "Choose a published plan that is sold in the account's currency and visible to the organization.",
  },
  price_book_currency: {
    title: "The price book has another currency than the account",
    advice: "Choose a book in the account's currency: nothing is converted implicitly.",
  },
  price_book_not_found: {
    title: "No such price book",
    advice: "Check its code.",
  },
  price_not_valid: {
    title: "The price is not sound",
    advice: "Mend what the errors point at; each names the tier or cell.",
  },
  price_published: {
    title: "A published price never changes",
    advice: "Publish another price of the same book and SKU with a later effective_from.",
  },
  project_closed: {
    title: "The project is closed",
    advice: "A closed project takes no new bindings.",
  },
  project_forbidden: {
    title: "The key is limited to another project",
    advice: "Use a key of the organization, or of that project.",
  },
  project_has_history: {
    title: "A project with history cannot be destroyed",
    advice: "Close it instead: its usage and bindings stay readable.",
  },
  project_not_found: {
    title: "No such project",
    advice: "Check the id or slug, and that it belongs to this organization.",
  },
  proposal_decided: {
    title: "This proposal is already decided",
    advice: "Prepare the change again if it is still wanted.",
  },
  proposal_not_found: {
    title: "No such proposal",
    advice: "Check the id.",
  },
  books_not_closable: {
    title: "The books cannot be closed up to this moment",
    advice: "Read what stands in the way, and close up to a moment that has passed.",
  },
  purchase_not_found: {
    title: "No such purchase",
    advice: "Check the id, and that it belongs to this organization.",
  },
  quota_not_found: {
    title: "No such limit",
    advice: "Check the key of the limit, and that the account has it.",
  },
  quota_request_not_open: {
    title: "This request was already decided, or cannot be decided by you",
    advice: "Somebody other than its author decides a request, once.",
  },
  rate_limited: {
    title: "Too many requests",
    advice: "Wait as long as Retry-After says.",
  },
  recognition_policy_not_ahead: {
    title: "A recognition rule begins in the future, after the one before it",
    advice: "Choose a later moment: what has begun is booked by the rule it began under.",
  },
  refund_refused: {
    title: "This batch is not refunded",
    advice: "The detail says why. Staff may issue a credit note with a reason.",
  },
  request_not_valid: {
    title: "The request is not valid",
    advice: "Each member of errors says what is wrong and where.",
  },
  rerate_stale: {
    title: "The amounts are not those that were shown any more",
    advice: "Prepare the corrected price again, look at the new preview, and have that approved.",
  },
  reservation_ended: {
    title: "The reservation has ended",
    advice: "It was released, committed with another size, or timed out. Make a new one.",
  },
  reservation_not_found: {
    title: "No such reservation",
    advice: "Check the id, and that it belongs to this organization.",
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
  signature_not_valid: {
    title: "The notification was not signed by the payment processor, or long ago",
    advice:
      "Sign id, timestamp and body with the shared secret, as Standard Webhooks says, and send it at once.",
  },
  slug_taken: {
    title: "The slug is already in use",
    advice: "Choose another slug.",
  },
  staff_only: {
    title: "Only staff of the provider may ask for this",
    advice: "Leave the member out, or use a key of the provider.",
  },
  subject_not_found: {
    title: "No such subject",
    advice: "Check its spelling.",
  },
  subject_taken: {
    title: "The subject already names another project",
    advice: "Remove it there first, or send events with the project's own id.",
  },
  subscription_change_refused: {
    title: "The subscription cannot be changed like this",
    advice: "The detail says what stands in the way.",
  },
  subscription_not_found: {
    title: "No such subscription",
    advice: "Check the id, and that it belongs to this organization.",
  },
  subscription_open_already: {
    title: "The account already has a subscription of this product line",
    advice: "Change that subscription, or cancel it first.",
  },
  tax_rate_overlaps: {
    title: "This tax rate would overlap another one",
    advice: "Let it begin after the last one of the same name, or give it another name.",
  },
  tax_undecided: {
    title: "The tax on a line cannot be decided",
    advice: "Add what the detail names: the address of the account, a rate, or a certificate.",
  },
  transfer_not_allowed: {
    title: "Units cannot move between these accounts",
    advice: "Units move within an organization, from a partner to its customers, and back.",
  },
  usage_not_ratable: {
    title: "The usage cannot be priced with this price",
    advice: "Give what the price looks at (events, dimensions), or mend the price.",
  },
  usage_period_not_valid: {
    title: "The period cannot be queried",
    advice: "Name a from before to, at most ten years apart.",
  },
} as const satisfies Record<string, { readonly title: string; readonly advice: string }>;

export type RefusalCode = keyof typeof refusals;
