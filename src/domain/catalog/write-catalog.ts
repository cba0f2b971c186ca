import { formatDecimal, isZero } from "../../kit/decimal.ts";
import { formatInstant, type Instant, tryInstant } from "../../kit/time.ts";
import {
  type AlertDefaults,
  alertSubjects,
  type BookPrice,
  type Catalog,
  type Sku,
  standardAlerts,
} from "./catalog.ts";
import { priceName } from "./catalog-soundness.ts";
import { writeMeter } from "./meter.ts";
import type { Fee, Plan, PlanVersion } from "./plan.ts";
import type { CatalogFile } from "./read-catalog.ts";
import { writePrice } from "./price-document.ts";

export type ItemKind =
  | "service"
  | "meter"
  | "sku"
  | "price_book"
  | "price"
  | "plan"
  | "plan_version"
  | "assignment"
  | "alerts";

/** One thing of the catalog as a plain document, under the name by which two catalogs are compared. */
export type CatalogItem = {
  readonly kind: ItemKind;
  readonly name: string;
  readonly document: Readonly<Record<string, unknown>>;
};

type Document = Record<string, unknown>;

/** Every thing of a catalog, in the order in which it can be put in place: what others rest on comes first. */
export function itemsOf(catalog: Catalog): CatalogItem[] {
  const items: CatalogItem[] = [];
  const put = (kind: ItemKind, name: string, document: Document) =>
    void items.push({ kind, name, document });
  for (const one of byName(catalog.services, (service) => service.key))
    put("service", one.key, {
      key: one.key,
      name: one.name,
      ...(one.description !== "" && { description: one.description }),
      status: one.status,
    });
  for (const one of byName(catalog.meters, (meter) => meter.key))
    put("meter", one.key, briefMeter(writeMeter(one)));
  for (const one of byName(catalog.skus, (sku) => sku.code)) put("sku", one.code, writeSku(one));
  for (const one of parentsFirst(catalog))
    put("price_book", one.code, { ...one, parent: one.parent ?? undefined });
  for (const one of byName(catalog.prices, priceName))
    put("price", priceName(one), writeEntry(one));
  for (const plan of byName(catalog.plans, (one) => one.key)) {
    put("plan", plan.key, writePlanHead(plan));
    for (const version of plan.versions.toSorted((a, b) => a.version - b.version))
      put("plan_version", `${plan.key}@${version.version}`, {
        plan: plan.key,
        ...writeVersion(version),
      });
  }
  for (const one of catalog.assignments)
    put("assignment", `${one.kind} ${one.key} to ${one.organization}`, {
      [one.kind]: one.key,
      organization: one.organization,
    });
  put("alerts", "defaults", writeAlerts(catalog.alerts));
  return items;
}

/** The catalog as the documents of a folder, one file a section, that read back to the same catalog. */
export function writeCatalog(
  catalog: Catalog,
): { readonly name: string; readonly document: Document }[] {
  const items = itemsOf(catalog);
  const of = (kind: ItemKind) =>
    items.filter((item) => item.kind === kind).map((item) => item.document);
  const plans = byName(catalog.plans, (one) => one.key).map((plan) => ({
    ...writePlanHead(plan),
    versions: plan.versions.toSorted((a, b) => a.version - b.version).map(writeVersion),
  }));
  const files: [string, Document][] = [
    ["services", { services: of("service") }],
    ["meters", { meters: of("meter") }],
    ["skus", { skus: of("sku") }],
    ["prices", { price_books: of("price_book"), prices: of("price") }],
    ["plans", { plans }],
    ["assignments", { assignments: of("assignment") }],
    ["alerts", { alerts: writeAlerts(catalog.alerts) }],
  ];
  return files
    .map(([name, document]) => ({ name, document: withoutEmpty(document) }))
    .filter(({ document }) => Object.keys(document).length > 0);
}

/**
 * The catalog in force with some things added or put in place of those with the same name, as one file: what a single change
 * over HTTP means. A plan keeps the versions that the addition does not name.
 */
export function amendedFile(current: Catalog, addition: CatalogFile): CatalogFile {
  const before = Object.assign({}, ...writeCatalog(current).map(({ document }) => document));
  const added = addition.document as Document;
  const sections = new Set([...Object.keys(before), ...Object.keys(added)]);
  const document = Object.fromEntries(
    [...sections].map((section) => [section, amended(section, before[section], added[section])]),
  );
  return { name: addition.name, document };
}

function amended(section: string, before: unknown, added: unknown): unknown {
  if (added === undefined) return before;
  if (!Array.isArray(added) || section === "alerts") return added;
  const old = (before ?? []) as Document[];
  const named = new Map(added.map((one: Document) => [identity(section, one), one]));
  const kept = old.filter((one) => !named.has(identity(section, one)));
  const found = (one: Document) =>
    old.find((other) => identity(section, other) === identity(section, one));
  const placed = added.map((one: Document) => {
    if (section !== "plans") return one;
    return { ...one, versions: amended("versions", found(one)?.["versions"], one["versions"]) };
  });
  return [...kept, ...placed];
}

