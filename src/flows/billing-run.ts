import { type PayerBook, paidFor, stretchesOf } from "../domain/accounts/index.ts";
import {
  duePeriods,
  type Findings,
  judge,
  type Judgement,
  type Override,
  type RunStatus,
  statusOf,
  type StepCount,
  stepCounts,
} from "../domain/invoicing/index.ts";
import { system } from "../domain/audit/index.ts";
import { fellSilent } from "../domain/usage/index.ts";
import { Problem } from "../domain/refusals/index.ts";
import { assert } from "../kit/assert.ts";
import { formatInstant, type Instant, type Period } from "../kit/time.ts";
import {
  type BillingRun,
  claimRunItems,
  closeRun,
  countQuarantined,
  countRunItems,
  findRun,
  insertRun,
  insertRunItems,
  type ItemOutcome,
  listQuietMeters,
  loadRunHistories,
  markRunCollected,
  retryRunItems,
  type RunCount,
  type RunItem,
  saveRunItems,
  withoutSeen,
} from "../store/billing-runs.ts";
import { accountKeyOf, loadPayerBook } from "../store/account-payers.ts";
import { getCatalog, type StoredCatalog } from "../store/catalog.ts";
import {
  type AccountKey,
  type AccountToInvoice,
  accountKeyText,
  listAccountsToInvoice,
  pageAccountKeys,
} from "../store/invoice-facts.ts";
import { snapshot, transaction } from "../store/transaction.ts";
import { checkDrafts } from "./check-drafts.ts";
import { type Drafted, draftInvoices } from "./draft-invoices.ts";
import type { Env } from "./env.ts";
import { issueInvoices } from "./issue-invoices.ts";
import { mendAccountRollups } from "./mend-rollups.ts";

/** Who opens runs when nobody does. */
export const theClock = "the clock";

const accountsPerPage = 1_000;
const itemsPerBatch = 200;

/** Plan a run over every account period that is due at a moment; nothing is calculated yet. */
export async function startBillingRun(
  env: Env,
  given: { orgId: string | null; asOf: Instant; createdBy: string },
): Promise<BillingRun> {
  const run: BillingRun = {
    runId: env.id("run"),
    orgId: given.orgId,
    asOf: given.asOf,
    collectedAt: null,
    closedAt: null,
    createdBy: given.createdBy,
    createdAt: env.now(),
  };
  await insertRun(env.store.db, run);
  return run;
}

/** Step 1: find the account periods that are due. Safe to repeat from the beginning: what is there stays. */
export async function collectBillingRun(env: Env, runId: string): Promise<void> {
  const run = await getRun(env, runId);
  if (run.collectedAt !== null) return;
  for await (const due of pagesOfDue(env, run))
    await insertRunItems(env.store.db, runId, due, env.now());
  await markRunCollected(env.store.db, runId, env.now());
}

/** When an account, or one it pays for, began to owe what the account is asked for; null: never yet. */
function firstOwed(
  book: PayerBook,
  account: string,
  firstAt: (account: string) => Instant | null,
): Instant | null {
  const first = [account, ...paidFor(book, account, Number.POSITIVE_INFINITY as Instant)].flatMap(
    (one) => {
      const began = firstAt(one);
      if (began === null) return [];
      const paid = stretchesOf(book, one).find(
        (stretch) => stretch.payer === account && stretch.endsAt > began,
      );
      return paid ? [Math.max(began, paid.startsAt)] : [];
    },
  );
  return first.length === 0 ? null : (Math.min(...first) as Instant);
}

/**
 * The account periods that are due at a moment, a page of accounts at a time. Without an organization, of all that live in
 * real time; a run that the clock opens looks at each period once, what it left is for a person to open again.
 */
