import type { Author } from "../domain/audit/index.ts";
import {
  type Catalog,
  type CatalogDiff,
  type CatalogFile,
  type CatalogStep,
  amendedFile,
  diffCatalogs,
  isSettled,
  priceWarnings,
  readCatalog,
  refusalsIn,
} from "../domain/catalog/index.ts";
import { Problem } from "../domain/refusals/index.ts";
import { type Instant, instant } from "../kit/time.ts";
import { appendAudit, providerChain } from "../store/audit.ts";
import {
  bumpCatalogVersion,
  insertPrice,
  readCatalog as readStored,
  type SkuKind,
  type StoredCatalog,
  saveBook,
  saveMeter,
  saveSku,
} from "../store/catalog.ts";
import type { Tx } from "../store/connect.ts";
import {
  type AssignmentKey,
  deleteAssignment,
  findCatalogSettings,
  getPublishedCatalog,
  insertAssignment,
  insertConfirmations,
  lockCatalog,
  readCatalogValue,
  saveAlertDefaults,
  savePlan,
  savePlanVersion,
  saveService,
} from "../store/plans.ts";
import { transaction } from "../store/transaction.ts";
import type { Env } from "./env.ts";

/** What a folder of files would do to the catalog in force. */
export type CatalogPlan = {
  readonly current: Catalog;
  readonly wanted: Catalog;
  readonly diff: CatalogDiff;
  /** Things an author should know that are not wrong in themselves. */
  readonly warnings: readonly string[];
};

/** Compare a folder with the catalog in force. Nothing is changed. */
export async function planCatalog(env: Env, files: readonly CatalogFile[]): Promise<CatalogPlan> {
  return planAgainst(await getPublishedCatalog(env.store), files, env.now());
}

function planAgainst(current: Catalog, files: readonly CatalogFile[], now: Instant): CatalogPlan {
  const { catalog: wanted, faults } = readCatalog(files);
  if (faults) {
    const [first] = faults;
    throw new Problem("catalog_not_valid", `${first?.file}${first?.pointer}: ${first?.detail}`, {
      faults: faults.map(({ file, pointer, detail }) => ({
        pointer: `${file}#${pointer}`,
        detail,
      })),
    });
  }
  const diff = diffCatalogs(current, wanted, now);
  return { current, wanted, diff, warnings: warningsOf(wanted, diff) };
}

// Only what is new: prices in force were published with their warnings known.
function warningsOf(wanted: Catalog, diff: CatalogDiff): string[] {
  const added = new Set(diff.steps.filter((step) => step.act === "add").map((step) => step.name));
  return wanted.prices.flatMap((entry) =>
    [...added].some((name) => name.startsWith(`${entry.book} ${entry.sku} `))
      ? priceWarnings(entry.price).map(
          (warning) => `${entry.sku} in ${entry.book}: ${warning.detail}`,
        )
      : [],
  );
}

/**
 * Make the catalog what the files say, all or nothing, and tell every process. Applying the same files again changes
 * nothing. Refuses as a whole when one step would rewrite what is published.
 */
export async function applyCatalog(
  env: Env,
  author: Author,
  files: readonly CatalogFile[],
): Promise<CatalogPlan> {
  return transaction(env.store.db, (tx) => applyIn(env, tx, author, files));
}

/** Add to the catalog in force: the same act for one thing that comes over HTTP. Everything else stays as it is. */
export async function amendCatalog(
  env: Env,
  author: Author,
  addition: CatalogFile,
): Promise<CatalogPlan> {
  return transaction(env.store.db, async (tx) => {
    await lockCatalog(tx);
    const current = await readCatalogValue(tx);
    return applyIn(env, tx, author, [amendedFile(current, addition)]);
  });
}

