import type { OrganizationId } from "../../kit/ids.ts";
import type { Instant } from "../../kit/time.ts";

export const organizationKinds = ["direct", "partner", "partner_customer"] as const;
export type OrganizationKind = (typeof organizationKinds)[number];
export const organizationStatuses = ["active", "suspended", "closed"] as const;
export type OrganizationStatus = (typeof organizationStatuses)[number];

export type Organization = {
  readonly id: OrganizationId;
  readonly slug: string;
  readonly name: string;
  readonly kind: OrganizationKind;
  readonly parentId: OrganizationId | null;
  readonly status: OrganizationStatus;
  /** The sandbox's own time; null for an organization that lives in real time. */
  readonly testClockAt: Instant | null;
  readonly createdAt: Instant;
};

/**
 * Whether things in an organization may still be changed: in a suspended one by staff only, in a closed one by nobody. Usage is
 * another matter: it is always recorded, because it has already happened.
 */
export function acceptsChanges(status: OrganizationStatus, byStaff: boolean): boolean {
  switch (status) {
    case "active":
      return true;
    case "suspended":
      return byStaff;
    case "closed":
      return false;
  }
}

/** Partners may have partners below them, but not without end: provider → partner → partner → customer and one to spare. */
const organizationDepthMax = 5;

export type ParentRefusal =
  | "organization_parent_circle"
  | "organization_parent_too_deep"
  | "organization_parent_unfit";

/**
 * Whether an organization may stand below a parent. `lineage` is the parent, its parent, and so on up; `heightBelow` how
 * many levels already hang below the organization itself.
 */
export function mayStandBelow(
  child: { readonly id: string; readonly kind: OrganizationKind },
  lineage: readonly { readonly id: string; readonly kind: OrganizationKind }[],
  heightBelow = 0,
): ParentRefusal | undefined {
  const parent = lineage[0];
  if (!parent) return child.kind === "partner_customer" ? "organization_parent_unfit" : undefined;
  if (parent.id === child.id) return "organization_parent_circle";
  if (lineage.some((ancestor) => ancestor.id === child.id)) return "organization_parent_circle";
  if (parent.kind !== "partner" || child.kind === "direct") return "organization_parent_unfit";
  if (lineage.length + 1 + heightBelow > organizationDepthMax)
    return "organization_parent_too_deep";
  return undefined;
}
