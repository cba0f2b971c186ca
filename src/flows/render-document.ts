import { readMeter } from "../domain/catalog/index.ts";
import { isAdditive } from "../domain/invoicing/index.ts";
import {
  type AnnexRow,
  fileSafe,
  type Paper,
  paperAsCsv,
  paperAsHtml,
  paperOf,
  sectionNames,
  ublObstacles,
} from "../domain/paper/index.ts";
import { Problem } from "../domain/refusals/index.ts";
import { renderPdf } from "../gateways/pdf/render.ts";
import { writeUbl } from "../gateways/ubl.ts";
import { add, zero } from "../kit/decimal.ts";
import { dayAt, instant, windowsOf } from "../kit/time.ts";
import type { Db } from "../store/connect.ts";
import { findInvoice, listStatements, type StoredInvoice } from "../store/invoices.ts";
import { measureWindows } from "../store/invoice-usage.ts";
import { projectNames } from "../store/projects.ts";
import { snapshot } from "../store/transaction.ts";
import type { Env } from "./env.ts";

export const documentForms = ["pdf", "html", "csv", "ubl"] as const;
export type DocumentForm = (typeof documentForms)[number];

export type RenderedDocument = {
  readonly content: Uint8Array | string;
  readonly mime: string;
  readonly fileName: string;
};

/** Write an issued document in one of its forms. The same document gives the same bytes at any time. */
export async function renderDocument(
  env: Env,
  orgId: string,
  idOrNumber: string,
  form: DocumentForm,
): Promise<RenderedDocument> {
  const paper = await readPaper(env, orgId, idOrNumber);
  const name = fileSafe(paper.number);
  switch (form) {
    case "pdf":
      return { content: await pdfOf(paper), mime: "application/pdf", fileName: `${name}.pdf` };
    case "html":
      return {
        content: paperAsHtml(paper),
        mime: "text/html; charset=utf-8",
        fileName: `${name}.html`,
      };
    case "csv":
      return {
        content: paperAsCsv(paper),
        mime: "text/csv; charset=utf-8",
        fileName: `${name}.csv`,
      };
    case "ubl":
      return {
        content: await writeUbl(paper),
        mime: "application/xml; charset=utf-8",
        fileName: `${name}.xml`,
      };
  }
}

/** The PDF, with the electronic invoice inside where one can be written. */
export async function pdfOf(paper: Paper): Promise<Uint8Array> {
  if (ublObstacles(paper).length > 0) return renderPdf(paper);
  const xml = await writeUbl(paper);
  return renderPdf(paper, {
    name: `${fileSafe(paper.number)}.xml`,
    content: Buffer.from(xml),
    mime: "text/xml",
    description: "EN 16931 electronic invoice (UBL 2.1)",
  });
}

/** The document as neutral paper, with its usage annex. */
export async function readPaper(env: Env, orgId: string, idOrNumber: string): Promise<Paper> {
  return snapshot(env.store.db, async (db) => {
    const invoice = await findInvoice(db, orgId, idOrNumber);
    if (!invoice || invoice.number === null)
      throw new Problem("invoice_not_found", `there is no issued document ${idOrNumber}`);
    return paperOf(invoice.content, { annex: await annexOfAll(db, invoice) });
  });
}

/** The usage of everybody on the document; where they are several, each project says whose it is. */
async function annexOfAll(db: Db, invoice: StoredInvoice): Promise<AnnexRow[]> {
  const { sections } = invoice.content;
  if (!sections) return annexOf(db, invoice);
  const names = sectionNames(invoice.content);
  const statements = await listStatements(db, invoice.invoiceId);
  const rows: AnnexRow[] = [];
  for (const { account } of sections) {
    const of =
      account === invoice.accountId ? invoice : statements.find((one) => one.accountId === account);
    if (!of) continue;
    const own = await annexOf(db, of);
    rows.push(...own.map((row) => ({ ...row, project: `${names.get(account)} · ${row.project}` })));
  }
  return rows;
}

/** Usage per project, meter and day of the account's zone: what the lines add up from. */
async function annexOf(db: Db, invoice: StoredInvoice): Promise<AnnexRow[]> {
  const { content } = invoice;
  const zone = content.account.time_zone;
  const meters = content.meters.flatMap((definition) => {
    const { meter } = readMeter(definition);
    return meter && isAdditive(meter) ? [meter] : [];
  });
  const period = {
    startsAt: instant(content.period.starts_at),
    endsAt: instant(content.period.ends_at),
  };
  const windows = meters.flatMap((meter) =>
    windowsOf("day", period, zone).map((slice) => ({
      orgId: invoice.orgId,
      accountId: invoice.accountId,
      meter,
      slice,
      dimensions: [],
      untilSeq: invoice.watermarkSeq,
    })),
  );
  const measured = [...(await measureWindows(db, windows)).values()].flat();
  const names = await projectNames(db, invoice.orgId, [
    ...new Set(measured.map((part) => part.projectId)),
  ]);
  const rows = new Map<string, AnnexRow>();
  for (const part of measured) {
    const day = dayAt(part.slice.startsAt, zone);
    const meter = meters.find((one) => one.key === part.meterKey);
    const key = `${day}|${part.projectId}|${part.meterKey}`;
    const quantity = add(rows.get(key)?.quantity ?? zero, part.quantity);
    rows.set(key, {
      project: names.get(part.projectId) ?? part.projectId,
      meter: meter?.name ?? part.meterKey,
      day,
      quantity,
      unit: meter?.unit ?? "",
    });
  }
  return [...rows.entries()].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => row);
}
