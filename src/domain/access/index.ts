export {
  type Caller,
  effectivePermissions,
  type KeyRequest,
  type KeyVerdict,
  mayCreateKey,
  mayHold,
  maySee,
  type Scope,
  scopeKind,
} from "./caller.ts";
export {
  type Holder,
  isPermission,
  type Permission,
  permissionNames,
  permissions,
} from "./permissions.ts";
export { type Audience, isRole, type RoleName, roleNames, roles } from "./roles.ts";
export { isSecret, secretFrom, secretPrefix } from "./secret.ts";
