import { stretchesOf } from "../domain/accounts/index.ts";
import { readMeter, readPrice } from "../domain/catalog/index.ts";
import {
  compareContents,
  contentHash,
  followsFromUsage,
  type IssuedContent,
  type Mismatch,
  partiesOf,
  periodAt,
  type PlanPrice,
} from "../domain/invoicing/index.ts";
import { Problem } from "../domain/refusals/index.ts";
import { canonicalJson } from "../kit/canonical-json.ts";
import { currency } from "../kit/currency.ts";
import { equal } from "../kit/decimal.ts";
import { formatMoney, money, parseMoney, sumMoney } from "../kit/money.ts";
import { contains, instant, type Instant, type Period } from "../kit/time.ts";
import { readDecimal } from "../store/columns.ts";
import { getCatalog, type StoredCatalog, type StoredPrice } from "../store/catalog.ts";
import type { Db } from "../store/connect.ts";
import { accountKeyOf, loadPayerBook } from "../store/account-payers.ts";
import { accountKeyText, findAccountToInvoice } from "../store/invoice-facts.ts";
import { findInvoice, listLines, listStatements, type StoredInvoice } from "../store/invoices.ts";
import { measureWindowsAgain } from "../store/invoice-usage.ts";
import { snapshot } from "../store/transaction.ts";
import { compareRollups } from "../store/usage-proof.ts";
import { type DraftScope, draftScopes, partsOf } from "./draft-invoices.ts";
import type { Env } from "./env.ts";
import { rateIndependently } from "./rate-independently.ts";
import { type PlanOffers, readOffers, readPlanOffers } from "./read-offers.ts";

/** One thing that was checked, and what was found wrong with it. */
export type Check = { readonly name: CheckName; readonly mismatches: readonly Mismatch[] };

export const checkNames = [
  "content hash",
  "stored lines",
  "sums",
  "sections",
  "prices",
  "meters",
  "recomputation",
  "rollups",
] as const;
export type CheckName = (typeof checkNames)[number];

export type Verification = {
  readonly invoice: StoredInvoice;
  readonly isMatch: boolean;
  readonly checks: readonly Check[];
};

/**
 * Prove a document: that it is the one that was issued, that its parts agree with each other, that its prices are still the
 * published ones, and that the raw events, read by another path, give the same lines to the last digit.
 */
export async function verifyInvoice(
  env: Env,
  orgId: string,
  idOrNumber: string,
): Promise<Verification> {
  const catalog = await getCatalog(env.store);
  return snapshot(env.store.db, async (db) => {
    const invoice = await findInvoice(db, orgId, idOrNumber);
    if (!invoice) throw new Problem("invoice_not_found", `there is no invoice ${idOrNumber}`);
    return verifyStored(db, catalog, invoice);
  });
}

/** The same for a document at hand, in a snapshot. */
export async function verifyStored(
  db: Db,
  catalog: StoredCatalog,
  invoice: StoredInvoice,
): Promise<Verification> {
  const checks: Check[] = [
    { name: "content hash", mismatches: hashFaults(invoice) },
    { name: "stored lines", mismatches: await lineFaults(db, invoice) },
    { name: "sums", mismatches: sumFaults(invoice) },
    { name: "sections", mismatches: await sectionFaults(db, invoice) },
    { name: "prices", mismatches: priceFaults(invoice.content, catalog) },
    { name: "meters", mismatches: meterFaults(invoice.content, catalog) },
    { name: "recomputation", mismatches: await recomputationFaults(db, catalog, invoice) },
    { name: "rollups", mismatches: await rollupFaults(db, invoice) },
  ];
  return { invoice, checks, isMatch: checks.every((check) => check.mismatches.length === 0) };
}

function hashFaults(invoice: StoredInvoice): Mismatch[] {
  const recomputed = contentHash(invoice.content).toString("hex");
  const stored = invoice.contentHash ?? "none";
  return stored === recomputed ? [] : [{ where: "content hash", stored, recomputed }];
}

