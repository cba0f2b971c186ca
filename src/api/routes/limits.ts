import { z } from "@hono/zod-openapi";
import type { BillingAccount } from "../../domain/accounts/index.ts";
import { quotaWindows } from "../../domain/entitlements/index.ts";
import { never, type Units, writeUnits } from "../../domain/grants/index.ts";
import { Problem } from "../../domain/refusals/index.ts";
import { type Answer, checkEntitlements } from "../../flows/check-entitlement.ts";
import type { Env } from "../../flows/env.ts";
import { getAccount } from "../../flows/manage-accounts.ts";
import {
  decideQuotaIncrease,
  requestQuotaIncrease,
  setFeature,
  setQuota,
  setSpendingLimit,
} from "../../flows/manage-limits.ts";
import { reserve as claim, take } from "../../flows/claim-desk.ts";
import { commitReservation, releaseReservation } from "../../flows/reserve-units.ts";
import type { ReservationAsked } from "../../flows/take-turns.ts";
import { currency } from "../../kit/currency.ts";
import { parseMoney } from "../../kit/money.ts";
import { formatInstant } from "../../kit/time.ts";
import {
  listQuotaRequests,
  type QuotaRequest,
  type StoredReservation,
} from "../../store/limits.ts";
import { AccountParam } from "../contract/accounts.ts";
import { DecimalText, InstantIn, InstantText, Reason } from "../contract/common.ts";
import { PositiveUnitsIn, UnitsIn } from "../contract/prepaid.ts";
import { type Endpoint, endpoint } from "../endpoint.ts";

const group = "Limits";
const base = "/v1/organizations/{organization}/accounts/{account}";
const Feature = z.string().min(1).max(100).openapi({
  description: "A pool of units, a quota or a feature.",
  example: "sms",
});

const AnswerView = z
  .strictObject({
    object: z.literal("entitlement"),
    feature: z.string(),
    allowed: z.boolean(),
    reason: z.string(),
    because: z.string(),
    remaining: DecimalText.nullable(),
    overage: DecimalText.openapi({ description: "The part that no batch covers." }),
    limit: DecimalText.nullable(),
    resets_at: InstantText.nullable(),
    flagged: z.boolean(),
  })
  .openapi("Entitlement");
const text = (units: Units | null): string | null => (units === null ? null : writeUnits(units));
const answerView = (feature: string, answer: Answer): z.input<typeof AnswerView> => ({
  object: "entitlement",
  feature,
  allowed: answer.allowed,
  reason: answer.reason,
  because: answer.because,
  remaining: text(answer.remaining),
  overage: writeUnits(answer.overage),
  limit: text(answer.quota?.limit ?? null),
  resets_at: answer.quota?.resetsAt ? formatInstant(answer.quota.resetsAt) : null,
  flagged: answer.quota?.flagged ?? false,
});

const check = endpoint({
  method: "POST",
  path: `${base}/entitlements/check`,
  id: "checkEntitlement",
  group,
  summary: "Ask whether something may be used, and how much is left",
  description:
    "With `take`, the quantity is counted against the quota in the same breath: for calls, seats and uploads. What cannot be found out is denied.",
  permission: "entitlements.read",
  params: AccountParam,
  body: z
    .strictObject({
      feature: Feature,
      quantity: UnitsIn.default(1),
      take: z.boolean().default(false),
    })
    .openapi("EntitlementQuestion"),
  response: AnswerView,
  problems: ["account_not_found"],
  rate: "hot",
  run: async (env, { organization, params, body }) => {
    const account = await findAccountId(env, organization.id, params.account);
    const question = { orgId: organization.id, accountId: account, ...body };
    const answer = body.take
      ? await take(env, { kind: "take", ...question })
      : ((await checkEntitlements(env, [question]))[0] as Answer);
    return answerView(body.feature, answer);
  },
});

/** Ids need no look-up: the answer itself is denied when there is no such account. */
async function findAccountId(env: Env, orgId: BillingAccount["organizationId"], reference: string) {
  if (reference.startsWith("acc_")) return reference;
  return (await getAccount(env.store.db, orgId, reference)).id;
}

const ReservationView = z
  .strictObject({
    id: z.string(),
    object: z.literal("reservation"),
    created_at: InstantText,
    account_id: z.string(),
    feature: z.string(),
    quantity: DecimalText,
    held_units: DecimalText.openapi({ description: "The part that prepaid units cover." }),
    status: z.enum(["held", "committed", "released"]),
    committed: DecimalText.nullable(),
    expires_at: InstantText,
  })
  .openapi("Reservation");
const reservationView = (one: StoredReservation): z.input<typeof ReservationView> => ({
  id: one.id,
  object: "reservation",
  created_at: formatInstant(one.createdAt),
  account_id: one.accountId,
  feature: one.feature,
  quantity: writeUnits(one.quantity),
  held_units: writeUnits(one.heldUnits),
  status: one.status,
  committed: text(one.committed),
  expires_at: formatInstant(one.expiresAt),
});

