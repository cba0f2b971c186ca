import type { Caller } from "../domain/access/index.ts";
import {
  type Binding,
  bind,
  type Interval,
  intervalAt,
  timelineOf,
} from "../domain/accounts/index.ts";
import type { Author } from "../domain/audit/index.ts";
import { Problem } from "../domain/refusals/index.ts";
import type { AccountId, OrganizationId } from "../kit/ids.ts";
import { formatInstant, type Instant } from "../kit/time.ts";
import { lockAccount } from "../store/accounts.ts";
import { appendAudit } from "../store/audit.ts";
import { findBinding, insertBinding, listBindings, listBindingsAround } from "../store/bindings.ts";
import type { Db } from "../store/connect.ts";
import { bumpDirectoryVersion } from "../store/usage-directory.ts";
import { brokenConstraint, transaction } from "../store/transaction.ts";
import type { Env } from "./env.ts";
import { getProject } from "./manage-projects.ts";

export type AskedBinding = {
  /** Id or slug of the account that pays from then on; null for nobody. */
  readonly account: string | null;
  readonly effectiveFrom: Instant | null;
  readonly supersedes: string | null;
};

/**
 * Bind a project to the account that pays for it from a moment on. Two callers at once cannot both succeed: a project has
 * one binding per start, and a binding one successor, by constraint.
 */
export async function bindProject(
  env: Env,
  caller: Pick<Caller, "permissions">,
  author: Author,
  organizationId: OrganizationId,
  projectReference: string,
  asked: AskedBinding,
): Promise<Interval & { readonly backdated: boolean }> {
  try {
    return await transaction(env.store.db, async (tx) => {
      const project = await getProject(tx, organizationId, projectReference);
      // Held so that the account cannot be suspended or archived while something is bound to it.
      const account =
        asked.account === null ? null : await lockAccount(tx, organizationId, asked.account);
      if (account === undefined)
        throw new Problem(
          "account_not_found",
          `There is no billing account "${asked.account}" in this organization.`,
        );
      const timeline = timelineOf(await listBindings(tx, organizationId, project.id));
      const now = env.now();
      const reason = author.reason ?? "";
      const wish = {
        accountId: account?.id ?? null,
        effectiveFrom: asked.effectiveFrom ?? now,
        supersedes: asked.supersedes,
        reason,
      };
      const mayBackdate = caller.permissions.has("bindings.backdate");
      const decision = bind({ project, account, timeline, now, mayBackdate }, wish);
      if (decision.kind === "refused")
        throw new Problem(decision.reason, undefined, {
          facts: decision.inForce ? { in_force: decision.inForce.binding.id } : {},
        });

      const binding: Binding = {
        id: env.id("binding"),
        projectId: project.id,
        accountId: wish.accountId,
        effectiveFrom: wish.effectiveFrom,
        reason,
        createdBy: author.actor.id,
        createdAt: now,
      };
      await insertBinding(tx, organizationId, binding, decision.first ? "" : decision.supersedes);
      await bumpDirectoryVersion(tx, organizationId);
      await appendAudit(tx, env.id, organizationId, [
        {
          at: now,
          author,
          action: decision.backdated ? "binding.created_backdated" : "binding.created",
          target: { kind: "binding", id: binding.id },
          before: decision.supersedes === null ? null : { superseded: decision.supersedes },
          after: {
            project_id: binding.projectId,
            account_id: binding.accountId,
            effective_from: formatInstant(binding.effectiveFrom),
          },
        },
      ]);
      const placed = timelineOf([...timeline.map((interval) => interval.binding), binding]);
      const interval = intervalAt(placed, binding.effectiveFrom);
      if (!interval) throw new Problem("internal_error");
      return { ...interval, backdated: decision.backdated };
    });
  } catch (error) {
    const broken = brokenConstraint(error);
    if (broken === "binding_starts_once_per_project") throw new Problem("binding_exists");
    if (broken === "binding_supersedes_once") throw new Problem("binding_superseded");
    throw error;
  }
}

/** Who pays for a project, from when to when: oldest first. */
export async function readProjectTimeline(
  db: Db,
  organizationId: OrganizationId,
  projectReference: string,
): Promise<Interval[]> {
  const project = await getProject(db, organizationId, projectReference);
  return timelineOf(await listBindings(db, organizationId, project.id));
}

/** For which projects an account pays or paid, from when to when. */
export async function readAccountTimeline(
  db: Db,
  organizationId: OrganizationId,
  accountId: AccountId,
): Promise<Interval[]> {
  const bindings = await listBindingsAround(db, organizationId, accountId);
  const projects = [...new Set(bindings.map((binding) => binding.projectId))];
  return projects
    .flatMap((id) => timelineOf(bindings.filter((binding) => binding.projectId === id)))
    .filter((interval) => interval.binding.accountId === accountId);
}

export async function readBinding(
  db: Db,
  organizationId: OrganizationId,
  id: string,
): Promise<Interval> {
  const binding = await findBinding(db, organizationId, id);
  const timeline = binding && timelineOf(await listBindings(db, organizationId, binding.projectId));
  const interval = timeline?.find((one) => one.binding.id === id);
  if (!interval) throw new Problem("binding_not_found");
  return interval;
}