export async function* pagesOfDue(
  env: Env,
  run: Pick<BillingRun, "orgId" | "asOf" | "createdBy"> & {
    readonly runId?: string;
    /** Those too that are over but not final. */
    readonly notFinal?: boolean;
  },
): AsyncGenerator<(AccountKey & { period: Period })[]> {
  let after: AccountKey | undefined;
  for (;;) {
    const keys = await pageAccountKeys(env.store.db, {
      orgId: run.orgId ?? undefined,
      realTimeOnly: run.orgId === null,
      after,
      limit: accountsPerPage,
    });
    if (keys.length === 0) return;
    const accounts = await listAccountsToInvoice(env.store.db, keys);
    const book = await loadPayerBook(env.store.db, keys);
    const histories = await loadRunHistories(env.store.db, [
      ...keys,
      ...[...book.keys()].map(accountKeyOf),
    ]);
    const due = accounts.flatMap((of) => {
      const { orgId, accountId, zeroInvoices } = of.account;
      const key = accountKeyText(orgId, accountId);
      const history = histories.get(key);
      const first = firstOwed(book, key, (ref) => histories.get(ref)?.firstAt ?? null);
      const since = first ?? (zeroInvoices ? of.createdAt : null);
      if (since === null) return [];
      const account = run.notFinal ? { ...of.account, finalizationHours: 0 } : of.account;
      const ever = stretchesOf(book, key).filter((stretch) => stretch.payer === key);
      return (
        duePeriods(account, since, history?.starts ?? new Set(), run.asOf)
          // Somebody else paid from the beginning: nothing can be owed by the account itself, not even for late usage.
          .filter((period) =>
            ever.some((one) => one.startsAt < period.endsAt && one.endsAt > since),
          )
          .map((period) => ({ orgId, accountId, period }))
      );
    });
    yield run.createdBy === theClock ? await withoutSeen(env.store.db, due, run.runId ?? "") : due;
    after = keys.at(-1);
  }
}

/**
 * Steps 2 to 5 for one batch of a run: calculate, verify by the second path, issue, settle; all of it in one transaction
 * with the note of how far each item has come. Killed at any statement, nothing of the batch happened, and the next worker
 * takes it up. Returns how many items were looked at; 0 when there is nothing left that nobody else holds.
 */
export async function workBillingRun(
  env: Env,
  runId: string,
  batch: number = itemsPerBatch,
): Promise<number> {
  const run = await getRun(env, runId);
  const catalog = await getCatalog(env.store);
  const now = env.now();
  const count = await transaction(env.store.db, async (tx) => {
    const items = await claimRunItems(tx, runId, batch);
    if (items.length === 0) return 0;
    const outcomes = await settleItems({ ...env, store: { ...env.store, db: tx } }, env, run, {
      items,
      catalog,
      now,
    });
    await saveRunItems(tx, runId, outcomes, now);
    return items.length;
  });
  if (count === 0) await closeRun(env.store.db, runId, now);
  return count;
}

type Batch = {
  readonly items: readonly RunItem[];
  readonly catalog: StoredCatalog;
  readonly now: Instant;
};

/** `within` writes in the transaction that holds the items; `outside` reads from a snapshot of its own. */
async function settleItems(
  within: Env,
  outside: Env,
  run: BillingRun,
  { items, catalog, now }: Batch,
): Promise<ItemOutcome[]> {
  const { looked, failed } = await lookApart(outside, catalog, items);
  const judged = looked.map((one) => ({
    item: one.item,
    one,
    verdict: judge(one.of.account, one, one.item.overrides),
  }));
  const clear = judged.filter(({ verdict }) => verdict.kind === "clear");
  const byEntity = new Map<string, typeof clear>();
  for (const one of clear) {
    const { legalEntity } = one.one.of.account;
    byEntity.set(legalEntity, [...(byEntity.get(legalEntity) ?? []), one]);
  }
  const outcomes: ItemOutcome[] = [
    ...failed,
    ...judged.flatMap(({ item, verdict }) => blockedOutcome(item, verdict)),
  ];
  for (const [, same] of [...byEntity].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    const drafted = same.map(({ one }) => one.drafted);
    const results = await issueInvoices(within, drafted, now, run.runId);
    same.forEach(({ item }, i) => {
      const result = results[i];
      assert(result, "every draft has a result");
      switch (result.kind) {
        case "issued":
        case "already":
          outcomes.push({
            ...item,
            status: "issued",
            step: "settle",
            blockers: [],
            invoiceId: result.invoiceId,
          });
          break;
        case "empty":
          outcomes.push({ ...item, status: "nothing", step: "settle", blockers: [] });
          break;
        // Another document came in between: the item stays waiting and is drafted again.
        case "stale":
          break;
      }
    });
  }
  return outcomes;
}

const blockedOutcome = (item: RunItem, verdict: Judgement): ItemOutcome[] =>
  verdict.kind === "clear"
    ? []
    : [{ ...item, status: "blocked", step: verdict.step, blockers: verdict.blockers }];

type Looked = {
  readonly item: RunItem;
  readonly of: AccountToInvoice;
  readonly drafted: Drafted;
} & Findings;

