import type { Binding } from "../domain/accounts/index.ts";
import type { AccountId, BindingId, OrganizationId, ProjectId } from "../kit/ids.ts";
import type { Instant } from "../kit/time.ts";
import { readInstant, writeInstant } from "./columns.ts";
import type { Db } from "./connect.ts";

/** All bindings of a project, oldest first. They are few: one each time the payer changed. */
export async function listBindings(
  db: Db,
  organizationId: OrganizationId,
  projectId: ProjectId,
): Promise<Binding[]> {
  const rows = await db
    .selectFrom("binding")
    .selectAll()
    .where("org_id", "=", organizationId)
    .where("project_id", "=", projectId)
    .orderBy("effective_from")
    .execute();
  return rows.map(bindingOf);
}

/** The bindings of every project that an account ever paid for, so that each one's end is known. */
export async function listBindingsAround(
  db: Db,
  organizationId: OrganizationId,
  accountId: AccountId,
): Promise<Binding[]> {
  const rows = await db
    .selectFrom("binding")
    .selectAll()
    .where("org_id", "=", organizationId)
    .where("project_id", "in", (eb) =>
      eb
        .selectFrom("binding as own")
        .select("own.project_id")
        .where("own.org_id", "=", organizationId)
        .where("own.account_id", "=", accountId),
    )
    .orderBy("project_id")
    .orderBy("effective_from")
    .execute();
  return rows.map(bindingOf);
}

/** Id and slug of the account that pays for a project at a moment; undefined when nobody does. */
export async function findPayer(
  db: Db,
  organizationId: OrganizationId,
  projectId: string,
  at: Instant,
): Promise<{ readonly id: string; readonly slug: string } | undefined> {
  const row = await db
    .selectFrom("binding as b")
    .leftJoin("billing_account as a", (join) =>
      join.onRef("a.org_id", "=", "b.org_id").onRef("a.account_id", "=", "b.account_id"),
    )
    .select(["a.account_id as id", "a.slug as slug"])
    .where("b.org_id", "=", organizationId)
    .where("b.project_id", "=", projectId)
    .where("b.effective_from", "<=", writeInstant(at))
    .orderBy("b.effective_from", "desc")
    .limit(1)
    .executeTakeFirst();
  return row?.id && row.slug ? { id: row.id, slug: row.slug } : undefined;
}

export async function findBinding(
  db: Db,
  organizationId: OrganizationId,
  id: string,
): Promise<Binding | undefined> {
  const row = await db
    .selectFrom("binding")
    .selectAll()
    .where("org_id", "=", organizationId)
    .where("binding_id", "=", id)
    .executeTakeFirst();
  return row && bindingOf(row);
}

/** `supersedes` is "" for the first binding of a project: there can be one of those, and one successor of each. */
export async function insertBinding(
  db: Db,
  organizationId: OrganizationId,
  binding: Binding,
  supersedes: BindingId | "" | null,
): Promise<void> {
  await db
    .insertInto("binding")
    .values({
      org_id: organizationId,
      binding_id: binding.id,
      project_id: binding.projectId,
      account_id: binding.accountId,
      effective_from: writeInstant(binding.effectiveFrom),
      reason: binding.reason,
      created_by: binding.createdBy,
      created_at: writeInstant(binding.createdAt),
      supersedes,
    })
    .execute();
}

/** How many projects an account pays for now or will pay for. */
export async function countActiveBindings(
  db: Db,
  organizationId: OrganizationId,
  accountId: AccountId,
  now: Instant,
): Promise<number> {
  const row = await db
    .selectFrom("binding as b")
    .select((eb) => eb.fn.countAll<bigint>().as("count"))
    .where("b.org_id", "=", organizationId)
    .where("b.account_id", "=", accountId)
    .where((eb) =>
      eb.not(
        eb.exists(
          eb
            .selectFrom("binding as later")
            .select("later.binding_id")
            .whereRef("later.org_id", "=", "b.org_id")
            .whereRef("later.project_id", "=", "b.project_id")
            .whereRef("later.effective_from", ">", "b.effective_from")
            .where("later.effective_from", "<=", writeInstant(now)),
        ),
      ),
    )
    .executeTakeFirstOrThrow();
  return Number(row.count);
}

type Row = {
  binding_id: string;
  project_id: string;
  account_id: string | null;
  effective_from: string;
  reason: string;
  created_by: string;
  created_at: string;
};

function bindingOf(row: Row): Binding {
  return {
    id: row.binding_id as BindingId,
    projectId: row.project_id as ProjectId,
    accountId: row.account_id as AccountId | null,
    effectiveFrom: readInstant(row.effective_from),
    reason: row.reason,
    createdBy: row.created_by,
    createdAt: readInstant(row.created_at),
  };
}
