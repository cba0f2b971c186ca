import { readMeter } from "../domain/catalog/index.ts";
import type { ContentLine } from "../domain/invoicing/index.ts";
import { Problem } from "../domain/refusals/index.ts";
import { instant, type Period } from "../kit/time.ts";
import type { Db } from "../store/connect.ts";
import { loadSeenBefore } from "../store/invoice-facts.ts";
import { findInvoice, type StoredInvoice } from "../store/invoices.ts";
import {
  type ExplainedBucket,
  type ExplainedEvent,
  listExplainedBuckets,
  pageExplainedEvents,
} from "../store/raw-usage.ts";
import { snapshot } from "../store/transaction.ts";
import type { Env } from "./env.ts";

/** A line taken apart: its segments, the days its usage fell on, and one page of the events themselves. */
export type LineExplanation = {
  readonly invoice: StoredInvoice;
  readonly line: ContentLine;
  /** By day in the account's zone; their quantities add up to the line's for meters that add up. */
  readonly buckets: readonly ExplainedBucket[];
  readonly events: readonly ExplainedEvent[];
};

/**
 * Explain a line down to its events. A line that restates an earlier period shows the events that came in since a
 * document last billed the same; every other line shows all events of its period that the document could know.
 */
export async function explainInvoiceLine(
  env: Env,
  orgId: string,
  idOrNumber: string,
  lineNo: number,
  page: { after?: { time: string; seq: bigint } | undefined; limit: number },
): Promise<LineExplanation> {
  return snapshot(env.store.db, async (db) => {
    const invoice = await findInvoice(db, orgId, idOrNumber);
    if (!invoice) throw new Problem("invoice_not_found", `there is no invoice ${idOrNumber}`);
    const line = invoice.content.lines.find((one) => one.line_no === lineNo);
    if (!line)
      throw new Problem(
        "invoice_line_not_found",
        `${invoice.number} has lines 1 to ${invoice.content.lines.length}`,
      );
    const definition = invoice.content.meters.find(
      (one) => (one as { key?: string }).key === line.meter,
    );
    const { meter } = readMeter(definition);
    const of = await holderOf(db, invoice, line);
    if (!meter || of.watermarkSeq === null) return { invoice, line, buckets: [], events: [] };

    const period: Period = {
      startsAt: instant(line.period.starts_at),
      endsAt: instant(line.period.ends_at),
    };
    const what = {
      orgId: of.orgId,
      accountId: of.accountId,
      meter,
      period,
      sinceSeq: line.basis === "restatement" ? await loadSeenBefore(db, of, line.cause) : 0n,
      untilSeq: of.watermarkSeq,
    };
    return {
      invoice,
      line,
      buckets: page.after
        ? []
        : await listExplainedBuckets(db, { ...what, zone: invoice.content.account.time_zone }),
      events: await pageExplainedEvents(db, { ...what, after: page.after, limit: page.limit }),
    };
  });
}

/** The document of the account whose usage a line charges: on a consolidated invoice, the statement of its section. */
async function holderOf(db: Db, invoice: StoredInvoice, line: ContentLine): Promise<StoredInvoice> {
  const section = invoice.content.sections?.find((one) => one.account === line.section);
  if (!section || section.statement === null) return invoice;
  return (await findInvoice(db, section.organization, section.statement)) ?? invoice;
}
