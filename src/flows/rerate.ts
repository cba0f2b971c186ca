import type { Author } from "../domain/audit/index.ts";
import { readMeter, readPrice, writePrice } from "../domain/catalog/index.ts";
import { Problem } from "../domain/refusals/index.ts";
import { assert } from "../kit/assert.ts";
import { currency } from "../kit/currency.ts";
import { formatMoney, type Money, plus } from "../kit/money.ts";
import { formatInstant, type Instant, type Period } from "../kit/time.ts";
import { appendAudit, providerChain } from "../store/audit.ts";
import {
  bumpCatalogVersion,
  getCatalog,
  readCatalog,
  type StoredCatalog,
  type StoredCorrection,
} from "../store/catalog.ts";
import type { Tx } from "../store/connect.ts";
import { accountKeyText } from "../store/invoice-facts.ts";
import { lockDocuments } from "../store/invoices.ts";
import { lockCatalog } from "../store/plans.ts";
import {
  type CorrectionEffect,
  findCorrection,
  insertCorrection,
  listEffects,
  lockCorrection,
  markCorrectionDecided,
  type PriceCorrection,
  saveNotes,
} from "../store/price-corrections.ts";
import { snapshot, transaction } from "../store/transaction.ts";
import { checkDrafts } from "./check-drafts.ts";
import type { Env } from "./env.ts";
import { type Numberable, numberAndInsert } from "./issue-invoices.ts";
import { type Rerated, rerateInvoices } from "./rerate-invoices.ts";

/** The price that should have held for a SKU of a book, in a span of time that is over. */
export type RerateOrder = {
  readonly book: string;
  readonly sku: string;
  readonly span: Period;
  /** A price as it stands in a catalog, without book, SKU and date. */
  readonly price: unknown;
  readonly reason: string;
};

export type Rerate = {
  readonly correction: PriceCorrection;
  readonly effects: readonly CorrectionEffect[];
  /** Invoices that cannot be told, and why; only known while it is prepared. */
  readonly obstacles: readonly { readonly invoice: string; readonly because: string }[];
};

/** What all accounts together get back (below zero) or owe, tax included; null when nobody is affected. */
export function rerateTotal({ effects: [first, ...rest] }: Pick<Rerate, "effects">): Money | null {
  return first === undefined
    ? null
    : rest.reduce((sum, { total }) => plus(sum, total), first.total);
}

/** Prepare a corrected price for somebody else to approve: shows what every account would get back or owe. Bills nothing. */
export async function proposeRerate(env: Env, author: Author, order: RerateOrder): Promise<Rerate> {
  const now = env.now();
  const catalog = await getCatalog(env.store);
  const correction: PriceCorrection = {
    correctionId: env.id("change"),
    status: "open",
    book: order.book,
    skuCode: order.sku,
    span: order.span,
    definition: soundPrice(catalog, order, now),
    reason: order.reason,
    author: author.actor.id,
    createdAt: now,
    decidedBy: null,
    approvedAt: null,
  };
  const { rerated, obstacles } = await snapshot(env.store.db, (db) =>
    rerateInvoices(db, underCorrection(catalog, correction, now), correction),
  );
  const effects = rerated.map(effectOf);
  await transaction(env.store.db, async (tx) => {
    await insertCorrection(tx, correction, effects);
    await audit(tx, env, author, "price.correction_proposed", correction, null, {
      documents: effects.length,
    });
  });
  return { correction, effects, obstacles };
}

/** A corrected price with what it does, or did. */
export async function getRerate(env: Env, id: string): Promise<Rerate> {
  const correction = await findCorrection(env.store.db, id);
  if (!correction) throw new Problem("proposal_not_found");
  return { correction, effects: await listEffects(env.store.db, id), obstacles: [] };
}

/**
 * Decide a corrected price: never one's own. Approval is one transaction: the price holds, and every document of the preview
 * is issued, computed again by both paths. Where any amount is another one than was shown, nothing happens at all.
 */
export async function decideRerateProposal(
  env: Env,
  author: Author,
  id: string,
  verdict: "approved" | "rejected",
): Promise<Rerate> {
  return transaction(env.store.db, async (tx) => {
    const now = env.now();
    const correction = await lockCorrection(tx, id);
    if (!correction) throw new Problem("proposal_not_found");
    if (correction.status !== "open") throw new Problem("proposal_decided");
    if (correction.author === author.actor.id) throw new Problem("catalog_self_approval");
    const notes = verdict === "approved" ? await carryOut(env, tx, author, correction, now) : [];
    await markCorrectionDecided(tx, id, verdict, author.actor.id, now);
    await audit(
      tx,
      env,
      author,
      `price.correction_${verdict}`,
      correction,
      { status: "open" },
      {
        documents: notes,
      },
    );
    const decided = await findCorrection(tx, id);
    assert(decided, "it was locked");
    return { correction: decided, effects: await listEffects(tx, id), obstacles: [] };
  });
}

