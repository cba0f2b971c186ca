import {
  brokenRules,
  type Paper,
  paperAsUbl,
  ublObstacles,
  ublTree,
} from "../domain/paper/index.ts";
import { Problem } from "../domain/refusals/index.ts";

const silent = { log() {}, warn() {}, error() {} };

/**
 * Write a document as UBL 2.1 (EN 16931, Peppol BIS 3.0). The writer is slow to load and only some installations need it, so
 * it is loaded with the first document. Refuses what could not be valid, and anything whose own sums do not add up.
 */
export async function writeUbl(paper: Paper): Promise<string> {
  const obstacles = ublObstacles(paper);
  if (obstacles.length > 0) {
    throw new Problem(
      "electronic_invoice_impossible",
      `Document ${paper.number} cannot be written as EN 16931: ${obstacles.join("; ")}.`,
    );
  }
  const invoice = paperAsUbl(paper);
  const broken = brokenRules(ublTree(invoice));
  if (broken.length > 0)
    throw new Error(
      `document ${paper.number} breaks ${broken.map((one) => `${one.rule} (${one.detail})`).join(", ")}`,
    );

  const { InvoiceService } = await import("@e-invoice-eu/core");
  const service = new InvoiceService(silent);
  const xml = await service.generate({ "ubl:Invoice": invoice } as never, {
    format: "UBL",
    lang: paper.language,
    noWarnings: true,
  });
  return typeof xml === "string" ? xml : Buffer.from(xml).toString("utf8");
}