const ReservationBody = z
  .strictObject({
    feature: Feature,
    quantity: PositiveUnitsIn,
    mode: z.enum(["all", "up_to"]).default("all"),
    seconds: z.int().min(1).max(86_400).default(300).openapi({
      description: "After this time the hold ends by itself.",
    }),
  })
  .openapi("NewReservation");

async function reserve(
  env: Env,
  asked: Omit<ReservationAsked, "kind">,
): Promise<StoredReservation> {
  const made = await claim(env, { kind: "hold", ...asked });
  if (made.kind === "held") return made.reservation;
  const { answer } = made;
  throw new Problem("limit_reached", answer.because, {
    facts: {
      reason: answer.reason,
      remaining: text(answer.remaining),
      limit: text(answer.quota?.limit ?? null),
      resets_at: answer.quota?.resetsAt ? formatInstant(answer.quota.resetsAt) : null,
    },
  });
}

const create = endpoint({
  method: "POST",
  path: `${base}/reservations`,
  id: "reserve",
  group,
  summary: "Hold units or room before work of unknown size",
  permission: "reservations.write",
  params: AccountParam,
  body: ReservationBody,
  response: ReservationView,
  success: 201,
  problems: ["account_not_found", "limit_reached"],
  rate: "hot",
  run: async (env, { organization, params, body }) => {
    const accountId = await findAccountId(env, organization.id, params.account);
    return reservationView(
      await reserve(env, { orgId: organization.id, accountId, ...body, breakGlass: null }),
    );
  },
});

const breakGlass = endpoint({
  method: "POST",
  path: `${base}/reservations/break-glass`,
  id: "breakGlass",
  group,
  summary: "Hold whatever the limits say, with a reason",
  description: "For staff in an emergency. Leaves an audit entry.",
  permission: "grants.write",
  params: AccountParam,
  body: ReservationBody.extend({ reason: Reason }).openapi("BreakGlass"),
  response: ReservationView,
  success: 201,
  problems: ["account_not_found", "limit_reached"],
  run: async (env, { organization, params, body, author }) => {
    const account = await getAccount(env.store.db, organization.id, params.account);
    return reservationView(
      await reserve(env, {
        orgId: organization.id,
        accountId: account.id,
        ...body,
        breakGlass: author,
      }),
    );
  },
});

const ReservationParam = AccountParam.extend({ reservation: z.string().min(1).max(80) });
const ended = ["account_not_found", "reservation_ended", "reservation_not_found"] as const;

const commit = endpoint({
  method: "POST",
  path: `${base}/reservations/{reservation}/commit`,
  id: "commitReservation",
  group,
  summary: "End a hold with the true size",
  description: "Less than held gives the rest back. The usage itself is sent as events.",
  permission: "reservations.write",
  params: ReservationParam,
  body: z.strictObject({ quantity: UnitsIn }).openapi("ReservationCommit"),
  response: ReservationView,
  problems: ended,
  run: async (env, { organization, params, body }) =>
    reservationView(
      await commitReservation(
        env,
        organization.id,
        params.reservation,
        body.quantity,
        await findAccountId(env, organization.id, params.account),
      ),
    ),
});

const release = endpoint({
  method: "POST",
  path: `${base}/reservations/{reservation}/release`,
  id: "releaseReservation",
  group,
  summary: "Give a hold back",
  permission: "reservations.write",
  params: ReservationParam,
  response: ReservationView,
  problems: ended,
  run: async (env, { organization, params }) =>
    reservationView(
      await releaseReservation(
        env,
        organization.id,
        params.reservation,
        await findAccountId(env, organization.id, params.account),
      ),
    ),
});

const QuotaParam = AccountParam.extend({ quota: z.string().min(1).max(100) });

const quota = endpoint({
  method: "PUT",
  path: `${base}/quotas/{quota}`,
  id: "setQuota",
  group,
  summary: "Set a technical ceiling of an account",
  permission: "grants.write",
  params: QuotaParam,
  body: z
    .strictObject({
      limit: UnitsIn,
      window: z.enum(quotaWindows),
      enforcement: z.enum(["hard", "soft"]).default("hard"),
      burst: UnitsIn.default(0),
      soft_up_to: UnitsIn.optional(),
      grace_hours: z.int().min(0).max(8760).default(24),
    })
    .openapi("Quota"),
  response: null,
  problems: ["account_not_found"],
  run: async (env, { organization, params, body, author }) => {
    const account = await getAccount(env.store.db, organization.id, params.account);
    await setQuota(env, author, account, {
      key: params.quota,
      limit: body.limit,
      window: body.window,
      enforcement: body.enforcement,
      burst: body.burst,
      softUpTo: body.soft_up_to ?? null,
      graceHours: body.grace_hours,
    });
    return null;
  },
});