async function carryOut(
  env: Env,
  tx: Tx,
  author: Author,
  correction: PriceCorrection,
  now: Instant,
): Promise<string[]> {
  await lockCatalog(tx);
  const shown = await listEffects(tx, correction.correctionId);
  const sequences = await lockDocuments(tx, shown);
  const catalog = underCorrection(await readCatalog(tx), correction, now);
  const { rerated } = await rerateInvoices(tx, catalog, correction);
  refuseStale(shown, rerated.map(effectOf));
  const disagreeing = (
    await checkDrafts(
      tx,
      rerated.map((one) => one.drafted),
    )
  ).flat();
  if (disagreeing.length > 0)
    throw new Problem("invoice_not_verified", `${disagreeing[0]?.where}: the two paths disagree`, {
      facts: { mismatches: disagreeing },
    });
  const documents = rerated.map((one): Numberable => {
    const key = accountKeyText(one.invoice.orgId, one.invoice.accountId);
    const sequence = (sequences.get(key) ?? 0n) + 1n;
    sequences.set(key, sequence);
    const { content } = one.invoice;
    return {
      invoiceId: env.id("creditNote"),
      kind: one.documentKind,
      draft: one.drafted.draft,
      sequence,
      note: {
        corrects: { id: content.id, number: content.number, issued_on: content.issued_on },
        reason: correction.reason,
      },
      reasonCode: "pricing_error",
      createdBy: author.actor.id,
    };
  });
  const issued = await numberAndInsert(tx, documents, now);
  await saveNotes(
    tx,
    correction.correctionId,
    rerated.map((one, i) => ({
      orgId: one.invoice.orgId,
      invoiceId: one.invoice.invoiceId,
      noteId: documents[i]?.invoiceId ?? "",
    })),
  );
  await bumpCatalogVersion(tx);
  for (const [i, { invoice }] of rerated.entries())
    await appendAudit(tx, env.id, invoice.orgId, [
      {
        at: now,
        author: { ...author, reason: correction.reason },
        action: `${documents[i]?.kind}.issued`,
        target: { kind: "invoice", id: invoice.invoiceId },
        before: null,
        after: { note: issued[i]?.number, correction: correction.correctionId },
      },
    ]);
  return issued.map((one) => one.number);
}

const effectOf = ({ invoice, drafted: { draft } }: Rerated): CorrectionEffect => ({
  orgId: invoice.orgId,
  accountId: invoice.accountId,
  invoiceId: invoice.invoiceId,
  subtotal: draft.subtotal,
  tax: draft.tax,
  total: draft.total,
  noteId: null,
});

// What was approved is what was shown: another document of an account in between is a reason to look again.
function refuseStale(shown: readonly CorrectionEffect[], found: readonly CorrectionEffect[]): void {
  const textOf = (one: CorrectionEffect) =>
    `${one.orgId} ${one.invoiceId} ${formatMoney(one.subtotal)} ${formatMoney(one.total)}`;
  const [before, after] = [new Set(shown.map(textOf)), new Set(found.map(textOf))];
  const other =
    [...before].find((text) => !after.has(text)) ?? [...after].find((text) => !before.has(text));
  if (other !== undefined)
    throw new Problem(
      "rerate_stale",
      `invoice ${other.split(" ")[1]} would get another amount than was shown`,
    );
}

/** The catalog as it is once a corrected price holds. The newest correction of a time wins. */
const underCorrection = (
  catalog: StoredCatalog,
  correction: StoredCorrection,
  now: Instant,
): StoredCatalog => ({
  ...catalog,
  corrections: [{ ...correction, approvedAt: now }, ...catalog.corrections],
});

function soundPrice(catalog: StoredCatalog, order: RerateOrder, now: Instant): unknown {
  const refuse = (pointer: string, detail: string): never => {
    throw new Problem("price_not_valid", detail, { faults: [{ pointer, detail }] });
  };
  const book = catalog.books.get(order.book);
  if (!book) return refuse("/book", `there is no price book ${order.book}`);
  const sku = catalog.skus.get(order.sku);
  if (sku?.kind !== "usage" || sku.meterKey === null)
    return refuse("/sku", `there is no usage SKU ${order.sku}`);
  const { startsAt, endsAt } = order.span;
  if (startsAt >= endsAt) return refuse("/ends_at", "the time ends before it begins");
  if (endsAt > now)
    return refuse("/ends_at", "only the past is corrected: for what is to come, publish a price");
  const first = catalog.prices.get(order.book)?.get(order.sku)?.[0];
  if (first === undefined || first.effectiveFrom > startsAt)
    return refuse(
      "/starts_at",
      `${order.sku} has no price in ${order.book} at ${formatInstant(startsAt)}: there is nothing to correct`,
    );
  const { meter } = readMeter(catalog.meters.get(sku.meterKey)?.definition);
  const read = readPrice(order.price, {
    currency: currency(book.currency),
    ...(meter ? { dimensions: meter.dimensions } : {}),
  });
  if ("faults" in read)
    throw new Problem("price_not_valid", read.faults[0]?.detail, {
      faults: read.faults.map((fault) => ({ ...fault, pointer: `/price${fault.pointer}` })),
    });
  return writePrice(read.price);
}

const audit = (
  tx: Tx,
  env: Env,
  author: Author,
  action: string,
  correction: PriceCorrection,
  before: unknown,
  facts: object,
): Promise<unknown> =>
  appendAudit(tx, env.id, providerChain, [
    {
      at: env.now(),
      author: { ...author, reason: correction.reason },
      action,
      target: { kind: "price_correction", id: correction.correctionId },
      before,
      after: {
        book: correction.book,
        sku: correction.skuCode,
        starts_at: formatInstant(correction.span.startsAt),
        ends_at: formatInstant(correction.span.endsAt),
        price: correction.definition,
        ...facts,
      },
    },
  ]);
