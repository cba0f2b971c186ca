import { sql } from "kysely";
import type { Instant, Period } from "../kit/time.ts";
import { readInstant, writeInstant } from "./columns.ts";
import type { Db, Store, Tx } from "./connect.ts";

export type CatalogStatus = "draft" | "published" | "deprecated" | "retired";
export type SkuKind = "usage" | "batch" | "recurring" | "one_time" | "feature" | "credit";

/** A row of the catalog with its document as it was published; the owners' readers turn `definition` into a value. */
export type StoredMeter = {
  readonly meterId: string;
  readonly key: string;
  readonly eventType: string;
  readonly status: CatalogStatus;
  readonly definition: unknown;
};

export type StoredSku = {
  readonly skuId: string;
  readonly code: string;
  readonly name: string;
  readonly kind: SkuKind;
  readonly status: CatalogStatus;
  readonly meterKey: string | null;
  readonly definition: unknown;
};

export type StoredBook = {
  readonly code: string;
  readonly name: string;
  readonly currency: string;
  readonly parent: string | null;
};

export type StoredPrice = {
  readonly priceId: string;
  readonly book: string;
  readonly skuCode: string;
  readonly currency: string;
  readonly version: number;
  readonly effectiveFrom: Instant;
  readonly definition: unknown;
  readonly publishedBy: string;
  readonly publishedAt: Instant;
};

/** A published version of a plan with its document; `domain/catalog` reads it. */
export type StoredPlanVersion = {
  readonly plan: string;
  readonly version: number;
  readonly effectiveFrom: Instant;
  readonly definition: unknown;
};

/** A price that should have held for a SKU of a book in a span of time that is over. Holds since its approval. */
export type StoredCorrection = {
  readonly correctionId: string;
  readonly book: string;
  readonly skuCode: string;
  readonly span: Period;
  readonly definition: unknown;
  readonly approvedAt: Instant | null;
};

/** The whole catalog: small, shared by all organizations, changed rarely. */
export type StoredCatalog = {
  readonly version: bigint;
  readonly meters: ReadonlyMap<string, StoredMeter>;
  readonly skus: ReadonlyMap<string, StoredSku>;
  readonly books: ReadonlyMap<string, StoredBook>;
  /** By book, then SKU: every version, oldest first. */
  readonly prices: ReadonlyMap<string, ReadonlyMap<string, readonly StoredPrice[]>>;
  /** Published versions of plans that carry usage prices of their own: most catalogs have none. */
  readonly pricedPlans: readonly StoredPlanVersion[];
  /** Approved ones, the newest first: where two are about the same time, that one holds. */
  readonly corrections: readonly StoredCorrection[];
};

const kept = new WeakMap<Store["pool"], StoredCatalog>();

/** The catalog from memory when nothing changed since (one query of one row), else read anew. */
export async function getCatalog(store: Store): Promise<StoredCatalog> {
  const found = kept.get(store.pool);
  if (found && found.version === (await catalogVersion(store.db))) return found;
  const catalog = await readCatalog(store.db);
  kept.set(store.pool, catalog);
  return catalog;
}