/** The same in a transaction that is already open. */
export async function applyIn(
  env: Env,
  tx: Tx,
  author: Author,
  files: readonly CatalogFile[],
  isApproved = false,
): Promise<CatalogPlan> {
  const now = env.now();
  await lockCatalog(tx);
  const plan = planAgainst(await readCatalogValue(tx), files, now);
  const refused = refusalsIn(plan.diff);
  if (refused.length > 0)
    throw new Problem("catalog_change_refused", refused[0]?.why, {
      faults: refused.map((step) => ({ pointer: `/${step.kind}/${step.name}`, detail: step.why })),
    });
  if (isSettled(plan.diff)) return plan;
  if (
    !isApproved &&
    publishesMoney(plan.diff) &&
    (await findCatalogSettings(tx)).two_person_publication
  )
    throw new Problem("catalog_approval_needed");
  const stored = await readStored(tx);
  const counts = new Map<string, number>();
  for (const step of plan.diff.steps)
    await carryOut(env, tx, author, step, plan.wanted, stored, counts, now);
  await bumpCatalogVersion(tx);
  await appendAudit(
    tx,
    env.id,
    providerChain,
    plan.diff.steps
      .filter((step) => step.act !== "keep")
      .map((step) => ({
        at: now,
        author,
        action: `catalog.${step.act === "add" ? "added" : step.act === "remove" ? "removed" : "changed"}`,
        target: { kind: step.kind, id: step.name },
        before:
          step.act === "change"
            ? Object.fromEntries(step.fields.map((field) => [field.field, field.before]))
            : null,
        after: "document" in step ? step.document : null,
      })),
  );
  return plan;
}

const publishesMoney = (diff: CatalogDiff): boolean =>
  diff.steps.some(
    (step) => (step.kind === "price" || step.kind === "plan_version") && step.act !== "keep",
  );

async function carryOut(
  env: Env,
  tx: Tx,
  author: Author,
  step: CatalogStep,
  wanted: Catalog,
  stored: StoredCatalog,
  counts: Map<string, number>,
  now: Instant,
): Promise<void> {
  const { kind, name } = step;
  if (kind === "assignment" && step.act === "remove") {
    await deleteAssignment(tx, assignmentNamed(name));
    return;
  }
  if (step.act !== "add" && step.act !== "change") return;
  const { document } = step;
  const text = (member: string) => String(document[member]);
  switch (kind) {
    case "service":
      return saveService(tx, document, now);
    case "meter": {
      const meter = wanted.meters.find((one) => one.key === name);
      if (!meter) return;
      await saveMeter(
        tx,
        {
          meterId: stored.meters.get(name)?.meterId ?? env.id("meter"),
          key: meter.key,
          eventType: meter.eventType,
          status: meter.status,
          definition: document,
        },
        now,
      );
      return;
    }
    case "sku":
      await saveSku(
        tx,
        {
          skuId: stored.skus.get(name)?.skuId ?? env.id("sku"),
          code: name,
          name: text("name"),
          kind: text("kind") as SkuKind,
          status: text("status") as "draft",
          meterKey: document["meter"] === undefined ? null : text("meter"),
          definition: document,
        },
        now,
      );
      return;
    case "price_book":
      await saveBook(
        tx,
        {
          code: name,
          name: text("name"),
          currency: text("currency"),
          parent: document["parent"] === undefined ? null : text("parent"),
        },
        now,
      );
      return;
    case "price":
      return publishPrice(env, tx, author, document, stored, counts, now);
    case "plan":
      return savePlan(tx, document, now);
    case "plan_version":
      return savePlanVersion(tx, document, startOf(document), author.actor.id, now);
    case "assignment":
      await insertAssignment(tx, assignmentNamed(name), now);
      return;
    case "alerts":
      return saveAlertDefaults(tx, document);
  }
}

async function publishPrice(
  env: Env,
  tx: Tx,
  author: Author,
  document: Document,
  stored: StoredCatalog,
  counts: Map<string, number>,
  now: Instant,
): Promise<void> {
  const { book, sku, effective_from: _from, confirm, ...definition } = document;
  const [bookCode, skuCode] = [String(book), String(sku)];
  const priceId = env.id("price");
  const known = stored.prices.get(bookCode)?.get(skuCode) ?? [];
  const effectiveFrom = startOf(document);
  const place = `${bookCode} ${skuCode}`;
  const version = (counts.get(place) ?? known.length) + 1;
  counts.set(place, version);
  await insertPrice(tx, {
    priceId,
    book: bookCode,
    skuCode,
    currency: String(definition["currency"]),
    version,
    effectiveFrom,
    definition,
    publishedBy: author.actor.id,
    publishedAt: now,
  });
  await insertConfirmations(tx, priceId, (confirm as string[] | undefined) ?? []);
}

// "sku PARTNER-SMS to globex": the name of the step is what the diff compares.
function assignmentNamed(name: string): AssignmentKey {
  const [kind, key = "", , organization = ""] = name.split(" ");
  return { kind: kind === "plan" ? "plan" : "sku", key, organization };
}

type Document = Readonly<Record<string, unknown>>;

const startOf = ({ effective_from: from }: Document): Instant =>
  instant(typeof from === "string" ? from : "1970-01-01T00:00:00Z");
