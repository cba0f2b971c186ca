import { finalizesAt, type Mismatch, periodAt, stageOf } from "../domain/invoicing/index.ts";
import { Problem } from "../domain/refusals/index.ts";
import { assert } from "../kit/assert.ts";
import { formatInstant, formatPeriod, type Instant, type Period } from "../kit/time.ts";
import { getCatalog } from "../store/catalog.ts";
import type { AccountToInvoice } from "../store/invoice-facts.ts";
import { snapshot } from "../store/transaction.ts";
import { checkDrafts } from "./check-drafts.ts";
import { type Drafted, draftInvoices } from "./draft-invoices.ts";
import type { Env } from "./env.ts";
import { issueInvoices } from "./issue-invoices.ts";
import { getAccountToInvoice } from "./preview-invoice.ts";

const attemptsMax = 5;

export type IssueRequest = {
  readonly orgId: string;
  readonly account: string;
  /** Any moment within the period to invoice. */
  readonly at: Instant;
  /** Issue although the finalization window is still open: later events become adjustments. */
  readonly force?: boolean;
  readonly createdBy: string;
};

/**
 * Issue the invoice of a closed period: draft it, compute it a second time from the raw events, and only when both agree
 * give it a number. A period that has its invoice already answers with that one.
 */
export async function issueInvoice(
  env: Env,
  request: IssueRequest,
  now: Instant,
): Promise<{ invoiceId: string; isNew: boolean }> {
  const of = await getAccountToInvoice(env, request.orgId, request.account);
  const period = periodAt(of.account.calendar, request.at);
  refuseOpenPeriod(of, period, now, request.force ?? false);

  for (let attempt = 1; attempt <= attemptsMax; attempt++) {
    const { drafted, mismatches } = await draftAndCheck(env, of, period);
    refuseUnsound(drafted, mismatches);
    const [result] = await issueInvoices(env, [drafted], now, request.createdBy);
    assert(result, "issuing one draft gives one result");
    switch (result.kind) {
      case "issued":
        return { invoiceId: result.invoiceId, isNew: true };
      case "already":
        return { invoiceId: result.invoiceId, isNew: false };
      case "empty":
        throw new Problem(
          "nothing_to_invoice",
          drafted.scope.periods.some((part) => part.startsAt >= period.startsAt)
            ? undefined
            : `another account pays for ${of.account.slug} in this period: its section is on that one's invoice`,
        );
      case "stale":
        continue;
    }
  }
  throw new Problem("service_busy");
}

async function draftAndCheck(
  env: Env,
  of: AccountToInvoice,
  period: Period,
): Promise<{ drafted: Drafted; mismatches: Mismatch[] }> {
  const catalog = await getCatalog(env.store);
  return snapshot(env.store.db, async (db) => {
    const [drafted] = await draftInvoices(db, catalog, [{ of, period, foldsOlder: true }]);
    assert(drafted, "drafting one account gives one draft");
    const [mismatches] = await checkDrafts(db, [drafted]);
    return { drafted, mismatches: mismatches ?? [] };
  });
}

function refuseOpenPeriod(of: AccountToInvoice, period: Period, now: Instant, force: boolean) {
  switch (stageOf(of.account, period, now)) {
    case "upcoming":
      throw new Problem(
        "period_not_over",
        `the period ${formatPeriod(period)} ends at ${formatInstant(period.endsAt)}`,
      );
    case "draft":
      if (force) return;
      throw new Problem(
        "invoice_period_not_final",
        `late events may still change the period until ${formatInstant(finalizesAt(of.account, period))}`,
      );
    case "due":
      return;
  }
}

function refuseUnsound(drafted: Drafted, mismatches: readonly Mismatch[]) {
  const [contradiction] = drafted.contradictions;
  if (contradiction !== undefined)
    throw new Problem("invoice_contradicted", contradiction, {
      facts: { contradictions: drafted.contradictions },
    });
  const [first] = mismatches;
  if (first === undefined) return;
  const { slug } = drafted.scope.of.account;
  throw new Problem(
    "invoice_not_verified",
    `account ${slug}, ${first.where}: the rollups give ${first.stored}, the raw events ${first.recomputed}`,
    { facts: { account: slug, mismatches } },
  );
}
