/** Who issues a paper and which count it belongs to. Within one series numbers go 1, 2, 3 … without a gap. */
export type Series = { readonly legalEntity: string; readonly series: string };

export type DocumentKind = "invoice" | "credit_note" | "debit_note" | "statement";

// A statement is numbered below the invoice that asks for its money: INV-000042.1.
const seriesOf: Record<DocumentKind, string> = {
  invoice: "INV",
  credit_note: "CN",
  debit_note: "DN",
  statement: "INV",
};

/** Invoices, credit notes and debit notes count separately. */
export const seriesFor = (legalEntity: string, kind: DocumentKind): Series => ({
  legalEntity,
  series: seriesOf[kind],
});

/** The number as it is printed: "INV-000042". */
export const documentNumber = (series: Series, n: bigint): string =>
  `${series.series}-${n.toString().padStart(6, "0")}`;
