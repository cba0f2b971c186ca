import { Problem } from "../domain/refusals/index.ts";
import type { StoredInvoice } from "../store/invoices.ts";

/** A part of a document cannot be taken back by itself: another account's invoice asks for it. */
export function refuseStatement(invoice: StoredInvoice): void {
  const { paid_by: payer } = invoice.content;
  if (payer)
    throw new Problem(
      "invoice_paid_by_another",
      `${invoice.number} is a statement: ${payer.invoice ?? "the invoice"} of ${payer.name} asks for its money`,
    );
}
