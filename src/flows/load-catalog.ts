import { readMeter, readPrice, writeMeter, writePrice } from "../domain/catalog/index.ts";
import { type Fault, Problem } from "../domain/refusals/index.ts";
import { canonicalJson } from "../kit/canonical-json.ts";
import { type Currency, isCurrency } from "../kit/currency.ts";
import { formatInstant, type Instant, tryInstant } from "../kit/time.ts";
import {
  bumpCatalogVersion,
  insertPrice,
  readCatalog,
  type SkuKind,
  saveBook,
  saveMeter,
  saveSku,
  type StoredBook,
  type StoredCatalog,
  type StoredMeter,
  type StoredPrice,
  type StoredSku,
} from "../store/catalog.ts";
import type { Tx } from "../store/connect.ts";
import { transaction } from "../store/transaction.ts";
import type { Env } from "./env.ts";

/** How many things of each kind a catalog file brought that were not there, or were different. */
export type CatalogLoad = {
  readonly meters: number;
  readonly books: number;
  readonly skus: number;
  readonly prices: number;
};

/**
 * Take a catalog file into the catalog: meters, price books, SKUs and prices. Loading the same file again changes nothing;
 * a price that is already published with another content is refused, because published prices never change.
 */
export async function loadCatalog(
  env: Env,
  document: unknown,
  loadedBy: string,
): Promise<CatalogLoad> {
  const now = env.now();
  return transaction(env.store.db, async (tx) => {
    const before = await readCatalog(tx);
    const faults: Fault[] = [];
    const plan = readPlan(env, document, before, loadedBy, now, faults);
    if (faults.length > 0)
      throw new Problem("catalog_not_valid", `${faults[0]?.pointer}: ${faults[0]?.detail}`, {
        faults,
      });
    const load = await savePlan(tx, plan, now);
    if (Object.values(load).some((count) => count > 0)) await bumpCatalogVersion(tx);
    return load;
  });
}

type Plan = {
  readonly meters: readonly StoredMeter[];
  readonly books: readonly StoredBook[];
  readonly skus: readonly StoredSku[];
  readonly prices: readonly StoredPrice[];
};

async function savePlan(tx: Tx, plan: Plan, now: Instant): Promise<CatalogLoad> {
  const load = { meters: 0, books: 0, skus: 0, prices: plan.prices.length };
  for (const meter of plan.meters) load.meters += Number(await saveMeter(tx, meter, now));
  for (const book of plan.books) load.books += Number(await saveBook(tx, book, now));
  for (const sku of plan.skus) load.skus += Number(await saveSku(tx, sku, now));
  for (const price of plan.prices) await insertPrice(tx, price);
  return load;
}

type Row = Readonly<Record<string, unknown>>;