async function lineFaults(db: Db, invoice: StoredInvoice): Promise<Mismatch[]> {
  const rows = new Map((await listLines(db, [invoice])).map((row) => [row.lineNo, row]));
  const faults: Mismatch[] = [];
  for (const line of invoice.content.lines) {
    const row = rows.get(line.line_no);
    rows.delete(line.line_no);
    const where = `line ${line.line_no}, ${line.sku}`;
    if (!row) {
      faults.push({ where, stored: "no such row", recomputed: line.amount });
      continue;
    }
    const amount = formatMoney(money(invoice.total.currency, row.amountMinor));
    if (!equal(readDecimal(row.quantity), readDecimal(line.quantity)))
      faults.push({
        where: `${where}, quantity`,
        stored: row.quantity,
        recomputed: line.quantity,
      });
    if (!equal(readDecimal(row.unrounded), readDecimal(line.unrounded)))
      faults.push({
        where: `${where}, unrounded`,
        stored: row.unrounded,
        recomputed: line.unrounded,
      });
    if (amount !== line.amount)
      faults.push({ where: `${where}, amount`, stored: amount, recomputed: line.amount });
    if (row.cause !== line.cause)
      faults.push({ where: `${where}, cause`, stored: row.cause, recomputed: line.cause });
  }
  for (const row of rows.values())
    faults.push({
      where: `line ${row.lineNo}`,
      stored: row.cause,
      recomputed: "not on the document",
    });
  for (const field of ["subtotal", "tax", "total"] as const) {
    const stored = formatMoney(invoice[field]);
    if (stored !== invoice.content[field])
      faults.push({ where: field, stored, recomputed: invoice.content[field] });
  }
  return faults;
}

function sumFaults({ content }: StoredInvoice): Mismatch[] {
  const code = currency(content.currency);
  const amounts = content.lines.map((line) => parseMoney(line.amount, code));
  const subtotal = formatMoney(sumMoney(code, amounts));
  const total = formatMoney(
    sumMoney(code, [
      parseMoney(content.subtotal, code),
      ...(content.prices_include_tax ? [] : [parseMoney(content.tax, code)]),
    ]),
  );
  const faults: Mismatch[] = [];
  if (subtotal !== content.subtotal)
    faults.push({
      where: "sum of lines",
      stored: content.subtotal,
      recomputed: subtotal,
    });
  if (total !== content.total)
    faults.push({ where: "subtotal + tax", stored: content.total, recomputed: total });
  return faults;
}

function priceFaults(content: IssuedContent, catalog: StoredCatalog): Mismatch[] {
  return content.prices.flatMap((pinned) => {
    const published: { priceId: string; definition: unknown }[] = [
      ...(catalog.prices.get(pinned.book)?.get(pinned.sku) ?? []),
      ...[...readPlanOffers(catalog).prices.values()].flat(),
      ...catalog.corrections.map((one) => ({ ...one, priceId: one.correctionId })),
    ];
    const now = published.find((price) => price.priceId === pinned.id);
    const stored = canonicalJson(now?.definition ?? null);
    const recomputed = canonicalJson(pinned.definition);
    return stored === recomputed
      ? []
      : [{ where: `price ${pinned.id} of ${pinned.sku} in ${pinned.book}`, stored, recomputed }];
  });
}

// What of a meter decides quantities; its name, status and further dimensions may change.
const decisive = ["event_type", "aggregation", "value_property", "unit", "filters"] as const;

function meterFaults(content: IssuedContent, catalog: StoredCatalog): Mismatch[] {
  const part = (definition: unknown) =>
    canonicalJson(
      decisive.map((field) => (definition as Record<string, unknown>)?.[field] ?? null),
    );
  return content.meters.flatMap((pinned) => {
    const { key } = pinned as { key: string };
    const stored = part(catalog.meters.get(key)?.definition);
    const recomputed = part(pinned);
    return stored === recomputed ? [] : [{ where: `meter ${key}`, stored, recomputed }];
  });
}

/** Derive the document anew from raw events, with the prices and meters it quotes, as of what it could know. */
async function recomputationFaults(
  db: Db,
  catalog: StoredCatalog,
  invoice: StoredInvoice,
): Promise<Mismatch[]> {
  const whole = await wholeOf(db, invoice);
  const scope = whole && (await scopeOf(db, catalog, whole));
  if (!scope) return [];
  const [again] = await draftScopes(db, [scope], measureWindowsAgain, rateIndependently);
  if (!again) return [];
  if (whole !== invoice) {
    // A statement is a part of the document that asks for its money: so is its tax.
    const part = again.draft.statements?.find((one) => one.account.accountId === invoice.accountId);
    return compareContents(invoice.content, part?.content ?? nothingOnIt);
  }
  const left = canonicalJson(invoice.content.left_out ?? []);
  const leftAgain = canonicalJson(again.draft.content.left_out ?? []);
  if (left !== leftAgain) return [{ where: "left out", stored: left, recomputed: leftAgain }];
  const derived = new Set(again.draft.content.lines.map((line) => line.cause));
  const own = invoice.content.lines.filter((line) => followsFromUsage(line.basis));
  if (own.length === invoice.content.lines.length || derived.size > 0)
    return compareContents(invoice.content, again.draft.content);
  return [];
}

