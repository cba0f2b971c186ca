import { readMeter } from "../domain/catalog/index.ts";
import {
  compareContents,
  contentHash,
  type IssuedContent,
  type Mismatch,
  partiesOf,
  periodAt,
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
import { findAccountToInvoice } from "../store/invoice-facts.ts";
import { findInvoice, listLines, type StoredInvoice } from "../store/invoices.ts";
import { measureWindowsAgain } from "../store/invoice-usage.ts";
import { snapshot } from "../store/transaction.ts";
import { compareRollups } from "../store/usage-proof.ts";
import { type DraftScope, draftScopes } from "./draft-invoices.ts";
import type { Env } from "./env.ts";
import { rateIndependently } from "./rate-independently.ts";
import { readOffers } from "./read-offers.ts";

/** One thing that was checked, and what was found wrong with it. */
export type Check = { readonly name: CheckName; readonly mismatches: readonly Mismatch[] };

export const checkNames = [
  "content hash",
  "stored lines",
  "sums",
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
    const published = catalog.prices.get(pinned.book)?.get(pinned.sku);
    const now = published?.find((price) => price.priceId === pinned.id);
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
  const scope = await scopeOf(db, catalog, invoice);
  if (!scope) return [];
  const [again] = await draftScopes(db, [scope], measureWindowsAgain, rateIndependently);
  if (!again) return [];
  const derived = new Set(again.draft.content.lines.map((line) => line.cause));
  const own = invoice.content.lines.filter((line) => line.basis !== "concession");
  if (own.length === invoice.content.lines.length || derived.size > 0)
    return compareContents(invoice.content, again.draft.content);
  return [];
}

async function scopeOf(
  db: Db,
  catalog: StoredCatalog,
  invoice: StoredInvoice,
): Promise<DraftScope | undefined> {
  const { content, orgId, accountId } = invoice;
  // A concession follows from a decision, not from usage.
  if (invoice.watermarkSeq === null || content.lines.every((line) => line.basis === "concession"))
    return undefined;
  const of = await findAccountToInvoice(db, orgId, accountId);
  if (!of) return undefined;
  const calendar = {
    timeZone: content.account.time_zone,
    invoiceDay: content.account.invoice_day,
    cycle: content.account.cycle as typeof of.account.calendar.cycle,
  };
  const starts = new Map<Instant, Period>([[invoice.period.startsAt, invoice.period]]);
  for (const line of content.lines) {
    const at = instant(line.period.starts_at);
    if (contains(invoice.period, at)) continue;
    const span = periodAt(calendar, at);
    starts.set(span.startsAt, span);
  }
  return {
    of: { ...of, account: { ...of.account, calendar, netDays: content.account.net_days } },
    period: invoice.period,
    periods: [...starts.values()].toSorted((a, b) => a.startsAt - b.startsAt),
    priceBook: content.account.price_book,
    offers: readOffers(asIssued(catalog, invoice), content.account.price_book),
    parties: partiesOf(content.parties),
    seq: invoice.watermarkSeq,
    sequence: 0n,
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
  return { ...catalog, prices, meters };
}

async function rollupFaults(db: Db, invoice: StoredInvoice): Promise<Mismatch[]> {
  const faults: Mismatch[] = [];
  for (const definition of invoice.content.meters) {
    const { meter } = readMeter(definition);
    if (!meter) continue;
    const periods = invoice.content.lines
      .filter((line) => line.meter === meter.key)
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
