import { z } from "@hono/zod-openapi";
import type { Caller } from "../../domain/access/index.ts";
import type { Discount } from "../../domain/catalog/index.ts";
import { Problem } from "../../domain/refusals/index.ts";
import type { Start, When } from "../../domain/subscriptions/index.ts";
import {
  type ChangeRequest,
  changeSubscription,
  subscribe,
} from "../../flows/change-subscription.ts";
import { getAccount } from "../../flows/manage-accounts.ts";
import { zero } from "../../kit/decimal.ts";
import type { Instant } from "../../kit/time.ts";
import {
  findSubscription,
  listSubscriptionChanges,
  listSubscriptions,
} from "../../store/subscriptions.ts";
import { PageQuery, page, pageOf, positionOf } from "../contract/common.ts";
import {
  CancelBody,
  ChangeBody,
  changeRecordView,
  outcomeView,
  PauseBody,
  PreviewQuery,
  SubscribeBody,
  SubscriptionChangeView,
  SubscriptionOutcomeView,
  SubscriptionView,
  subscriptionView,
} from "../contract/subscriptions.ts";
import { type Endpoint, endpoint } from "../endpoint.ts";

const group = "Subscriptions";
const base = "/v1/organizations/{organization}/subscriptions";
const one = `${base}/{subscription}`;
const Param = z.object({
  subscription: z.string().min(1).max(80).openapi({ example: "sub_01jz8v5w9k2m4n6p8q0r" }),
});
const changeProblems = [
  "subscription_not_found",
  "subscription_change_refused",
  "plan_not_sold",
  "account_not_found",
] as const;

/** Members that decide what is paid: a customer has no way to them. */
function staffOnly(caller: Caller, members: Record<string, unknown>): void {
  if (caller.organizationId === null) return;
  const asked = Object.keys(members).filter((name) => members[name] !== undefined);
  if (asked.length > 0)
    throw new Problem("staff_only", `Only staff may say ${asked.join(", ")}.`, {
      faults: asked.map((name) => ({ pointer: `/${name}`, detail: "for staff only" })),
    });
}

const whenOf = (when: "now" | "period_end" | Instant): When =>
  typeof when === "number" ? { kind: "at", at: when } : { kind: when };

const anchorOf = (anchor: "start" | "month_end" | number): Start["anchor"] =>
  anchor === "start"
    ? { kind: "start" }
    : { kind: "billing_day", day: anchor === "month_end" ? 31 : anchor };

type DiscountBody = NonNullable<z.output<typeof SubscribeBody>["discounts"]>[number];
const discountOf = ({ percent, amount, selects }: DiscountBody): Discount => {
  const { pay_plan: payPlan, sku, class: klass, family, variant } = selects;
  const selector = {
    ...(sku !== undefined && { sku }),
    ...(klass !== undefined && { class: klass }),
    ...(family !== undefined && { family }),
    ...(variant !== undefined && { variant }),
    ...(payPlan !== undefined && { payPlan }),
  };
  return percent
    ? { kind: "percent", percent, selects: selector }
    : { kind: "fixed", amount: amount ?? zero, selects: selector };
};

const list = endpoint({
  method: "GET",
  path: base,
  id: "listSubscriptions",
  group,
  summary: "List subscriptions",
  permission: "subscriptions.read",
  query: PageQuery.extend({ account: z.string().max(80).optional() }),
  response: pageOf(SubscriptionView),
  problems: ["account_not_found"],
  run: async (env, { organization, query, now }) => {
    const account = query.account
      ? await getAccount(env.store.db, organization.id, query.account)
      : undefined;
    const found = await listSubscriptions(
      env.store.db,
      organization.id,
      { accountId: account?.id },
      { afterId: positionOf(query.cursor, 1)?.[0]?.toString(), limit: query.limit + 1 },
    );
    return page(
      found,
      query.limit,
      (stored) => subscriptionView(stored, now),
      (stored) => [stored.subscription.id],
    );
  },
});

