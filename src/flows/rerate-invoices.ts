import { stretchesOf } from "../domain/accounts/index.ts";
import { decideRerate } from "../domain/corrections/index.ts";
import { type DocumentKind, partiesOf, ratePrimary } from "../domain/invoicing/index.ts";
import { assert } from "../kit/assert.ts";
import type { StoredCatalog, StoredCorrection } from "../store/catalog.ts";
import type { Db } from "../store/connect.ts";
import {
  accountKeyText,
  listAccountsToInvoice,
  loadBilled,
  paidKeyText,
} from "../store/invoice-facts.ts";
import { measureWindows } from "../store/invoice-usage.ts";
import { findInvoice, type StoredInvoice } from "../store/invoices.ts";
import { loadPayerBook } from "../store/account-payers.ts";
import { pageInvoicesOver } from "../store/price-corrections.ts";
import { type Drafted, type DraftScope, draftScopes, partsOf } from "./draft-invoices.ts";
import { readOffers, readPlanOffers } from "./read-offers.ts";

/** An invoice, and the document that makes it right. */
export type Rerated = {
  readonly invoice: StoredInvoice;
  readonly drafted: Drafted;
  readonly documentKind: DocumentKind;
};

export type Rerating = {
  readonly rerated: readonly Rerated[];
  readonly obstacles: readonly { readonly invoice: string; readonly because: string }[];
};

const pageSize = 200;

/**
 * What every invoice of a span of time should have said under a catalog, against what documents did say. It looks at the
 * usage that those documents knew and at no other, so that the difference is that of the price alone; usage that came in
 * since stays with the next invoice. Tax and parties are those of the invoice.
 */
export async function rerateInvoices(
  db: Db,
  catalog: StoredCatalog,
  correction: StoredCorrection,
): Promise<Rerating> {
  const book = catalog.books.get(correction.book);
  const over = { currency: book?.currency ?? "", span: correction.span };
  const rerated: Rerated[] = [];
  const obstacles: { invoice: string; because: string }[] = [];
  for (let after: readonly [string, string] = ["", ""]; ; ) {
    const page = await pageInvoicesOver(db, over, { after, limit: pageSize });
    const last = page.at(-1);
    if (last === undefined) return { rerated, obstacles };
    after = [last.orgId, last.invoiceId];
    const invoices: StoredInvoice[] = [];
    for (const key of page) {
      const invoice = await findInvoice(db, key.orgId, key.invoiceId);
      if (invoice && isConsolidated(invoice))
        obstacles.push({ invoice: invoice.content.number, because: consolidated });
      else if (invoice) invoices.push(invoice);
    }
    const drafted = await draftScopes(
      db,
      await scopesOf(db, catalog, invoices),
      measureWindows,
      ratePrimary,
    );
    drafted.forEach((one, i) => {
      const invoice = invoices[i] as StoredInvoice;
      const decision = decideRerate(one.draft, one.contradictions, correction.skuCode);
      if (decision.kind === "document")
        rerated.push({ invoice, drafted: one, documentKind: decision.documentKind });
      if (decision.kind === "obstacle")
        obstacles.push({ invoice: invoice.content.number, because: decision.because });
    });
  }
}

const isConsolidated = ({ paidBy, content }: StoredInvoice): boolean =>
  paidBy !== null || content.sections !== undefined;
const consolidated = "it is consolidated, one account paying for others: credit its lines by hand";

async function scopesOf(
  db: Db,
  catalog: StoredCatalog,
  invoices: readonly StoredInvoice[],
): Promise<DraftScope[]> {
  const billed = await loadBilled(db, invoices);
  const book = await loadPayerBook(db, invoices);
  const accounts = new Map(
    (await listAccountsToInvoice(db, invoices)).map((of) => [
      accountKeyText(of.account.orgId, of.account.accountId),
      of,
    ]),
  );
  return invoices.map(({ orgId, accountId, content, period }) => {
    const key = accountKeyText(orgId, accountId);
    const of = accounts.get(key);
    assert(of, "an issued document has an account");
    const { account } = of;
    const calendar = {
      timeZone: content.account.time_zone,
      invoiceDay: content.account.invoice_day,
      cycle: content.account.cycle as typeof account.calendar.cycle,
    };
    const before = billed.get(paidKeyText({ orgId, accountId, paidBy: null }));
    assert(before, "an account with an invoice has been billed up to somewhere");
    return {
      of: {
        ...of,
        account: {
          ...account,
          calendar,
          netDays: content.account.net_days,
          legalEntity: content.account.legal_entity,
        },
      },
      period,
      periods: partsOf(book.size === 0 ? [] : stretchesOf(book, key), key, period),
      paidBy: null,
      sections: [],
      payers: "",
      priceBook: content.account.price_book,
      offers: readOffers(catalog, content.account.price_book),
      plans: readPlanOffers(catalog),
      parties: partiesOf(content.parties),
      seq: before.seq,
      sequence: before.sequence,
      isPast: true,
    };
  });
}
