import {
  mayStandBelow,
  type Organization,
  type OrganizationKind,
  type OrganizationStatus,
} from "../domain/accounts/index.ts";
import type { Author, Change } from "../domain/audit/index.ts";
import { Problem } from "../domain/refusals/index.ts";
import type { OrganizationId } from "../kit/ids.ts";
import { formatInstant, type Instant } from "../kit/time.ts";
import { appendAudit } from "../store/audit.ts";
import type { Tx } from "../store/connect.ts";
import { askForJob } from "../store/jobs.ts";
import {
  findOrganization,
  insertOrganization,
  lockOrganization,
  saveOrganization,
  saveTestClock,
} from "../store/organizations.ts";
import { brokenConstraint, transaction } from "../store/transaction.ts";
import type { Env } from "./env.ts";

export type NewOrganization = {
  readonly slug: string;
  readonly name: string;
  readonly kind: OrganizationKind;
  readonly parent: OrganizationId | null;
  /** Where the clock of a sandbox starts; null for an organization that lives in real time. */
  readonly testClockAt: Instant | null;
};

/** Create an organization, at the top or below a partner. */
export async function createOrganization(
  env: Env,
  author: Author,
  asked: NewOrganization,
): Promise<Organization> {
  try {
    return await transaction(env.store.db, async (tx) => {
      const lineage =
        asked.parent === null ? [] : ((await findOrganization(tx, asked.parent))?.lineage ?? []);
      const id = env.id("organization");
      const refusal = mayStandBelow({ id, kind: asked.kind }, lineage);
      if (refusal) throw new Problem(refusal);
      const organization: Organization = {
        id,
        slug: asked.slug,
        name: asked.name,
        kind: asked.kind,
        parentId: asked.parent,
        status: "active",
        // What stands below a sandbox is one too, and starts at its time.
        testClockAt: asked.testClockAt ?? lineage[0]?.testClockAt ?? null,
        createdAt: asked.testClockAt ?? lineage[0]?.testClockAt ?? env.now(),
      };
      await insertOrganization(tx, organization);
      await record(env, tx, author, "organization.created", null, organization);
      return organization;
    });
  } catch (error) {
    if (brokenConstraint(error) === "organization_slug_once")
      throw new Problem("slug_taken", `The slug "${asked.slug}" is already in use.`);
    throw error;
  }
}

export async function renameOrganization(
  env: Env,
  author: Author,
  organization: Organization,
  name: string,
): Promise<Organization> {
  return change(env, author, organization, "organization.renamed", (before) => ({
    ...before,
    name,
  }));
}

export async function setOrganizationStatus(
  env: Env,
  author: Author,
  organization: Organization,
  status: OrganizationStatus,
): Promise<Organization> {
  return change(env, author, organization, `organization.${status}`, (before) => {
    if (before.status === "closed" && status !== "closed")
      throw new Problem("organization_not_active", "A closed organization stays closed.");
    return { ...before, status };
  });
}

/** Move a sandbox organization's clock. It only moves forward, and never twice at once. */
export async function moveTestClock(
  env: Env,
  author: Author,
  organization: Organization,
  to: Instant,
): Promise<Organization> {
  if (organization.testClockAt === null) throw new Problem("clock_not_sandbox");
  return change(env, author, organization, "organization.clock_moved", async (before, tx) => {
    const moved = await saveTestClock(tx, before.id, to);
    if (!moved) {
      const at = before.testClockAt === null ? "" : ` (${formatInstant(before.testClockAt)})`;
      throw new Problem("clock_goes_back", `The clock stands at a later moment already${at}.`);
    }
    // What has become due meanwhile is done at once, at the organization's own time.
    await askForJob(tx, {
      name: "keep-sandbox-time",
      key: `keep-sandbox-time ${before.id}`,
      payload: { orgId: before.id },
    });
    return { ...before, testClockAt: to };
  });
}

async function change(
  env: Env,
  author: Author,
  organization: Organization,
  action: string,
  work: (before: Organization, tx: Tx) => Organization | Promise<Organization>,
): Promise<Organization> {
  return transaction(env.store.db, async (tx) => {
    await lockOrganization(tx, organization.id);
    const before = (await findOrganization(tx, organization.id))?.organization;
    if (!before) throw new Problem("organization_not_found");
    const after = await work(before, tx);
    await saveOrganization(tx, after);
    await record(env, tx, author, action, before, after);
    return after;
  });
}

async function record(
  env: Env,
  tx: Tx,
  author: Author,
  action: string,
  before: Organization | null,
  after: Organization,
): Promise<void> {
  const entry: Change = {
    at: env.now(),
    author,
    action,
    target: { kind: "organization", id: after.id },
    before: before && described(before),
    after: described(after),
  };
  await appendAudit(tx, env.id, after.id, [entry]);
}

const described = (organization: Organization) => ({
  slug: organization.slug,
  name: organization.name,
  kind: organization.kind,
  parent_id: organization.parentId,
  status: organization.status,
  test_clock_at: organization.testClockAt === null ? null : formatInstant(organization.testClockAt),
});
