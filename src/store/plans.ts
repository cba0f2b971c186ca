import { sql } from "kysely";
import type { Catalog, CatalogFile } from "../domain/catalog/index.ts";
import { readPublishedCatalog } from "../domain/catalog/index.ts";
import { formatInstant, type Instant } from "../kit/time.ts";
import { getCatalog, readCatalog, type StoredCatalog } from "./catalog.ts";
import { readInstant, writeInstant } from "./columns.ts";
import type { Db, Store, Tx } from "./connect.ts";

type Document = Readonly<Record<string, unknown>>;

const kept = new WeakMap<StoredCatalog, Catalog>();

/** The catalog in force as the domain's value, read once per version of it. */
export async function getPublishedCatalog(store: Store): Promise<Catalog> {
  const stored = await getCatalog(store);
  const found = kept.get(stored);
  if (found) return found;
  const catalog = await valueOf(store.db, stored);
  kept.set(stored, catalog);
  return catalog;
}

/** The same inside a transaction that holds `lockCatalog`: as that transaction sees it. */
export async function readCatalogValue(tx: Db): Promise<Catalog> {
  return valueOf(tx, await readCatalog(tx));
}

/** Whoever changes the catalog takes turns: held until commit. */
export async function lockCatalog(tx: Tx): Promise<void> {
  await sql`select version from catalog_version for update`.execute(tx);
}

async function valueOf(db: Db, stored: StoredCatalog): Promise<Catalog> {
  return readPublishedCatalog(await documentOf(db, stored));
}

/** Everything that is stored, as one catalog file. */
async function documentOf(db: Db, stored: StoredCatalog): Promise<CatalogFile> {
  const services = await db.selectFrom("service").select("definition").orderBy("key").execute();
  const plans = await db.selectFrom("plan").select(["key", "definition"]).orderBy("key").execute();
  const versions = await db
    .selectFrom("plan_version")
    .select(["plan", "definition"])
    .orderBy("plan")
    .orderBy("version")
    .execute();
  const drafts = await db.selectFrom("plan_draft").select(["plan", "definition"]).execute();
  const assignments = await db.selectFrom("catalog_assignment").selectAll().execute();
  const confirmations = await db.selectFrom("price_confirmation").selectAll().execute();
  const alerts = await db
    .selectFrom("catalog_setting")
    .select("definition")
    .where("key", "=", "alerts")
    .executeTakeFirst();

  const confirmed = (priceId: string) =>
    confirmations.filter((one) => one.price_id === priceId).map((one) => one.warning);
  return {
    name: "the catalog in force",
    document: {
      services: services.map((row) => row.definition),
      meters: [...stored.meters.values()].map((meter) => meter.definition),
      skus: [...stored.skus.values()].map((sku) => ({
        ...known(sku.definition as Document),
        code: sku.code,
        name: sku.name,
        kind: sku.kind,
        status: sku.status,
        ...(sku.meterKey !== null && { meter: sku.meterKey }),
      })),
      price_books: [...stored.books.values()],
      prices: [...stored.prices.values()]
        .flatMap((bySku) => [...bySku.values()].flat())
        .map((price) => ({
          ...(price.definition as Document),
          book: price.book,
          sku: price.skuCode,
          effective_from: formatInstant(price.effectiveFrom),
          confirm: confirmed(price.priceId),
        })),
      plans: plans.map((plan) => ({
        ...(plan.definition as Document),
        versions: [...versions, ...drafts]
          .filter((version) => version.plan === plan.key)
          .map((version) => version.definition),
      })),
      assignments: assignments.map((one) => ({
        [one.kind]: one.key,
        organization: one.organization,
      })),
      ...(alerts && { alerts: alerts.definition }),
    },
  };
}

const skuMembers = new Set([
  "service",
  "class",
  "family",
  "variant",
  "pay_plan",
  "units",
  "validity_days",
  "unit",
  "restricted",
]);

// Documents of SKUs that were put in place before there were catalog folders may carry other members.
const known = (document: Document): Document =>
  Object.fromEntries(Object.entries(document).filter(([member]) => skuMembers.has(member)));

export async function saveService(tx: Tx, document: Document, now: Instant): Promise<void> {
  await sql`
    insert into service (key, definition, created_at)
    values (${document["key"]}, ${JSON.stringify(document)}::jsonb, ${writeInstant(now)})
    on conflict (key) do update set definition = excluded.definition`.execute(tx);
}

export async function savePlan(tx: Tx, document: Document, now: Instant): Promise<void> {
  await sql`
    insert into plan (key, product_line, definition, created_at)
    values (${document["key"]}, ${document["product_line"]}, ${JSON.stringify(document)}::jsonb,
            ${writeInstant(now)})
    on conflict (key) do update set definition = excluded.definition`.execute(tx);
}

