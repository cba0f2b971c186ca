import type { Draft } from "../domain/invoicing/index.ts";
import { accrue, bookedLines, lastInstantOf, policyAt } from "../domain/revenue/index.ts";
import { day, formatPeriod, type Period, shift } from "../kit/time.ts";
import { getCatalog } from "../store/catalog.ts";
import type { Tx } from "../store/connect.ts";
import {
  type AccountKey,
  accountKeyText,
  listAccountsToInvoice,
  loadHeads,
} from "../store/invoice-facts.ts";
import { listInvoiced, lockDocuments, periodKeyText } from "../store/invoices.ts";
import { appendTransactions } from "../store/journal.ts";
import { listRecognitionPolicies } from "../store/recognition-policies.ts";
import { snapshot, transaction } from "../store/transaction.ts";
import {
  accruedName,
  listAccrued,
  listUnbilled,
  saveAccrued,
  saveUnbilled,
  unbilledByCause,
} from "../store/unbilled.ts";
import { pagesOfDue } from "./billing-run.ts";
import { type Drafted, draftInvoices } from "./draft-invoices.ts";
import type { Env } from "./env.ts";

type ClosedPeriod = AccountKey & { readonly period: Period };

/**
 * Book what was earned in periods that are over and have no invoice yet, from their drafts: revenue belongs to the month in
 * which it was earned, whenever the invoice is written. Looked at again when further events came in. Stopped anywhere, the
 * next run goes on; an invoice that is issued meanwhile has taken over.
 */
export async function accrueUsage(
  env: Env,
  of: { readonly orgId?: string } = {},
  stopping?: AbortSignal,
): Promise<{ periodCount: number }> {
  let periodCount = 0;
  const asked = { orgId: of.orgId ?? null, asOf: env.now(), createdBy: "", notFinal: true };
  for await (const closed of pagesOfDue(env, asked)) {
    const changed = await withNews(env, closed);
    for (let i = 0; i < changed.length && !stopping?.aborted; i += accountsPerBatch)
      periodCount += await accrueBatch(env, changed.slice(i, i + accountsPerBatch));
    if (stopping?.aborted) break;
  }
  return { periodCount };
}

const accountsPerBatch = 100;

/** Those that were never accrued, or whose account has had events since. */
async function withNews(env: Env, closed: readonly ClosedPeriod[]): Promise<ClosedPeriod[]> {
  if (closed.length === 0) return [];
  const heads = await loadHeads(env.store.db, closed);
  const accrued = await listAccrued(
    env.store.db,
    closed.map((one) => ({ ...one, startsAt: one.period.startsAt })),
  );
  return closed.filter(({ orgId, accountId, period }) => {
    const seq = accrued.get(accruedName(orgId, accountId, period.startsAt));
    if (seq === undefined) return true;
    const isRecent = shift(period.endsAt, recentMicros) > env.now();
    return isRecent && seq !== (heads.get(accountKeyText(orgId, accountId)) ?? 0n);
  });
}

// Longer than windows for late events are. An older period without an invoice had nothing on it; should it ever get one, that
// books the rest.
const recentMicros = 62 * day;

async function accrueBatch(env: Env, closed: readonly ClosedPeriod[]): Promise<number> {
  const catalog = await getCatalog(env.store);
  const drafted = await snapshot(env.store.db, async (db) => {
    const accounts = await listAccountsToInvoice(db, closed);
    return draftInvoices(
      db,
      catalog,
      closed.flatMap(({ orgId, accountId, period }) => {
        const found = accounts.find(
          ({ account }) => account.orgId === orgId && account.accountId === accountId,
        );
        return found ? [{ of: found, period, foldsOlder: true }] : [];
      }),
    );
  });
  for (const one of drafted) await accrueDraft(env, one);
  return drafted.length;
}

async function accrueDraft(env: Env, { scope, draft, contradictions }: Drafted): Promise<void> {
  const { orgId, accountId } = scope.of.account;
  const key = { orgId, accountId };
  const { period } = scope;
  const scopes = [scope, ...scope.sections];
  // What contradicts itself has no right amount yet.
  if (contradictions.length > 0) return;
  await transaction(env.store.db, async (tx) => {
    const last = await lockDocuments(
      tx,
      scopes.map(({ of }) => of.account),
    );
    const invoiced = await listInvoiced(tx, [{ ...key, period }]);
    // A document came in between: it has taken over, or changed what this one would say.
    if (invoiced.has(periodKeyText(orgId, accountId, period.startsAt))) return;
    const isOvertaken = scopes.some(({ of: { account }, sequence }) => {
      const now = last.get(accountKeyText(account.orgId, account.accountId)) ?? 0n;
      return now !== sequence;
    });
    if (isOvertaken) return;
    for (const one of [draft, ...(draft.statements ?? [])]) await accrueOne(env, tx, one);
    await saveAccrued(tx, { ...key, startsAt: period.startsAt, seq: scope.seq });
  });
}

/** The accrual of one account: its own, or what its payer will be asked for. */
async function accrueOne(env: Env, tx: Tx, { account, content, period }: Draft): Promise<void> {
  const { orgId, accountId } = account;
  const key = { orgId, accountId };
  const policy = policyAt(await listRecognitionPolicies(tx), period.startsAt);
  const standing = (await listUnbilled(tx, [key])).get(accountKeyText(orgId, accountId)) ?? [];
  const lines = bookedLines(content, policy);
  const causes = new Set(lines.map((line) => line.cause));
  const before = standing.filter(
    (charge) => charge.periodStartsAt === period.startsAt || causes.has(charge.cause),
  );
  const at = lastInstantOf(period, env.now());
  const { transaction: booked, unbilled } = accrue(
    { id: env.id("transaction"), accountId, name: formatPeriod(period), at },
    lines,
    unbilledByCause(before),
    policy,
  );
  if (booked) await appendTransactions(tx, orgId, [booked], env.now());
  await saveUnbilled(
    tx,
    [...unbilled].map(([cause, charge]) => ({
      ...key,
      ...charge,
      cause,
      periodStartsAt: period.startsAt,
    })),
  );
}
