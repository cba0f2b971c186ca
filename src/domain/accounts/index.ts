export {
  mayStandBelow,
  type Organization,
  type OrganizationKind,
  type OrganizationStatus,
  organizationDepthMax,
  organizationKinds,
  organizationStatuses,
  type ParentRefusal,
} from "./organization.ts";