/** Read the catalog from the database. Inside a transaction: as that transaction sees it. */
export async function readCatalog(db: Db): Promise<StoredCatalog> {
  // The version first: rows that come in between are at worst newer than it says, and are read again.
  const version = await catalogVersion(db);
  const meters = await sql<MeterRow>`
    select meter_id, key, event_type, status, definition from meter order by key`.execute(db);
  const skus = await sql<SkuRow>`
    select sku_id, code, name, kind, status, meter_key, definition from sku order by code`.execute(
    db,
  );
  const books = await sql<StoredBook>`
    select code, name, currency, parent from price_book order by code`.execute(db);
  const prices = await sql<PriceRow>`
    select price_id, book, sku_code, currency, version, effective_from, definition, published_by, published_at
    from price order by book, sku_code, effective_from`.execute(db);
  const pricedPlans = await sql<PlanVersionRow>`
    select plan, version, effective_from, definition from plan_version
    where jsonb_path_exists(definition, '$.usage[*].prices[*]') order by plan, version`.execute(db);
  const corrections = await sql<CorrectionRow>`
    select correction_id, book, sku_code, starts_at, ends_at, definition, decided_at from price_correction
    where status = 'approved' order by decided_at desc, correction_id desc`.execute(db);

  const byBook = new Map<string, Map<string, StoredPrice[]>>();
  for (const row of prices.rows) {
    const book = byBook.get(row.book) ?? new Map<string, StoredPrice[]>();
    byBook.set(row.book, book);
    book.set(row.sku_code, [...(book.get(row.sku_code) ?? []), priceOf(row)]);
  }
  return {
    version,
    meters: new Map(meters.rows.map((row) => [row.key, meterOf(row)])),
    skus: new Map(skus.rows.map((row) => [row.code, skuOf(row)])),
    books: new Map(books.rows.map((row) => [row.code, row])),
    prices: byBook,
    pricedPlans: pricedPlans.rows.map(({ effective_from: from, ...row }) => ({
      ...row,
      effectiveFrom: readInstant(from),
    })),
    corrections: corrections.rows.map((row) => ({
      correctionId: row.correction_id,
      book: row.book,
      skuCode: row.sku_code,
      span: { startsAt: readInstant(row.starts_at), endsAt: readInstant(row.ends_at) },
      definition: row.definition,
      approvedAt: readInstant(row.decided_at),
    })),
  };
}

export async function catalogVersion(db: Db): Promise<bigint> {
  const { rows } = await sql<{ version: bigint }>`select version from catalog_version`.execute(db);
  return rows[0]?.version ?? 0n;
}

/** Tell every process that the catalog is another one. Call it in the transaction that changes any of these tables. */
export async function bumpCatalogVersion(tx: Tx): Promise<void> {
  await sql`update catalog_version set version = version + 1`.execute(tx);
}

/**
 * Add a meter, or take over its new document when the key is already there. Returns whether anything changed. A meter that
 * starts to count where other meters have counted before is not `rolled_up`: events that are already there still have to
 * be counted for it (flows/backfill-meter.ts), and so after a change of its dimensions. Until then it is read from events.
 */
export async function saveMeter(tx: Tx, meter: StoredMeter, now: Instant): Promise<boolean> {
  // One change of the catalog at a time: whoever comes second sees the meters of the first, with a lower version.
  const { rows } = await sql<{ version: bigint }>`
    select version from catalog_version for update`.execute(tx);
  const version = rows[0]?.version ?? 0n;
  const isFirst = sql`(${meter.status} <> 'draft' and not exists (
    select from meter other where other.event_type = ${meter.eventType} and other.key <> ${meter.key}
      and other.status <> 'draft' and other.since_version < ${version}::bigint))`;
  const saved = await sql<{ revision: number }>`
    insert into meter (meter_id, key, event_type, status, definition, created_at, since_version, rolled_up)
    values (${meter.meterId}, ${meter.key}, ${meter.eventType}, ${meter.status},
            ${JSON.stringify(meter.definition)}::jsonb, ${writeInstant(now)}, ${version}::bigint, ${isFirst})
    on conflict (key) do update
      set event_type = excluded.event_type, status = excluded.status, definition = excluded.definition,
          revision = meter.revision + 1, backfill_mark = null,
          since_version = case when meter.status = 'draft' then excluded.since_version else meter.since_version end,
          rolled_up = case
            when meter.status = 'draft' then excluded.rolled_up
            else meter.rolled_up and coalesce(meter.definition->'dimensions', '[]') = coalesce(excluded.definition->'dimensions', '[]')
          end
      where (meter.status, meter.definition) is distinct from (excluded.status, excluded.definition)
    returning revision`.execute(tx);
  const revision = saved.rows[0]?.revision;
  if (revision === undefined) return false;
  // What a back-fill has counted for an earlier form is counted again.
  if (revision > 1)
    await sql`delete from meter_backfill where meter_key = ${meter.key}`.execute(tx);
  await sql`
    insert into meter_revision (meter_id, revision, definition, changed_at)
    select meter_id, revision, definition, ${writeInstant(now)}::timestamptz from meter where key = ${meter.key}
    `.execute(tx);
  return true;
}

