import type { Author } from "../domain/audit/index.ts";
import { Problem } from "../domain/refusals/index.ts";
import { assert } from "../kit/assert.ts";
import { equal, formatDecimal } from "../kit/decimal.ts";
import { formatMoney } from "../kit/money.ts";
import type { Instant } from "../kit/time.ts";
import { appendAudit } from "../store/audit.ts";
import type { Tx } from "../store/connect.ts";
import {
  findLate,
  type LateStatus,
  type LateUsage,
  lockLate,
  saveLateDecision,
} from "../store/late-usage.ts";
import type { Env } from "./env.ts";
import { withFreshLook, writeNotes } from "./issue-late-usage.ts";
import { type LateLook, recordLate } from "./notice-late-usage.ts";

/** What somebody with the right to do so decides about late usage that is held. */
export type LateDecision = {
  readonly orgId: string;
  readonly lateId: string;
  /** The way by which it goes out, or that it does not. */
  readonly way: "next_invoice" | "own_document" | "decline";
  readonly reason: string;
};

/**
 * Approve held late usage, or decline it. What is approved is the figure that was shown: when more has come in since, the
 * decision is refused and the new figure waits. On a document of its own it goes out in the same transaction.
 */
export async function decideLateUsage(
  env: Env,
  decision: LateDecision,
  author: Author,
  now: Instant,
): Promise<LateUsage> {
  const shown = await getLate(env, decision);
  if (isRepeated(shown, decision, author)) return shown;
  const decided = await withFreshLook(env, shown, async (tx, look) => [
    await decideOn(tx, env, { decision, shown, look }, author, now),
  ]);
  const [one] = decided;
  if (one === undefined) throw changed("there is no difference any more");
  if (one.kind === "changed") throw changed(one.detail);
  return getLate(env, decision);
}

type Decided = { readonly kind: "done" } | { readonly kind: "changed"; readonly detail: string };

async function decideOn(
  tx: Tx,
  env: Env,
  given: { decision: LateDecision; shown: LateUsage; look: LateLook },
  author: Author,
  now: Instant,
): Promise<Decided> {
  const { decision, shown, look } = given;
  const { scope } = look.drafted;
  const held = await lockLate(tx, shown.orgId, shown.lateId);
  assert(held, "late usage is never deleted");
  refuseDecided(held);
  const found = look.differences.find(({ line }) => line.cause === held.cause);
  if (!found) return { kind: "changed", detail: "there is no difference any more" };
  const { line } = found;
  if (line.amount.minor !== shown.amount.minor || !equal(line.quantity, shown.quantity)) {
    // The row follows the figure, so that the list shows what the next decision is about.
    await recordLate(tx, env.id, scope, { elsewhere: look.differences, billed: [] }, now);
    return {
      kind: "changed",
      detail: `it comes to ${formatMoney(line.amount)} for ${formatDecimal(line.quantity)} by now`,
    };
  }
  const status: LateStatus = decision.way === "decline" ? "declined" : "approved";
  await saveLateDecision(tx, held, { status, by: author.actor.id, reason: decision.reason }, now);
  if (decision.way === "own_document") {
    if (!scope.invoicedStarts?.has(line.period.startsAt))
      throw new Problem("late_usage_without_invoice");
    await writeNotes(tx, env, look, (one) => one === found, author, now);
  }
  await appendAudit(tx, env.id, held.orgId, [
    {
      at: now,
      author: { ...author, reason: decision.reason },
      action: `late_usage.${status}`,
      target: { kind: "late_usage", id: held.lateId },
      before: { status: held.status },
      after: { status, way: decision.way, amount: formatMoney(held.amount) },
    },
  ]);
  return { kind: "done" };
}

/** The same decision of the same person for the same reason once more: its answer got lost. */
function isRepeated(shown: LateUsage, { way, reason }: LateDecision, { actor }: Author): boolean {
  if (shown.decidedBy !== actor.id || shown.reason !== reason) return false;
  if (way === "decline") return shown.status === "declined";
  return shown.status === "settled" || (way === "next_invoice" && shown.status === "approved");
}

function refuseDecided({ status, because }: LateUsage): void {
  if (because !== "hold" || status === "settled" || status === "approved")
    throw new Problem(
      "late_usage_status_conflict",
      because === "hold" ? `it is ${status} already` : "it needs no approval",
    );
}

async function getLate(
  env: Env,
  of: { readonly orgId: string; readonly lateId: string },
): Promise<LateUsage> {
  const found = await findLate(env.store.db, of.orgId, of.lateId);
  if (!found) throw new Problem("late_usage_not_found", `there is no late usage ${of.lateId}`);
  return found;
}

const changed = (detail: string): Problem => new Problem("late_usage_changed", detail);
