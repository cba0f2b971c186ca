import type { AccountId, BindingId, ProjectId } from "../../kit/ids.ts";
import type { Instant } from "../../kit/time.ts";
import type { AccountStatus } from "./lifecycle.ts";
import type { Project } from "./project.ts";

/** From this moment on, this account pays for the project (or nobody does). Never changed, only superseded. */
export type Binding = {
  readonly id: BindingId;
  readonly projectId: ProjectId;
  readonly accountId: AccountId | null;
  readonly effectiveFrom: Instant;
  readonly reason: string;
  readonly createdBy: string;
  readonly createdAt: Instant;
};

/** A binding with its end: the start of the one that superseded it, null for the last. */
export type Interval = {
  readonly binding: Binding;
  readonly startsAt: Instant;
  readonly endsAt: Instant | null;
  readonly supersededBy: BindingId | null;
};

/** A project's bindings as intervals, oldest first: they cannot overlap and, from the first on, leave no gap. */
export function timelineOf(bindings: readonly Binding[]): Interval[] {
  const ordered = bindings.toSorted((a, b) => a.effectiveFrom - b.effectiveFrom);
  return ordered.map((binding, index) => {
    const next = ordered[index + 1];
    return {
      binding,
      startsAt: binding.effectiveFrom,
      endsAt: next?.effectiveFrom ?? null,
      supersededBy: next?.id ?? null,
    };
  });
}

/** The interval in force at a moment; undefined before the first binding. */
export function intervalAt(timeline: readonly Interval[], at: Instant): Interval | undefined {
  return timeline.find(
    (interval) => interval.startsAt <= at && (interval.endsAt === null || at < interval.endsAt),
  );
}

export type BindingWish = {
  readonly accountId: AccountId | null;
  readonly effectiveFrom: Instant;
  /** The binding that the caller knows to be in force then and means to replace. */
  readonly supersedes: string | null;
  readonly reason: string;
};

export type BindingFacts = {
  readonly project: Project;
  readonly account: { readonly id: AccountId; readonly status: AccountStatus } | null;
  readonly timeline: readonly Interval[];
  readonly now: Instant;
  readonly mayBackdate: boolean;
};

export type BindingRefusal =
  | "project_closed"
  | "account_not_ready"
  | "account_suspended"
  | "account_archived"
  | "binding_exists"
  | "binding_not_superseded"
  | "binding_superseded"
  | "binding_unchanged"
  | "binding_backdate_forbidden"
  | "binding_backdate_needs_reason"
  | "binding_before_project"
  | "binding_overlaps";

export type BindingDecision =
  | {
      readonly kind: "bound";
      /** The binding it takes over from. */
      readonly supersedes: BindingId | null;
      /** It reaches into the past: events that found no payer then should be replayed. */
      readonly backdated: boolean;
      /** The first binding of the project, of which there can be one. */
      readonly first: boolean;
    }
  | {
      readonly kind: "refused";
      readonly reason: BindingRefusal;
      readonly inForce: Interval | undefined;
    };

/** Decide whether a project may be bound as wished. */
export function bind(facts: BindingFacts, wish: BindingWish): BindingDecision {
  const { project, account, timeline, now } = facts;
  const inForce = intervalAt(timeline, wish.effectiveFrom);
  const refused = (reason: BindingRefusal): BindingDecision => ({
    kind: "refused",
    reason,
    inForce,
  });

  if (project.status === "closed") return refused("project_closed");
  if (account?.status === "suspended") return refused("account_suspended");
  if (account?.status === "archived") return refused("account_archived");
  if (account?.status === "provisioning") return refused("account_not_ready");
  if (timeline.some((interval) => interval.startsAt === wish.effectiveFrom))
    return refused("binding_exists");

  const backdated = wish.effectiveFrom < now;
  if (backdated) {
    if (!facts.mayBackdate) return refused("binding_backdate_forbidden");
    if (wish.reason === "") return refused("binding_backdate_needs_reason");
    if (wish.effectiveFrom < project.createdAt) return refused("binding_before_project");
    // The past may be filled where nobody paid; where somebody did, it stays.
    if (inForce && inForce.binding.accountId !== null) return refused("binding_overlaps");
  }
  if (!inForce) return { kind: "bound", supersedes: null, backdated, first: timeline.length === 0 };
  if (wish.supersedes === null && inForce.binding.accountId !== null)
    return refused("binding_not_superseded");
  if (wish.supersedes !== null && wish.supersedes !== inForce.binding.id)
    return refused("binding_superseded");
  if (inForce.supersededBy !== null && !backdated) return refused("binding_superseded");
  if (inForce.binding.accountId === wish.accountId) return refused("binding_unchanged");
  // Filling a stretch that ended already takes over from nobody: what ended it has done so.
  const supersedes = inForce.supersededBy === null ? inForce.binding.id : null;
  return { kind: "bound", supersedes, backdated, first: false };
}
