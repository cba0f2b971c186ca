import { z } from "@hono/zod-openapi";
import { Problem } from "../../domain/refusals/index.ts";
import {
  finishBillingRun,
  readBillingRun,
  resumeBillingRun,
  startBillingRun,
} from "../../flows/billing-run.ts";
import { formatInstant } from "../../kit/time.ts";
import { pageRunItems } from "../../store/billing-runs.ts";
import { findOrganization } from "../../store/organizations.ts";
import {
  BillingRunItemView,
  billingRunItemView,
  BillingRunView,
  billingRunView,
  NewRunBody,
  ResumeBody,
  runStatusQuery,
} from "../contract/billing-runs.ts";
import { PageQuery, page, pageOf, positionOf } from "../contract/common.ts";
import { type Endpoint, endpoint } from "../endpoint.ts";

const group = "Billing runs";
const RunParam = z.object({
  run: z.string().min(1).max(80).openapi({ example: "run_01jz8v5w9k2m4n6p8q0r" }),
});

const start = endpoint({
  method: "POST",
  path: "/v1/billing-runs",
  id: "startBillingRun",
  group,
  summary: "Bill every account period that is due",
  description:
    "Collects, calculates, verifies by the second path and issues, batch by batch, each in one transaction; answers when nothing is left to do. An account that cannot be proved is parked with its blockers; the others go on. Starting again after an interruption issues only what is missing.",
  permission: "runs.write",
  body: NewRunBody,
  response: BillingRunView,
  success: 201,
  problems: ["billing_run_not_found", "organization_not_found"],
  atomic: false,
  run: async (env, { body, author }) => {
    const found = body.organization && (await findOrganization(env.store.db, body.organization));
    if (body.organization && !found) throw new Problem("organization_not_found");
    const { runId } = await startBillingRun(env, {
      orgId: found ? found.organization.id : null,
      asOf: body.as_of ?? env.now(),
      createdBy: author.actor.id,
    });
    return billingRunView(await finishBillingRun(env, runId));
  },
});

const get = endpoint({
  method: "GET",
  path: "/v1/billing-runs/{run}",
  id: "getBillingRun",
  group,
  summary: "See how a run stands, step by step",
  permission: "runs.write",
  params: RunParam,
  response: BillingRunView,
  problems: ["billing_run_not_found"],
  run: async (env, { params }) => billingRunView(await readBillingRun(env, params.run)),
});

const items = endpoint({
  method: "GET",
  path: "/v1/billing-runs/{run}/items",
  id: "listBillingRunItems",
  group,
  summary: "List a run's account periods, with what keeps them back",
  permission: "runs.write",
  params: RunParam,
  query: PageQuery.extend({ status: runStatusQuery }),
  response: pageOf(BillingRunItemView),
  problems: ["billing_run_not_found"],
  run: async (env, { params, query }) => {
    const position = positionOf(query.cursor, 2);
    await readBillingRun(env, params.run);
    const rows = await pageRunItems(env.store.db, params.run, {
      status: query.status,
      after: position && { accountId: String(position[0]), startsAt: String(position[1]) },
      limit: query.limit + 1,
    });
    return page(rows, query.limit, billingRunItemView, (row) => [
      row.accountId,
      formatInstant(row.period.startsAt),
    ]);
  },
});

const resume = endpoint({
  method: "POST",
  path: "/v1/billing-runs/{run}/resume",
  id: "resumeBillingRun",
  group,
  summary: "Look at blocked account periods again, or go on in spite of a blocker",
  description:
    "An override needs one account and a reason; both are kept with the run. A document that contradicts itself cannot be overridden. Overriding a mismatch writes the account's rollups anew from the raw events, and issues what those say.",
  permission: "runs.write",
  params: RunParam,
  body: ResumeBody,
  response: BillingRunView,
  problems: ["billing_run_not_found"],
  atomic: false,
  run: async (env, { params, body, author }) => {
    const of =
      body.organization_id !== undefined && body.account_id !== undefined
        ? { orgId: body.organization_id, accountId: body.account_id }
        : null;
    if (body.override && of === null) {
      const detail = "an override is for one account: name organization_id and account_id";
      throw new Problem("request_not_valid", detail, {
        faults: [{ pointer: "/override", detail }],
      });
    }
    const override = body.override ? { ...body.override, by: author.actor.id } : null;
    await resumeBillingRun(env, params.run, of, override);
    return billingRunView(await finishBillingRun(env, params.run));
  },
});

export const billingRunRoutes: readonly Endpoint[] = [start, get, items, resume];
