import { listSandboxes } from "../store/organizations.ts";
import type { Env } from "./env.ts";

/** Whose time it is: one sandbox's, or that of everybody who lives in real time. */
export type InTime = { readonly orgId?: string };

/**
 * Do work for everybody at real time, then for each sandbox at the time its clock shows. One that fails does not keep the
 * others from theirs; the failures come together at the end.
 */
export async function atEveryTime(
  env: Env,
  work: (env: Env, of: InTime) => Promise<unknown>,
): Promise<void> {
  const failures: string[] = [];
  const attempt = async (own: Env, of: InTime) => {
    try {
      await work(own, of);
    } catch (error) {
      const whose = of.orgId === undefined ? "" : `${of.orgId}: `;
      failures.push(`${whose}${error instanceof Error ? error.message : String(error)}`);
    }
  };
  await attempt(env, {});
  for (const { orgId, at } of await listSandboxes(env.store.db))
    await attempt({ ...env, now: () => at }, { orgId });
  if (failures.length > 0) throw new Error(failures.join("; "));
}

/** The same for one sandbox; nothing when it is none. */
export async function atTimeOf(
  env: Env,
  orgId: string,
  work: (env: Env, of: InTime) => Promise<unknown>,
): Promise<void> {
  const sandbox = (await listSandboxes(env.store.db)).find((one) => one.orgId === orgId);
  if (sandbox) await work({ ...env, now: () => sandbox.at }, { orgId });
}
