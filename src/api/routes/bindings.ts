import { Problem } from "../../domain/refusals/index.ts";
import {
  bindProject,
  readAccountTimeline,
  readBinding,
  readProjectTimeline,
} from "../../flows/bind-project.ts";
import { replayQuarantine } from "../../flows/replay-quarantine.ts";
import { getAccount } from "../../flows/manage-accounts.ts";
import { AccountParam } from "../contract/accounts.ts";
import {
  BindingParam,
  BindingsView,
  BindingView,
  bindingsView,
  bindingView,
  NewBindingBody,
} from "../contract/bindings.ts";
import { ProjectParam } from "../contract/projects.ts";
import { type Endpoint, endpoint } from "../endpoint.ts";

const group = "Bindings";
const base = "/v1/organizations/{organization}";

const ofProject = endpoint({
  method: "GET",
  path: `${base}/projects/{project}/bindings`,
  id: "listProjectBindings",
  group,
  summary: "See who pays for a project, from when to when",
  permission: "bindings.read",
  params: ProjectParam,
  response: BindingsView,
  problems: ["project_not_found"],
  run: async (env, { organization, params }) => {
    const timeline = await readProjectTimeline(env.store.db, organization.id, params.project);
    return bindingsView(timeline);
  },
});

const ofAccount = endpoint({
  method: "GET",
  path: `${base}/accounts/{account}/bindings`,
  id: "listAccountBindings",
  group,
  summary: "See for which projects an account pays, from when to when",
  permission: "bindings.read",
  params: AccountParam,
  response: BindingsView,
  problems: ["account_not_found"],
  run: async (env, { organization, params }) => {
    const account = await getAccount(env.store.db, organization.id, params.account);
    const timeline = await readAccountTimeline(env.store.db, organization.id, account.id);
    return bindingsView(timeline);
  },
});

const create = endpoint({
  method: "POST",
  path: `${base}/projects/{project}/bindings`,
  id: "bindProject",
  group,
  summary: "Choose the account that pays for a project from a moment on",
  description:
    "A binding is never changed: the next one supersedes it at its own start, without gap or overlap. Usage follows the binding " +
    "in force at the time of the event, however late it arrives. After a back-dated binding, quarantined events that had no payer are " +
    "replayed before the answer goes out.",
  permission: "bindings.write",
  params: ProjectParam,
  body: NewBindingBody,
  response: BindingView,
  success: 201,
  problems: [
    "project_not_found",
    "project_closed",
    "account_not_found",
    "account_not_ready",
    "account_suspended",
    "account_archived",
    "binding_exists",
    "binding_not_superseded",
    "binding_superseded",
    "binding_unchanged",
    "binding_backdate_forbidden",
    "binding_backdate_needs_reason",
    "binding_before_project",
    "binding_overlaps",
  ],
  run: async (env, { caller, author, organization, params, body, now, afterCommit }) => {
    const interval = await bindProject(env, caller, author, organization.id, params.project, {
      account: body.account,
      effectiveFrom: body.effective_from ?? null,
      supersedes: body.supersedes ?? null,
    });
    // Events that found no payer then find one now.
    if (interval.backdated)
      afterCommit((outside) =>
        replayQuarantine(outside, { orgId: organization.id, now, reason: "attribution_failure" }),
      );
    return bindingView(interval);
  },
});

const get = endpoint({
  method: "GET",
  path: `${base}/bindings/{binding}`,
  id: "getBinding",
  group,
  summary: "See one binding",
  permission: "bindings.read",
  params: BindingParam,
  response: BindingView,
  problems: ["binding_not_found"],
  run: async (env, { organization, params }) =>
    bindingView(await readBinding(env.store.db, organization.id, params.binding)),
});

/** A person who tries to edit or remove a binding learns why not, and what to do instead. */
const refuseChange = (method: "PATCH" | "DELETE", id: string, summary: string) =>
  endpoint({
    method,
    path: `${base}/bindings/{binding}`,
    id,
    group,
    summary,
    permission: "bindings.write",
    params: BindingParam,
    response: null,
    problems: ["binding_not_found", "binding_immutable"],
    run: async (env, { organization, params }) => {
      await readBinding(env.store.db, organization.id, params.binding);
      throw new Problem("binding_immutable");
    },
  });

export const bindingRoutes: readonly Endpoint[] = [
  ofProject,
  ofAccount,
  create,
  get,
  refuseChange("PATCH", "editBinding", "Always refused: bindings are never changed"),
  refuseChange("DELETE", "removeBinding", "Always refused: bindings are never removed"),
];