/** Add a SKU, or take over its new document when the code is already there. Returns whether anything changed. */
export async function saveSku(tx: Tx, sku: StoredSku, now: Instant): Promise<boolean> {
  const { numAffectedRows } = await sql`
    insert into sku (sku_id, code, name, kind, status, meter_key, definition, created_at)
    values (${sku.skuId}, ${sku.code}, ${sku.name}, ${sku.kind}, ${sku.status}, ${sku.meterKey},
            ${JSON.stringify(sku.definition)}::jsonb, ${writeInstant(now)})
    on conflict (code) do update
      set name = excluded.name, status = excluded.status, definition = excluded.definition,
          meter_key = excluded.meter_key
      where (sku.name, sku.status, sku.definition, sku.meter_key)
        is distinct from (excluded.name, excluded.status, excluded.definition, excluded.meter_key)
    `.execute(tx);
  return numAffectedRows === 1n;
}

/** Add a price book. A book that is there keeps its currency; its name and parent may change. */
export async function saveBook(tx: Tx, book: StoredBook, now: Instant): Promise<boolean> {
  const { numAffectedRows } = await sql`
    insert into price_book (code, name, currency, parent, created_at)
    values (${book.code}, ${book.name}, ${book.currency}, ${book.parent}, ${writeInstant(now)})
    on conflict (code) do update set name = excluded.name, parent = excluded.parent
      where (price_book.name, price_book.parent) is distinct from (excluded.name, excluded.parent)
    `.execute(tx);
  return numAffectedRows === 1n;
}

/** Publish a price. It is never changed afterwards: the same book, SKU and start twice is refused by the database. */
export async function insertPrice(tx: Tx, price: StoredPrice): Promise<void> {
  await sql`
    insert into price (price_id, book, sku_code, currency, version, effective_from, definition,
                       published_by, published_at)
    values (${price.priceId}, ${price.book}, ${price.skuCode}, ${price.currency}, ${price.version},
            ${writeInstant(price.effectiveFrom)}, ${JSON.stringify(price.definition)}::jsonb,
            ${price.publishedBy}, ${writeInstant(price.publishedAt)})`.execute(tx);
}

type CorrectionRow = {
  correction_id: string;
  book: string;
  sku_code: string;
  starts_at: string;
  ends_at: string;
  definition: unknown;
  decided_at: string;
};

type PlanVersionRow = {
  plan: string;
  version: number;
  effective_from: string;
  definition: unknown;
};

type MeterRow = {
  meter_id: string;
  key: string;
  event_type: string;
  status: CatalogStatus;
  definition: unknown;
};

type SkuRow = {
  sku_id: string;
  code: string;
  name: string;
  kind: SkuKind;
  status: CatalogStatus;
  meter_key: string | null;
  definition: unknown;
};

type PriceRow = {
  price_id: string;
  book: string;
  sku_code: string;
  currency: string;
  version: number;
  effective_from: string;
  definition: unknown;
  published_by: string;
  published_at: string;
};

const meterOf = (row: MeterRow): StoredMeter => ({
  meterId: row.meter_id,
  key: row.key,
  eventType: row.event_type,
  status: row.status,
  definition: row.definition,
});

const skuOf = (row: SkuRow): StoredSku => ({
  skuId: row.sku_id,
  code: row.code,
  name: row.name,
  kind: row.kind,
  status: row.status,
  meterKey: row.meter_key,
  definition: row.definition,
});

const priceOf = (row: PriceRow): StoredPrice => ({
  priceId: row.price_id,
  book: row.book,
  skuCode: row.sku_code,
  currency: row.currency,
  version: row.version,
  effectiveFrom: readInstant(row.effective_from),
  definition: row.definition,
  publishedBy: row.published_by,
  publishedAt: readInstant(row.published_at),
});
