export {
  type Caller,
  effectivePermissions,
  type KeyRequest,
  mayCreateKey,
  maySee,
  type Scope,
} from "./caller.ts";
export { type Permission, permissions } from "./permissions.ts";
export { roleNames, roles } from "./roles.ts";
export { isSecret, secretFrom } from "./secret.ts";
