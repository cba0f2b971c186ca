import { type Caller, maySee } from "../domain/access/index.ts";
import {
  mayChangePayer,
  type Payable,
  payerAt,
  payerBook,
  type Stretch,
  stretchesOf,
} from "../domain/accounts/index.ts";
import type { Author } from "../domain/audit/index.ts";
import { Problem } from "../domain/refusals/index.ts";
import type { OrganizationId } from "../kit/ids.ts";
import { formatInstant, type Instant, minute } from "../kit/time.ts";
import {
  accountKeyOf,
  findBilledUntil,
  findPayable,
  insertPayer,
  listPayers,
  loadPayerBook,
  namesOfAccounts,
  type RecordedPayer,
} from "../store/account-payers.ts";
import { lockAccount } from "../store/accounts.ts";
import { appendAudit } from "../store/audit.ts";
import type { Db, Tx } from "../store/connect.ts";
import { findOrganization, lockOrganization } from "../store/organizations.ts";
import { transaction } from "../store/transaction.ts";
import type { Env } from "./env.ts";

export type AskedPayer = {
  /** Id or slug of an account of the same organization, or "organization/account"; null: the account pays itself. */
  readonly payer: string | null;
  /** From when on; the quarter of an hour that is running when left out. */
  readonly effectiveFrom: Instant | null;
};

/** A stretch of time and who is asked for an account's money in it, as people write accounts. */
export type PaidStretch = Stretch & { readonly name: string };

export type PayerHistory = {
  /** What was said, in the order in which it was. */
  readonly changes: readonly (RecordedPayer & { readonly payerName: string | null })[];
  /** What follows from it, through everybody who pays for a payer. */
  readonly stretches: readonly PaidStretch[];
};

/**
 * Say who is asked for an account's money from a moment on. What documents have charged stays where it is: a change begins
 * after the account's last period with one.
 */
export async function choosePayer(
  env: Env,
  caller: Pick<Caller, "organizationId" | "projectId">,
  author: Author,
  organizationId: OrganizationId,
  reference: string,
  asked: AskedPayer,
): Promise<PayerHistory> {
  return transaction(env.store.db, async (tx) => {
    const payer =
      asked.payer === null ? null : await getPayer(tx, caller, organizationId, asked.payer);
    const organizations = new Set<string>([organizationId]);
    if (payer) organizations.add(accountKeyOf(payer.ref).orgId);
    // Two changes at once could close a circle that neither sees: they take turns.
    for (const id of [...organizations].toSorted())
      await lockOrganization(tx, id as OrganizationId);
    await changePayer(env, tx, author, organizationId, reference, payer, asked.effectiveFrom);
    return readPayers(tx, organizationId, reference);
  });
}

/** The same within a transaction that has locked the organizations. Nothing happens when that is who pays already. */
export async function changePayer(
  env: Env,
  tx: Tx,
  author: Author,
  organizationId: OrganizationId,
  reference: string,
  payer: Payable | null,
  from: Instant | null,
): Promise<void> {
  const locked = await lockAccount(tx, organizationId, reference);
  const account = locked && (await findPayable(tx, organizationId, locked.id));
  if (!locked || !account) throw notFound(reference);
  if (locked.status === "archived") throw new Problem("account_archived");
  const key = accountKeyOf(account.ref);
  const now = env.now();
  const recorded = await listPayers(tx, key);
  const billedUntil = await findBilledUntil(tx, key);
  const running = (now - (now % (15 * minute))) as Instant;
  const effectiveFrom = from ?? (Math.max(running, billedUntil ?? running) as Instant);
  if (isSaid(recorded, account.ref, payer, effectiveFrom)) return;
  const book = await loadPayerBook(tx, payer ? [key, accountKeyOf(payer.ref)] : [key]);
  const refusal = mayChangePayer({ account, payer, book, billedUntil }, effectiveFrom);
  if (refusal)
    throw new Problem(
      refusal,
      refusal === "payer_change_too_late" && billedUntil !== null
        ? `${locked.slug} has documents up to ${formatInstant(billedUntil)}`
        : undefined,
    );
  const change: RecordedPayer = {
    account: account.ref,
    version: recorded.length + 1,
    effectiveFrom,
    payer: payer?.ref ?? null,
    reason: author.reason ?? "",
    createdBy: author.actor.id,
    createdAt: now,
  };
  await insertPayer(tx, change);
  await appendAudit(tx, env.id, organizationId, [
    {
      at: now,
      author,
      action: "account.payer_chosen",
      target: { kind: "account", id: locked.id },
      before: { payer: payerAt(payerBook(recorded), account.ref, effectiveFrom) },
      after: { payer: change.payer ?? account.ref, effective_from: formatInstant(effectiveFrom) },
    },
  ]);
}

// Said before, and nothing else after it.
function isSaid(
  recorded: readonly RecordedPayer[],
  account: string,
  payer: Payable | null,
  from: Instant,
): boolean {
  const held = payerBook(recorded).get(account) ?? [];
  const last = held.at(-1);
  return last === undefined
    ? payer === null
    : last.effectiveFrom <= from && last.payer === (payer?.ref ?? null);
}

/** Who pays for an account, as it was said and as it follows. */
export async function readPayers(
  db: Db,
  organizationId: OrganizationId,
  reference: string,
): Promise<PayerHistory> {
  const account = await findPayable(db, organizationId, reference);
  if (!account) throw notFound(reference);
  const key = accountKeyOf(account.ref);
  const changes = await listPayers(db, key);
  const stretches = stretchesOf(await loadPayerBook(db, [key]), account.ref);
  const names = await namesOfAccounts(db, [
    ...new Set([
      ...changes.flatMap((one) => one.payer ?? []),
      ...stretches.map((one) => one.payer),
    ]),
  ]);
  return {
    changes: changes.map((one) => ({
      ...one,
      payerName: one.payer === null ? null : (names.get(one.payer) ?? one.payer),
    })),
    stretches: stretches.map((one) => ({ ...one, name: names.get(one.payer) ?? one.payer })),
  };
}

const notFound = (reference: string) =>
  new Problem("account_not_found", `There is no billing account "${reference}".`);

/** An account of the organization or of one above it; what the caller may not see does not exist for it. */
async function getPayer(
  db: Db,
  caller: Pick<Caller, "organizationId" | "projectId">,
  organizationId: OrganizationId,
  reference: string,
): Promise<Payable> {
  const [name, organization] = reference.split("/").toReversed() as [string, string | undefined];
  const own = await findOrganization(db, organizationId);
  const placed = organization === undefined ? own : await findOrganization(db, organization);
  if (
    !placed ||
    !maySee(
      caller,
      placed.lineage.map((one) => one.id),
    )
  )
    throw notFound(reference);
  const payer = await findPayable(db, placed.organization.id, name);
  if (!payer) throw notFound(reference);
  if (!own?.lineage.some((one) => one.id === placed.organization.id))
    throw new Problem("payer_not_above");
  return payer;
}