const nothingOnIt = { lines: [], subtotal: "0", tax: "0", total: "0" };

/** The document that asks for the money: of a statement, the payer's. */
async function wholeOf(db: Db, invoice: StoredInvoice): Promise<StoredInvoice | undefined> {
  if (invoice.paidBy === null || invoice.statementOf === null) return invoice;
  return findInvoice(db, accountKeyOf(invoice.paidBy).orgId, invoice.statementOf);
}

/** A section and the statement beside it are the same lines with the same sums, to the last minor unit. */
async function sectionFaults(db: Db, invoice: StoredInvoice): Promise<Mismatch[]> {
  const whole = await wholeOf(db, invoice);
  if (!whole)
    return [
      { where: "paid by", stored: invoice.statementOf ?? "", recomputed: "no such document" },
    ];
  const { content } = whole;
  const code = currency(content.currency);
  const faults: Mismatch[] = [];
  for (const section of content.sections ?? []) {
    const lines = content.lines.filter((line) => line.section === section.account);
    const where = `section ${section.slug}`;
    const summed = formatMoney(
      sumMoney(
        code,
        lines.map((line) => parseMoney(line.amount, code)),
      ),
    );
    if (summed !== section.subtotal)
      faults.push({ where: `${where}, subtotal`, stored: section.subtotal, recomputed: summed });
    if (section.statement === null) continue;
    const statement = await findInvoice(db, section.organization, section.statement);
    const kept = statement?.content ?? nothingOnIt;
    const inOwn = kept.lines.map((line) => ({ ...line, section: section.account }));
    for (const fault of compareContents({ ...section, lines }, { ...kept, lines: inOwn }))
      faults.push({ ...fault, where: `${where}, ${fault.where}` });
  }
  for (const field of ["subtotal", "tax", "total"] as const) {
    if (!content.sections) continue;
    const summed = formatMoney(
      sumMoney(
        code,
        content.sections.map((section) => parseMoney(section[field], code)),
      ),
    );
    if (summed !== content[field])
      faults.push({
        where: `sum of sections, ${field}`,
        stored: content[field],
        recomputed: summed,
      });
  }
  return faults;
}

/** What a consolidated document looked at: the payer's own usage, and what each statement beside it says of its account. */
async function scopeOf(
  db: Db,
  catalog: StoredCatalog,
  invoice: StoredInvoice,
): Promise<DraftScope | undefined> {
  const own = await leafScopeOf(db, catalog, invoice);
  if (!own || !invoice.content.sections) return own;
  const sections: DraftScope[] = [];
  for (const { organization, statement } of invoice.content.sections) {
    const stored = statement === null ? undefined : await findInvoice(db, organization, statement);
    const part = stored && (await leafScopeOf(db, catalog, stored));
    if (part) sections.push(part);
  }
  return { ...own, sections };
}

async function leafScopeOf(
  db: Db,
  catalog: StoredCatalog,
  invoice: StoredInvoice,
): Promise<DraftScope | undefined> {
  const { content, orgId, accountId } = invoice;
  const self = accountKeyText(orgId, accountId);
  // What people decided does not follow from usage.
  if (invoice.watermarkSeq === null || !content.lines.some((line) => followsFromUsage(line.basis)))
    return undefined;
  const of = await findAccountToInvoice(db, orgId, accountId);
  if (!of) return undefined;
  const calendar = {
    timeZone: content.account.time_zone,
    invoiceDay: content.account.invoice_day,
    cycle: content.account.cycle as typeof of.account.calendar.cycle,
  };
  const starts = new Map<Instant, Period>([[invoice.period.startsAt, invoice.period]]);
  const leftOut = new Map((content.left_out ?? []).map((one) => [one.cause, one]));
  const own = content.lines.filter(
    (line) => line.section === undefined || line.section === accountId,
  );
  for (const line of [...own, ...leftOut.values()]) {
    const at = instant(line.period.starts_at);
    if (contains(invoice.period, at)) continue;
    const span = periodAt(calendar, at);
    starts.set(span.startsAt, span);
  }
  const book = await loadPayerBook(db, [invoice]);
  const stretches = book.size === 0 ? [] : stretchesOf(book, self);
  return {
    of: { ...of, account: { ...of.account, calendar, netDays: content.account.net_days } },
    period: invoice.period,
    periods: [...starts.values()]
      .toSorted((a, b) => a.startsAt - b.startsAt)
      .flatMap((span) => partsOf(stretches, invoice.paidBy ?? self, span)),
    paidBy: invoice.paidBy,
    sections: [],
    payers: "",
    priceBook: content.account.price_book,
    offers: readOffers(asIssued(catalog, invoice), content.account.price_book),
    plans: plansAsQuoted(catalog, content),
    parties: partiesOf(content.parties),
    seq: invoice.watermarkSeq,
    sequence: 0n,
    leaveOut: (line) => leftOut.get(line.cause)?.because,
    isPast: true,
    ...(invoice.sequence === null ? {} : { below: invoice.sequence }),
  };
}