function identity(section: string, one: Document): string {
  const from = one["effective_from"];
  const since = typeof from === "string" ? (tryInstant(from) ?? from) : 0;
  switch (section) {
    case "prices":
      return `${String(one["book"])} ${String(one["sku"])} ${since}`;
    case "assignments":
      return `${String(one["sku"])} ${String(one["plan"])} ${String(one["organization"])}`;
    case "versions":
      return JSON.stringify(one["version"] ?? 1);
    default:
      return JSON.stringify(one["key"] ?? one["code"]);
  }
}

const byName = <T>(list: readonly T[], nameOf: (one: T) => string): T[] =>
  list.toSorted((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));

const withoutEmpty = (document: Document): Document =>
  Object.fromEntries(
    Object.entries(document).filter(([, value]) => !Array.isArray(value) || value.length > 0),
  );

/** Books after the books they fall back to. */
function parentsFirst(catalog: Catalog) {
  const depth = (code: string | null, seen = 0): number => {
    const book = catalog.books.find((one) => one.code === code);
    return book === undefined || seen > catalog.books.length ? 0 : 1 + depth(book.parent, seen + 1);
  };
  return byName(
    catalog.books,
    (book) => `${String(depth(book.code)).padStart(4, "0")} ${book.code}`,
  );
}

/** A meter without the members that only say what is the rule anyway. */
function briefMeter(document: Document): Document {
  const { filters, dimensions, allow_negative: allowNegative, ...rest } = document;
  return withoutEmpty({
    ...rest,
    ...(allowNegative !== (rest["aggregation"] === "weighted_sum") && {
      allow_negative: allowNegative,
    }),
    filters,
    dimensions,
  });
}

function writeSku(sku: Sku): Document {
  const { labels } = sku;
  return {
    code: sku.code,
    name: sku.name,
    kind: sku.kind,
    ...(sku.service !== null && { service: sku.service }),
    ...(labels.class !== "" && { class: labels.class }),
    ...(labels.family !== "" && { family: labels.family }),
    ...(labels.variant !== "" && { variant: labels.variant }),
    ...(labels.payPlan !== "" && { pay_plan: labels.payPlan }),
    ...(sku.meter !== null && { meter: sku.meter }),
    ...(sku.batch !== null && {
      units: formatDecimal(sku.batch.units),
      validity_days: sku.batch.validityDays,
    }),
    ...(sku.unit !== null && { unit: sku.unit }),
    ...(sku.restricted && { restricted: true }),
    status: sku.status,
  };
}

const since = (at: Instant): Document =>
  at === 0 ? {} : { effective_from: formatInstant(at).replace(".000Z", "Z") };

const writeEntry = (entry: BookPrice): Document => ({
  book: entry.book,
  sku: entry.sku,
  ...since(entry.effectiveFrom),
  ...writePrice(entry.price),
  ...(entry.confirms.length > 0 && { confirm: [...entry.confirms] }),
});

const writePlanHead = (plan: Plan): Document => ({
  key: plan.key,
  name: plan.name,
  ...(plan.description !== "" && { description: plan.description }),
  ...(plan.kind !== "plan" && { kind: plan.kind }),
  product_line: plan.productLine,
  ...(plan.priceOnRequest && { price_on_request: true }),
  ...(plan.restricted && { restricted: true }),
  ...(plan.isDefault && { default: true }),
});

const writeVersion = (version: PlanVersion): Document =>
  withoutEmpty({
    version: version.version,
    status: version.status,
    ...since(version.effectiveFrom),
    cadence: version.cadence,
    fees: version.fees.map(writeFee),
    usage: version.usage.map((usage) => ({
      sku: usage.sku,
      included: formatDecimal(usage.included),
      ...(!isZero(usage.includedLevel) && { included_level: formatDecimal(usage.includedLevel) }),
      beyond: usage.beyond,
      ...(usage.prices.length > 0 && { prices: usage.prices.map(writePrice) }),
    })),
    quotas: version.quotas.map((quota) => ({
      key: quota.key,
      limit: formatDecimal(quota.limit),
      window: quota.window,
      ...(quota.enforcement !== "hard" && { enforcement: quota.enforcement }),
    })),
    features: [...version.features],
    ...(version.trialDays > 0 && { trial_days: version.trialDays }),
    ...(version.proration.unit !== "second" && { proration: version.proration.unit }),
    ...(!version.proration.creditUnused && { credit_unused: false }),
  });

const writeFee = (fee: Fee): Document => ({
  sku: fee.sku,
  ...(fee.kind !== "recurring" && { kind: fee.kind }),
  ...(fee.amounts.size > 0 && {
    amounts: Object.fromEntries(
      byName([...fee.amounts], ([code]) => code).map(([code, amount]) => [code, amount.toFixed()]),
    ),
  }),
  ...(fee.kind === "recurring" && { timing: fee.timing }),
  ...(fee.per !== "subscription" && { per: fee.per }),
  ...(!isZero(fee.includedUnits) && { included_units: formatDecimal(fee.includedUnits) }),
  ...(fee.once !== "subscription" && { once: fee.once }),
});

const writeAlerts = (alerts: AlertDefaults): Document =>
  Object.fromEntries(
    alertSubjects
      .filter((subject) => alerts[subject].join() !== standardAlerts[subject].join())
      .map((subject) => [subject, [...alerts[subject]]]),
  );