function readPlan(
  env: Env,
  document: unknown,
  before: StoredCatalog,
  loadedBy: string,
  now: Instant,
  faults: Fault[],
): Plan {
  const file = (document ?? {}) as Row;
  const rows = (name: string): Row[] => (Array.isArray(file[name]) ? (file[name] as Row[]) : []);
  const text = (row: Row, name: string, pointer: string): string => {
    const value = row[name];
    if (typeof value === "string" && value !== "") return value;
    faults.push({ pointer: `${pointer}/${name}`, detail: `write ${name} as a text` });
    return "";
  };

  const meters = rows("meters").flatMap((row, i): StoredMeter[] => {
    const read = readMeter(row);
    if (read.faults) {
      faults.push(...under(`/meters/${i}`, read.faults));
      return [];
    }
    const { key, eventType, status } = read.meter;
    const meterId = before.meters.get(key)?.meterId ?? env.id("meter");
    return [{ meterId, key, eventType, status, definition: writeMeter(read.meter) }];
  });
  const books = rows("price_books").map((row, i): StoredBook => {
    const at = `/price_books/${i}`;
    const code = text(row, "code", at);
    const currency = text(row, "currency", at);
    if (!isCurrency(currency))
      faults.push({ pointer: `${at}/currency`, detail: `${currency} is no ISO 4217 code in use` });
    const parent = typeof row["parent"] === "string" ? row["parent"] : null;
    return { code, name: textOr(row["name"], code), currency, parent };
  });
  const skus = rows("skus").map((row, i): StoredSku => {
    const code = text(row, "code", `/skus/${i}`);
    const meterKey = typeof row["meter"] === "string" ? row["meter"] : null;
    const kind = textOr(row["kind"], "usage") as SkuKind;
    if (kind === "usage" && meterKey === null)
      faults.push({ pointer: `/skus/${i}/meter`, detail: "a usage SKU names its meter" });
    return {
      skuId: before.skus.get(code)?.skuId ?? env.id("sku"),
      code,
      name: textOr(row["name"], code),
      kind,
      status: (row["status"] ?? "published") as StoredSku["status"],
      meterKey,
      definition: row,
    };
  });
  const known = {
    books: new Map([...before.books, ...books.map((book) => [book.code, book] as const)]),
    skus: new Map([...before.skus, ...skus.map((sku) => [sku.code, sku] as const)]),
    meters: new Map([...before.meters, ...meters.map((meter) => [meter.key, meter] as const)]),
  };
  for (const [i, sku] of skus.entries())
    if (sku.meterKey !== null && !known.meters.has(sku.meterKey))
      faults.push({ pointer: `/skus/${i}/meter`, detail: `there is no meter ${sku.meterKey}` });

  const counts = new Map<string, number>();
  const prices = rows("prices").flatMap((row, i): StoredPrice[] => {
    const at = `/prices/${i}`;
    const { book: _book, sku: _sku, effective_from: from, ...priceDocument } = row;
    const book = text(row, "book", at);
    const skuCode = text(row, "sku", at);
    const effectiveFrom = from === undefined ? now : tryInstant(textOr(from, ""));
    const currency = known.books.get(book)?.currency;
    if (currency === undefined)
      faults.push({ pointer: `${at}/book`, detail: `there is no price book ${book}` });
    if (!known.skus.has(skuCode))
      faults.push({ pointer: `${at}/sku`, detail: `there is no SKU ${skuCode}` });
    if (effectiveFrom === undefined)
      faults.push({ pointer: `${at}/effective_from`, detail: "write RFC 3339 with a zone" });
    const meterKey = known.skus.get(skuCode)?.meterKey;
    const meter = readMeter(meterKey ? known.meters.get(meterKey)?.definition : undefined).meter;
    const read = readPrice(priceDocument, {
      ...(currency ? { currency: currency as Currency } : {}),
      ...(meter ? { dimensions: meter.dimensions } : {}),
    });
    if ("faults" in read) {
      faults.push(...under(at, read.faults));
      return [];
    }
    if (currency === undefined || effectiveFrom === undefined) return [];

    const definition = writePrice(read.price);
    const published = before.prices.get(book)?.get(skuCode) ?? [];
    const same = published.find((price) => price.effectiveFrom === effectiveFrom);
    // Without a date the price is meant to hold from now on, unless it already does.
    const current = from === undefined ? published.at(-1) : same;
    if (current && canonicalJson(current.definition) === canonicalJson(definition)) return [];
    if (same) {
      const since = formatInstant(effectiveFrom);
      faults.push({
        pointer: at,
        detail: `${skuCode} in ${book} already has another price from ${since}: published prices never change, give the new one a later effective_from`,
      });
      return [];
    }
    const place = `${book}\n${skuCode}`;
    const version = (counts.get(place) ?? published.length) + 1;
    counts.set(place, version);
    const priceId = env.id("price");
    return [
      {
        priceId,
        book,
        skuCode,
        currency,
        version,
        effectiveFrom,
        definition,
        publishedBy: loadedBy,
        publishedAt: now,
      },
    ];
  });
  return { meters, books: parentsFirst(books), skus, prices };
}

const textOr = (value: unknown, otherwise: string): string =>
  typeof value === "string" && value !== "" ? value : otherwise;

const under = (pointer: string, faults: readonly Fault[]): Fault[] =>
  faults.map((fault) => ({ ...fault, pointer: `${pointer}${fault.pointer}` }));

function parentsFirst(books: readonly StoredBook[]): StoredBook[] {
  const inFile = new Set(books.map((book) => book.code));
  const placed: StoredBook[] = [];
  const done = new Set<string>();
  while (placed.length < books.length) {
    const next = books.filter(
      (book) =>
        !done.has(book.code) &&
        (book.parent === null || !inFile.has(book.parent) || done.has(book.parent)),
    );
    // Books that name each other as parents: the database says which one.
    if (next.length === 0) return [...books];
    for (const book of next) {
      placed.push(book);
      done.add(book.code);
    }
  }
  return placed;
}