const start = endpoint({
  method: "POST",
  path: base,
  id: "subscribe",
  group,
  summary: "Subscribe an account to a plan",
  description:
    "An account holds one open subscription of a product line: the database refuses a second one, however many ask at once.",
  permission: "subscriptions.write",
  query: PreviewQuery,
  body: SubscribeBody,
  response: SubscriptionOutcomeView,
  success: 201,
  problems: [
    "account_archived",
    "account_not_found",
    "plan_not_sold",
    "subscription_open_already",
    "staff_only",
  ],
  run: async (env, { organization, caller, author, query, body, now }) => {
    const { version, trial_days: trialDays, discounts } = body;
    const earlier =
      body.starts_at !== undefined && body.starts_at < now ? body.starts_at : undefined;
    staffOnly(caller, { version, trial_days: trialDays, discounts, starts_at: earlier });
    const isPreview = query.preview === "true";
    const outcome = await subscribe(
      env,
      author,
      organization.id,
      {
        account: body.account,
        plan: body.plan,
        version,
        trialDays,
        startsAt: body.starts_at,
        anchor: body.anchor === undefined ? undefined : anchorOf(body.anchor),
        addOns: body.add_ons,
        quantities: body.quantities && new Map(Object.entries(body.quantities)),
        discounts: discounts?.map(discountOf),
      },
      isPreview,
    );
    return outcomeView(outcome, isPreview, now);
  },
});

const get = endpoint({
  method: "GET",
  path: one,
  id: "getSubscription",
  group,
  summary: "See one subscription with its whole timeline",
  permission: "subscriptions.read",
  params: Param,
  response: SubscriptionView,
  problems: ["subscription_not_found"],
  run: async (env, { organization, params, now }) => {
    const stored = await findSubscription(env.store.db, organization.id, params.subscription);
    if (!stored) throw new Problem("subscription_not_found");
    return subscriptionView(stored, now);
  },
});

const history = endpoint({
  method: "GET",
  path: `${one}/changes`,
  id: "listSubscriptionChanges",
  group,
  summary: "Every change of a subscription, with the money it moved",
  permission: "subscriptions.read",
  params: Param,
  response: z.strictObject({ object: z.literal("list"), data: z.array(SubscriptionChangeView) }),
  problems: ["subscription_not_found"],
  run: async (env, { organization, params }) => {
    const changes = await listSubscriptionChanges(
      env.store.db,
      organization.id,
      params.subscription,
    );
    if (changes.length === 0) throw new Problem("subscription_not_found");
    return { object: "list" as const, data: changes.map(changeRecordView) };
  },
});

type Asked = {
  readonly word: string;
  readonly id: string;
  readonly summary: string;
};

const act = <B extends z.ZodType>(
  { word, id, summary }: Asked,
  body: B,
  requestOf: (body: z.output<B>, caller: Caller) => ChangeRequest,
): Endpoint =>
  endpoint({
    method: "POST",
    path: `${one}/${word}`,
    id,
    group,
    summary,
    description:
      "With preview=true the answer shows the money and nothing changes: what it shows is what the act does.",
    permission: "subscriptions.write",
    params: Param,
    query: PreviewQuery,
    body,
    response: SubscriptionOutcomeView,
    problems: [...changeProblems, "staff_only"],
    run: async (env, request) => {
      const { organization, caller, author, now } = request;
      const isPreview = (request.query as { preview: string }).preview === "true";
      const outcome = await changeSubscription(
        env,
        author,
        organization.id,
        (request.params as { subscription: string }).subscription,
        requestOf(request.body, caller),
        isPreview,
      );
      return outcomeView(outcome, isPreview, now);
    },
  });

function changeRequest(body: z.output<typeof ChangeBody>, caller: Caller): ChangeRequest {
  switch (body.kind) {
    case "change_plan":
      staffOnly(caller, { version: body.version });
      return {
        kind: "change_plan",
        plan: body.plan,
        version: body.version,
        restartCycle: body.restart_period,
        when: whenOf(body.when),
      };
    case "set_quantity":
      return { ...body, when: whenOf(body.when) };
    case "add_add_on":
    case "remove_add_on":
      return { kind: body.kind, addOn: body.add_on, when: whenOf(body.when) };
    case "undo_change":
    case "end_trial":
    case "undo_cancel":
      return body;
  }
}

export const subscriptionRoutes: readonly Endpoint[] = [
  list,
  start,
  get,
  history,
  act(
    { word: "change", id: "changeSubscription", summary: "Change plan, add-ons or quantities" },
    ChangeBody,
    changeRequest,
  ),
  act(
    { word: "pause", id: "pauseSubscription", summary: "Pause: the time costs nothing" },
    PauseBody,
    (body) => ({ kind: "pause", until: body.until ?? null }),
  ),
  act(
    { word: "resume", id: "resumeSubscription", summary: "Resume a paused subscription" },
    z.strictObject({}),
    () => ({ kind: "resume" }),
  ),
  act(
    {
      word: "cancel",
      id: "cancelSubscription",
      summary: "Cancel now, at the period's end, or at a date",
    },
    CancelBody,
    (body) => ({ kind: "cancel", when: whenOf(body.when) }),
  ),
];
