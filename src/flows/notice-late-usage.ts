import type { Elsewhere, Line } from "../domain/invoicing/index.ts";
import type { MakeId } from "../kit/ids.ts";
import type { Instant } from "../kit/time.ts";
import { getCatalog } from "../store/catalog.ts";
import type { Tx } from "../store/connect.ts";
import { type AccountKey, accountKeyText, listAccountsToInvoice } from "../store/invoice-facts.ts";
import { lockDocuments } from "../store/invoices.ts";
import { closeVanished, type LeftOut, saveNoticed, settleLate } from "../store/late-usage.ts";
import { snapshot, transaction } from "../store/transaction.ts";
import { checkDrafts } from "./check-drafts.ts";
import { type Drafted, type DraftScope, draftLateUsage, type LateDraft } from "./draft-invoices.ts";
import type { Env } from "./env.ts";

/** What stands out for one account: every difference with the way it goes, and why the figures cannot be right, if so. */
export type LateLook = {
  readonly drafted: Drafted;
  readonly differences: readonly Elsewhere[];
  readonly objections: readonly string[];
};

/** Look at the closed periods of accounts that something came in for, from one moment, and by both paths. */
export async function lookAtLateUsage(env: Env, keys: readonly AccountKey[]): Promise<LateLook[]> {
  const catalog = await getCatalog(env.store);
  return snapshot(env.store.db, async (db) => {
    const drafts = await draftLateUsage(db, catalog, await listAccountsToInvoice(db, keys));
    const mismatches = await checkDrafts(
      db,
      drafts.map((one) => one.drafted),
    );
    return drafts.map((one, i) => ({
      drafted: one.drafted,
      differences: one.drafted.draft.lines.map(routed(one)),
      objections: [
        ...one.drafted.contradictions,
        ...(mismatches[i] ?? []).map(
          ({ where, stored, recomputed }) =>
            `${where}: the rollups give ${stored}, the raw events ${recomputed}`,
        ),
      ],
    }));
  });
}

const routed =
  ({ leaveOut }: LateDraft) =>
  (line: Line): Elsewhere => ({ line, because: leaveOut(line) ?? "next_invoice" });

/**
 * Write down the late usage of accounts that does not just go onto the next invoice, so that it is seen before that one. Safe
 * to repeat: each difference has one open row, which follows the figure.
 */
export async function noticeLateUsage(
  env: Env,
  keys: readonly AccountKey[],
  now: Instant,
): Promise<void> {
  for (const look of await lookAtLateUsage(env, keys)) {
    const { scope } = look.drafted;
    const { orgId, accountId } = scope.of.account;
    await transaction(env.store.db, async (tx) => {
      const sequences = await lockDocuments(tx, [{ orgId, accountId }]);
      // A document came in between and has looked itself.
      if ((sequences.get(accountKeyText(orgId, accountId)) ?? 0n) !== scope.sequence) return;
      await recordLate(tx, env.id, scope, { elsewhere: look.differences, billed: [] }, now);
    });
  }
}

/**
 * Keep the rows of late usage in step with what a look at the account found, where the account's documents are locked: what
 * was billed is settled, what goes its own way is open, and what made itself up is closed.
 */
export async function recordLate(
  tx: Tx,
  makeId: MakeId,
  scope: DraftScope,
  found: {
    readonly elsewhere: readonly Elsewhere[];
    readonly billed: readonly { readonly documentId: string; readonly lines: readonly Line[] }[];
  },
  now: Instant,
): Promise<void> {
  const { orgId, accountId } = scope.of.account;
  const of = { orgId, accountId, seq: scope.seq };
  const noticed = found.elsewhere.flatMap(({ line, because }) =>
    because === "next_invoice"
      ? []
      : [{ lateId: makeId("lateUsage"), line, because: because satisfies LeftOut }],
  );
  const open = new Set((scope.openLate ?? []).map((one) => one.cause));
  for (const { documentId, lines } of found.billed) {
    const causes = lines.map((line) => line.cause).filter((cause) => open.has(cause));
    if (causes.length > 0) await settleLate(tx, of, causes, documentId, now);
  }
  await saveNoticed(tx, of, noticed, now);
  if (open.size === 0) return;
  const there = found.elsewhere.map(({ line }) => line.cause);
  await closeVanished(tx, of, scope.periods, there, now);
}