/** The catalog as the document knew it: nothing published later, and each price it quotes as it quotes it. */
function asIssued(catalog: StoredCatalog, invoice: StoredInvoice): StoredCatalog {
  const pinned = new Map(invoice.content.prices.map((price) => [price.id, price.definition]));
  const issuedAt = invoice.issuedAt ?? (Number.POSITIVE_INFINITY as Instant);
  const prices = new Map<string, Map<string, readonly StoredPrice[]>>();
  for (const [book, skus] of catalog.prices) {
    const kept = new Map<string, readonly StoredPrice[]>();
    for (const [sku, versions] of skus)
      kept.set(
        sku,
        versions
          .filter((price) => price.publishedAt <= issuedAt)
          .map((price) => ({
            ...price,
            definition: pinned.get(price.priceId) ?? price.definition,
          })),
      );
    prices.set(book, kept);
  }
  const meters = new Map(catalog.meters);
  for (const definition of invoice.content.meters) {
    const { key } = definition as { key: string };
    const stored = meters.get(key);
    if (stored) meters.set(key, { ...stored, definition });
  }
  // One approved at the very moment the document was issued held for it when the document quotes it.
  const corrections = catalog.corrections
    .filter((one) => pinned.has(one.correctionId) || (one.approvedAt ?? issuedAt) < issuedAt)
    .map((one) => ({ ...one, definition: pinned.get(one.correctionId) ?? one.definition }));
  return { ...catalog, prices, meters, corrections };
}

/** The usage prices of plans, each that the document quotes as it quotes it. */
function plansAsQuoted(catalog: StoredCatalog, content: IssuedContent): PlanOffers {
  const { prices, bare } = readPlanOffers(catalog);
  const quoted = new Map(content.prices.map((price) => [price.id, price.definition]));
  const asQuoted = (own: PlanPrice): PlanPrice => {
    const definition = quoted.get(own.priceId);
    const read = definition === undefined ? undefined : readPrice(definition);
    return read && "price" in read ? { ...own, definition, price: read.price } : own;
  };
  return { bare, prices: new Map([...prices].map(([plan, own]) => [plan, own.map(asQuoted)])) };
}

/** Of a consolidated document also those of its sections: their usage is the children's own. */
async function rollupFaults(db: Db, whole: StoredInvoice): Promise<Mismatch[]> {
  const statements = whole.content.sections ? await listStatements(db, whole.invoiceId) : [];
  const faults: Mismatch[] = [];
  for (const invoice of [whole, ...statements])
    faults.push(...(await ownRollupFaults(db, invoice)));
  return faults;
}

async function ownRollupFaults(db: Db, invoice: StoredInvoice): Promise<Mismatch[]> {
  const faults: Mismatch[] = [];
  for (const definition of invoice.content.meters) {
    const { meter } = readMeter(definition);
    if (!meter) continue;
    const periods = invoice.content.lines
      .filter((line) => line.meter === meter.key)
      .filter((line) => line.section === undefined || line.section === invoice.accountId)
      .map((line) => ({
        startsAt: instant(line.period.starts_at),
        endsAt: instant(line.period.ends_at),
      }));
    for (const period of periods)
      for (const fault of await compareRollups(db, invoice, meter, period, 20))
        faults.push({
          where: `rollup of ${fault.meterKey} at ${fault.bucketAt}, project ${fault.projectId}, ${fault.dimensions}`,
          stored: fault.stored,
          recomputed: fault.recomputed,
        });
  }
  return faults;
}