/** Look at all items together; when that fails, one by one, so that whoever makes it fail is parked alone. */
async function lookApart(
  env: Env,
  catalog: StoredCatalog,
  items: readonly RunItem[],
): Promise<{ looked: Looked[]; failed: ItemOutcome[] }> {
  try {
    return { looked: await lookAt(env, catalog, items), failed: [] };
  } catch (error) {
    if (isOutside(error)) throw error;
    const [item, ...others] = items;
    if (item && others.length === 0) {
      const detail = error instanceof Error ? error.message : "failed";
      const blockers = [{ kind: "failure", detail }] as const;
      return { looked: [], failed: [{ ...item, status: "blocked", step: "calculate", blockers }] };
    }
    const looked: Looked[] = [];
    const failed: ItemOutcome[] = [];
    for (const one of items) {
      const apart = await lookApart(env, catalog, [one]);
      looked.push(...apart.looked);
      failed.push(...apart.failed);
    }
    return { looked, failed };
  }
}

// What the database or the network refuses says nothing about an account: the batch is tried again as it is.
const isOutside = (error: unknown): boolean =>
  typeof (error as { code?: unknown }).code === "string" && !(error instanceof Problem);

async function lookAt(
  env: Env,
  catalog: StoredCatalog,
  items: readonly RunItem[],
): Promise<Looked[]> {
  return snapshot(env.store.db, async (db) => {
    const accounts = new Map(
      (await listAccountsToInvoice(db, items)).map((of) => [
        accountKeyText(of.account.orgId, of.account.accountId),
        of,
      ]),
    );
    const ofItem = (item: RunItem): AccountToInvoice => {
      const of = accounts.get(accountKeyText(item.orgId, item.accountId));
      assert(of, `account ${item.accountId} of a run is gone`);
      return of;
    };
    const drafted = await draftInvoices(
      db,
      catalog,
      items.map((item) => ({ of: ofItem(item), period: item.period, foldsOlder: true })),
    );
    const mismatches = await checkDrafts(db, drafted);
    const held = await countQuarantined(
      db,
      drafted.flatMap(({ scope }) =>
        [scope, ...scope.sections].map(({ of, period }) => ({
          orgId: of.account.orgId,
          accountId: of.account.accountId,
          period,
        })),
      ),
    );
    const priced = drafted.flatMap(({ scope }) => scope.offers.map(({ meter }) => meter.key));
    const quiet = await listQuietMeters(db, items, [...new Set(priced)]);
    return items.map((item, i) => {
      const one = drafted[i];
      assert(one, "every item is drafted");
      return {
        item,
        of: ofItem(item),
        drafted: one,
        quarantined: [one.scope, ...one.scope.sections].reduce(
          (sum, { of: { account } }) =>
            sum + (held.get(accountKeyText(account.orgId, account.accountId)) ?? 0n),
          0n,
        ),
        stale: (quiet.get(accountKeyText(item.orgId, item.accountId)) ?? []).filter((heard) =>
          fellSilent(heard, item.period),
        ),
        contradictions: one.contradictions,
        mismatches: mismatches[i] ?? [],
      };
    });
  });
}

/** Work on a run until nothing is left to do, alone or beside other workers. */
export async function finishBillingRun(env: Env, runId: string): Promise<RunReport> {
  await collectBillingRun(env, runId);
  while ((await workBillingRun(env, runId)) > 0);
  return readBillingRun(env, runId);
}

export type RunReport = {
  readonly run: BillingRun;
  readonly status: RunStatus;
  readonly counts: readonly RunCount[];
  readonly steps: readonly StepCount[];
};

/** How a run stands: each step with its counts. */
export async function readBillingRun(env: Env, runId: string): Promise<RunReport> {
  const run = await getRun(env, runId);
  const counts = await countRunItems(env.store.db, runId);
  const sum = (status: string) =>
    counts.filter((one) => one.status === status).reduce((total, one) => total + one.count, 0);
  const status = statusOf({
    isCollected: run.collectedAt !== null,
    waiting: sum("waiting"),
    blocked: sum("blocked"),
  });
  return { run, status, counts, steps: stepCounts(counts) };
}

/**
 * Look at blocked items again: after the cause was mended, or in spite of it, with a reason that is kept. A mismatch is not
 * passed over but mended: rollups that differ from the raw events are written anew from them. Where the two paths differ
 * for another reason the item stays blocked, and says so.
 */
export async function resumeBillingRun(
  env: Env,
  runId: string,
  of: AccountKey | null,
  override: Pick<Override, "kind" | "reason" | "by"> | null,
): Promise<bigint> {
  await getRun(env, runId);
  const now = env.now();
  if (of && override?.kind === "mismatch")
    await mendAccountRollups(env, of, system(override.by, override.reason));
  return retryRunItems(
    env.store.db,
    runId,
    of,
    override && { ...override, at: formatInstant(now) },
    now,
  );
}

async function getRun(env: Env, runId: string): Promise<BillingRun> {
  const run = await findRun(env.store.db, runId);
  if (!run) throw new Problem("billing_run_not_found", `there is no billing run ${runId}`);
  return run;
}