/** Publish a plan version, or keep it as a draft. What is published is never written again: the database refuses. */
export async function savePlanVersion(
  tx: Tx,
  { plan, ...document }: Document,
  effectiveFrom: Instant,
  by: string,
  now: Instant,
): Promise<void> {
  const { version, status } = document;
  const json = JSON.stringify(document);
  if (status === "draft") {
    await sql`
      insert into plan_draft (plan, version, definition, saved_at)
      values (${plan}, ${version}, ${json}::jsonb, ${writeInstant(now)})
      on conflict (plan, version) do update set definition = excluded.definition`.execute(tx);
    return;
  }
  await sql`delete from plan_draft where plan = ${plan} and version = ${version}`.execute(tx);
  await sql`
    insert into plan_version (plan, version, effective_from, definition, published_by, published_at)
    values (${plan}, ${version}, ${writeInstant(effectiveFrom)}, ${json}::jsonb, ${by},
            ${writeInstant(now)})`.execute(tx);
}

export async function insertConfirmations(
  tx: Tx,
  priceId: string,
  warnings: readonly string[],
): Promise<void> {
  if (warnings.length === 0) return;
  await tx
    .insertInto("price_confirmation")
    .values(warnings.map((warning) => ({ price_id: priceId, warning })))
    .execute();
}

export type AssignmentKey = {
  readonly kind: "sku" | "plan";
  readonly key: string;
  readonly organization: string;
};

export async function insertAssignment(tx: Tx, one: AssignmentKey, now: Instant): Promise<boolean> {
  const { numInsertedOrUpdatedRows } = await tx
    .insertInto("catalog_assignment")
    .values({ ...one, created_at: writeInstant(now) })
    .onConflict((conflict) => conflict.doNothing())
    .executeTakeFirst();
  return numInsertedOrUpdatedRows === 1n;
}

export async function deleteAssignment(tx: Tx, one: AssignmentKey): Promise<boolean> {
  const { numDeletedRows } = await tx
    .deleteFrom("catalog_assignment")
    .where("kind", "=", one.kind)
    .where("key", "=", one.key)
    .where("organization", "=", one.organization)
    .executeTakeFirst();
  return numDeletedRows > 0n;
}

export async function saveAlertDefaults(tx: Tx, document: Document): Promise<void> {
  await sql`
    insert into catalog_setting (key, definition) values ('alerts', ${JSON.stringify(document)}::jsonb)
    on conflict (key) do update set definition = excluded.definition`.execute(tx);
}

/** Rules of this installation about changing the catalog. */
export type CatalogSettings = { readonly two_person_publication: boolean };

export async function findCatalogSettings(db: Db): Promise<CatalogSettings> {
  const row = await db
    .selectFrom("catalog_setting")
    .select("definition")
    .where("key", "=", "settings")
    .executeTakeFirst();
  return (row?.definition as CatalogSettings | undefined) ?? { two_person_publication: false };
}

export async function saveCatalogSettings(tx: Tx, settings: CatalogSettings): Promise<void> {
  await sql`
    insert into catalog_setting (key, definition) values ('settings', ${JSON.stringify(settings)}::jsonb)
    on conflict (key) do update set definition = excluded.definition`.execute(tx);
}

/** A change of the catalog that waits for somebody else's yes. */
export type Proposal = {
  readonly id: string;
  readonly status: "open" | "approved" | "rejected";
  readonly files: readonly CatalogFile[];
  readonly author: string;
  readonly reason: string;
  readonly decidedBy: string | null;
  readonly createdAt: Instant;
};

export async function insertProposal(tx: Db, proposal: Proposal): Promise<void> {
  await tx
    .insertInto("catalog_proposal")
    .values({
      proposal_id: proposal.id,
      status: proposal.status,
      files: JSON.stringify(proposal.files),
      author: proposal.author,
      reason: proposal.reason,
      created_at: writeInstant(proposal.createdAt),
    })
    .execute();
}

export async function lockProposal(tx: Tx, id: string): Promise<Proposal | undefined> {
  const row = await tx
    .selectFrom("catalog_proposal")
    .selectAll()
    .where("proposal_id", "=", id)
    .forUpdate()
    .executeTakeFirst();
  return (
    row && {
      id: row.proposal_id,
      status: row.status as Proposal["status"],
      files: row.files as CatalogFile[],
      author: row.author,
      reason: row.reason,
      decidedBy: row.decided_by,
      createdAt: readInstant(row.created_at),
    }
  );
}

export async function markDecided(
  tx: Tx,
  id: string,
  status: "approved" | "rejected",
  by: string,
  now: Instant,
): Promise<void> {
  await tx
    .updateTable("catalog_proposal")
    .set({ status, decided_by: by, decided_at: writeInstant(now) })
    .where("proposal_id", "=", id)
    .execute();
}
