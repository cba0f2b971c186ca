import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, statSync } from "node:fs";
import { userInfo } from "node:os";
import { EmbeddedPostgresError } from "./error.ts";

/** As whom the server runs: PostgreSQL refuses to be root, and wants a user that the system knows by name. */
export type Identity =
  | { readonly kind: "self" }
  | { readonly kind: "user"; readonly uid: number; readonly gid: number }
  /** We keep our access to files; inside a user namespace PostgreSQL sees somebody else. */
  | { readonly kind: "namespace" };

type Launch = {
  readonly file: string;
  readonly args: string[];
  readonly uid?: number;
  readonly gid?: number;
};

/** The command line that runs a program as that identity. */
export function launchAs(
  identity: Identity,
  file: string,
  args: readonly string[],
  options: { readonly dieWithParent: boolean } = { dieWithParent: false },
): Launch {
  // Set last: a change of user would clear it.
  const command = options.dieWithParent
    ? ["setpriv", "--pdeathsig", "INT", "--", file, ...args]
    : [file, ...args];
  switch (identity.kind) {
    case "self":
      return { file: command[0] as string, args: command.slice(1) };
    case "user":
      return {
        file: command[0] as string,
        args: command.slice(1),
        uid: identity.uid,
        gid: identity.gid,
      };
    case "namespace":
      return {
        file: "unshare",
        args: ["--user", "--map-user=65534", "--map-group=65534", "--", ...command],
      };
  }
}

/** Whether the kernel can tell the server that we died: Linux with util-linux. */
export function canDieWithParent(): boolean {
  if (process.platform !== "linux") return false;
  return spawnSync("setpriv", ["--pdeathsig", "INT", "--", "true"]).status === 0;
}

/**
 * Choose who runs the server over a folder. An existing folder decides: files of another user are of no use to us. A new
 * one goes to `postgres` or `nobody` when they can get there (the home of root is closed), else into a user namespace.
 * Undefined: root, and no way to run a server over this folder.
 */
export function chooseIdentity(folder: string): Identity | undefined {
  const self = process.getuid?.();
  if (self === undefined) return { kind: "self" };
  const owner = statSync(folder).uid;
  if (self !== 0) {
    // A number without a name (docker --user 12345): initdb refuses it, so give it one in a namespace.
    if (owner === self)
      return !hasName() && canUseNamespace() ? { kind: "namespace" } : { kind: "self" };
    throw new EmbeddedPostgresError(
      `${folder} belongs to ${nameOf(owner)} and tallyline runs as ${nameOf(self)}. ` +
        "Start it as that user, or choose another --data-dir.",
    );
  }
  if (owner !== 0) {
    const gid = statSync(folder).gid;
    return { kind: "user", uid: owner, gid };
  }
  if (existsSync(`${folder}/data`)) return canUseNamespace() ? { kind: "namespace" } : undefined;
  const candidate = systemUser();
  if (candidate && canEnter(candidate, folder)) return candidate;
  return canUseNamespace() ? { kind: "namespace" } : undefined;
}

function hasName(): boolean {
  try {
    return userInfo().username !== "";
  } catch {
    return false;
  }
}

function passwd(): { name: string; uid: number; gid: number }[] {
  try {
    return readFileSync("/etc/passwd", "utf8")
      .split("\n")
      .map((line) => line.split(":"))
      .filter((fields) => fields.length >= 4)
      .map(([name = "", , uid, gid]) => ({ name, uid: Number(uid), gid: Number(gid) }));
  } catch {
    return [];
  }
}

function systemUser(): (Identity & { kind: "user" }) | undefined {
  const users = passwd();
  const found =
    users.find((user) => user.name === "postgres") ?? users.find((user) => user.name === "nobody");
  return found ? { kind: "user", uid: found.uid, gid: found.gid } : undefined;
}

function nameOf(uid: number): string {
  const name = passwd().find((user) => user.uid === uid)?.name;
  return name ? `user ${name}` : `user ${uid}`;
}

/** Whether that user can pass every folder above this one. */
function canEnter(user: Identity & { kind: "user" }, folder: string): boolean {
  const parent = folder.replace(/\/[^/]+$/, "") || "/";
  const { uid, gid } = user;
  return spawnSync("/bin/sh", ["-c", 'cd "$0"', parent], { uid, gid, cwd: "/" }).status === 0;
}

function canUseNamespace(): boolean {
  if (process.platform !== "linux") return false;
  const { file, args } = launchAs({ kind: "namespace" }, "true", []);
  return spawnSync(file, args).status === 0;
}
