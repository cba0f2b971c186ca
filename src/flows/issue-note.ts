import {
  assemble,
  type Elsewhere,
  type Line,
  type Offer,
  partiesOf,
  withSections,
} from "../domain/invoicing/index.ts";
import { Problem } from "../domain/refusals/index.ts";
import { assert } from "../kit/assert.ts";
import type { Instant } from "../kit/time.ts";
import type { Tx } from "../store/connect.ts";
import { findAccountToInvoice } from "../store/invoice-facts.ts";
import { findInvoice, type StoredInvoice } from "../store/invoices.ts";
import type { Env } from "./env.ts";
import { numberAndInsert } from "./issue-invoices.ts";

/** A credit or debit note about to be written, where the account's documents are held. */
export type Note = {
  readonly kind: "credit_note" | "debit_note";
  readonly corrected: StoredInvoice;
  readonly lines: readonly Line[];
  /** For a note that restates usage: up to which event it looked, by which offers of which book, and what it left to others. */
  readonly usage?: {
    readonly seq: bigint;
    readonly offers: readonly Offer[];
    readonly priceBook: string;
    readonly elsewhere: readonly Elsewhere[];
  };
  readonly sequence: bigint;
  readonly reason: string;
  readonly reasonCode: string;
  readonly createdBy: string;
};

/**
 * Write a note on an issued document under its own number. The document stays as it is; the note names it and is taxed as it
 * was: what was supplied then was supplied to that buyer by that issuer.
 */
export async function issueNote(
  tx: Tx,
  env: Env,
  note: Note,
  now: Instant,
): Promise<StoredInvoice> {
  const { corrected, kind, usage } = note;
  const { content, orgId } = corrected;
  const of = await findAccountToInvoice(tx, orgId, corrected.accountId);
  assert(of, "an issued document has an account");
  const whole = assemble(
    {
      account: { ...of.account, legalEntity: content.account.legal_entity },
      period: corrected.period,
      offers: usage?.offers ?? [],
      priceBook: usage?.priceBook ?? content.account.price_book,
      parties: partiesOf(content.parties),
      bindings: [],
      watermark: { seq: usage?.seq ?? 0n },
    },
    note.lines,
    usage?.elsewhere,
  );
  const draft = content.sections ? withSections(whole, content.sections) : whole;
  if (draft.obstacle !== null) throw new Problem("invoice_contradicted", draft.obstacle);
  const { number, issued_on } = content;
  const [issued] = await numberAndInsert(
    tx,
    [
      {
        invoiceId: env.id(kind === "debit_note" ? "debitNote" : "creditNote"),
        kind,
        draft,
        sequence: note.sequence,
        note: { corrects: { id: corrected.invoiceId, number, issued_on }, reason: note.reason },
        reasonCode: note.reasonCode,
        ofBadDebt: kind === "credit_note" && corrected.status === "uncollectible",
        createdBy: note.createdBy,
      },
    ],
    now,
  );
  assert(issued, "one document was numbered");
  const stored = await findInvoice(tx, orgId, issued.invoiceId);
  assert(stored, "the note was stored");
  return stored;
}