const spending = endpoint({
  method: "PUT",
  path: `${base}/spending-limit`,
  id: "setSpendingLimit",
  group,
  summary: "Cap what an account spends in a period, or let it never owe",
  permission: "budgets.write",
  params: AccountParam,
  body: z
    .strictObject({
      cap: DecimalText.nullable().default(null),
      credit_only: z.boolean().default(false),
    })
    .openapi("SpendingLimit"),
  response: null,
  problems: ["account_not_found"],
  run: async (env, { organization, params, body, author }) => {
    const account = await getAccount(env.store.db, organization.id, params.account);
    await setSpendingLimit(env, author, account, {
      capMinor: body.cap === null ? null : parseMoney(body.cap, currency(account.currency)).minor,
      creditOnly: body.credit_only,
    });
    return null;
  },
});

const feature = endpoint({
  method: "PUT",
  path: `${base}/features/{feature}`,
  id: "setFeature",
  group,
  summary: "Give or take a feature by hand",
  permission: "grants.write",
  params: AccountParam.extend({ feature: Feature }),
  body: z.strictObject({ allowed: z.boolean() }).openapi("FeatureSwitch"),
  response: null,
  problems: ["account_not_found"],
  run: async (env, { organization, params, body, author }) => {
    const account = await getAccount(env.store.db, organization.id, params.account);
    await setFeature(env, author, account, params.feature, body.allowed);
    return null;
  },
});

const RequestView = z
  .strictObject({
    id: z.string(),
    object: z.literal("quota_request"),
    created_at: InstantText,
    quota: z.string(),
    limit: DecimalText,
    starts_at: InstantText,
    ends_at: InstantText.nullable(),
    reason: z.string(),
    status: z.enum(["requested", "approved", "declined"]),
    requested_by: z.string(),
    decided_by: z.string().nullable(),
  })
  .openapi("QuotaRequest");
const requestView = (one: QuotaRequest): z.input<typeof RequestView> => ({
  id: one.id,
  object: "quota_request",
  created_at: formatInstant(one.requestedAt),
  quota: one.quotaKey,
  limit: writeUnits(one.limit),
  starts_at: formatInstant(one.startsAt),
  ends_at: one.endsAt === never ? null : formatInstant(one.endsAt),
  reason: one.reason,
  status: one.status,
  requested_by: one.requestedBy,
  decided_by: one.decidedBy,
});

const requestIncrease = endpoint({
  method: "POST",
  path: `${base}/quota-requests`,
  id: "requestQuotaIncrease",
  group,
  summary: "Ask for a higher ceiling for a time",
  permission: "subscriptions.write",
  params: AccountParam,
  body: z
    .strictObject({
      quota: z.string().min(1).max(100),
      limit: PositiveUnitsIn,
      starts_at: InstantIn.optional(),
      ends_at: InstantIn.optional(),
      reason: Reason,
    })
    .openapi("NewQuotaRequest"),
  response: RequestView,
  success: 201,
  problems: ["account_not_found", "quota_not_found"],
  run: async (env, { organization, params, body, author, now }) => {
    const account = await getAccount(env.store.db, organization.id, params.account);
    return requestView(
      await requestQuotaIncrease(env, author, account, {
        quotaKey: body.quota,
        limit: body.limit,
        startsAt: body.starts_at ?? now,
        endsAt: body.ends_at ?? never,
        reason: body.reason,
      }),
    );
  },
});

const requests = endpoint({
  method: "GET",
  path: `${base}/quota-requests`,
  id: "listQuotaRequests",
  group,
  summary: "List requests for higher ceilings, decided or not",
  permission: "subscriptions.read",
  params: AccountParam,
  response: z.strictObject({ object: z.literal("list"), data: z.array(RequestView) }),
  problems: ["account_not_found"],
  run: async (env, { organization, params }) => {
    const account = await getAccount(env.store.db, organization.id, params.account);
    const found = await listQuotaRequests(env.store.db, {
      orgId: organization.id,
      accountId: account.id,
    });
    return { object: "list" as const, data: found.map(requestView) };
  },
});

const decide = endpoint({
  method: "POST",
  path: `${base}/quota-requests/{request}/decision`,
  id: "decideQuotaRequest",
  group,
  summary: "Approve or decline a request for a higher ceiling",
  permission: "grants.write",
  params: AccountParam.extend({ request: z.string().min(1).max(80) }),
  body: z.strictObject({ status: z.enum(["approved", "declined"]) }).openapi("QuotaDecision"),
  response: RequestView,
  problems: ["account_not_found", "quota_not_found", "quota_request_not_open"],
  run: async (env, { organization, params, body, author }) => {
    const account = await getAccount(env.store.db, organization.id, params.account);
    return requestView(
      await decideQuotaIncrease(env, author, account, params.request, body.status),
    );
  },
});

export const limitRoutes: readonly Endpoint[] = [
  check,
  create,
  breakGlass,
  commit,
  release,
  quota,
  spending,
  feature,
  requestIncrease,
  requests,
  decide,
];
